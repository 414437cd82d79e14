//! The words of Fairban as types: what a client did ([`Event`]), against whom something is decided
//! ([`Subject`]), what was decided and why ([`Decision`]), and by which values ([`Policy`]).
//!
//! This crate must not do I/O, read a clock or know how anything is parsed, stored or enforced.
#![forbid(unsafe_code)]

mod decision;
mod duration;
mod event;
mod format;
mod kind;
mod net;
mod policy;
mod subject;
mod time;

pub use decision::{Action, Code, Decision, Diagnosis, Effect, Evidence, Origin};
pub use duration::{DurationError, format_duration, parse_duration};
pub use event::{Event, Service, ServiceSet, Witness};
pub use format::CustomFormat;
pub use kind::EventKind;
pub use net::{network_of, single, subtract};
pub use policy::{
    AddressPolicy, FamiliarPolicy, GuardPolicy, Ladder, Points, Policy, Repeats, Rule, SubjectKind, WidenPolicy,
};
pub use subject::{Subject, SubjectError};
pub use time::Time;

//! The words of Fairban as types: what a client did ([`Event`]), against whom something is decided
//! ([`Subject`]), what was decided and why ([`Decision`]), and by which values ([`Policy`]).
//!
//! This crate must not do I/O, read a clock or know how anything is parsed, stored or enforced.
#![forbid(unsafe_code)]

mod decision;
mod duration;
mod event;
mod finding;
mod format;
mod kind;
mod mailbox;
mod net;
mod policy;
mod sender;
mod subject;
mod time;
mod verdict;

pub use decision::{Action, Code, Decision, Diagnosis, Effect, Evidence, Origin};
pub use duration::{DurationError, format_duration, parse_duration};
pub use event::{Event, Service, ServiceSet, Witness};
pub use finding::{Device, Fact, Finding};
pub use format::CustomFormat;
pub use kind::EventKind;
pub use mailbox::{Mailbox, domain_ascii, domain_of};
pub use net::{network_of, single, subtract};
pub use policy::{
    AddressPolicy, FamiliarPolicy, GuardPolicy, Ladder, OutboundPolicy, Points, Policy, Repeats, Rule, SendPolicy,
    SubjectKind, WidenPolicy,
};
pub use sender::{Direction, Sender, SenderError, Sending};
pub use subject::{Subject, SubjectError};
pub use time::Time;
pub use verdict::{Mailing, Refused, SignIn, Verdict};

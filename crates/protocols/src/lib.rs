//! Servers that answer a mail server while a client waits: Dovecot's auth policy ([`auth_policy`]) and Postfix's policy
//! delegation ([`policy_service`]), which Exim can ask, too.
//!
//! Who is refused is known to a [`Judge`]; this crate asks it, says its verdicts in each protocol's words, and hands it
//! the events that the questions tell of. It must not decide, must not know how anything is stored, and must never make
//! a mail server refuse somebody because a request was broken, late or too much: then it says so or nothing, and the
//! mail server goes on.
//!
//! Everything that a peer can make grow is bounded by [`Limits`]. A connection has so long for a request, counted from
//! its first byte, and so long for rest between two. When all places are taken, a newcomer gets the place of a
//! connection that never asked anything, else of the one that rested longest; so neither idle nor dribbling peers keep
//! a mail server out.
//!
//! One server is not for mail servers but for their blocked clients, who are told why: [`explainer`](mod@explainer).
#![forbid(unsafe_code)]

mod auth_policy;
mod clock;
mod complaints;
mod counters;
mod error;
pub mod explainer;
mod judge;
mod language;
mod limits;
mod listen;
mod peer;
mod policy_service;
mod server;
mod wording;

pub use auth_policy::{AuthPolicy, auth_policy};
pub use counters::Counters;
pub use error::ProtocolError;
pub use explainer::{CertificateError, CertificateFiles, Explainer, ExplainerLimits, explainer};
pub use judge::Judge;
pub use language::Language;
pub use limits::Limits;
pub use listen::Listen;
pub use policy_service::{PolicyService, SOFT_ANSWER, policy_service};
pub use server::Running;
pub use wording::Wording;

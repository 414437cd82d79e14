//! Many mail servers, one memory: what nodes decide and see, shared over Valkey or Redis.
//!
//! [`Merge`] puts together what all nodes decided; it is a state machine without I/O. [`Twin`] is the server's side in
//! memory.
//!
//! This crate must not know how anything is scored, stored, enforced or shown, nor decide anything about a client. A
//! local decision never waits for it.
#![forbid(unsafe_code)]

mod counting;
mod error;
mod fact;
mod fleet;
mod journal;
mod merge;
mod presence;
mod server;
mod session;
mod settings;
mod stamp;
mod status;
mod twin;

pub use error::FleetError;
pub use fact::{FOREVER, Fact, Matter};
pub use fleet::{Confirmation, Failure, Fleet, Heard, Ticket};
pub use merge::{Change, Effective, HEAD_START, Merge, RETENTION, Told, Trust, Wish};
pub use settings::Settings;
pub use stamp::{Rank, Stamp, node_number};
pub use status::{Node, State, Status, StreamPlace};
pub use twin::{Position, Read, Twin};

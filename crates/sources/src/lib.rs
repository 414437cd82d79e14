//! Where lines come from: log files that rotate, journald, syslog senders and standard input.
//!
//! A source hands over [`Batch`]es of whole lines, each with a [`Cursor`] that tells where to go on. The receiver
//! commits that cursor together with what the lines led to; a source that is started again at it neither loses nor
//! repeats a line, also when the log was rotated meanwhile.
//!
//! This crate must not know what a line means, and must not hold more than a bounded amount of any source in memory:
//! when the receiver does not keep up, a source stops reading.
//!
//! # What cannot be promised
//!
//! * **Truncation in place**: what was written and truncated before it was read is gone.
//! * **Copy-truncate**: what is written between the copy and the truncation is lost to everyone (the copier as well).
//!   What was copied but not read yet is read from the copy, if that bears a rotated name (`NAME.1`, `NAME-20261121` …)
//!   in the same folder, is not compressed, and at least one line of its content was read before.
//! * **Rotation while not running**: the file of the cursor and all later ones are found under rotated names in the
//!   same folder; compressed files and other folders are not searched.
//! * **UDP** loses datagrams when the receiver does not keep up.
#![forbid(unsafe_code)]

mod batch;
mod cursor;
mod error;
mod file;
mod health;
mod journald;
mod outlet;
mod spec;
mod splitter;
mod stdin;
mod syslog;

pub use batch::{Batch, Lines};
pub use cursor::{Cursor, FilePosition};
pub use error::SourceError;
pub use health::{Health, State};
pub use journald::export::{Entry, ExportReader};
pub use spec::{Listen, ListenError, Running, SourceSpec, Start, Tuning, probe, spawn, spawn_tuned};

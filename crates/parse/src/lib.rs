//! Log lines of mail servers into [`Event`]s: bytes in, an [`Outcome`] out.
//!
//! This crate must not read files or a clock, run async code, or keep state beyond one source's last line. Every parser
//! is linear in the length of the line, and finds the client's address by the server's own grammar, from the side that
//! the client cannot reach; untrusted text is never searched for an address.
#![forbid(unsafe_code)]

mod ahead;
mod custom;
mod dovecot;
mod exim;
mod frequent;
mod message;
mod parser;
pub mod policy;
mod postfix;
mod prefix;
mod repeated;
mod scan;
mod servers;

use fairban_types::{Event, Time};
use jiff::tz::TimeZone;

pub use ahead::{Ahead, Counts, Findings, Found, Later};
pub use custom::{CustomError, ExampleResult, Formats, Problem};
pub use parser::{LINE_LEN_MAX, Parser};

/// How one line was read.
// An event on the heap would cost an allocation for every event of a log.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<'a> {
    /// The line tells of something that a client did.
    Event(Event<'a>),
    /// The line was understood as far as needed; it holds no event.
    Nothing,
    /// The line says what an event says, but something in it is broken.
    Defect(Defect),
}

/// What is wrong with a line that should have held an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Longer than is read.
    #[error("the line is longer than {0} bytes")]
    TooLong(usize),
    /// Its time stamp says something impossible.
    #[error("the time stamp cannot be a time")]
    Time,
    /// The place of the client's address holds none.
    #[error("no address where the client's address belongs")]
    Client,
}

/// Where a line comes from, for what the line does not say itself.
#[derive(Clone, Debug)]
pub struct Context {
    /// The moment that years-less dates are near: a date is taken as the latest one not more than a day after it.
    /// For a file its modification time, for live lines the moment of arrival. Also the time of lines without any.
    pub reference: Time,
    /// The year of years-less dates, if it is known (`--year`).
    pub year: Option<i16>,
    /// The zone of time stamps that name none.
    pub zone: TimeZone,
}

//! Lines read ahead of their turn, on any thread.
//!
//! Nearly all lines mean the same whatever the lines before said. Only those that do not are read again in their turn,
//! by the source's [`Parser`](crate::Parser).

use std::borrow::Cow;
use std::net::IpAddr;

use fairban_types::{Event, Service};

use crate::{Context, Outcome, Parser};

/// Reads pieces of one source, in their order but not necessarily all of them.
#[derive(Debug)]
pub struct Ahead {
    /// Remembers nothing of the source but how its time stamps look.
    pub(crate) parser: Parser,
}

/// What was found in a piece.
// An event on the heap would cost an allocation for every event of a log.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub enum Found<'a> {
    /// A line's event.
    Event(Event<'a>),
    /// A line's event, to which earlier lines may have something to add: see [`Parser::complete`].
    SignIn(Event<'a>),
    /// What is left to the source's parser.
    Later(Later<'a>),
}

/// What the source's parser takes in its turn.
#[derive(Clone, Copy, Debug)]
pub enum Later<'a> {
    /// A line that must be read in its turn.
    Line(&'a [u8]),
    /// What a line told of a message, beside its event, for the line that tells the number of its recipients.
    Submission {
        /// The message's queue ID, as a number.
        id: u128,
        /// Who submitted it.
        client: IpAddr,
        /// On which service.
        service: Service,
        /// Of which account.
        account: &'a str,
    },
    /// What later lines may refer to.
    Last {
        /// The line before what comes next, if it held an event; else empty.
        line: &'a [u8],
        /// Whether the source is known to have shown time stamps.
        is_stamped: bool,
    },
}

/// How many lines there were, and how many of them were broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All lines.
    pub lines: u64,
    /// Those with an [`Outcome::Defect`].
    pub defects: u64,
}

impl Ahead {
    /// Reads whole lines; appends what they hold. A line that is left to [`Parser::settle`] counts as sound.
    pub fn read<'a>(&mut self, piece: &'a [u8], context: &Context, found: &mut Vec<Found<'a>>) -> Counts {
        let text = simdutf8::basic::from_utf8(piece).ok();
        let mut counts = Counts::default();
        // `None` while the source's parser knows the last line.
        let mut last = None;
        let mut rest = piece;
        while !rest.is_empty() {
            let (line, after) = rest.split_at(memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1));
            rest = after;
            counts.lines += 1;
            let line = crate::parser::without_end(line);
            let mut repeated = None;
            let outcome = self.parser.read(line, text, context, &mut repeated);
            let mut must_wait = self.parser.take_asked() || repeated.is_some();
            let is_sign_in = self.parser.take_sign_in();
            if let Some(id) = self.parser.take_noted()
                && let Outcome::Event(event) = &outcome
            {
                let (client, service) = (event.client, event.service);
                match event.account {
                    Some(Cow::Borrowed(account)) => {
                        found.push(Found::Later(Later::Submission { id, client, service, account }));
                    }
                    _ => must_wait = true,
                }
            }
            if must_wait {
                found.extend(last.take().filter(|_| repeated.is_some()).map(|line| self.last(line)));
                found.push(Found::Later(Later::Line(line)));
                last = None;
                continue;
            }
            last = Some(if matches!(outcome, Outcome::Event(_)) { line } else { b"" });
            match outcome {
                Outcome::Event(event) if is_sign_in => found.push(Found::SignIn(event)),
                Outcome::Event(event) => found.push(Found::Event(event)),
                Outcome::Nothing => {}
                Outcome::Defect(_) => counts.defects += 1,
            }
        }
        found.extend(last.map(|line| self.last(line)));
        counts
    }

    fn last<'a>(&self, line: &'a [u8]) -> Found<'a> {
        Found::Later(Later::Last { line, is_stamped: self.parser.is_stamped() })
    }
}

//! What stands before a server's own words: syslog headers and time stamps of every form.

mod civil;
mod stamp;
mod structured;
mod tag;

use fairban_types::Time;

use crate::frequent::{self, Program};
use crate::{Context, Defect};
use stamp::{Clock, Form, Stamp};

/// A line without its prefix.
#[derive(Debug)]
pub(crate) enum Split<'a> {
    /// A program's words, under its name.
    Tagged { time: Time, program: &'a [u8], text: &'a [u8] },
    /// Words without a program's name, behind a date of the form that Exim's files have.
    Spaced { time: Time, text: &'a [u8] },
    /// Words without a program's name, behind another stamp or none.
    Bare { time: Time, text: &'a [u8] },
    /// `last message repeated 3 times`.
    LastRepeated { time: Time, count: u32 },
    /// Part of the line before.
    Continuation,
}

/// Takes prefixes off the lines of one source.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    clock: Clock,
    host: Host,
    /// Whether the source has shown time stamps: then a line without one continues the line before, and what it seems
    /// to say may be a client's text.
    is_stamped: bool,
    /// Whether a line's meaning depended on that while it was not the case.
    was_asked: bool,
}

impl Prefixes {
    pub(crate) fn is_stamped(&self) -> bool {
        self.is_stamped
    }

    /// Notes that lines read elsewhere have shown time stamps.
    pub(crate) fn set_stamped(&mut self) {
        self.is_stamped = true;
    }

    /// Whether a line was read otherwise than it would have been behind a time stamp, since this was last asked.
    #[inline(always)]
    pub(crate) fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.was_asked)
    }

    /// The time and the program of a line that is like most others: with the minute of a line before, a host and one
    /// of the most frequent programs.
    #[inline(always)]
    pub(crate) fn frequent<'a>(&mut self, line: &'a [u8], context: &Context) -> Option<(Time, Program<'a>)> {
        let stamp = self.clock.remembered(line, context)?;
        let time = stamp.time.ok().filter(|_| stamp.form != Form::Spaced)?;
        Some((time, frequent::program(self.host.behind(stamp.rest)?)?))
    }

    /// Takes the line apart.
    pub(crate) fn split<'a>(&mut self, line: &'a [u8], context: &Context) -> Result<Split<'a>, Defect> {
        let line = match line.first() {
            Some(b'<') => match structured::after_priority(line) {
                Some(rest) if rest.starts_with(b"1 ") => return self.structured(&rest[2..], context),
                Some(rest) => rest,
                None => line,
            },
            _ => line,
        };
        match self.clock.read(line, context) {
            Some(stamp) => {
                self.is_stamped = true;
                stamped(&stamp)
            }
            None if self.is_stamped => Ok(Split::Continuation),
            None => {
                self.was_asked = true;
                Ok(unstamped(line, context.reference))
            }
        }
    }

    /// RFC 5424 behind its version.
    fn structured<'a>(&mut self, text: &'a [u8], context: &Context) -> Result<Split<'a>, Defect> {
        self.is_stamped = true;
        let Some(header) = structured::header(text) else { return Ok(Split::Continuation) };
        let time = match header.stamp {
            b"-" => context.reference,
            _ => self.clock.read(header.stamp, context).ok_or(Defect::Time)?.time?,
        };
        Ok(Split::Tagged { time, program: header.program, text: header.text })
    }
}

/// The host of a line before, since most lines of a log name the same.
#[derive(Debug, Default)]
struct Host {
    /// Its bytes and the blank behind it as one number, zeros behind them.
    key: u128,
    /// The bits of the key that count; none before the first.
    mask: u128,
    len: usize,
}

impl Host {
    const LEN_MAX: usize = 16;

    /// What stands behind the host that the text begins with.
    #[inline(always)]
    fn behind<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        if let Some(head) = text.first_chunk()
            && u128::from_le_bytes(*head) & self.mask == self.key
            && self.mask != 0
        {
            return Some(&text[self.len..]);
        }
        self.learn(text)
    }

    #[inline(never)]
    fn learn<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        let end = tag::end(text).filter(|end| text[*end] == b' ')?;
        let len = end + 1;
        if let (Some(head), Some(unused)) = (text.first_chunk(), Self::LEN_MAX.checked_sub(len)) {
            let mask = u128::MAX >> (8 * unused);
            *self = Host { key: u128::from_le_bytes(*head) & mask, mask, len };
        }
        Some(&text[len..])
    }
}

fn stamped<'a>(stamp: &Stamp<'a>) -> Result<Split<'a>, Defect> {
    let time = stamp.time?;
    let text = stamp.rest;
    if stamp.form == Form::Spaced {
        return Ok(Split::Spaced { time, text });
    }
    Ok(named(time, text).unwrap_or(Split::Bare { time, text }))
}

/// A tag with or without a host before it.
pub(crate) fn named(time: Time, text: &[u8]) -> Option<Split<'_>> {
    match tag::end(text) {
        // A host's name.
        Some(end) if text[end] == b' ' => behind_host(time, &text[end + 1..]),
        end => match end.and_then(|end| tag::behind(text, end)) {
            Some((program, text)) => Some(Split::Tagged { time, program, text }),
            None => behind_host(time, tag::skip_host(text)?),
        },
    }
}

fn behind_host(time: Time, text: &[u8]) -> Option<Split<'_>> {
    if let Some((program, text)) = tag::read(text) {
        return Some(Split::Tagged { time, program, text });
    }
    let count = crate::repeated::last_message(text)?;
    Some(Split::LastRepeated { time, count })
}

fn unstamped(line: &[u8], time: Time) -> Split<'_> {
    match tag::read(line) {
        Some((program, text)) => Split::Tagged { time, program, text },
        None => Split::Bare { time, text: line },
    }
}

#[cfg(test)]
mod tests;

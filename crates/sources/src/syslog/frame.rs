use memchr::{memchr, memchr2};

use crate::journald::harmless;

/// Digits of a length, as many as anyone needs.
const LENGTH_DIGITS_MAX: usize = 9;

/// How a sender marks where a message ends (RFC 6587).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Not known before the first message.
    Unknown,
    /// `LENGTH SPACE MESSAGE`
    Counted,
    /// Each message ends with a newline (or NUL).
    Newline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    Message { left: u64 },
    Line,
}

/// The sender does not keep to the framing that it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BrokenFraming;

/// Cuts a stream into messages, in bounded memory. The framing is found by the first message and kept: text inside a later
/// message cannot change it.
#[derive(Debug)]
pub(crate) struct Framer {
    bytes_max: usize,
    framing: Framing,
    place: Place,
    length: Vec<u8>,
    message: Vec<u8>,
    cut_bytes: u64,
}

impl Framer {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Framer {
            bytes_max,
            framing: Framing::Unknown,
            place: Place::Start,
            length: Vec::new(),
            message: Vec::new(),
            cut_bytes: 0,
        }
    }

    /// Takes bytes, and calls `sink` with every message that is complete, and how many bytes of it were cut off.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut sink: impl FnMut(&[u8], u64)) -> Result<(), BrokenFraming> {
        while !bytes.is_empty() {
            let taken = match self.place {
                Place::Start => self.start(bytes)?,
                Place::Message { left } => self.counted(bytes, left, &mut sink),
                Place::Line => self.line(bytes, &mut sink),
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// The sender closed the connection: what it sent last without a newline is a message.
    pub(crate) fn finish(mut self, mut sink: impl FnMut(&[u8], u64)) {
        match (self.framing, self.place) {
            (_, Place::Line) => self.emit(&mut sink),
            (Framing::Unknown, Place::Start) => {
                self.message = std::mem::take(&mut self.length);
                self.emit(&mut sink);
            }
            _ => {}
        }
    }

    fn start(&mut self, bytes: &[u8]) -> Result<usize, BrokenFraming> {
        if self.framing == Framing::Newline {
            self.place = Place::Line;
            return Ok(0);
        }
        let byte = bytes[0];
        let has_length = self.length.last() == Some(&b' ');
        match byte {
            // A message begins with its priority: what has a number before that is counted.
            b'<' if has_length => {
                self.place = Place::Message { left: self.take_length()? };
                self.framing = Framing::Counted;
                Ok(0)
            }
            b'0'..=b'9' if !has_length && self.length.len() < LENGTH_DIGITS_MAX => {
                self.length.push(byte);
                Ok(1)
            }
            b' ' if !has_length && !self.length.is_empty() => {
                self.length.push(byte);
                Ok(1)
            }
            // Some senders put a newline after each counted message.
            b'\n' if self.framing == Framing::Counted && self.length.is_empty() => Ok(1),
            _ if self.framing == Framing::Counted => Err(BrokenFraming),
            _ => {
                self.framing = Framing::Newline;
                self.message = std::mem::take(&mut self.length);
                self.place = Place::Line;
                Ok(0)
            }
        }
    }

    fn take_length(&mut self) -> Result<u64, BrokenFraming> {
        let digits = std::mem::take(&mut self.length);
        let length = std::str::from_utf8(&digits).ok().and_then(|digits| digits.trim_end().parse().ok());
        length.filter(|length| *length > 0).ok_or(BrokenFraming)
    }

    fn counted(&mut self, bytes: &[u8], left: u64, sink: &mut impl FnMut(&[u8], u64)) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        self.add(&bytes[..taken]);
        let left = left - taken as u64;
        self.place = Place::Message { left };
        if left == 0 {
            self.emit(sink);
        }
        taken
    }

    fn line(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8], u64)) -> usize {
        match memchr2(b'\n', 0, bytes) {
            Some(end) => {
                self.add(&bytes[..end]);
                self.emit(sink);
                end + 1
            }
            None => {
                self.add(bytes);
                bytes.len()
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let fits = self.bytes_max.saturating_sub(self.message.len()).min(bytes.len());
        self.message.extend_from_slice(&bytes[..fits]);
        self.cut_bytes += (bytes.len() - fits) as u64;
    }

    fn emit(&mut self, sink: &mut impl FnMut(&[u8], u64)) {
        if clean(&mut self.message) {
            sink(&self.message, self.cut_bytes);
        }
        self.message.clear();
        self.cut_bytes = 0;
        self.place = Place::Start;
    }
}

/// Makes a message one line: nothing that a sender puts into it can begin another. Says whether anything is left.
pub(crate) fn clean(message: &mut Vec<u8>) -> bool {
    let end = message.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r' | 0)).count();
    message.truncate(message.len() - end);
    if memchr(b'\n', message).is_some() || message.iter().any(u8::is_ascii_control) {
        message.iter_mut().for_each(|byte| *byte = harmless(*byte));
    }
    !message.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], step: usize) -> (Vec<String>, bool) {
        let (mut framer, mut messages) = (Framer::new(20), Vec::new());
        let mut is_broken = false;
        for chunk in bytes.chunks(step) {
            let mut sink = |message: &[u8], _| messages.push(String::from_utf8_lossy(message).into_owned());
            if framer.feed(chunk, &mut sink).is_err() {
                is_broken = true;
                break;
            }
        }
        if !is_broken {
            framer.finish(|message, _| messages.push(String::from_utf8_lossy(message).into_owned()));
        }
        (messages, is_broken)
    }

    #[test]
    fn finds_both_framings_however_cut() {
        let table: &[(&[u8], &[&str], bool)] = &[
            (b"<13>a\n<13>b\n", &["<13>a", "<13>b"], false),
            (b"<13>a\r\n\n<13>last", &["<13>a", "<13>last"], false),
            (b"5 <1>ab6 <1>a\nb", &["<1>ab", "<1>a b"], false),
            (b"5 <1>ab\n5 <1>cd\n", &["<1>ab", "<1>cd"], false),
            // A counted message that is not complete is not one.
            (b"5 <1>ab9 <1>", &["<1>ab"], false),
            // Text cannot change the framing.
            (b"<13>a\n5 <1>ab\n", &["<13>a", "5 <1>ab"], false),
            (b"5 <1>ab<13>forged\n", &["<1>ab"], true),
            (b"0 <13>a", &[], true),
            // Numbers at the beginning of a line are not always lengths.
            (b"2026-11-21T19:12:05Z a\n7 b\n", &["2026-11-21T19:12:05Z", "7 b"], false),
            (b"12 monkeys\n", &["12 monkeys"], false),
            (b"1234567890123\n", &["1234567890123"], false),
            (b"42", &["42"], false),
            // Too long, either way.
            (b"<13>0123456789012345XYZ\n<13>a\n", &["<13>0123456789012345", "<13>a"], false),
            (b"23 <13>0123456789012345XYZ5 <1>ab", &["<13>0123456789012345", "<1>ab"], false),
            (b"\x1b[0m\ta\x7f\n", &[" [0m\ta "], false),
        ];
        for (bytes, expected, is_broken) in table {
            for step in 1..=bytes.len() {
                let (messages, broken) = read(bytes, step);
                assert_eq!((messages, broken), (expected.iter().map(|m| (*m).to_owned()).collect(), *is_broken));
            }
        }
    }
}

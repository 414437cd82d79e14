//! One source's lines, one after the other.

use std::sync::Arc;

use fairban_types::{Event, Time};

use crate::custom::Formats;
use crate::frequent::Program;
use crate::message::{Line, Message};
use crate::prefix::{Prefixes, Split, named};
use crate::servers::{self, Sessions};
use crate::{Context, Defect, Outcome, dovecot, exim, postfix, repeated};

/// The longest line that is read, in bytes. No mail server writes longer ones on its own account.
pub const LINE_LEN_MAX: usize = 64 * 1024;

/// Reads the lines of one source in order. It keeps what later lines refer to, and nothing else: the last line, and the
/// open sessions of servers that name a client only once.
#[derive(Debug, Default)]
pub struct Parser {
    prefixes: Prefixes,
    /// The last line, if it held an event; empty otherwise.
    last: Vec<u8>,
    reader: Reader,
}

impl Parser {
    /// A parser that has seen no line yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, which tries the operator's own formats first.
    #[must_use]
    pub fn with_formats(mut self, formats: Arc<Formats>) -> Self {
        self.reader.formats = Some(formats).filter(|formats| !formats.is_empty());
        self
    }

    /// Reads one line, with or without its line end. The context's zone must stay the same for one source.
    pub fn parse<'a>(&mut self, line: &'a [u8], context: &Context) -> Outcome<'a> {
        let line = without_end(line);
        let mut repeated = None;
        let outcome = self.read(line, None, context, &mut repeated);
        if let Some(repeated) = repeated {
            let last = std::mem::take(&mut self.last);
            let outcome = self.again(&last, repeated, context);
            self.last = last;
            return outcome;
        }
        self.last.clear();
        if matches!(outcome, Outcome::Event(_)) {
            self.last.extend_from_slice(line);
        }
        outcome
    }

    /// Reads whole lines, as [`parse`](Parser::parse) reads each; appends their events. This is faster: the text is
    /// known to be sound, and no line needs to be kept for the next one.
    pub fn parse_text<'a>(&mut self, text: &'a str, context: &Context, events: &mut Vec<Event<'a>>) -> Counts {
        let mut counts = Counts::default();
        let before = std::mem::take(&mut self.last);
        let mut last: &[u8] = &before;
        let mut rest = text;
        while !rest.is_empty() {
            let (line, after) = rest.split_at(memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1));
            rest = after;
            counts.lines += 1;
            let line = without_end(line.as_bytes());
            let mut repeated = None;
            let mut outcome = self.read(line, Some(text), context, &mut repeated);
            if let Some(repeated) = repeated {
                outcome = self.again(last, repeated, context);
            } else {
                last = if matches!(outcome, Outcome::Event(_)) { line } else { b"" };
            }
            match outcome {
                Outcome::Event(event) => events.push(event),
                Outcome::Nothing => {}
                Outcome::Defect(_) => counts.defects += 1,
            }
        }
        self.last = last.to_vec();
        counts
    }

    /// `text` is one that the line is part of, if that is known to be sound.
    #[inline(always)]
    fn read<'a>(
        &mut self,
        line: &'a [u8],
        text: Option<&'a str>,
        context: &Context,
        repeated: &mut Option<Repeated>,
    ) -> Outcome<'a> {
        if line.len() > LINE_LEN_MAX {
            return Outcome::Defect(Defect::TooLong(LINE_LEN_MAX));
        }
        // The operator's own formats come before everything else.
        if self.reader.formats.is_none()
            && let Some((time, program)) = self.prefixes.frequent(line, context)
        {
            return self.reader.by_frequent(Line { time, text }, program);
        }
        self.read_any(line, text, context, repeated)
    }

    #[inline(never)]
    fn read_any<'a>(
        &mut self,
        line: &'a [u8],
        text: Option<&'a str>,
        context: &Context,
        repeated: &mut Option<Repeated>,
    ) -> Outcome<'a> {
        match self.prefixes.split(line, context) {
            Ok(Split::LastRepeated { time, count }) => {
                *repeated = Some(Repeated { time, count });
                Outcome::Nothing
            }
            Ok(split) => self.reader.read(&split, line, text, context),
            Err(defect) => Outcome::Defect(defect),
        }
    }

    /// The last line's event, so many times more.
    fn again<'a>(&mut self, last: &[u8], repeated: Repeated, context: &Context) -> Outcome<'a> {
        let Repeated { time, count } = repeated;
        let event = match self.prefixes.split(last, context) {
            Ok(split) if !last.is_empty() => match self.reader.read(&split, last, None, context) {
                Outcome::Event(event) => Some(Event { time, ..times(event, count).into_owned() }),
                Outcome::Nothing | Outcome::Defect(_) => None,
            },
            _ => None,
        };
        event.map_or(Outcome::Nothing, Outcome::Event)
    }
}

/// `last message repeated 3 times`.
#[derive(Clone, Copy, Debug)]
struct Repeated {
    time: Time,
    count: u32,
}

/// How many lines a text had, and how many of them were broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All lines.
    pub lines: u64,
    /// Those with an [`Outcome::Defect`].
    pub defects: u64,
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn times(event: Event<'_>, count: u32) -> Event<'_> {
    Event { count: event.count.saturating_mul(count), ..event }
}

/// Hands a line's words to the parser of the server that wrote them.
#[derive(Debug, Default)]
struct Reader {
    formats: Option<Arc<Formats>>,
    sessions: Sessions,
    queued: postfix::Queued,
    programs: dovecot::Programs,
}

impl Reader {
    #[inline(always)]
    fn by_frequent<'a>(&mut self, line: Line<'a>, program: Program<'a>) -> Outcome<'a> {
        match program {
            Program::Silent => Outcome::Nothing,
            Program::Postfix(daemon, text) => postfix::read(daemon, line, text, &mut self.queued),
            Program::Dovecot(process) => dovecot::read(&process, line, &mut self.programs),
        }
    }

    fn read<'a>(
        &mut self,
        split: &Split<'a>,
        line: &'a [u8],
        whole: Option<&'a str>,
        context: &Context,
    ) -> Outcome<'a> {
        let message = match *split {
            Split::Tagged { time, program, text } => Message { time, whole, program, text },
            Split::Spaced { time, text } | Split::Bare { time, text } => Message { time, whole, program: b"", text },
            Split::LastRepeated { .. } | Split::Continuation => return Outcome::Nothing,
        };
        if let Some(formats) = &self.formats
            && let Some(outcome) = formats.parse(&message)
        {
            return outcome;
        }
        match split {
            Split::Tagged { .. } => {
                // A level such as `ERR: ` behind the time stamp of a server's own file looks like a tag.
                if !message.program.iter().all(u8::is_ascii_uppercase) {
                    return self.tagged(&message);
                }
                match self.tagged(&message) {
                    Outcome::Nothing => servers::by_line(line, context, &mut self.sessions),
                    outcome => outcome,
                }
            }
            Split::Spaced { .. } => self.spaced(&message, line, context),
            _ => self.bare(&message, line, context),
        }
    }

    #[inline(always)]
    fn tagged<'a>(&mut self, message: &Message<'a>) -> Outcome<'a> {
        match repeated::with_words(message.text) {
            Some((count, text)) => match self.by_program(&Message { text, ..*message }) {
                Outcome::Event(event) => Outcome::Event(times(event, count)),
                other => other,
            },
            None => self.by_program(message),
        }
    }

    #[inline(always)]
    fn by_program<'a>(&mut self, message: &Message<'a>) -> Outcome<'a> {
        if let Some(daemon) = postfix::daemon(message.program) {
            return postfix::read(daemon, message.line(), message.text, &mut self.queued);
        }
        if let Some(process) = dovecot::process(message) {
            if message.program.starts_with(b"dovecot") {
                return dovecot::read(&process, message.line(), &mut self.programs);
            }
            // Other servers have a `pop3-login`, too.
            let outcome = dovecot::read(&process, message.line(), &mut self.programs);
            if !matches!(outcome, Outcome::Nothing) {
                return outcome;
            }
        }
        match message.program {
            b"exim" | b"exim4" | b"/usr/sbin/exim4" => exim::read_syslog(message.time, message.text),
            _ => servers::by_program(message, &mut self.sessions),
        }
    }

    #[inline(never)]
    /// Exim's own files, or a syslog whose dates have a blank in the middle, or another server's own form.
    fn spaced<'a>(&mut self, message: &Message<'a>, line: &'a [u8], context: &Context) -> Outcome<'a> {
        let outcome = exim::read(message.time, message.text);
        if !matches!(outcome, Outcome::Nothing) {
            return outcome;
        }
        if let Some(Split::Tagged { program, text, .. }) = named(message.time, message.text) {
            let outcome = self.tagged(&Message { program, text, ..*message });
            if !matches!(outcome, Outcome::Nothing) {
                return outcome;
            }
        }
        servers::by_line(line, context, &mut self.sessions)
    }

    #[inline(never)]
    fn bare<'a>(&mut self, message: &Message<'a>, line: &'a [u8], context: &Context) -> Outcome<'a> {
        match servers::by_line(line, context, &mut self.sessions) {
            Outcome::Nothing => servers::by_program(message, &mut self.sessions),
            outcome => outcome,
        }
    }
}

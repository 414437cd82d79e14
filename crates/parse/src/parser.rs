//! One source's lines, one after the other.

use std::sync::Arc;

use fairban_types::{Event, Time};

use crate::ahead::{Ahead, Later};
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

    /// A reader of this source's lines ahead of their turn.
    pub fn ahead(&self) -> Ahead {
        let queued = postfix::Queued::elsewhere();
        let reader = Reader { formats: self.reader.formats.clone(), queued, ..Reader::default() };
        Ahead { parser: Parser { reader, ..Parser::default() } }
    }

    /// Adds to an event read ahead what earlier lines told, in its turn.
    #[inline]
    pub fn complete(&mut self, event: &mut Event<'_>) {
        self.reader.programs.complete(event);
    }

    /// Takes what reading ahead has left, in its turn.
    pub fn settle<'a>(&mut self, later: Later<'a>, context: &Context) -> Outcome<'a> {
        match later {
            Later::Line(line) => self.parse(line, context),
            Later::Submission { id, client, service, account } => {
                self.reader.queued.remember(id, client, service, account);
                Outcome::Nothing
            }
            Later::Last { line, is_stamped } => {
                self.last.clear();
                self.last.extend_from_slice(line);
                if is_stamped {
                    self.prefixes.set_stamped();
                }
                Outcome::Nothing
            }
        }
    }

    /// `text` is one that the line is part of, if that is known to be sound.
    #[inline(always)]
    pub(crate) fn read<'a>(
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

    /// Whether a line had to do with what lines before it said, since this was last asked.
    #[inline(always)]
    pub(crate) fn take_asked(&mut self) -> bool {
        let reader = &mut self.reader;
        self.prefixes.take_asked()
            | reader.sessions.take_asked()
            | reader.queued.take_asked()
            | reader.programs.take_noted()
    }

    /// Whether a line's event is one for [`complete`](Parser::complete), since this was last asked.
    #[inline(always)]
    pub(crate) fn take_sign_in(&mut self) -> bool {
        self.reader.programs.take_asked()
    }

    /// The queue ID of a message whose submission the line tells, if that is to be settled.
    #[inline(always)]
    pub(crate) fn take_noted(&mut self) -> Option<u128> {
        self.reader.queued.take_noted()
    }

    /// Whether the source is known to have shown time stamps.
    pub(crate) fn is_stamped(&self) -> bool {
        self.prefixes.is_stamped()
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
pub(crate) struct Repeated {
    time: Time,
    count: u32,
}

pub(crate) fn without_end(line: &[u8]) -> &[u8] {
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

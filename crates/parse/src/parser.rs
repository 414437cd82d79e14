//! One source's lines, one after the other.

use std::sync::Arc;

use fairban_types::{Event, Time};

use crate::ahead::{Ahead, Later};
use crate::custom::Formats;
use crate::frequent::Program;
use crate::message::{Line, Message, Told};
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
        let mut slot = None;
        let told = self.read(line, None, context, &mut repeated, &mut slot);
        if let Some(repeated) = repeated {
            let last = std::mem::take(&mut self.last);
            let outcome = self.again(&last, repeated, context);
            self.last = last;
            return outcome;
        }
        self.last.clear();
        if told == Told::Event {
            self.last.extend_from_slice(line);
        }
        told.with(slot)
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

    /// Adds to the event of a message who submitted it, in its turn. `false`: that is not known, and there is no event.
    pub fn complete_message(&mut self, id: u128, event: &mut Event<'_>) -> bool {
        self.reader.queued.complete(id, event)
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

    /// Puts the line's event into the slot, which is empty. `text` is one that the line is part of, if that is known to be sound.
    #[inline(always)]
    pub(crate) fn read<'a>(
        &mut self,
        line: &'a [u8],
        text: Option<&'a str>,
        context: &Context,
        repeated: &mut Option<Repeated>,
        slot: &mut Option<Event<'a>>,
    ) -> Told {
        if line.len() > LINE_LEN_MAX {
            return Told::Defect(Defect::TooLong(LINE_LEN_MAX));
        }
        // The operator's own formats come before everything else.
        if self.reader.formats.is_none()
            && let Some((time, program)) = self.prefixes.frequent(line, context)
        {
            return self.reader.by_frequent(Line { time, text }, program, slot);
        }
        self.read_any(line, text, context, repeated, slot)
    }

    #[inline(never)]
    fn read_any<'a>(
        &mut self,
        line: &'a [u8],
        text: Option<&'a str>,
        context: &Context,
        repeated: &mut Option<Repeated>,
        slot: &mut Option<Event<'a>>,
    ) -> Told {
        match self.prefixes.split(line, context) {
            Ok(Split::LastRepeated { time, count }) => {
                *repeated = Some(Repeated { time, count });
                Told::Nothing
            }
            Ok(split) => self.reader.read(&split, line, text, context, slot),
            Err(defect) => Told::Defect(defect),
        }
    }

    /// Whether a line had to do with what lines before it said, since this was last asked.
    #[inline(always)]
    pub(crate) fn take_asked(&mut self) -> bool {
        let reader = &mut self.reader;
        self.prefixes.take_asked() | reader.sessions.take_asked() | reader.programs.take_noted()
    }

    /// The queue ID of a message of whose event only the source's parser can say who submitted it.
    #[inline(always)]
    pub(crate) fn take_message(&mut self) -> Option<u128> {
        self.reader.queued.take_asked()
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
        let mut slot = None;
        if !last.is_empty()
            && let Ok(split) = self.prefixes.split(last, context)
        {
            self.reader.read(&split, last, None, context, &mut slot);
        }
        slot.map_or(Outcome::Nothing, |event| {
            let count = event.count.saturating_mul(count);
            Outcome::Event(Event { time, count, ..event.into_owned() })
        })
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
    fn by_frequent<'a>(&mut self, line: Line<'a>, program: Program<'a>, slot: &mut Option<Event<'a>>) -> Told {
        match program {
            Program::Silent => Told::Silent,
            Program::Postfix(daemon, text) => postfix::read(daemon, line, text, &mut self.queued, slot),
            Program::Dovecot(process) => dovecot::read(&process, line, &mut self.programs, slot),
        }
    }

    fn read<'a>(
        &mut self,
        split: &Split<'a>,
        line: &'a [u8],
        whole: Option<&'a str>,
        context: &Context,
        slot: &mut Option<Event<'a>>,
    ) -> Told {
        let message = match *split {
            Split::Tagged { time, program, text } => Message { time, whole, program, text },
            Split::Spaced { time, text } | Split::Bare { time, text } => Message { time, whole, program: b"", text },
            Split::LastRepeated { .. } | Split::Continuation => return Told::Nothing,
        };
        if let Some(formats) = &self.formats
            && let Some(outcome) = formats.parse(&message)
        {
            return Told::of(outcome, slot);
        }
        match split {
            Split::Tagged { .. } => {
                // A level such as `ERR: ` behind the time stamp of a server's own file looks like a tag.
                if !message.program.iter().all(u8::is_ascii_uppercase) {
                    return self.tagged(&message, slot);
                }
                match self.tagged(&message, slot) {
                    Told::Nothing => Told::of(servers::by_line(line, context, &mut self.sessions), slot),
                    told => told,
                }
            }
            Split::Spaced { .. } => self.spaced(&message, line, context, slot),
            _ => Told::of(self.bare(&message, line, context), slot),
        }
    }

    #[inline(always)]
    fn tagged<'a>(&mut self, message: &Message<'a>, slot: &mut Option<Event<'a>>) -> Told {
        match repeated::with_words(message.text) {
            Some((count, text)) => {
                let told = self.by_program(&Message { text, ..*message }, slot);
                if let Some(event) = slot {
                    event.count = event.count.saturating_mul(count);
                }
                told
            }
            None => self.by_program(message, slot),
        }
    }

    #[inline(always)]
    fn by_program<'a>(&mut self, message: &Message<'a>, slot: &mut Option<Event<'a>>) -> Told {
        if let Some(daemon) = postfix::daemon(message.program) {
            return postfix::read(daemon, message.line(), message.text, &mut self.queued, slot);
        }
        if let Some(process) = dovecot::process(message) {
            if message.program.starts_with(b"dovecot") {
                return dovecot::read(&process, message.line(), &mut self.programs, slot);
            }
            // Other servers have a `pop3-login`, too.
            let told = dovecot::read(&process, message.line(), &mut self.programs, slot);
            if told != Told::Nothing {
                return told;
            }
        }
        let outcome = match message.program {
            b"exim" | b"exim4" | b"/usr/sbin/exim4" => exim::read_syslog(message.time, message.text),
            _ => servers::by_program(message, &mut self.sessions),
        };
        Told::of(outcome, slot)
    }

    #[inline(never)]
    /// Exim's own files, or a syslog whose dates have a blank in the middle, or another server's own form.
    fn spaced<'a>(
        &mut self,
        message: &Message<'a>,
        line: &'a [u8],
        context: &Context,
        slot: &mut Option<Event<'a>>,
    ) -> Told {
        let told = Told::of(exim::read(message.time, message.text), slot);
        if told != Told::Nothing {
            return told;
        }
        if let Some(Split::Tagged { program, text, .. }) = named(message.time, message.text) {
            let told = self.tagged(&Message { program, text, ..*message }, slot);
            if told != Told::Nothing {
                return told;
            }
        }
        Told::of(servers::by_line(line, context, &mut self.sessions), slot)
    }

    #[inline(never)]
    fn bare<'a>(&mut self, message: &Message<'a>, line: &'a [u8], context: &Context) -> Outcome<'a> {
        match servers::by_line(line, context, &mut self.sessions) {
            Outcome::Nothing => servers::by_program(message, &mut self.sessions),
            outcome => outcome,
        }
    }
}

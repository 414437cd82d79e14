//! Lines read ahead of their turn, on any thread.
//!
//! Nearly all lines mean the same whatever the lines before said. Only those that do not are read again in their turn,
//! by the source's [`Parser`](crate::Parser).

use std::borrow::Cow;
use std::net::IpAddr;

use fairban_types::{Event, Service};

use crate::message::Told;
use crate::{Context, Parser};

/// Reads pieces of one source, in their order but not necessarily all of them.
#[derive(Debug)]
pub struct Ahead {
    /// Remembers nothing of the source but how its time stamps look.
    pub(crate) parser: Parser,
}

/// What was found in pieces, in the order of their lines.
///
/// The events stand side by side, where they were first written: they are large, and copying each of them would take
/// longer than reading most lines.
#[derive(Debug, Default)]
pub struct Findings<'a> {
    marks: Vec<Mark<'a>>,
    /// None is missing once a piece was read.
    events: Vec<Option<Event<'a>>>,
}

/// What comes next among the findings.
#[derive(Clone, Copy, Debug)]
enum Mark<'a> {
    /// The next event.
    Event,
    /// The next event, which is a sign-in.
    SignIn,
    /// The next event, which is a message with this queue ID.
    Message(u128),
    Later(Later<'a>),
}

/// One of the [`Findings`].
#[derive(Debug)]
pub enum Found<'f, 'a> {
    /// A line's event.
    Event(&'f Event<'a>),
    /// A line's event, to which earlier lines may have something to add: see [`Parser::complete`].
    SignIn(&'f mut Event<'a>),
    /// A message's event with its queue ID; only earlier lines say who submitted it, if anybody did: see
    /// [`Parser::complete_message`].
    Message(u128, &'f mut Event<'a>),
    /// What is left to the source's parser.
    Later(Later<'a>),
}

impl<'a> Findings<'a> {
    /// Nothing, with the room of what was found before.
    #[must_use]
    pub fn emptied<'b>(self) -> Findings<'b> {
        // Collecting what maps to the same size keeps the room.
        fn emptied<T, U>(mut found: Vec<T>) -> Vec<U> {
            found.clear();
            found.into_iter().map(|_| unreachable!("it was cleared")).collect()
        }
        Findings { marks: emptied(self.marks), events: emptied(self.events) }
    }

    /// Everything, in order.
    pub fn in_turn(&mut self) -> impl Iterator<Item = Found<'_, 'a>> {
        let mut events = self.events.iter_mut().flatten();
        self.marks.iter().filter_map(move |mark| match mark {
            Mark::Event => events.next().map(|event| Found::Event(event)),
            Mark::SignIn => events.next().map(Found::SignIn),
            Mark::Message(id) => events.next().map(|event| Found::Message(*id, event)),
            Mark::Later(later) => Some(Found::Later(*later)),
        })
    }
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
    /// Those with an [`Outcome::Defect`](crate::Outcome::Defect).
    pub defects: u64,
}

impl Ahead {
    /// Reads whole lines; appends what they hold, and shows each event while it is at hand. A line that is left to
    /// [`Parser::settle`] counts as sound.
    pub fn read<'a>(
        &mut self,
        piece: &'a [u8],
        context: &Context,
        findings: &mut Findings<'a>,
        mut show: impl FnMut(&Event<'a>),
    ) -> Counts {
        let text = simdutf8::basic::from_utf8(piece).ok();
        let mut counts = Counts::default();
        // `None` while the source's parser knows the last line.
        let mut last: Option<&[u8]> = None;
        let Findings { marks, events } = findings;
        events.push(None);
        let mut place = events.len() - 1;
        let mut rest = piece;
        while !rest.is_empty() {
            let (line, after) = rest.split_at(memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1));
            rest = after;
            counts.lines += 1;
            let line = crate::parser::without_end(line);
            let mut repeated = None;
            let slot = &mut events[place];
            let told = self.parser.read(line, text, context, &mut repeated, slot);
            if told == Told::Silent {
                last = Some(b"");
                continue;
            }
            let mut must_wait = self.parser.take_asked() || repeated.is_some();
            if let (Some(id), Some(event)) = (self.parser.take_noted(), &slot) {
                let (client, service) = (event.client, event.service);
                match event.account {
                    Some(Cow::Borrowed(account)) => {
                        marks.push(Mark::Later(Later::Submission { id, client, service, account }));
                    }
                    _ => must_wait = true,
                }
            }
            // Taken even where the line must wait: they are of this line.
            let (message, is_sign_in) = (self.parser.take_message(), self.parser.take_sign_in());
            if must_wait {
                marks.extend(last.take().filter(|_| repeated.is_some()).map(|line| self.last(line)));
                marks.push(Mark::Later(Later::Line(line)));
                *slot = None;
                last = None;
                continue;
            }
            last = Some(b"");
            match told {
                Told::Event => {
                    last = Some(line);
                    slot.iter().for_each(&mut show);
                    marks.push(match message {
                        Some(id) => Mark::Message(id),
                        None if is_sign_in => Mark::SignIn,
                        None => Mark::Event,
                    });
                    events.push(None);
                    place += 1;
                }
                Told::Silent | Told::Nothing => {}
                Told::Defect(_) => counts.defects += 1,
            }
        }
        events.truncate(place);
        marks.extend(last.map(|line| self.last(line)));
        counts
    }

    fn last<'a>(&self, line: &'a [u8]) -> Mark<'a> {
        Mark::Later(Later::Last { line, is_stamped: self.parser.is_stamped() })
    }
}

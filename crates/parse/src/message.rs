//! A log line taken apart: what stands before the server's own words, and the words.

use std::borrow::Cow;
use std::net::IpAddr;

use fairban_types::{Event, EventKind, Service, Time};

use crate::{Defect, Outcome};

/// A line after its prefix (syslog header, journald field, time stamp) was taken off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// When, by the prefix, or the context's reference where it has none.
    pub(crate) time: Time,
    /// A text that the line is part of, where it is known to be sound UTF-8.
    pub(crate) whole: Option<&'a str>,
    /// The syslog tag without its process id, such as `postfix/submission/smtpd` or `dovecot`; empty where the line has
    /// none.
    pub(crate) program: &'a [u8],
    /// The server's own words.
    pub(crate) text: &'a [u8],
}

impl<'a> Message<'a> {
    pub(crate) fn line(&self) -> Line<'a> {
        Line { time: self.time, text: self.whole }
    }
}

/// How a line was read: an [`Outcome`] whose event stands where the reader wants it. Events are large, and each would be
/// copied on its way there from one parser to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Event,
    /// No event, and nothing that was noted for later lines: what most lines tell.
    Silent,
    Nothing,
    Defect(Defect),
}

impl Told {
    /// The same as an outcome.
    #[inline]
    pub(crate) fn with(self, event: Option<Event<'_>>) -> Outcome<'_> {
        match self {
            Told::Event => event.map_or(Outcome::Nothing, Outcome::Event),
            Told::Silent | Told::Nothing => Outcome::Nothing,
            Told::Defect(defect) => Outcome::Defect(defect),
        }
    }

    /// An outcome's event, put where it is wanted.
    pub(crate) fn of<'a>(outcome: Outcome<'a>, slot: &mut Option<Event<'a>>) -> Told {
        match outcome {
            Outcome::Event(event) => {
                *slot = Some(event);
                Told::Event
            }
            Outcome::Nothing => Told::Nothing,
            Outcome::Defect(defect) => Told::Defect(defect),
        }
    }
}

/// When a line was written, and a text that it is part of, where that is known to be sound UTF-8: then its fields need no
/// check of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) time: Time,
    pub(crate) text: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// Puts an event into its place that tells only who did what, when and where.
    #[inline(always)]
    pub(crate) fn begin<'s>(
        self,
        slot: &'s mut Option<Event<'a>>,
        kind: EventKind,
        client: IpAddr,
        service: Service,
    ) -> &'s mut Event<'a> {
        slot.insert(Event::new(kind, self.time, client, service))
    }

    /// The same, where that is all.
    #[inline(always)]
    pub(crate) fn tell(self, slot: &mut Option<Event<'a>>, kind: EventKind, client: IpAddr, service: Service) -> Told {
        self.begin(slot, kind, client, service);
        Told::Event
    }

    /// The same as [`field`], of a field that may be part of the text.
    #[inline(always)]
    pub(crate) fn field(self, bytes: &'a [u8]) -> Cow<'a, str> {
        if let Some(text) = self.text
            && bytes.len() <= FIELD_MAX
        {
            // Where the field stands in the text. Of a field that does not, this is a place outside of the text.
            let start = bytes.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
            if let Some(field) = text.get(start..start.wrapping_add(bytes.len())) {
                return Cow::Borrowed(field);
            }
        }
        field(bytes)
    }
}

/// The longest field that is kept of a line, in bytes. RFC 5321, 4.5.3.1 allows paths of 256 octets.
const FIELD_MAX: usize = 320;

/// A field as text: cut at [`FIELD_MAX`], invalid UTF-8 replaced. Control characters stay; who shows a field escapes it.
#[inline]
pub(crate) fn field(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = &bytes[..bytes.len().min(FIELD_MAX)];
    // Almost all fields are sound, and this check is the faster one.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

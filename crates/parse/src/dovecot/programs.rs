//! What mail programs called themselves (IMAP ID, RFC 2971), remembered until their sign-in is told.
//!
//! `ID sent: name=Thunderbird, version=115: user=<>, rip=192.0.2.7, lip=…, session=<…>`, written before the sign-in where
//! `imap_id_log = *`. The table is small and of fixed size: a session that falls into the place of another takes it.

use std::borrow::Cow;
use std::net::IpAddr;

use fairban_types::Event;

use super::login::Fields;
use crate::scan::{Needle, find, needle, rfind};

/// Programs remembered at once, per source.
const SLOTS: usize = 1024;
/// Longer names are cut.
const NAME_LEN_MAX: usize = 80;
const VERSION_LEN_MAX: usize = 40;
/// Sessions of Dovecot are shorter.
const SESSION_LEN_MAX: usize = 64;

#[derive(Clone, Debug)]
struct Slot {
    session: Box<[u8]>,
    client: IpAddr,
    program: Box<str>,
}

/// The programs of one source's open sessions.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    /// Empty until the first.
    slots: Vec<Option<Slot>>,
    /// Whether a program was noted.
    was_noted: bool,
    /// Whether an event was to be completed.
    was_asked: bool,
}

impl Programs {
    /// Whether a program was noted, since this was last asked.
    #[inline(always)]
    pub(crate) fn take_noted(&mut self) -> bool {
        std::mem::take(&mut self.was_noted)
    }

    /// Whether an event was to be completed, since this was last asked.
    #[inline(always)]
    pub(crate) fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.was_asked)
    }

    /// Reads what follows `ID sent: `.
    pub(super) fn note(&mut self, words: &[u8]) {
        let Some(at) = rfind(words, needle!(b": user=<")) else { return };
        let Some(fields) = Fields::read(&words[at + 2..]) else { return };
        let Some(session) = fields.session.filter(|session| session.len() <= SESSION_LEN_MAX) else { return };
        let Some(program) = name(&words[..at]) else { return };
        self.was_noted = true;
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        self.slots[place(session)] = Some(Slot { session: session.into(), client: fields.client, program });
    }

    /// Adds what is known to an event of a login process.
    #[inline]
    pub(crate) fn complete(&mut self, event: &mut Event<'_>) {
        self.was_asked = true;
        let Some(session) = event.session.as_deref().filter(|_| !self.slots.is_empty()) else { return };
        let Some(slot) = &self.slots[place(session.as_bytes())] else { return };
        if *slot.session == *session.as_bytes() && slot.client == event.client {
            event.program = Some(Cow::Owned(slot.program.to_string()));
        }
    }
}

/// Dovecot chooses the names of sessions, and the last letters differ most.
fn place(session: &[u8]) -> usize {
    session.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte))) % SLOTS
}

/// Name and version in `name=…, version=…, os=…`; all of it is the client's text.
fn name(pairs: &[u8]) -> Option<Box<str>> {
    let name = cut(value(pairs, b"name=")?, NAME_LEN_MAX);
    let version = value(pairs, b", version=").map(|version| cut(version, VERSION_LEN_MAX)).unwrap_or_default();
    let program = format!("{} {}", String::from_utf8_lossy(name), String::from_utf8_lossy(version));
    Some(program.trim()).filter(|program| !program.is_empty()).map(Into::into)
}

fn value<'a>(pairs: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = match pairs.strip_prefix(key) {
        Some(rest) => rest,
        None => &pairs[find(pairs, Needle::new(key))? + key.len()..],
    };
    const KEYS: [Needle<'_>; 6] = [
        needle!(b", version="),
        needle!(b", os="),
        needle!(b", os-version="),
        needle!(b", vendor="),
        needle!(b", support-url="),
        needle!(b", date="),
    ];
    let end = KEYS.into_iter().filter_map(|next| find(rest, next)).min();
    Some(&rest[..end.unwrap_or(rest.len())])
}

fn cut(text: &[u8], len_max: usize) -> &[u8] {
    &text[..text.len().min(len_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_with_their_version() {
        for (pairs, program) in [
            ("name=Thunderbird, version=115.3.1, os=Linux", Some("Thunderbird 115.3.1")),
            ("os=iOS, name=Apple Mail, vendor=Apple", Some("Apple Mail")),
            ("name=a, b, version=2", Some("a, b 2")),
            ("name=, version=", None),
            ("vendor=nameless", None),
        ] {
            assert_eq!(name(pairs.as_bytes()).as_deref(), program, "{pairs}");
        }
        let long = format!("name={}, version={}", "x".repeat(500), "1".repeat(500));
        assert_eq!(name(long.as_bytes()).unwrap().len(), NAME_LEN_MAX + 1 + VERSION_LEN_MAX);
    }
}

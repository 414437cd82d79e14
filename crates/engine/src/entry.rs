//! One scored event, packed.

use std::borrow::Cow;
use std::net::IpAddr;

use fairban_types::{Event, EventKind, Evidence, Service, Time};

use crate::hash::AccountId;

/// Made by a familiar pair of account and network.
pub(crate) const FAMILIAR: u8 = 1;
/// Already led to a block of its own subject.
pub(crate) const SPENT: u8 = 2;
/// Taken back by a later success of the same account from the same network.
pub(crate) const FORGIVEN: u8 = 4;

/// One event in a sliding window.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// When, in milliseconds; the latest time, if the same was seen again.
    pub(crate) time: i64,
    /// What makes it the same as another; 0 for never the same.
    pub(crate) credential: u64,
    pub(crate) account: AccountId,
    /// How often it was seen: 1 and repeats.
    pub(crate) seen: u32,
    /// Seconds from the first to the latest time.
    pub(crate) span_secs: u32,
    /// How many tries the line spoke of.
    pub(crate) tries: u16,
    pub(crate) kind: EventKind,
    pub(crate) service: Service,
    pub(crate) flags: u8,
    /// Client and texts, packed by [`pack`].
    text: Box<[u8]>,
}

impl Entry {
    pub(crate) fn new(event: &Event<'_>, at: Time, account: AccountId, credential: u64, tries: u32, flags: u8) -> Self {
        Entry {
            time: at.millis(),
            credential,
            account,
            seen: 1,
            span_secs: 0,
            tries: u16::try_from(tries).unwrap_or(u16::MAX),
            kind: event.kind,
            service: event.service,
            flags,
            text: pack(event),
        }
    }

    /// Heap bytes that it holds, allocator's share included.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.text.len().next_multiple_of(16)
    }

    pub(crate) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Sees the same again.
    pub(crate) fn see_again(&mut self, at: Time) {
        let first = self.first();
        self.seen = self.seen.saturating_add(1);
        self.time = self.time.max(at.millis());
        self.span_secs = u32::try_from((self.time - first.min(at.millis())) / 1000).unwrap_or(u32::MAX);
    }

    /// Takes what the first telling did not say.
    pub(crate) fn learn(&mut self, again: &Event<'_>) {
        self.service = again.service;
        if again.program.is_some() {
            let event = Event { program: again.program.clone(), ..self.event() };
            self.text = pack(&event);
        }
    }

    /// When it was seen first, in milliseconds.
    pub(crate) fn first(&self) -> i64 {
        self.time - i64::from(self.span_secs) * 1000
    }

    /// The event as evidence that counted so many points.
    pub(crate) fn evidence(&self, points: u32) -> Evidence {
        Evidence {
            points,
            seen: self.seen,
            first: (self.seen > 1).then(|| Time::from_millis(self.first())),
            event: self.event(),
        }
    }

    /// The event, without its witness.
    pub(crate) fn event(&self) -> Event<'static> {
        let mut reader = Reader(&self.text);
        let client = reader.client();
        let mut event = Event::new(self.kind, Time::from_millis(self.time), client, self.service);
        event.count = u32::from(self.tries);
        event.account = reader.text();
        event.digest = reader.text();
        event.session = reader.text();
        event.helo = reader.text();
        event.return_path = reader.text();
        event.recipient = reader.text();
        event.program = reader.text();
        event.method = reader.text();
        event.reason = reader.text();
        event
    }

    /// The client's address.
    pub(crate) fn client(&self) -> IpAddr {
        Reader(&self.text).client()
    }
}

/// The longest text kept of each field, in bytes: what a receipt needs to be understood.
const TEXT_MAX: usize = 120;

/// A length byte before each text: 0 is absent, n + 1 is n bytes.
fn pack<'t>(event: &'t Event<'_>) -> Box<[u8]> {
    let texts = [
        &event.account,
        &event.digest,
        &event.session,
        &event.helo,
        &event.return_path,
        &event.recipient,
        &event.program,
        &event.method,
        &event.reason,
    ];
    // Absent texts at the end need no byte: reading past the end is absent.
    let present = texts.iter().rposition(|text| text.is_some()).map_or(0, |last| last + 1);
    let cut = |text: &'t str| &text[..text.floor_char_boundary(TEXT_MAX)];
    let texts = texts[..present].iter().map(|text| text.as_deref().map(cut));
    let address_len = if event.client.is_ipv4() { 4 } else { 16 };
    let size = texts.clone().map(|text| 1 + text.map_or(0, str::len)).sum::<usize>();
    // Exactly as much as is needed: nothing has to be moved in the end.
    let mut packed = Vec::with_capacity(1 + address_len + size);
    match event.client {
        IpAddr::V4(v4) => {
            packed.push(4);
            packed.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            packed.push(16);
            packed.extend_from_slice(&v6.octets());
        }
    }
    for text in texts {
        let Some(text) = text else {
            packed.push(0);
            continue;
        };
        packed.push(text.len() as u8 + 1);
        packed.extend_from_slice(text.as_bytes());
    }
    packed.into_boxed_slice()
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn client(&mut self) -> IpAddr {
        match self.take(1).first() {
            Some(4) => self.take(4).try_into().map_or(IpAddr::from([0; 4]), |octets: [u8; 4]| IpAddr::from(octets)),
            _ => self.take(16).try_into().map_or(IpAddr::from([0; 16]), |octets: [u8; 16]| IpAddr::from(octets)),
        }
    }

    fn text(&mut self) -> Option<Cow<'static, str>> {
        let length = *self.take(1).first()?;
        let length = usize::from(length.checked_sub(1)?);
        Some(Cow::Owned(String::from_utf8_lossy(self.take(length)).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_survives_packing() {
        let mut event =
            Event::new(EventKind::LoginFailed, Time::from_secs(5), "2001:db8::1".parse().unwrap(), Service::Imap)
                .account("alice")
                .digest("0585");
        event.return_path = Some("".into());
        event.reason = Some("ä".repeat(100).into());
        let entry = Entry::new(&event, event.time, 1, 2, 1, 0);
        event.reason = Some("ä".repeat(60).into());
        assert_eq!(entry.event(), event);
        assert_eq!(entry.client(), event.client);
    }

    #[test]
    fn repeats_stretch_from_first_to_latest() {
        let event = Event::new(EventKind::LoginFailed, Time::from_secs(100), [192, 0, 2, 7].into(), Service::Imap);
        let mut entry = Entry::new(&event, event.time, 1, 2, 1, 0);
        entry.see_again(Time::from_secs(160));
        entry.see_again(Time::from_secs(90));
        assert_eq!((entry.first(), entry.time, entry.seen), (90_000, 160_000, 3));
    }
}

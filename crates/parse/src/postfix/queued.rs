//! How many recipients a message of an account has: smtpd tells the account, and the queue manager the number.
//!
//! ```text
//! smtpd: 417AC98C152: client=unknown[192.0.2.7], sasl_method=LOGIN, sasl_username=alice
//! qmgr:  417AC98C152: from=<alice@example.test>, size=439, nrcpt=2 (queue active)
//! ```

use std::net::{IpAddr, Ipv4Addr};

use fairban_types::{Event, EventKind, Service};

use crate::message::{Line, Told};
use crate::scan::{needle, rfind};

/// Messages remembered at once, per source, until they are queued: some moments.
const SLOTS: usize = 4096;

#[derive(Debug)]
struct Submission {
    id: u128,
    client: IpAddr,
    service: Service,
    account: Box<str>,
}

/// Messages of accounts that are about to be queued. A message that falls into the place of another takes it, and the
/// other is not told.
#[derive(Debug, Default)]
pub(crate) struct Queued {
    /// Empty until the first message.
    slots: Vec<Option<Submission>>,
    /// Whether the source's messages are remembered elsewhere: then nothing is remembered here.
    is_elsewhere: bool,
    /// The queue ID of a message that was taken up and is remembered elsewhere.
    asked: Option<u128>,
    /// The queue ID of a message that is to be remembered elsewhere.
    noted: Option<u128>,
}

impl Queued {
    /// The messages of a source whose lines are read ahead of their turn.
    pub(crate) fn elsewhere() -> Self {
        Queued { is_elsewhere: true, ..Queued::default() }
    }

    /// The queue ID of a message whose event is to be [completed](Queued::complete) elsewhere.
    #[inline(always)]
    pub(crate) fn take_asked(&mut self) -> Option<u128> {
        self.asked.take()
    }

    /// The queue ID of a message that is to be remembered elsewhere, by [`remember`](Queued::remember).
    #[inline(always)]
    pub(crate) fn take_noted(&mut self) -> Option<u128> {
        self.noted.take()
    }

    /// Remembers who submits a message; `text` begins with its queue ID.
    pub(super) fn note(&mut self, text: &[u8], event: &Event<'_>) {
        let Some(account) = event.account.as_deref() else { return };
        let Some(id) = id(text) else { return };
        if self.is_elsewhere {
            self.noted = Some(id);
        } else {
            self.remember(id, event.client, event.service, account);
        }
    }

    /// Remembers who submits the message with a queue ID.
    pub(crate) fn remember(&mut self, id: u128, client: IpAddr, service: Service, account: &str) {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        self.slots[place(id)] = Some(Submission { id, client, service, account: account.into() });
    }

    /// Reads what the queue manager says. A message is told when it is first taken up, and not when it is tried again.
    #[inline]
    pub(super) fn read<'a>(&mut self, line: Line<'a>, text: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
        if self.slots.is_empty() && !self.is_elsewhere {
            return Told::Nothing;
        }
        self.taken_up(line, text, slot).unwrap_or(Told::Nothing)
    }

    fn taken_up<'a>(&mut self, line: Line<'a>, text: &'a [u8], slot: &mut Option<Event<'a>>) -> Option<Told> {
        let words = words(text)?;
        let from = words.strip_prefix(FROM)?;
        let id = id(text)?;
        if !self.is_elsewhere && !self.knows(id) {
            return None;
        }
        // The number stands behind everything that a client chose.
        let number = &from[rfind(from, needle!(b", nrcpt="))? + 8..];
        let (_, count) = crate::scan::leading_number(number);
        let event = line.begin(slot, EventKind::MessageSent, Ipv4Addr::UNSPECIFIED.into(), Service::Unknown);
        event.count = count.max(1);
        event.session = Some(line.field(&text[..text.len() - words.len()]));
        event.return_path = rfind(from, needle!(b">, size=")).map(|end| line.field(&from[..end]));
        if self.is_elsewhere {
            self.asked = Some(id);
        } else {
            self.complete(id, event);
        }
        Some(Told::Event)
    }

    fn knows(&self, id: u128) -> bool {
        self.slots.get(place(id)).is_some_and(|submission| submission.as_ref().is_some_and(|known| known.id == id))
    }

    /// Adds to a message's event who submitted it, once. `false`: nobody did that is known, and there is no event.
    pub(crate) fn complete(&mut self, id: u128, event: &mut Event<'_>) -> bool {
        if !self.knows(id) {
            return false;
        }
        let Some(Submission { client, service, account, .. }) = self.slots[place(id)].take() else { return false };
        event.client = client;
        event.service = service;
        event.account = Some(String::from(account).into());
        true
    }
}

/// What a message's words begin with when it is taken up.
const FROM: &[u8] = b": from=<";

/// What stands behind a queue ID.
fn words(text: &[u8]) -> Option<&[u8]> {
    Some(&text[text.iter().take(ID_LEN_MAX + 1).position(|byte| *byte == b':')?..])
}

/// The longest queue ID.
const ID_LEN_MAX: usize = 16;

/// A queue ID as a number: long ones have some sixteen letters.
fn id(text: &[u8]) -> Option<u128> {
    let end = text.iter().take(ID_LEN_MAX + 1).position(|byte| *byte == b':')?;
    (end > 0).then(|| text[..end].iter().fold(0, |id, byte| id << 8 | u128::from(*byte)))
}

/// Queue IDs are of the server's own making, so a plain mix of their bits spreads them well enough.
fn place(id: u128) -> usize {
    let mixed = ((id >> 64) as u64 ^ id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize % SLOTS
}

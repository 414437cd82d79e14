//! How many recipients a message of an account has: smtpd tells the account, and the queue manager the number.
//!
//! ```text
//! smtpd: 417AC98C152: client=unknown[192.0.2.7], sasl_method=LOGIN, sasl_username=alice
//! qmgr:  417AC98C152: from=<alice@example.test>, size=439, nrcpt=2 (queue active)
//! ```

use std::net::IpAddr;

use fairban_types::{Event, EventKind, Service};

use crate::Outcome;
use crate::message::Line;
use crate::scan::rfind;

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
    /// Whether a message was to be known that is remembered elsewhere.
    was_asked: bool,
    /// The queue ID of a message that is to be remembered elsewhere.
    noted: Option<u128>,
}

impl Queued {
    /// The messages of a source whose lines are read ahead of their turn.
    pub(crate) fn elsewhere() -> Self {
        Queued { is_elsewhere: true, ..Queued::default() }
    }

    /// Whether a line had to do with messages that are remembered elsewhere, since this was last asked.
    #[inline(always)]
    pub(crate) fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.was_asked)
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
    pub(super) fn read<'a>(&mut self, line: Line<'a>, text: &'a [u8]) -> Outcome<'a> {
        if self.is_elsewhere {
            self.was_asked |= words(text).is_some_and(|words| words.starts_with(FROM));
        }
        if self.slots.is_empty() {
            return Outcome::Nothing;
        }
        self.taken_up(line, text).map_or(Outcome::Nothing, Outcome::Event)
    }

    fn taken_up<'a>(&mut self, line: Line<'a>, text: &'a [u8]) -> Option<Event<'a>> {
        let id = id(text)?;
        let slot = self.slots.get_mut(place(id))?;
        if slot.as_ref()?.id != id {
            return None;
        }
        let words = words(text)?;
        let from = words.strip_prefix(FROM)?;
        // The number stands behind everything that a client chose.
        let number = &from[rfind(from, b", nrcpt=")? + 8..];
        let (_, count) = crate::scan::leading_number(number);
        let Submission { client, service, account, .. } = slot.take()?;
        let mut event = Event::new(EventKind::MessageSent, line.time, client, service).account(String::from(account));
        event.count = count.max(1);
        event.session = Some(line.field(&text[..text.len() - words.len()]));
        event.return_path = rfind(from, b">, size=").map(|end| line.field(&from[..end]));
        Some(event)
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

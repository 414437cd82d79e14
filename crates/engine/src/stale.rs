//! Old passwords on devices, known by their failures at networks familiar to the account: the same device may turn up
//! anywhere, and is no guesser there.

use std::time::Duration;

use fairban_types::Time;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::hash::{AccountId, table_bytes};

/// How long a stale password is remembered after it was last seen.
const FORGET: Duration = Duration::from_secs(3 * 86_400);
/// Failures at familiar networks from which on an account is known to have a device with an old password, where the
/// passwords cannot be told apart.
const DEVICE_FAILURES: u32 = 5;
/// A device waits at least so long between tries; who is faster is a guesser.
const DEVICE_PAUSE: Duration = Duration::from_secs(45);

#[derive(Clone, Copy)]
struct Seen {
    last: Time,
    times: u32,
}

/// Wrong credentials seen at familiar networks; where sources tell no digests, the accounts.
#[derive(Default)]
pub(crate) struct Stale {
    seen: HashMap<u64, Seen, RandomState>,
}

fn key(credential: u64, account: AccountId) -> u64 {
    if credential == 0 { account } else { credential }
}

impl Stale {
    /// Notes a failure at a familiar network.
    pub(crate) fn note(&mut self, credential: u64, account: AccountId, at: Time) {
        let seen = self.seen.entry(key(credential, account)).or_insert(Seen { last: at, times: 0 });
        seen.times = seen.times.saturating_add(1);
        seen.last = seen.last.max(at);
    }

    /// Whether a failure at an unfamiliar network is most probably that of a device with an old password.
    pub(crate) fn explains(&mut self, credential: u64, account: AccountId, at: Time) -> bool {
        let Some(seen) = self.seen.get_mut(&key(credential, account)) else { return false };
        if at.since(seen.last) > FORGET {
            return false;
        }
        let pause = at.since(seen.last);
        seen.last = seen.last.max(at);
        credential != 0 || (seen.times >= DEVICE_FAILURES && pause >= DEVICE_PAUSE)
    }

    /// Forgets what is over, and everything if it has become too much.
    pub(crate) fn tidy(&mut self, now: Time, entries_max: usize) {
        self.seen.retain(|_, seen| now.since(seen.last) <= FORGET);
        if self.seen.len() > entries_max {
            self.seen.clear();
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        table_bytes::<(u64, Seen)>(self.seen.len())
    }
}

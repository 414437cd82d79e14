//! One sign-in is often told by two or three processes of a mail server. Here it is counted once.
//!
//! Dovecot's `auth` tells each try, and `imap-login` at the end how many tries there were; or `auth` tells it and then
//! Postfix's `smtpd`. Who comes second is believed only for what the first did not tell.

use std::collections::VecDeque;
use std::time::Duration;

use fairban_types::{Event, EventKind, Time, Witness};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::hash::{AccountId, address_bits, mix, table_bytes, text, text_of};

/// How long after the first telling of a session the second may come: Dovecot ends an idle session after three minutes.
const SESSION_WAIT: Duration = Duration::from_secs(300);
/// The same without a session name: Dovecot delays a refusal by up to 15 seconds.
const CLIENT_WAIT: Duration = Duration::from_secs(60);
/// Within this time, several password databases asked in turn for one try have all told of it.
const CHAIN_WAIT: Duration = Duration::from_secs(2);
/// The most tellings remembered, if memory allows; the oldest go first.
const TALLIES_MAX: usize = 65_536;
/// One telling may be remembered for each so many bytes of the memory limit.
const BYTES_PER_TALLY: usize = 2048;

#[derive(Clone, Copy)]
struct Tally {
    /// Tries told by the backend and not yet by the frontend; negative the other way round.
    ahead: i32,
    last: Time,
    /// The backend's database driver and account of the last try.
    driver: u64,
    account: AccountId,
}

/// Who told what lately.
pub(crate) struct Witnesses {
    tallies_max: usize,
    tallies: HashMap<u64, Tally, RandomState>,
    order: VecDeque<(Time, u64)>,
}

impl Witnesses {
    /// As many as the memory limit allows.
    pub(crate) fn new(memory_bytes_max: usize) -> Self {
        let tallies_max = (memory_bytes_max / BYTES_PER_TALLY).clamp(64, TALLIES_MAX);
        Witnesses { tallies_max, tallies: HashMap::default(), order: VecDeque::new() }
    }

    /// How many of the event's tries were not told before.
    pub(crate) fn fresh(&mut self, event: &Event<'_>, account: AccountId) -> u32 {
        if !event.kind.is_login_outcome() || event.kind == EventKind::LoginSucceeded {
            return event.count;
        }
        let bits = address_bits(event.client, 32, 128);
        let (key, wait) = match event.session.as_deref() {
            Some(session) if !session.is_empty() => (text_of(bits, session), SESSION_WAIT),
            _ => (mix(&[(bits >> 64) as u64, bits as u64]), CLIENT_WAIT),
        };
        let known = self.tallies.get(&key).copied().filter(|tally| event.time.since(tally.last) <= wait);
        let mut tally = known.unwrap_or(Tally { ahead: 0, last: event.time, driver: 0, account: 0 });
        let told = i32::try_from(event.count).unwrap_or(i32::MAX);
        let fresh = match &event.witness {
            Witness::Frontend => {
                let covered = tally.ahead.clamp(0, told);
                tally.ahead = (tally.ahead - told).max(-1000);
                told - covered
            }
            Witness::Backend(driver) => tally.hear_backend(text(driver, 1), account, event.time, told),
            Witness::Report => tally.hear_backend(text("report", 2), account, event.time, told),
        };
        tally.last = tally.last.max(event.time);
        self.remember(key, tally, event.time);
        fresh.unsigned_abs()
    }

    fn remember(&mut self, key: u64, tally: Tally, time: Time) {
        if self.tallies.insert(key, tally).is_none() {
            self.order.push_back((time, key));
        }
        if self.order.len() > self.tallies_max
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.tallies.remove(&oldest);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        table_bytes::<(u64, Tally)>(self.tallies.len()) + self.order.capacity() * size_of::<(Time, u64)>()
    }
}

impl Tally {
    fn hear_backend(&mut self, driver: u64, account: AccountId, time: Time, told: i32) -> i32 {
        let same_try =
            self.driver != 0 && self.driver != driver && self.account == account && time.since(self.last) <= CHAIN_WAIT;
        if same_try {
            return 0;
        }
        self.driver = driver;
        self.account = account;
        let covered = (-self.ahead).clamp(0, told);
        self.ahead = self.ahead.saturating_add(told).min(1000);
        told - covered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;
    use fairban_types::Service;

    fn failed(secs: i64, witness: Witness<'static>, session: Option<&'static str>, count: u32) -> Event<'static> {
        let client = [192, 0, 2, 7].into();
        let mut event =
            Event::new(EventKind::LoginFailed, Time::from_secs(secs), client, Service::Imap).account("alice");
        event.witness = witness;
        event.session = session.map(Into::into);
        event.count = count;
        event
    }

    fn told(events: &[Event<'static>]) -> Vec<u32> {
        let mut witnesses = Witnesses::new(1 << 20);
        events.iter().map(|event| witnesses.fresh(event, hash::account("alice"))).collect()
    }

    fn auth(driver: &'static str) -> Witness<'static> {
        Witness::Backend(driver.into())
    }

    #[test]
    fn auth_and_login_process_tell_one_try() {
        let s = Some("a");
        assert_eq!(told(&[failed(0, auth("pam"), s, 1), failed(2, Witness::Frontend, s, 1)]), [1, 0]);
        assert_eq!(
            told(&[failed(0, auth("pam"), s, 1), failed(9, auth("pam"), s, 1), failed(12, Witness::Frontend, s, 3)]),
            [1, 1, 1],
            "three tries of which auth told two"
        );
        assert_eq!(told(&[failed(0, Witness::Frontend, s, 3), failed(0, Witness::Frontend, Some("b"), 2)]), [3, 2]);
        assert_eq!(told(&[failed(0, Witness::Frontend, s, 1), failed(0, auth("pam"), s, 1)]), [1, 0]);
    }

    #[test]
    fn several_databases_tell_one_try() {
        let s = Some("a");
        assert_eq!(
            told(&[
                failed(0, auth("passwd-file"), s, 1),
                failed(0, auth("sql"), s, 1),
                failed(2, Witness::Frontend, s, 1)
            ]),
            [1, 0, 0]
        );
        assert_eq!(told(&[failed(0, auth("sql"), s, 1), failed(3, auth("sql"), s, 1)]), [1, 1]);
    }

    #[test]
    fn dovecot_and_postfix_tell_one_try() {
        let tries: Vec<_> = (0..5)
            .flat_map(|n| [failed(n * 3, auth("passwd-file"), None, 1), failed(n * 3 + 2, Witness::Frontend, None, 1)])
            .collect();
        assert_eq!(told(&tries).iter().sum::<u32>(), 5);
        let far = [failed(0, auth("passwd-file"), None, 1), failed(100, Witness::Frontend, None, 1)];
        assert_eq!(told(&far), [1, 1], "what comes much later is another try");
    }
}

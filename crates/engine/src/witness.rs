//! One sign-in is often told by two or three processes of a mail server. Here it is counted once.
//!
//! Dovecot's `auth` tells each try, and `imap-login` at the end how many tries there were; or `auth` tells it and then
//! Postfix's `smtpd`; and Dovecot's auth policy reports it while it happens. Who comes second is believed only for what
//! the first did not tell.

use std::collections::VecDeque;
use std::time::Duration;

use fairban_types::{Event, EventKind, Time, Witness};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::hash::{AccountId, blend, lower, mix, table_bytes, text};
use crate::prepared::{self, Prepared};

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

/// Who may tell of one try.
#[derive(Clone, Copy)]
enum Teller {
    Frontend,
    Backend,
    Report,
}

const TELLERS: usize = 3;

/// How far one teller may be behind the others.
const BEHIND_MAX: u32 = 1000;

#[derive(Clone, Copy)]
struct Tally {
    /// By teller: tries told by others and not yet by it.
    behind: [u16; TELLERS],
    /// Who told last of a success.
    teller: u8,
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
    /// Whether a live report was ever heard: only then is more than the failures of logs told twice.
    hears_reports: bool,
}

impl Witnesses {
    /// As many as the memory limit allows.
    pub(crate) fn new(memory_bytes_max: usize) -> Self {
        let tallies_max = (memory_bytes_max / BYTES_PER_TALLY).clamp(64, TALLIES_MAX);
        Witnesses { tallies_max, tallies: HashMap::default(), order: VecDeque::new(), hears_reports: false }
    }

    /// A report is to be expected of every sign-in, beside what logs tell.
    pub(crate) fn expect_reports(&mut self) {
        self.hears_reports = true;
    }

    /// How many of the event's tries were not told before.
    #[inline(always)]
    pub(crate) fn fresh(&mut self, event: &Event<'_>, prepared: Prepared) -> u32 {
        if event.kind == EventKind::LoginSucceeded {
            if event.witness == Witness::Report {
                self.hears_reports = true;
            }
            return if self.hears_reports { self.fresh_success(event, prepared) } else { event.count };
        }
        if !event.kind.is_login_outcome() {
            return event.count;
        }
        if prepared.session != 0 {
            return self.fresh_try(prepared.session, SESSION_WAIT, event, prepared);
        }
        let bits = prepared.client.bits();
        let is_report = event.witness == Witness::Report;
        self.hears_reports |= is_report;
        let of_client = client_key(bits);
        let name = event.account.as_deref().filter(|_| self.hears_reports && prepared.account != 0);
        let Some(name) = name else { return self.fresh_try(of_client, CLIENT_WAIT, event, prepared) };
        let of_account = mix(&[(bits >> 64) as u64, bits as u64, local_part(name)]);
        let fresh = self.fresh_try(of_account, CLIENT_WAIT, event, prepared);
        // For lines that do not say whose password was wrong, and those before the first report.
        if is_report { fresh.min(self.fresh_try(of_client, CLIENT_WAIT, event, prepared)) } else { fresh }
    }

    fn fresh_try(&mut self, key: u64, wait: Duration, event: &Event<'_>, prepared: Prepared) -> u32 {
        let mut tally = Tally::new(event.time);
        let known = self.tallies.get_mut(&key);
        let is_known = known.is_some();
        let tally = match known {
            Some(known) => {
                if event.time.since(known.last) > wait {
                    *known = tally;
                }
                known
            }
            None => &mut tally,
        };
        let fresh = match &event.witness {
            Witness::Frontend => tally.hear(Teller::Frontend, event.count),
            Witness::Backend(_) => tally.hear_backend(prepared.driver, prepared.account, event.time, event.count),
            Witness::Report => tally.hear(Teller::Report, event.count),
        };
        tally.last = tally.last.max(event.time);
        if !is_known {
            let tally = *tally;
            self.remember(key, tally, event.time);
        }
        fresh
    }

    /// A success is told by a report and, some time before or after, by a log; Postfix tells it with each message.
    fn fresh_success(&mut self, event: &Event<'_>, prepared: Prepared) -> u32 {
        let (key, wait) = match prepared::session(event, prepared.client) {
            Some(session) => (session, SESSION_WAIT),
            None => {
                let bits = prepared.client.bits();
                let name = local_part(event.account.as_deref().unwrap_or_default());
                (mix(&[(bits >> 64) as u64, bits as u64, name]), CLIENT_WAIT)
            }
        };
        let key = mix(&[key, SUCCESS]);
        let teller = match event.witness {
            Witness::Report => Teller::Report,
            Witness::Frontend | Witness::Backend(_) => Teller::Frontend,
        } as u8;
        let known = self.tallies.get(&key).filter(|tally| apart(event.time, tally.last) <= wait);
        if known.is_some_and(|tally| tally.teller != teller) {
            return 0;
        }
        self.remember(key, Tally { teller, ..Tally::new(event.time) }, event.time);
        event.count
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

/// Keeps the keys of successes apart.
const SUCCESS: u64 = 1;

/// A client by its address alone.
fn client_key(bits: u128) -> u64 {
    blend(blend(0, (bits >> 64) as u64), bits as u64)
}

/// How far two moments are from each other.
fn apart(one: Time, other: Time) -> Duration {
    one.since(other).max(other.since(one))
}

/// Dovecot may tell the whole name of an account of which the client gave the local part.
fn local_part(account: &str) -> u64 {
    let account = account.trim();
    let local = account.rsplit_once('@').map_or(account, |(local, _)| local);
    text(&lower(local), 3)
}

impl Tally {
    fn new(time: Time) -> Self {
        Tally { behind: [0; TELLERS], teller: Teller::Frontend as u8, last: time, driver: 0, account: 0 }
    }

    /// What others told before is not fresh; what is fresh, the others have yet to tell.
    fn hear(&mut self, teller: Teller, told: u32) -> u32 {
        let covered = u32::from(self.behind[teller as usize]).min(told);
        let fresh = told - covered;
        for (other, behind) in self.behind.iter_mut().enumerate() {
            let next = match other == teller as usize {
                true => u32::from(*behind) - covered,
                false => u32::from(*behind).saturating_add(fresh).min(BEHIND_MAX),
            };
            *behind = u16::try_from(next).unwrap_or(u16::MAX);
        }
        fresh
    }

    fn hear_backend(&mut self, driver: u64, account: AccountId, time: Time, told: u32) -> u32 {
        let same_try =
            self.driver != 0 && self.driver != driver && self.account == account && time.since(self.last) <= CHAIN_WAIT;
        if same_try {
            return 0;
        }
        self.driver = driver;
        self.account = account;
        self.hear(Teller::Backend, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
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
        events
            .iter()
            .map(|event| witnesses.fresh(event, Prepared { account: hash::account("alice"), ..Engine::prepare(event) }))
            .collect()
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

    /// Who tells what of alice, or of whom is named; `-`: nobody.
    fn live(secs: i64, kind: EventKind, witness: Witness<'static>, account: &'static str) -> Event<'static> {
        let mut event = failed(secs, witness, None, 1);
        event.kind = kind;
        event.account = (account != "-").then_some(account.into());
        event
    }

    fn told_of(events: &[Event<'static>]) -> Vec<u32> {
        let mut witnesses = Witnesses::new(1 << 20);
        events.iter().map(|event| witnesses.fresh(event, Engine::prepare(event))).collect()
    }

    /// When, what, who tells it, of whom, and how many of it are fresh.
    type Telling = (i64, EventKind, Witness<'static>, &'static str, u32);

    #[test]
    fn reports_and_logs_tell_one_try() {
        use EventKind::{LoginFailed, LoginRefused, LoginSucceeded};
        use Witness::{Frontend, Report};
        let cases: &[(&str, &[Telling])] = &[
            ("a report, then the log", &[(0, LoginFailed, Report, "alice", 1), (2, LoginFailed, Frontend, "alice", 0)]),
            ("the log, then a report", &[(0, LoginFailed, Frontend, "alice", 1), (2, LoginFailed, Report, "alice", 0)]),
            (
                "three tellers",
                &[
                    (0, LoginFailed, Report, "alice", 1),
                    (0, LoginFailed, auth("pam"), "alice", 0),
                    (2, LoginFailed, Frontend, "alice", 0),
                    (5, LoginFailed, Report, "alice", 1),
                    (5, LoginFailed, auth("pam"), "alice", 0),
                    (7, LoginFailed, Frontend, "alice", 0),
                ],
            ),
            (
                "our own refusal, which the log calls a failure",
                &[(0, LoginRefused, Report, "alice", 1), (2, LoginFailed, Frontend, "alice", 0)],
            ),
            (
                "a log that gives the whole name",
                &[(0, LoginFailed, Report, "alice", 1), (2, LoginFailed, Frontend, "alice@example.test", 0)],
            ),
            ("a log that names nobody", &[(0, LoginFailed, Report, "alice", 1), (2, LoginFailed, Frontend, "-", 0)]),
            (
                "another account at the same time",
                &[(0, LoginFailed, Report, "alice", 1), (2, LoginFailed, Frontend, "bob", 1)],
            ),
            ("much later", &[(0, LoginFailed, Report, "alice", 1), (90, LoginFailed, Frontend, "alice", 1)]),
            (
                "successes",
                &[
                    (0, LoginSucceeded, Report, "alice", 1),
                    (1, LoginSucceeded, Frontend, "alice", 0),
                    (2, LoginSucceeded, Frontend, "alice", 0),
                    (3, LoginSucceeded, Frontend, "bob", 1),
                    (4, LoginSucceeded, Report, "alice", 1),
                ],
            ),
            (
                "a success is no failure",
                &[(0, LoginFailed, Report, "alice", 1), (1, LoginSucceeded, Frontend, "alice", 1)],
            ),
            (
                "no reports: every success is one",
                &[(0, LoginSucceeded, Frontend, "alice", 1), (0, LoginSucceeded, Frontend, "alice", 1)],
            ),
        ];
        for (case, events) in cases {
            let told: Vec<Event<'static>> =
                events.iter().map(|(secs, kind, witness, name, _)| live(*secs, *kind, witness.clone(), name)).collect();
            let fresh: Vec<u32> = events.iter().map(|(.., fresh)| *fresh).collect();
            assert_eq!(told_of(&told), fresh, "{case}");
        }
    }

    #[test]
    fn reports_and_logs_tell_one_session() {
        let s = Some("a");
        let report = |secs| failed(secs, Witness::Report, s, 1);
        assert_eq!(
            told(&[report(0), report(5), report(9), failed(12, Witness::Frontend, s, 3)]),
            [1, 1, 1, 0],
            "the login process sums up what was reported try by try"
        );
        assert_eq!(told(&[report(0), failed(200, Witness::Frontend, s, 2)]), [1, 1], "of two, one was reported");
        let mut success = report(10);
        success.kind = EventKind::LoginSucceeded;
        let logged = Event { witness: Witness::Frontend, ..success.clone() };
        assert_eq!(told(&[report(0), success, logged]), [1, 1, 0]);
    }
}

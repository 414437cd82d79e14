//! A store as years of a busy site would have filled it: events, blocks, familiar networks and an audit, by seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use fairban_store::{AuditEntry, Batch, Familiar, NeverChange, NeverEntry, Offence, Outcome, Store, StoredEvent};
use fairban_types::{
    Action, Code, Decision, Diagnosis, Effect, Event, EventKind, Evidence, Origin, Service, Subject, Time, network_of,
    single,
};

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Events in the log.
    pub(super) events: u64,
    /// Blocks in force.
    pub(super) blocks: u64,
}

/// What is on the log is not older than this: less than what is kept by default.
const DAYS: u64 = 28;
const BATCH: usize = 8192;
/// An account with one event, the oldest of all, and
pub(super) const RARE_ACCOUNT: &str = "rare@site7.test";
/// the address that it came from.
pub(super) const RARE_ADDRESS: &str = "198.18.7.7";
/// A node that was in use for a moment, long ago.
pub(super) const RARE_NODE: &str = "mx9";
/// An account that everybody tries.
pub(super) const BUSY_ACCOUNT: &str = "info@site0.test";

/// Numbers without a pattern, the same for the same seed (Steele, Lea, Flood: SplitMix).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A few often, most seldom.
    fn skewed(&mut self, end: u64) -> u64 {
        let (a, b) = (self.below(end), self.below(end));
        a.min(b).min(self.below(end))
    }
}

fn attacker(number: u64) -> IpAddr {
    let mixed = Chance(number).next();
    if number.is_multiple_of(10) {
        let high = 0x2001_0db8_0000_0000_u64 | (mixed & 0xffff_ffff);
        return Ipv6Addr::from(u128::from(high) << 64 | u128::from(mixed >> 32)).into();
    }
    // Public addresses; nothing is ever sent to them.
    Ipv4Addr::from((mixed as u32 & 0x7fff_ffff) % 0xb000_0000 + 0x0b00_0000).into()
}

fn customer(number: u64) -> IpAddr {
    Ipv4Addr::from(0xc612_0000_u32 | (number as u32 & 0xffff)).into()
}

fn account(number: u64) -> String {
    format!("user{number}@site{}.test", number % 50)
}

const SERVICES: [Service; 4] = [Service::Imap, Service::Submission, Service::Smtp, Service::Pop3];
const RULES: [&str; 5] = ["login", "login_slow", "relay", "harvest", "imported"];
const DIAGNOSES: [Diagnosis; 5] = [
    Diagnosis::PasswordGuessing,
    Diagnosis::PasswordSpraying,
    Diagnosis::RelayProbing,
    Diagnosis::AddressHarvesting,
    Diagnosis::CredentialStuffing,
];

struct Site {
    chance: Chance,
    nodes: [Arc<str>; 4],
    begin: Time,
    step_millis: f64,
}

impl Site {
    fn time(&self, number: u64) -> Time {
        Time::from_millis(self.begin.millis() + (number as f64 * self.step_millis) as i64)
    }

    fn event(&mut self, number: u64) -> StoredEvent {
        let kind = match self.chance.below(1000) {
            0..450 => EventKind::LoginSucceeded,
            450..720 => EventKind::LoginFailed,
            720..800 => EventKind::LoginUnknownAccount,
            800..860 => EventKind::RecipientUnknown,
            860..890 => EventKind::RelayDenied,
            890..950 => EventKind::RecipientAccepted,
            950..970 => EventKind::Spam,
            970..990 => EventKind::MessageSent,
            990..999 => EventKind::LoginRefused,
            _ => EventKind::ALL[self.chance.below(EventKind::ALL.len() as u64) as usize],
        };
        let is_own = matches!(kind, EventKind::LoginSucceeded | EventKind::MessageSent);
        let who = self.chance.skewed(20_000);
        let client = if is_own { customer(who) } else { attacker(self.chance.skewed(200_000)) };
        let service = SERVICES[self.chance.skewed(4) as usize];
        let mut event = Event::new(kind, self.time(number), client, service);
        let knows_account = is_own || kind.is_login_failure() || kind == EventKind::LoginRefused;
        if knows_account {
            let name = if !is_own && self.chance.below(50) == 0 { BUSY_ACCOUNT.to_owned() } else { account(who) };
            event = event.account(name);
            event.session = Some(format!("{:016x}", self.chance.next()).into());
            event.method = Some("PLAIN".into());
            if is_own {
                event.program = Some(format!("Mail/{}", who % 7).into());
            } else {
                event = event.digest(format!("{:04x}", self.chance.below(65536)));
            }
        } else {
            event.helo = Some(format!("host{}.example.net", self.chance.below(5000)).into());
            event.return_path = Some(format!("sender{}@example.net", self.chance.below(5000)).into());
            event = event.recipient(account(who));
        }
        let outcome = match (is_own, kind, self.chance.below(100)) {
            (true, ..) | (_, EventKind::RecipientAccepted | EventKind::LoginRefused, _) => Outcome::Noted,
            (_, _, 0..70) => Outcome::Counted,
            (_, _, 70..95) => Outcome::Stopped,
            (_, _, 95..99) => Outcome::Repeated,
            _ => Outcome::Spared,
        };
        let node = self.nodes[self.chance.skewed(4) as usize].clone();
        StoredEvent { node, outcome, event }
    }

    /// The first is the rare one.
    fn rare(&self) -> StoredEvent {
        let client = RARE_ADDRESS.parse().unwrap_or(IpAddr::from([198, 18, 7, 7]));
        let event = Event::new(EventKind::PartialMessage, self.begin, client, Service::Smtp).account(RARE_ACCOUNT);
        StoredEvent { node: RARE_NODE.into(), outcome: Outcome::Spared, event }
    }

    /// Of networks, accounts, pairs and senders; most in force for a while yet, some for good, some by hand.
    fn decision(&mut self, number: u64, time: Time, is_over: bool) -> Decision {
        let client = attacker(1_000_000 + number);
        let name = account(number);
        let (subject, action) = match number % 50 {
            0..40 => (Subject::address(client), Action::Block),
            40..44 => (Subject::Network(network_of(client, 24, 48)), Action::Block),
            44..47 => (Subject::Pair(name.clone(), single(client)), Action::Block),
            47 | 48 => (Subject::Account(name.clone()), Action::Guard),
            _ => {
                let text = format!("send-outbound:account={name}");
                (text.parse().unwrap_or(Subject::Account(name.clone())), Action::Block)
            }
        };
        let by_hand = number.is_multiple_of(25);
        let until = if is_over {
            Some(time.after(Duration::from_secs(1800)))
        } else {
            // Far enough that none ends while pages are measured.
            (!number.is_multiple_of(3)).then(|| Time::from(SystemTime::now()).after(days(1 + number % 300)))
        };
        let evidence = |place: u64| Evidence {
            points: 50,
            seen: 1,
            first: None,
            event: Event::new(
                EventKind::LoginFailed,
                time.before(Duration::from_secs(9 * place)),
                client,
                Service::Imap,
            )
            .account(account(number + place))
            .digest(format!("{:04x}", number + place)),
        };
        Decision {
            code: Code::new(Chance(number).next()),
            time,
            action,
            subject,
            origin: if by_hand {
                Origin::Manual("alice".into())
            } else {
                Origin::Rule(RULES[(number % 5) as usize].into())
            },
            reason: "login_failed 50: 250 points within 20m block the address".to_owned(),
            score: 250,
            threshold: 250,
            until,
            effect: Effect::Drop,
            diagnosis: if by_hand { Diagnosis::Manual } else { DIAGNOSES[(number % 5) as usize] },
            offence: 1 + (number % 4) as u32,
            spares_familiar: false,
            in_kernel: true,
            holes: Vec::new(),
            events: (0..5).map(evidence).collect(),
        }
    }
}

fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

/// Fills the store of a folder, and says how long that took and how large it is.
pub(super) fn fill(folder: &Path, size: Size) -> Result<()> {
    let start = Instant::now();
    let now = Time::from(SystemTime::now());
    let begin = now.before(days(DAYS));
    let mut site = Site {
        chance: Chance(7),
        nodes: ["mx1".into(), "mx2".into(), "mx3".into(), "mx4".into()],
        begin,
        step_millis: days(DAYS).as_millis() as f64 / size.events.max(1) as f64,
    };
    let mut store = Store::open(folder)?;
    let mut batch = Batch::default();
    // So many more are over, which a list of all has to leave out.
    let decisions = size.blocks + size.blocks * 3 / 10;
    let (mut decided, mut spent) = (0_u64, Duration::ZERO);
    batch.event(site.rare());
    for number in 1..size.events {
        let event = site.event(number);
        batch.event(event);
        while decided * size.events < number * decisions {
            let decision = site.decision(decided, site.time(number), decided % 13 >= 10);
            batch.decision(decision);
            decided += 1;
        }
        if batch.happenings.len() >= BATCH {
            batch.cursors.push(("/var/log/mail.log".to_owned(), number.to_string()));
            commit(&mut store, &mut batch, &mut spent)?;
        }
    }
    commit(&mut store, &mut batch, &mut spent)?;
    rest(&mut store, size, now)?;
    let bytes = store.info()?.bytes;
    store.close(now)?;
    println!(
        "filled: {} events and {decided} blocks ({} in force), {:.2} GB, in {:.0} s; committing alone {:.0} events/s",
        size.events,
        size.blocks,
        bytes as f64 / 1e9,
        start.elapsed().as_secs_f64(),
        size.events as f64 / spent.as_secs_f64().max(0.001),
    );
    Ok(())
}

fn commit(store: &mut Store, batch: &mut Batch, spent: &mut Duration) -> Result<()> {
    let start = Instant::now();
    store.commit(batch)?;
    *spent += start.elapsed();
    batch.clear();
    Ok(())
}

/// What is kept beside events and blocks, in proportion.
fn rest(store: &mut Store, size: Size, now: Time) -> Result<()> {
    let mut batch = Batch::default();
    for number in 0..size.blocks {
        let account = account(number % 20_000);
        let (first, last) = (now.before(days(90)), now.before(Duration::from_secs(number)));
        let net = network_of(customer(number), 24, 56);
        batch.familiar.push(Familiar { account, net, first, last, successes: 12 });
        let subject = Subject::address(attacker(1_000_000 + number));
        batch.offences.push(Offence { subject, count: 2, last: now });
        batch.audit.push(AuditEntry {
            time: now.before(Duration::from_secs(size.blocks - number)),
            actor: if number.is_multiple_of(100) { "alice" } else { "token:panel" }.to_owned(),
            act: "block".to_owned(),
            subject: attacker(number).to_string(),
            detail: "scanner".to_owned(),
        });
    }
    for number in 0..size.blocks / 1000 {
        let net = single(Ipv4Addr::from(0xc613_0000_u32 | number as u32).into());
        let (reason, by) = ("a customer".to_owned(), "alice".to_owned());
        batch.never.push(NeverChange::Add(NeverEntry { net, reason, by, added: now, until: None }));
    }
    store.commit(&batch)?;
    Ok(())
}

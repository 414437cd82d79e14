//! What happened lately, counted: over time, by rule and service, by address and account. In memory, and bounded.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairban_store::{Reader, RecallItem, StoreError};
use fairban_types::{Action, Decision, Event, EventKind, Service, Time, network_of};
use fairban_web::access::Sight;
use fairban_web::admin::view;
use foldhash::fast::RandomState;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Told, now};

/// So long it is remembered.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Names of one hour beyond which those that were seen least are given up.
const NAMES_MAX: usize = 4000;
/// Of an hour that is over, so many of the busiest names are remembered.
const NAMES_OVER: usize = 300;
/// Rules that are told apart in a minute.
const RULES_MAX: usize = 100;
/// Networks of one account that are told apart in an hour.
const NETWORKS_MAX: usize = 500;
const DAY: Duration = Duration::from_secs(86_400);
/// Buckets of a chart.
const BUCKETS: u64 = 48;
/// So many events from one address alone are strange.
const ALONE_MIN: u64 = 100;

#[derive(Clone, Copy, Default)]
struct Minute {
    sign_ins: u32,
    failures: u32,
    stopped: u32,
    other: u32,
    blocks: u32,
    releases: u32,
    by_service: [u32; 8],
}

#[derive(Default)]
struct Attacked {
    failures: u64,
    networks: HashSet<ipnet::IpNet>,
    last: Option<Time>,
}

#[derive(Default)]
struct Hour {
    offenders: HashMap<IpAddr, u64>,
    attacked: HashMap<String, Attacked>,
    clients: HashMap<IpAddr, u64>,
}

#[derive(Default)]
struct Counts {
    minutes: BTreeMap<i64, Minute>,
    hours: BTreeMap<i64, Hour>,
    /// Blocks and guards that began in a minute, by rule.
    rules: BTreeMap<i64, Vec<(Arc<str>, u32)>>,
    /// Hours before this one are over, and were shortened.
    over: i64,
}

/// Begins to count: what is in the store already on a thread of its own, and what happens from now on.
pub(crate) fn start(tally: &Tally, core: &super::Core) -> Result<(), StoreError> {
    let reader = core.store.reader()?;
    let last_seq = reader.info()?.seq;
    tokio::spawn(tally.clone().follow(core.feed.subscribe(), last_seq));
    let tally = tally.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = tally.fill(&reader, last_seq) {
            tracing::warn!(%error, "the overview begins with what happens from now on");
        }
    });
    Ok(())
}

/// The counts, shared.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<Counts>>);

fn make_room<K: Hash + Eq + Clone, V>(map: &mut HashMap<K, V>, weight: impl Fn(&V) -> u64) {
    if map.len() < NAMES_MAX {
        return;
    }
    let mut weights: Vec<u64> = map.values().map(&weight).collect();
    weights.sort_unstable();
    let middle = weights[weights.len() / 2];
    map.retain(|_, value| weight(value) > middle);
}

/// Keeps the busiest.
fn shorten<K: Hash + Eq + Clone, V>(map: &mut HashMap<K, V>, weight: impl Fn(&V) -> u64) {
    if map.len() > NAMES_OVER {
        let mut weights: Vec<u64> = map.values().map(&weight).collect();
        let (_, least, _) = weights.select_nth_unstable_by(NAMES_OVER, |a, b| b.cmp(a));
        let least = *least;
        map.retain(|_, value| weight(value) > least);
    }
    map.shrink_to_fit();
}

fn is_bad(kind: EventKind) -> bool {
    !matches!(
        kind,
        EventKind::LoginSucceeded
            | EventKind::LoginRefused
            | EventKind::RelayAllowed
            | EventKind::RecipientAccepted
            | EventKind::MessageSent
            | EventKind::MessageBounced
            | EventKind::Greylisted
    )
}

impl Counts {
    fn event(&mut self, event: &Event<'_>, is_stopped: bool) {
        if now().since(event.time) > KEPT {
            return;
        }
        let count = event.count.max(1);
        let minute = self.minutes.entry(event.time.secs() / 60).or_default();
        let is_failure = event.kind.is_login_failure();
        let place = match (is_stopped, event.kind) {
            (true, _) | (_, EventKind::LoginRefused) => &mut minute.stopped,
            (_, EventKind::LoginSucceeded) => &mut minute.sign_ins,
            (_, kind) if kind.is_login_failure() => &mut minute.failures,
            (_, kind) if is_bad(kind) => &mut minute.other,
            _ => return,
        };
        *place = place.saturating_add(count);
        if is_failure {
            let service = &mut minute.by_service[(event.service as usize).min(7)];
            *service = service.saturating_add(count);
        }
        self.name(event, is_failure, u64::from(count));
    }

    fn name(&mut self, event: &Event<'_>, is_failure: bool, count: u64) {
        self.shorten_before(event.time.secs() / 3600 - 1);
        let hour = self.hours.entry(event.time.secs() / 3600).or_default();
        make_room(&mut hour.clients, |count| *count);
        *hour.clients.entry(event.client).or_default() += count;
        if !is_bad(event.kind) {
            return;
        }
        make_room(&mut hour.offenders, |count| *count);
        *hour.offenders.entry(event.client).or_default() += count;
        if let Some(account) = event.account.as_deref().filter(|_| is_failure) {
            make_room(&mut hour.attacked, |attacked| attacked.failures);
            let attacked = hour.attacked.entry(account.trim().to_lowercase()).or_default();
            attacked.failures += count;
            attacked.last = attacked.last.max(Some(event.time));
            if attacked.networks.len() < NETWORKS_MAX {
                attacked.networks.insert(network_of(event.client, 24, 56));
            }
        }
    }

    fn decision(&mut self, decision: &Decision) {
        let minute = self.minutes.entry(decision.time.secs() / 60).or_default();
        match decision.action {
            Action::Block | Action::Guard => {
                minute.blocks += 1;
                let rule = decision.origin.rule();
                let rules = self.rules.entry(decision.time.secs() / 60).or_default();
                match rules.iter().position(|(name, _)| **name == *rule) {
                    Some(place) => rules[place].1 += 1,
                    None if rules.len() < RULES_MAX => rules.push((rule.into(), 1)),
                    None => {}
                }
            }
            Action::Release => minute.releases += 1,
            Action::Expire => {}
        }
    }

    /// Of hours that are over only what an overview may show of them is kept: it adds many of them up.
    fn shorten_before(&mut self, hour: i64) {
        // A time in the future, which a log may have, closes nothing.
        if hour <= self.over || hour > now().secs() / 3600 {
            return;
        }
        for (_, hour) in self.hours.range_mut(self.over..hour) {
            shorten(&mut hour.offenders, |count| *count);
            shorten(&mut hour.attacked, |attacked| attacked.failures);
            hour.clients = HashMap::new();
        }
        self.over = hour;
    }

    fn forget(&mut self) {
        let oldest = now().before(KEPT).secs();
        self.minutes = self.minutes.split_off(&(oldest / 60));
        self.hours = self.hours.split_off(&(oldest / 3600));
        self.rules = self.rules.split_off(&(oldest / 60));
    }
}

/// What is seen of somebody's own domains is never all that happens: charts are for those who see everything.
fn only_if(sight: &Sight, bucket: view::Bucket) -> view::Bucket {
    if sight.is_everything() {
        return bucket;
    }
    view::Bucket { sign_ins: 0, failures: 0, stopped: 0, other: 0, blocks: 0, releases: 0, ..bucket }
}

/// What an overview shows of the counts.
pub(super) struct Lately {
    pub(super) buckets: Vec<view::Bucket>,
    pub(super) bucket_secs: u64,
    pub(super) by_rule: Vec<view::Tally>,
    pub(super) by_service: Vec<view::Tally>,
    pub(super) offenders: Vec<view::Tally>,
    pub(super) one_address: Option<IpAddr>,
}

/// The most frequent, most frequent first.
fn top<K: Ord, S>(counts: HashMap<K, u64, S>, most: usize) -> Vec<(K, u64)> {
    let order = |a: &(K, u64), b: &(K, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0));
    let mut list: Vec<(K, u64)> = counts.into_iter().collect();
    if list.len() > most {
        list.select_nth_unstable_by(most, order);
        list.truncate(most);
    }
    list.sort_unstable_by(order);
    list
}

fn tallies<K: Ord + ToString, S>(counts: HashMap<K, u64, S>, most: usize) -> Vec<view::Tally> {
    let tally = |(name, count): (K, u64)| view::Tally { name: name.to_string(), count };
    top(counts, most).into_iter().map(tally).collect()
}

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what is in the store already.
    pub(crate) fn fill(&self, reader: &Reader, last_seq: i64) -> Result<(), StoreError> {
        let started = now();
        reader.recall(now().before(KEPT), |item| match item {
            RecallItem::Event { seq, stored } if seq <= last_seq => {
                let is_stopped = stored.outcome == fairban_store::Outcome::Stopped;
                self.counts().event(&stored.event, is_stopped);
            }
            RecallItem::Decision { decision, .. } if decision.time < started => self.counts().decision(&decision),
            _ => {}
        })
    }

    /// Counts what happens, as long as the daemon runs.
    pub(crate) async fn follow(self, mut feed: Receiver<Told>, after_seq: i64) {
        loop {
            match feed.recv().await {
                Ok(Told::Event(event)) if event.seq.is_none_or(|seq| seq > after_seq) => {
                    let mut counts = self.counts();
                    counts.event(&event.event, event.outcome == "stopped");
                    if event.seq.is_some_and(|seq| seq % 1024 == 0) {
                        counts.forget();
                    }
                }
                Ok(Told::Decision(decision)) => self.counts().decision(&decision),
                Ok(Told::Event(_)) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    pub(super) fn lately(&self, span: Duration, sight: &Sight) -> Lately {
        let counts = self.counts();
        let (present, bucket_secs) = (now(), (span.as_secs() / BUCKETS).max(60));
        let buckets_count = span.as_secs() / bucket_secs;
        let end = (present.secs().max(0).unsigned_abs() / bucket_secs + 1) * bucket_secs;
        let begin = end - buckets_count * bucket_secs;
        let blank = |number: u64| view::Bucket {
            time: Time::from_secs(i64::try_from(begin + number * bucket_secs).unwrap_or(0)),
            sign_ins: 0,
            failures: 0,
            stopped: 0,
            other: 0,
            blocks: 0,
            releases: 0,
        };
        let mut buckets: Vec<view::Bucket> = (0..buckets_count).map(blank).collect();
        let mut services = [0_u64; 8];
        for (minute, count) in counts.minutes.range(i64::try_from(begin / 60).unwrap_or(0)..) {
            let at = minute.max(&0).unsigned_abs() * 60;
            let place = usize::try_from(at.saturating_sub(begin) / bucket_secs).unwrap_or(usize::MAX);
            let Some(bucket) = buckets.get_mut(place) else { continue };
            bucket.sign_ins += u64::from(count.sign_ins);
            bucket.failures += u64::from(count.failures);
            bucket.stopped += u64::from(count.stopped);
            bucket.other += u64::from(count.other);
            bucket.blocks += u64::from(count.blocks);
            bucket.releases += u64::from(count.releases);
            services.iter_mut().zip(count.by_service).for_each(|(sum, count)| *sum += u64::from(count));
        }
        let since = present.before(span);
        let mut rules: HashMap<&str, u64> = HashMap::new();
        for (rule, count) in counts.rules.range(since.secs() / 60..).flat_map(|(_, rules)| rules) {
            *rules.entry(rule).or_default() += u64::from(*count);
        }
        let mut clients: HashMap<IpAddr, u64, RandomState> = HashMap::default();
        for (_, hour) in counts.hours.range(since.secs() / 3600..).filter(|_| sight.is_everything()) {
            for (client, count) in &hour.offenders {
                *clients.entry(*client).or_default() += count;
            }
        }
        let services = Service::ALL.iter().map(|service| service.as_str()).zip(services);
        let by_service: HashMap<&str, u64> = services.filter(|(_, count)| *count > 0).collect();
        let sees_all = sight.is_everything();
        Lately {
            one_address: one_address(&counts, present).filter(|_| sees_all),
            buckets: buckets.into_iter().map(|bucket| only_if(sight, bucket)).collect(),
            bucket_secs,
            by_rule: if sees_all { tallies(rules, 10) } else { Vec::new() },
            by_service: if sees_all { tallies(by_service, 8) } else { Vec::new() },
            offenders: tallies(clients, 10),
        }
    }

    /// The accounts with the most failures in the last day.
    pub(super) fn attacked(&self, sight: &Sight, most: usize) -> Vec<view::AccountRow> {
        let counts = self.counts();
        let day: Vec<&Hour> = counts.hours.range(now().before(DAY).secs() / 3600..).map(|(_, hour)| hour).collect();
        let mut all: HashMap<&str, u64, RandomState> = HashMap::default();
        for (account, attacked) in day.iter().flat_map(|hour| &hour.attacked).filter(|(name, _)| sight.account(name)) {
            *all.entry(account).or_default() += attacked.failures;
        }
        // Networks are put together for those only that are shown.
        let row = |(account, failures): (&str, u64)| {
            let hours = || day.iter().filter_map(|hour| hour.attacked.get(account));
            let networks: HashSet<ipnet::IpNet> =
                hours().flat_map(|attacked| attacked.networks.iter().copied()).collect();
            view::AccountRow {
                account: account.to_owned(),
                failures,
                networks: networks.len() as u64,
                last: hours().filter_map(|attacked| attacked.last).max(),
                states: Vec::new(),
            }
        };
        top(all, most).into_iter().map(row).collect()
    }
}

/// The one address that everything of the last hours came from.
fn one_address(counts: &Counts, present: Time) -> Option<IpAddr> {
    let mut seen: HashMap<IpAddr, u64> = HashMap::new();
    for (_, hour) in counts.hours.range(present.secs() / 3600 - 1..) {
        for (client, count) in &hour.clients {
            *seen.entry(*client).or_default() += count;
        }
    }
    match seen.iter().next() {
        Some((client, count)) if seen.len() == 1 && *count >= ALONE_MIN => Some(*client),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_the_busiest_stay() {
        let mut counts = Counts::default();
        let client = |n: u32| IpAddr::from(n.to_be_bytes());
        let event =
            |n: u32| Event::new(EventKind::LoginFailed, now(), client(n), Service::Imap).account(format!("a{n}"));
        for _ in 0..50 {
            counts.event(&event(7), false);
        }
        for n in 1000..30_000 {
            counts.event(&event(n), false);
        }
        let hour = counts.hours.values().next().unwrap();
        assert!(hour.offenders.len() <= NAMES_MAX && hour.attacked.len() <= NAMES_MAX);
        assert_eq!(hour.offenders[&client(7)], 50);
        assert_eq!(one_address(&counts, now()), None);
    }

    #[test]
    fn of_an_hour_that_is_over_the_busiest_are_kept() {
        let mut counts = Counts::default();
        let client = |n: u32| IpAddr::from(n.to_be_bytes());
        let at = |secs: u64, n: u32| {
            let time = now().before(Duration::from_secs(secs));
            Event::new(EventKind::LoginFailed, time, client(n), Service::Imap).account(format!("a{n}"))
        };
        for n in 1000..2000 {
            counts.event(&at(5 * 3600, n), false);
        }
        for _ in 0..5 {
            counts.event(&at(5 * 3600, 1500), false);
        }
        counts.event(&at(0, 7), false);
        let hour = counts.hours.values().next().unwrap();
        assert!(hour.offenders.len() <= NAMES_OVER && hour.attacked.len() <= NAMES_OVER && hour.clients.is_empty());
        assert_eq!(hour.offenders[&client(1500)], 6);
        assert_eq!(hour.attacked["a1500"].failures, 6);
    }

    #[test]
    fn all_from_one_address_is_told() {
        let mut counts = Counts::default();
        for _ in 0..ALONE_MIN {
            counts.event(&Event::new(EventKind::LoginFailed, now(), [10, 0, 0, 1].into(), Service::Imap), false);
        }
        assert_eq!(one_address(&counts, now()), Some([10, 0, 0, 1].into()));
    }
}

//! How much each account sends, and what it usually sends. Who sends far more than ever is stopped from sending.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fairban_types::{Event, EventKind, OutboundPolicy, Time, Witness};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::entry::Entry;
use crate::habit::{Habit, day_of};
use crate::hash::{self, AccountId, table_bytes};
use crate::volume::{Span, Volume, Window};

const DAY: Duration = Duration::from_secs(86_400);
/// An account that a policy service told of is believed to be told of by it for so long.
const LIVE_WAIT: Duration = DAY;
/// A log's clock may be so far from that of a report.
const CLOCK_SLACK: Duration = Duration::from_secs(10);
/// A release is remembered for so long,
const PATIENCE: Duration = DAY;
/// and doubles the limits, at most so often.
const PATIENCE_MAX: u32 = 5;
/// What was sent so long ago is over, and teaches only.
const OVER: Duration = DAY;
/// The latest messages that a receipt can show.
const RECENT_MAX: usize = 16;
/// One account may be remembered for each so many bytes of the memory limit.
const BYTES_PER_ACCOUNT: usize = 4096;
/// Who has sent nothing for so long is forgotten when room is needed.
const FORGET: Duration = Duration::from_secs(400 * 86_400);

/// What was sent on one day, and in the windows that end with its latest message.
#[derive(Default)]
pub(crate) struct Stretch {
    pub(crate) window: Window,
    /// The last day's, by hours.
    pub(crate) daily: Window,
    /// The recipients of the latest message.
    pub(crate) fan_out: u32,
    day: i32,
    /// The most of the day: recipients, messages, recipients a day, recipients of one message.
    best: [u32; 4],
    session: u64,
}

/// What one account sends.
pub(crate) struct Outgoing {
    pub(crate) habit: Habit,
    pub(crate) present: Stretch,
    /// What is read of days long over, such as a log's.
    past: Option<Box<Stretch>>,
    /// The latest messages.
    pub(crate) recent: VecDeque<Entry>,
    /// The first and the latest live report.
    live: Option<(Time, Time)>,
    releases: u32,
    released: Time,
}

/// What became of what was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A live report tells it.
    Told,
    /// It is long over, and only teaches.
    Past,
    /// It counts.
    Present,
}

/// What all accounts send.
pub(crate) struct Outbound {
    accounts: HashMap<AccountId, Outgoing, RandomState>,
    accounts_max: usize,
    /// The first message known of any account.
    pub(crate) since: Option<Time>,
    /// Accounts whose habit is not as it was last taken, by name.
    changed: BTreeMap<Box<str>, AccountId>,
    /// What accounts hold beside themselves.
    heap_bytes: usize,
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Stretch {
    fn add(&mut self, at: Time, volume: Volume, span: Span) {
        self.window.add(at.secs(), volume, span);
        self.daily.add(at.secs(), volume, Span::DAY);
    }

    fn note_best(&mut self, day: i32) {
        if day != self.day {
            return;
        }
        let (sum, daily) = (self.window.sum(), self.daily.sum());
        let now = [small(sum.recipients), small(sum.messages), small(daily.recipients), self.fan_out];
        for (best, now) in self.best.iter_mut().zip(now) {
            *best = (*best).max(now);
        }
    }

    /// Makes the day's most part of the habit. Once an account has been learned, a day may at most double what is
    /// usual: who drives a stolen account must not teach it.
    fn teach(&mut self, habit: &mut Habit, is_trusted: bool, policy: &OutboundPolicy) {
        let start = policy.floor / policy.normal_factor.max(1);
        let best = std::mem::take(&mut self.best);
        let peaks = [&mut habit.recipients, &mut habit.messages, &mut habit.daily, &mut habit.fan_out];
        for (peak, most) in peaks.into_iter().zip(best) {
            let most_believed = peak.usual(self.day).saturating_mul(2).max(start);
            peak.learn(if is_trusted { most } else { most.min(most_believed) }, self.day);
        }
    }

    fn bytes(&self) -> usize {
        self.window.bytes() + self.daily.bytes()
    }
}

impl Outgoing {
    fn new(at: Time) -> Self {
        Outgoing {
            habit: Habit::new(at),
            present: Stretch { day: day_of(at), ..Stretch::default() },
            past: None,
            recent: VecDeque::new(),
            live: None,
            releases: 0,
            released: Time::MIN,
        }
    }

    /// How often the limits are doubled, because releases have vouched for the account.
    pub(crate) fn patience(&self, at: Time) -> u32 {
        if self.releases > 0 && at.since(self.released) <= PATIENCE { self.releases } else { 0 }
    }

    /// Whether a live report tells the same.
    fn is_told_live(&mut self, event: &Event<'_>, at: Time) -> bool {
        if event.witness == Witness::Report {
            let (first, _) = self.live.unwrap_or((at, at));
            self.live = Some((first, at));
            return false;
        }
        self.live.is_some_and(|(first, last)| at.after(CLOCK_SLACK) >= first && at.since(last) <= LIVE_WAIT)
    }

    /// Takes in what is long over. Returns whether the habit has changed.
    fn hear_past(&mut self, event: &Event<'_>, at: Time, policy: &OutboundPolicy) -> bool {
        let day = day_of(at);
        let past = self.past.get_or_insert_with(|| Box::new(Stretch { day, ..Stretch::default() }));
        let is_over = day > past.day;
        if is_over {
            past.teach(&mut self.habit, true, policy);
            past.day = day;
        }
        let session = event.session.as_deref().map_or(0, |session| hash::text(session, 0));
        let is_new = session == 0 || session != past.session;
        past.session = session;
        past.fan_out = if is_new { event.count } else { past.fan_out.saturating_add(event.count) };
        past.add(at, volume(event, is_new), Span::of(policy.period));
        past.note_best(day);
        is_over
    }

    /// Takes in what was sent now. Returns whether the habit has changed: when a day is over, its most is part of it.
    fn hear_present(
        &mut self,
        event: &Event<'_>,
        account: AccountId,
        at: Time,
        is_learning: bool,
        policy: &OutboundPolicy,
    ) -> bool {
        let day = day_of(at);
        let past = self.past.take().map(|mut past| past.teach(&mut self.habit, true, policy));
        let is_over = day > self.present.day;
        if is_over {
            // A release has vouched for what was sent.
            let is_trusted = is_learning || self.patience(at) > 0;
            self.present.teach(&mut self.habit, is_trusted, policy);
            self.present.day = day;
        }
        let is_new = self.show(event, at, account);
        self.present.add(at, volume(event, is_new), Span::of(policy.period));
        is_over || past.is_some()
    }

    /// Adds the message to what receipts show. Returns whether it is another one than those before it.
    fn show(&mut self, event: &Event<'_>, at: Time, account: AccountId) -> bool {
        let session = event.session.as_deref().map_or(0, |session| hash::text(session, account));
        let known = self.recent.iter_mut().rev().find(|entry| session != 0 && entry.credential == session);
        if let Some(entry) = known {
            entry.tries = entry.tries.saturating_add(u16::try_from(event.count).unwrap_or(u16::MAX));
            entry.time = entry.time.max(at.millis());
            self.present.fan_out = u32::from(entry.tries);
            return false;
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Entry::new(event, at, account, session, event.count, 0));
        self.present.fan_out = event.count;
        true
    }

    fn spend(&mut self) {
        self.present.window.clear();
        self.present.daily.clear();
        self.recent = VecDeque::new();
    }

    fn heap_bytes(&self) -> usize {
        let entries = self.recent.capacity() * size_of::<Entry>();
        let texts: usize = self.recent.iter().map(Entry::heap_bytes).sum();
        let past = self.past.as_deref().map_or(0, |past| size_of::<Stretch>() + past.bytes());
        self.present.bytes() + past + entries + texts
    }
}

fn volume(event: &Event<'_>, is_new: bool) -> Volume {
    Volume { recipients: u64::from(event.count), messages: u64::from(is_new), bounces: 0 }
}

impl Outbound {
    pub(crate) fn new(memory_bytes_max: usize) -> Self {
        Outbound {
            accounts: HashMap::default(),
            accounts_max: (memory_bytes_max / BYTES_PER_ACCOUNT).max(64),
            since: None,
            changed: BTreeMap::new(),
            heap_bytes: 0,
        }
    }

    pub(crate) fn get(&self, account: AccountId) -> Option<&Outgoing> {
        self.accounts.get(&account)
    }

    /// Takes in what an account sent.
    pub(crate) fn hear(
        &mut self,
        event: &Event<'_>,
        account: AccountId,
        at: Time,
        now: Time,
        policy: &OutboundPolicy,
    ) -> Heard {
        let since = self.since.map_or(at, |since| since.min(at));
        self.since = Some(since);
        let is_full = self.accounts.len() >= self.accounts_max && !self.accounts.contains_key(&account);
        if is_full || self.heap_bytes > self.heap_bytes_max() {
            self.tidy(now);
        }
        let mut is_changed = false;
        let outgoing = self.accounts.entry(account).or_insert_with(|| {
            is_changed = true;
            Outgoing::new(at)
        });
        if outgoing.is_told_live(event, at) {
            return Heard::Told;
        }
        let before = outgoing.heap_bytes();
        let is_past = now.since(at) > OVER.max(policy.period);
        is_changed |= match is_past {
            true => outgoing.hear_past(event, at, policy),
            false => outgoing.hear_present(event, account, at, at.since(since) < policy.learn, policy),
        };
        outgoing.habit.first = outgoing.habit.first.min(at);
        outgoing.habit.last = outgoing.habit.last.max(at);
        self.heap_bytes = (self.heap_bytes + outgoing.heap_bytes()).saturating_sub(before);
        if is_changed && let Some(name) = event.account.as_deref() {
            self.changed.insert(hash::lower(name.trim()).into(), account);
        }
        if is_past { Heard::Past } else { Heard::Present }
    }

    /// Nothing followed from what was heard last: it is what the account does.
    pub(crate) fn accept(&mut self, account: AccountId, at: Time) {
        if let Some(outgoing) = self.accounts.get_mut(&account) {
            outgoing.present.note_best(day_of(at));
        }
    }

    /// Takes in that mail of an account could not be delivered, or a recipient of it does not exist.
    pub(crate) fn bounced(&mut self, event: &Event<'_>, account: AccountId, at: Time, policy: &OutboundPolicy) {
        if let Some(outgoing) = self.accounts.get_mut(&account) {
            let volume = Volume { bounces: u64::from(event.count), ..Volume::default() };
            let before = outgoing.heap_bytes();
            outgoing.present.window.add(at.secs(), volume, Span::of(policy.period));
            self.heap_bytes = (self.heap_bytes + outgoing.heap_bytes()).saturating_sub(before);
        }
    }

    /// A block was made of what was sent: it counts no more.
    pub(crate) fn spend(&mut self, account: AccountId) {
        if let Some(outgoing) = self.accounts.get_mut(&account) {
            outgoing.spend();
        }
    }

    /// A block was taken away: what led to it is forgotten, and more is allowed for a day.
    pub(crate) fn forgive(&mut self, account: AccountId, now: Time) {
        if let Some(outgoing) = self.accounts.get_mut(&account) {
            outgoing.releases = (outgoing.patience(now) + 1).min(PATIENCE_MAX);
            outgoing.released = now;
            outgoing.spend();
        }
    }

    /// Takes in a stored habit, before or after what was sent lately.
    pub(crate) fn restore(&mut self, account: AccountId, stored: Habit) {
        self.since = Some(self.since.map_or(stored.first, |since| since.min(stored.first)));
        if self.accounts.len() >= self.accounts_max {
            self.tidy(stored.last);
        }
        let outgoing = self.accounts.entry(account).or_insert_with(|| Outgoing::new(stored.last));
        outgoing.habit.merge(stored);
    }

    /// The habits that are not as they were when this was last asked, in order of name.
    pub(crate) fn take_changed(&mut self) -> Vec<(String, Habit)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.filter_map(|(name, account)| Some((name.into(), self.accounts.get(&account)?.habit))).collect()
    }

    /// Forgets windows that are over and who sent nothing for very long; of what is too much, the idle half.
    pub(crate) fn tidy(&mut self, now: Time) {
        for outgoing in self.accounts.values_mut() {
            if now.since(outgoing.habit.last) > 2 * DAY {
                outgoing.spend();
            }
        }
        if self.accounts.len() >= self.accounts_max {
            self.accounts.retain(|_, outgoing| now.since(outgoing.habit.last) <= FORGET);
        }
        if self.accounts.len() >= self.accounts_max {
            let median = self.median_last();
            self.accounts.retain(|_, outgoing| outgoing.habit.last > median);
        }
        let accounts = &self.accounts;
        self.changed.retain(|_, account| accounts.contains_key(account));
        self.heap_bytes = self.accounts.values().map(Outgoing::heap_bytes).sum();
        if self.heap_bytes > self.heap_bytes_max() {
            let median = self.median_last();
            let idle = self.accounts.values_mut().filter(|outgoing| outgoing.habit.last <= median);
            idle.for_each(|outgoing| {
                outgoing.spend();
                outgoing.past = None;
            });
            self.heap_bytes = self.accounts.values().map(Outgoing::heap_bytes).sum();
        }
    }

    /// When the account in the middle has sent last.
    fn median_last(&self) -> Time {
        let mut times: Vec<Time> = self.accounts.values().map(|outgoing| outgoing.habit.last).collect();
        let middle = times.len() / 2;
        if times.is_empty() { Time::MIN } else { *times.select_nth_unstable(middle).1 }
    }

    fn heap_bytes_max(&self) -> usize {
        self.accounts_max.saturating_mul(BYTES_PER_ACCOUNT) / 8
    }

    pub(crate) fn bytes(&self) -> usize {
        table_bytes::<(AccountId, Outgoing)>(self.accounts.len()) + self.heap_bytes
    }
}

/// Whether an event tells of what accounts send.
pub(crate) fn concerns(kind: EventKind) -> bool {
    kind == EventKind::MessageSent || is_bounce(kind)
}

/// Whether an event tells that an account's mail found nobody.
pub(crate) fn is_bounce(kind: EventKind) -> bool {
    matches!(kind, EventKind::MessageBounced | EventKind::RecipientUnknown | EventKind::RecipientRejected)
}

//! A desk and a vault in memory, for tests of the pages.

mod acts;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairban_types::{
    Action, Code, Decision, Diagnosis, Effect, Event, EventKind, Evidence, Origin, Service, Subject, Time, single,
};
use tokio::sync::mpsc;

use acts::{carry_out, note};

use super::desk::{Desk, Outcome, Setting};
use super::view::{
    AccountRow, AccountView, AuditRow, AuditState, BlockQuery, BlockRow, Bucket, Checked, DeviceRow, Ended, EventQuery,
    EventRow, FamiliarRow, FeedRow, FleetView, From, Health, Kind, Level, Listing, NeverRow, News, Overview, Part,
    Receipt, RuleChange, Rules, State, StoryLine, Tally, ValueRow, WhatIf, WhatIfRow,
};
use crate::Clock;
use crate::access::{Act, Answer, Change, DeskError, Sight, Vault};

#[derive(Default)]
struct Inside {
    blocks: Vec<(Decision, Option<Ended>)>,
    never: Vec<NeverRow>,
    events: Vec<EventRow>,
    audit: Vec<AuditRow>,
    values: BTreeMap<String, String>,
    changes: Vec<RuleChange>,
    kept: BTreeMap<(String, String), String>,
    heard: Vec<Event<'static>>,
    followers: Vec<mpsc::Sender<News>>,
    made: u64,
    fleet: Option<FleetView>,
    is_down: bool,
}

/// The twin.
pub struct MemoryDesk {
    clock: Clock,
    inside: Mutex<Inside>,
}

/// A block by rule, without evidence.
pub(crate) fn decision(number: u64, subject: &str, now: Time) -> Decision {
    Decision {
        code: Code::new(number * 0x1234_5678 + 7),
        time: now,
        action: Action::Block,
        subject: subject.parse().unwrap_or(Subject::Account(subject.to_owned())),
        origin: Origin::Rule("login".into()),
        reason: "login_failed 50: 250 points within 20m block the address".into(),
        score: 250,
        threshold: 250,
        until: Some(now.after(Duration::from_secs(1800))),
        effect: Effect::Drop,
        diagnosis: Diagnosis::PasswordGuessing,
        offence: 1,
        spares_familiar: false,
        in_kernel: true,
        holes: Vec::new(),
        events: Vec::new(),
    }
}

fn row(decision: &Decision, ended: Option<&Ended>) -> BlockRow {
    BlockRow {
        code: decision.code,
        action: decision.action,
        subject: decision.subject.clone(),
        rule: decision.origin.rule().to_owned(),
        by: decision.origin.by().map(str::to_owned),
        reason: decision.reason.clone(),
        since: decision.time,
        until: decision.until,
        score: decision.score,
        threshold: decision.threshold,
        diagnosis: decision.diagnosis,
        effect: decision.effect,
        offence: decision.offence,
        spares_familiar: decision.spares_familiar,
        in_kernel: decision.in_kernel,
        ended: ended.cloned(),
    }
}

fn is_of_kind(subject: &Subject, kind: Kind) -> bool {
    match (kind, subject) {
        (Kind::Any, Subject::Sending(_)) => false,
        (Kind::Any, _) | (Kind::Network, Subject::Network(_)) => true,
        (Kind::Account, Subject::Account(_) | Subject::Pair(..)) | (Kind::Sending, Subject::Sending(_)) => true,
        _ => false,
    }
}

impl MemoryDesk {
    /// An empty one.
    pub fn new(clock: Clock) -> Self {
        MemoryDesk { clock, inside: Mutex::default() }
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a block in force, with `failures` failed sign-ins to an account behind it; gives its reference.
    pub fn block(&self, subject: &str, account: &str, failures: u32) -> Code {
        let now = self.clock.now();
        let mut inside = self.inside();
        inside.made += 1;
        let mut decision = decision(inside.made, subject, now);
        let client: IpAddr = decision.subject.network().map_or([192, 0, 2, 99].into(), |net| net.addr());
        for number in 0..failures {
            let time = now.before(Duration::from_secs(60 * u64::from(failures - number)));
            let mut event = Event::new(EventKind::LoginFailed, time, client, Service::Imap).account(account.to_owned());
            event.program = Some("Mail 1.0".into());
            let seq = inside.events.len() as i64 + 1;
            inside.events.push(EventRow { seq, node: "mx1".into(), outcome: "counted".into(), event: event.clone() });
            decision.events.push(Evidence { points: 50, seen: 1, first: None, event });
        }
        let code = decision.code;
        inside.followers.retain(|follower| follower.try_send(News::Decision(Box::new(decision.clone()))).is_ok());
        inside.blocks.push((decision, None));
        code
    }

    /// Adds an event to the log.
    pub fn event(&self, event: Event<'static>) {
        let mut inside = self.inside();
        let seq = inside.events.len() as i64 + 1;
        inside.events.push(EventRow { seq, node: "mx1".into(), outcome: "noted".into(), event });
    }

    /// From now on it is in this fleet.
    pub fn set_fleet(&self, fleet: FleetView) {
        self.inside().fleet = Some(fleet);
    }

    /// From now on it cannot answer, or can again.
    pub fn set_down(&self, is_down: bool) {
        self.inside().is_down = is_down;
    }

    /// The events of sign-ins to the administration.
    pub fn heard(&self) -> Vec<Event<'static>> {
        self.inside().heard.clone()
    }

    /// Everything in force, by subject.
    pub fn standing(&self) -> Vec<String> {
        let inside = self.inside();
        inside.blocks.iter().filter(|(_, ended)| ended.is_none()).map(|(block, _)| block.subject.to_string()).collect()
    }

    /// Everything kept, for proofs of what is not.
    pub fn kept(&self) -> Vec<String> {
        self.inside().kept.values().cloned().collect()
    }

    fn now<T: Send + 'static>(&self, answer: impl FnOnce(&mut Inside) -> T) -> Answer<'_, T> {
        let mut inside = self.inside();
        let answer = if inside.is_down { Err(DeskError("it is down".into())) } else { Ok(answer(&mut inside)) };
        Box::pin(std::future::ready(answer))
    }
}

fn values(inside: &Inside) -> Vec<ValueRow> {
    [
        ("threshold", "the score at which the subject is blocked", "a number from 1 to 1000000", "250"),
        ("period", "how long points count: a window that slides", "a duration from 1s to 31d", "\"20m\""),
        ("enabled", "`false` turns the rule off", "`true` or `false`", "true"),
    ]
    .into_iter()
    .map(|(name, meaning, takes, default)| {
        let key = format!("rule.login.{name}");
        let here = inside.values.get(&key).cloned();
        ValueRow {
            section: "rule.login".into(),
            name: name.into(),
            meaning: meaning.into(),
            takes: takes.into(),
            from: if here.is_some() { From::Here } else { From::Profile },
            value: here.unwrap_or_else(|| default.into()),
            default: default.into(),
            key,
        }
    })
    .collect()
}

fn listed(inside: &Inside, query: &BlockQuery, sight: &Sight, now: Time) -> Listing<BlockRow> {
    let is_asked = |(block, ended): &&(Decision, Option<Ended>)| {
        let is_over = ended.is_some() || block.until.is_some_and(|until| until <= now);
        let in_state = match query.state {
            State::All => true,
            State::Standing => !is_over,
            State::Over => is_over,
        };
        let text = block.subject.to_string();
        in_state
            && is_of_kind(&block.subject, query.kind)
            && sight.decision(block)
            && query.manual.is_none_or(|manual| manual == block.origin.by().is_some())
            && query.rule.as_deref().is_none_or(|rule| rule == block.origin.rule())
            && query.text.as_deref().is_none_or(|part| text.contains(part))
            && query
                .net
                .is_none_or(|net| block.subject.network().is_some_and(|own| own.contains(&net) || net.contains(&own)))
    };
    let mut all: Vec<BlockRow> =
        inside.blocks.iter().filter(is_asked).map(|(block, ended)| row(block, ended.as_ref())).collect();
    all.reverse();
    let total = (!query.is_uncounted).then_some(all.len() as u64);
    let from: usize = query.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let rows: Vec<BlockRow> = all.iter().skip(from).take(query.limit).cloned().collect();
    let next = (from + rows.len() < all.len()).then(|| (from + rows.len()).to_string());
    Listing { rows, next, total }
}

fn attacked(inside: &Inside, sight: &Sight) -> Vec<AccountRow> {
    let mut rows: BTreeMap<String, AccountRow> = BTreeMap::new();
    for row in inside.events.iter().filter(|row| row.event.kind.is_login_failure() && sight.event(&row.event)) {
        let account = row.event.account.as_deref().unwrap_or_default().to_lowercase();
        let blank = AccountRow { account: account.clone(), failures: 0, networks: 1, last: None, states: Vec::new() };
        let known = rows.entry(account).or_insert(blank);
        known.failures += 1;
        known.last = Some(row.event.time);
    }
    rows.into_values().collect()
}

impl Desk for MemoryDesk {
    fn health(&self) -> Answer<'_, Health> {
        let started = self.clock.now();
        self.now(move |_| Health {
            version: "0.1.0".into(),
            node: "mx1".into(),
            started,
            profile: "fairban".into(),
            parts: vec![Part { name: "store".into(), level: Level::Good, text: "in memory".into() }],
            problems: Vec::new(),
            warnings: Vec::new(),
            metrics: Vec::new(),
        })
    }

    fn overview<'a>(&'a self, span: Duration, sight: &'a Sight) -> Answer<'a, Overview> {
        let (now, sight) = (self.clock.now(), sight.clone());
        self.now(move |inside| {
            let bucket_secs = span.as_secs() / 48;
            let bucket = |number: u64| Bucket {
                time: now.before(Duration::from_secs(bucket_secs * (48 - number))),
                sign_ins: number,
                failures: 48 - number,
                stopped: number / 2,
                other: 3,
                blocks: number % 3,
                releases: number % 5 / 4,
            };
            let failures =
                inside.events.iter().filter(|row| sight.is_everything() && row.event.kind.is_login_failure());
            let mut offenders: BTreeMap<String, u64> = BTreeMap::new();
            failures.for_each(|row| *offenders.entry(row.event.client.to_string()).or_default() += 1);
            let query = BlockQuery { limit: 8, ..BlockQuery::default() };
            let newest = listed(inside, &query, &sight, now);
            Overview {
                now,
                buckets: (0..48).map(bucket).collect(),
                bucket_secs,
                by_rule: vec![Tally { name: "login".into(), count: newest.rows.len() as u64 }],
                by_service: vec![Tally { name: "imap".into(), count: inside.events.len() as u64 }],
                offenders: offenders.into_iter().map(|(name, count)| Tally { name, count }).collect(),
                attacked: attacked(inside, &sight),
                standing: newest.total.unwrap_or(0),
                manual: 0,
                guards: 0,
                send_blocks: 0,
                newest: newest.rows,
                one_address: None,
            }
        })
    }

    fn blocks<'a>(&'a self, query: &'a BlockQuery, sight: &'a Sight) -> Answer<'a, Listing<BlockRow>> {
        let (query, sight, now) = (query.clone(), sight.clone(), self.clock.now());
        self.now(move |inside| listed(inside, &query, &sight, now))
    }

    fn blocked(&self) -> Answer<'_, Arc<Vec<FeedRow>>> {
        let query = BlockQuery { kind: Kind::Network, limit: usize::MAX, ..BlockQuery::default() };
        Box::pin(async move {
            let sight = Sight::of_everything();
            let rows = self.blocks(&query, &sight).await?.rows.into_iter();
            let rows = rows.filter(|row| row.effect != fairban_types::Effect::Observe);
            let row = |row: BlockRow| {
                Some(FeedRow { net: row.subject.network()?, until: row.until, rule: row.rule.into(), code: row.code })
            };
            let mut rows: Vec<FeedRow> = rows.filter_map(row).collect();
            rows.sort_unstable_by_key(|row| row.net);
            Ok(Arc::new(rows))
        })
    }

    fn receipt(&self, code: Code) -> Answer<'_, Option<Receipt>> {
        self.now(move |inside| {
            let (block, ended) = inside.blocks.iter().rev().find(|(block, _)| block.code == code)?;
            let line = StoryLine {
                time: block.time,
                action: block.action,
                by: block.origin.by().unwrap_or(block.origin.rule()).to_owned(),
                until: block.until,
                reason: block.reason.clone(),
            };
            Some(Receipt {
                block: row(block, ended.as_ref()),
                nodes_missing: Vec::new(),
                nodes: vec!["mx1".into()],
                holes: block.holes.clone(),
                events: block.events.clone(),
                story: vec![line],
                offences_30_days: 1,
                never: Vec::new(),
                felt: "its connections to the mail ports are dropped".into(),
            })
        })
    }

    fn never(&self) -> Answer<'_, Vec<NeverRow>> {
        self.now(|inside| inside.never.clone())
    }

    fn accounts<'a>(&'a self, sight: &'a Sight) -> Answer<'a, Vec<AccountRow>> {
        let sight = sight.clone();
        self.now(move |inside| attacked(inside, &sight))
    }

    fn account<'a>(&'a self, account: &'a str) -> Answer<'a, AccountView> {
        let (account, now) = (account.to_owned(), self.clock.now());
        self.now(move |inside| {
            let is_its =
                |row: &&EventRow| row.event.account.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(&account));
            let device = |row: &EventRow| DeviceRow {
                name: row.event.program.as_deref().unwrap_or("unknown").to_owned(),
                services: vec![row.event.service],
                client: row.event.client,
                successes: 0,
                failures: 1,
                last: row.event.time,
            };
            AccountView {
                familiar: vec![FamiliarRow { net: single([192, 0, 2, 1].into()), first: now, last: now, successes: 3 }],
                devices: inside.events.iter().filter(is_its).take(3).map(device).collect(),
                blocks: Vec::new(),
                events: inside.events.iter().rev().filter(is_its).cloned().collect(),
                usually_sends: None,
                account,
            }
        })
    }

    fn events<'a>(&'a self, query: &'a EventQuery, sight: &'a Sight) -> Answer<'a, Listing<EventRow>> {
        let (query, sight) = (query.clone(), sight.clone());
        self.now(move |inside| {
            let is_asked = |row: &&EventRow| {
                let account = row.event.account.as_deref().unwrap_or_default();
                query.before.is_none_or(|before| row.seq < before)
                    && query.kind.is_none_or(|kind| kind == row.event.kind)
                    && query.client.is_none_or(|net| net.contains(&row.event.client))
                    && query.account.as_deref().is_none_or(|name| name.eq_ignore_ascii_case(account))
                    && sight.event(&row.event)
            };
            let rows: Vec<EventRow> = inside.events.iter().rev().filter(is_asked).take(query.limit).cloned().collect();
            let next = (rows.len() == query.limit).then(|| rows.last().map(|row| row.seq.to_string())).flatten();
            Listing { rows, next, total: None }
        })
    }

    fn rules(&self) -> Answer<'_, Rules> {
        self.now(|inside| Rules { profile: "fairban".into(), values: values(inside) })
    }

    fn what_if<'a>(&'a self, settings: &'a [Setting], days: u32) -> Answer<'a, WhatIf> {
        let is_wrong = settings.iter().any(|one| one.value.as_ref().is_some_and(|value| value.contains("nonsense")));
        self.now(move |inside| {
            if is_wrong {
                return WhatIf { problems: vec!["takes a number".into()], ..WhatIf::default() };
            }
            let newly = inside.events.first().map(|row| WhatIfRow {
                subject: Subject::address(row.event.client),
                times: 1,
                secs: Some(1800),
                diagnosis: Diagnosis::PasswordGuessing,
                rule: "login".into(),
                accounts: row.event.account.iter().map(ToString::to_string).collect(),
            });
            WhatIf { days, events: inside.events.len() as u64, newly: newly.into_iter().collect(), ..WhatIf::default() }
        })
    }

    fn changes(&self, before: Option<i64>, limit: usize) -> Answer<'_, Vec<RuleChange>> {
        self.now(move |inside| {
            let older = inside.changes.iter().filter(|change| before.is_none_or(|before| change.seq < before));
            older.take(limit).cloned().collect()
        })
    }

    fn audit(&self, before: Option<i64>, limit: usize) -> Answer<'_, Vec<AuditRow>> {
        self.now(move |inside| {
            let older = inside.audit.iter().rev().filter(|row| before.is_none_or(|before| row.seq < before));
            older.take(limit).cloned().collect()
        })
    }

    fn fleet(&self) -> Answer<'_, Option<FleetView>> {
        self.now(|inside| inside.fleet.clone())
    }

    fn audit_state(&self) -> Answer<'_, AuditState> {
        self.now(|inside| AuditState { entries: inside.audit.len() as i64, head: "0".repeat(64), broken_at: None })
    }

    fn check(&self, client: IpAddr, _: Option<&str>) -> Checked {
        let inside = self.inside();
        let held = inside
            .blocks
            .iter()
            .find(|(block, ended)| ended.is_none() && block.subject.network().is_some_and(|net| net.contains(&client)));
        match held {
            None => Checked { allowed: true, code: None, until: None, effect: None, diagnosis: None },
            Some((block, _)) => Checked {
                allowed: false,
                code: Some(block.code),
                until: block.until,
                effect: Some(block.effect),
                diagnosis: Some(block.diagnosis),
            },
        }
    }

    fn follow(&self) -> mpsc::Receiver<News> {
        let (follower, news) = mpsc::channel(64);
        self.inside().followers.push(follower);
        news
    }

    fn act<'a>(&'a self, act: &'a Act) -> Answer<'a, Outcome> {
        let (act, now) = (act.clone(), self.clock.now());
        self.now(move |inside| carry_out(inside, &act, now))
    }

    fn hear(&self, event: Event<'static>) {
        self.inside().heard.push(event);
    }
}

impl Vault for MemoryDesk {
    fn get<'a>(&'a self, space: &'a str, key: &'a str) -> Answer<'a, Option<String>> {
        let place = (space.to_owned(), key.to_owned());
        self.now(move |inside| inside.kept.get(&place).cloned())
    }

    fn all<'a>(&'a self, space: &'a str) -> Answer<'a, Vec<(String, String)>> {
        let space = space.to_owned();
        self.now(move |inside| {
            let of_space = inside.kept.iter().filter(|((kind, _), _)| *kind == space);
            of_space.map(|((_, key), text)| (key.clone(), text.clone())).collect()
        })
    }

    fn change<'a>(&'a self, change: &'a Change) -> Answer<'a, bool> {
        let (change, now) = (change.clone(), self.clock.now());
        self.now(move |inside| {
            let place = |entry: &crate::access::Entry| (entry.space.clone(), entry.key.clone());
            if change.entries.iter().any(|entry| inside.kept.get(&place(entry)) != entry.before.as_ref()) {
                return false;
            }
            for entry in &change.entries {
                match &entry.after {
                    Some(text) => inside.kept.insert(place(entry), text.clone()),
                    None => inside.kept.remove(&place(entry)),
                };
            }
            if let Some((act, subject, detail)) = &change.audit {
                note(inside, now, &change.by, act, subject, detail);
            }
            true
        })
    }
}

//! The one thread that decides: lines and wishes come in; events, decisions and cursors are committed together.

use std::collections::HashMap;
use std::sync::Arc;

use fairban_config::Config;
use fairban_engine::{Engine, Outcome};
use fairban_parse::{Context, Formats, Parser};
use fairban_sources::Batch as Lines;
use fairban_store::{AuditEntry, Batch, Familiar, Habit, Happening, Offence, Store, StoreError, StoredEvent};
use fairban_types::{Action, Decision, Event, EventKind, Origin, Subject, Time, network_of};
use tokio::sync::broadcast;

use crate::control::{Counts, Seen};
use crate::daemon::judge::SharedEngine;
use crate::daemon::kernel::{Kernel, Order};

/// So many happenings may wait for a disk that is full; then the oldest events (never decisions) are given up.
const WAITING_MAX: usize = 200_000;
/// A familiar network is stored again when its last sign-in is so much younger than what is stored.
const FAMILIAR_STALE_SECS: u64 = 3600;

/// What is told to whoever follows, once it is durable.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Event(Arc<Seen>),
    Decision(Arc<Decision>),
}

/// A source's parser with what it has read.
struct Reading {
    parser: Parser,
    events: u64,
}

/// Everything that decides.
pub(crate) struct Core {
    pub(crate) engine: SharedEngine,
    pub(crate) store: Store,
    pub(crate) kernel: Kernel,
    pub(crate) node: Arc<str>,
    pub(crate) config: Config,
    pub(crate) counts: Counts,
    pub(crate) feed: broadcast::Sender<Told>,
    /// What the store lacks, when committing failed.
    pub(crate) store_error: Option<String>,
    formats: Arc<Formats>,
    zone: jiff::tz::TimeZone,
    readings: HashMap<Arc<str>, Reading>,
    pub(crate) waiting: Batch,
    /// This node's part in a fleet, if there is one.
    pub(crate) member: Option<super::fleet::Member>,
    /// What was told the fleet by the wish that is carried out now.
    pub(crate) ticket: Option<fairban_fleet::Ticket>,
    /// What is decided now was decided on another node.
    pub(crate) is_foreign: bool,
    decisions: Vec<Decision>,
}

/// The present moment.
pub(crate) fn now() -> Time {
    Time::from(std::time::SystemTime::now())
}

impl Core {
    pub(crate) fn new(
        engine: SharedEngine,
        store: Store,
        kernel: Kernel,
        config: Config,
        node: Arc<str>,
    ) -> anyhow::Result<Self> {
        let formats = Arc::new(Formats::compile(&config.formats)?);
        Ok(Core {
            engine,
            store,
            kernel,
            node,
            config,
            counts: Counts::default(),
            feed: broadcast::channel(4096).0,
            store_error: None,
            formats,
            zone: crate::zone::of_machine(),
            readings: HashMap::new(),
            waiting: Batch::default(),
            member: None,
            ticket: None,
            is_foreign: false,
            decisions: Vec::new(),
        })
    }

    /// How many events came from a source.
    pub(crate) fn events_of(&self, source: &str) -> u64 {
        self.readings.get(source).map_or(0, |reading| reading.events)
    }

    /// Reads a batch of lines and notes how far the source was read.
    pub(crate) fn read(&mut self, lines: &Lines) {
        let context = Context { reference: lines.reference, year: None, zone: self.zone.clone() };
        let formats = &self.formats;
        let mut reading = self
            .readings
            .remove(&lines.source)
            .unwrap_or_else(|| Reading { parser: Parser::new().with_formats(formats.clone()), events: 0 });
        for line in lines {
            self.counts.lines += 1;
            match reading.parser.parse(line, &context) {
                fairban_parse::Outcome::Event(event) => {
                    reading.events += 1;
                    self.step(&event);
                }
                fairban_parse::Outcome::Nothing => {}
                fairban_parse::Outcome::Defect(_) => self.counts.defects += 1,
            }
        }
        self.readings.insert(lines.source.clone(), reading);
        self.note_habits();
        if let Some(cursor) = lines.cursor.as_ref().and_then(|cursor| serde_json::to_string(cursor).ok()) {
            // Only the latest place of each source matters.
            self.waiting.cursors.retain(|(source, _)| **source != *lines.source);
            self.waiting.cursors.push((lines.source.to_string(), cursor));
        }
    }

    /// Takes an event, told by a line or by a mail server itself.
    pub(crate) fn step(&mut self, event: &Event<'_>) {
        let (known, outcome) = {
            let mut engine = self.engine.change();
            let known = familiarity_before(&engine, event);
            (known, engine.step(now(), event, &mut self.decisions))
        };
        self.count(event, outcome);
        if outcome == Outcome::Counted && super::fleet::is_shared(event) {
            self.tell_failure(event);
        }
        if let Some(outcome) = stored(outcome) {
            let event = event.clone().into_owned();
            if event.kind == EventKind::LoginSucceeded && outcome == fairban_store::Outcome::Noted {
                self.note_familiar(&event, known);
            }
            self.waiting.event(StoredEvent { node: self.node.clone(), outcome, event });
        }
        self.take_decisions();
    }

    /// What accounts usually send, where that has changed.
    pub(crate) fn note_habits(&mut self) {
        let changed = self.engine.change().take_changed_habits();
        self.waiting.habits.extend(changed.into_iter().map(|(account, habit)| Habit {
            account,
            habit: habit.to_string(),
            last: habit.last,
        }));
    }

    fn count(&mut self, event: &Event<'_>, outcome: Outcome) {
        let counts = &mut self.counts;
        counts.events += u64::from(outcome != Outcome::Duplicate);
        counts.sign_ins += u64::from(event.kind == EventKind::LoginSucceeded);
        match outcome {
            Outcome::Counted => counts.counted += 1,
            Outcome::Repeated => counts.repeated += 1,
            Outcome::Spared => counts.spared += 1,
            Outcome::Stopped(_) => counts.stopped += 1,
            Outcome::Duplicate => counts.duplicates += 1,
            Outcome::Noted | Outcome::Exempt | Outcome::Late => {}
        }
    }

    /// Stores a familiar network when it is new or its stored age has become misleading.
    fn note_familiar(&mut self, event: &Event<'_>, before: Option<Time>) {
        let Some(account) = event.account.as_deref() else { return };
        let engine = self.engine.look();
        let Some(known) = engine.familiarity(account, event.client) else { return };
        if before.is_some_and(|before| known.last.since(before).as_secs() < FAMILIAR_STALE_SECS) {
            return;
        }
        let policy = engine.policy().familiar;
        drop(engine);
        self.tell_familiar(account, event.client, known.last);
        self.waiting.familiar.push(Familiar {
            account: account.trim().to_lowercase(),
            net: network_of(event.client, policy.ipv4_prefix, policy.ipv6_prefix),
            first: known.first,
            last: known.last,
            successes: known.successes,
        });
    }

    /// Hands what the engine decided to the kernel at once, and to the store with the next commit.
    pub(crate) fn take_decisions(&mut self) {
        if self.decisions.is_empty() {
            return;
        }
        let decisions = std::mem::take(&mut self.decisions);
        for decision in &decisions {
            match decision.action {
                Action::Block => {
                    self.counts.blocks += 1;
                    warn_of_sending(decision);
                }
                Action::Guard => self.counts.guards += 1,
                Action::Release => self.counts.releases += 1,
                Action::Expire => {}
            }
            if decision.offence > 0 && decision.action != Action::Expire {
                let offence = self.engine.look().offence(&decision.subject);
                let (count, last) = offence.map_or((0, decision.time), |offence| (offence.count, offence.last));
                self.waiting.offences.push(Offence { subject: decision.subject.clone(), count, last });
            }
            self.waiting.decision(decision.clone());
        }
        if let Some(member) = self.member.as_ref().filter(|_| !self.is_foreign) {
            decisions.iter().for_each(|decision| member.tell(decision));
        }
        self.kernel.tell(Order::Decisions(decisions));
    }

    /// Moves time on.
    pub(crate) fn advance(&mut self) {
        self.engine.change().advance(now(), &mut self.decisions);
        self.take_decisions();
    }

    /// Runs a change of the engine and takes what it decided.
    pub(crate) fn change<T>(&mut self, act: impl FnOnce(&mut Engine, Time, &mut Vec<Decision>) -> T) -> T {
        let done = act(&mut self.engine.change(), now(), &mut self.decisions);
        self.take_decisions();
        done
    }

    /// Remembers who did what.
    pub(crate) fn audit(&mut self, actor: &str, act: &str, subject: &str, detail: &str) {
        let entry = AuditEntry {
            time: now(),
            actor: actor.to_owned(),
            act: act.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
        };
        self.waiting.audit.push(entry);
    }

    /// Commits what waits, and then tells it to whoever follows. What cannot be committed goes on waiting.
    pub(crate) fn commit(&mut self) -> bool {
        if self.waiting.is_empty() {
            return true;
        }
        match self.store.commit(&self.waiting) {
            Ok(info) => {
                if self.store_error.take().is_some() {
                    tracing::info!("the database takes events again; nothing was lost meanwhile");
                }
                self.publish(info.seq);
                self.waiting.clear();
                true
            }
            Err(error) => {
                self.hold_back(&error);
                false
            }
        }
    }

    fn hold_back(&mut self, error: &StoreError) {
        if self.store_error.is_none() {
            tracing::error!(%error, "nothing can be stored: blocks go on, and wait in memory to be stored");
        }
        self.store_error = Some(error.to_string());
        let surplus = self.waiting.happenings.len().saturating_sub(WAITING_MAX);
        if surplus > 0 {
            let mut to_drop = surplus;
            self.waiting.happenings.retain(|happening| {
                let drops = to_drop > 0 && matches!(happening, Happening::Event(_));
                to_drop -= usize::from(drops);
                !drops
            });
        }
    }

    fn publish(&self, last_seq: i64) {
        if self.feed.receiver_count() == 0 {
            return;
        }
        let is_event = |happening: &&Happening| matches!(happening, Happening::Event(_));
        let count = self.waiting.happenings.iter().filter(is_event).count();
        let mut seq = last_seq - count as i64;
        for happening in &self.waiting.happenings {
            let told = match happening {
                Happening::Event(stored) => {
                    seq += 1;
                    Told::Event(Arc::new(seen(Some(seq), stored)))
                }
                Happening::Decision(decision) => Told::Decision(Arc::new(decision.clone())),
            };
            let _ = self.feed.send(told);
        }
    }

    /// Puts another configuration in force. State stays; what needs a restart is said.
    pub(crate) fn reconfigure(&mut self, config: Config) -> anyhow::Result<Vec<&'static str>> {
        let formats = Arc::new(Formats::compile(&config.formats)?);
        let mut policy = config.policy.clone();
        policy.never.extend(self.store.never(now())?.into_iter().map(|entry| entry.net));
        policy.never.extend(super::restore::own_networks());
        policy.mail_servers_ask &= !config.asks_once_asked || self.engine.look().policy().mail_servers_ask;
        let before = self.engine.look().never();
        self.change(|engine, now, out| engine.reconfigure(now, policy, out));
        let after = self.engine.look().never();
        for net in before.iter().filter(|net| !after.contains(net)) {
            self.kernel.tell(Order::Never { net: *net, add: false });
        }
        for net in after.iter().filter(|net| !before.contains(net)) {
            self.kernel.tell(Order::Never { net: *net, add: true });
        }
        if config.formats != self.config.formats {
            for reading in self.readings.values_mut() {
                reading.parser = Parser::new().with_formats(formats.clone());
            }
            self.formats = formats;
        }
        let mut needs_restart = Vec::new();
        if config.enforce != self.config.enforce {
            needs_restart.push("[enforce]");
        }
        if config.store.path != self.config.store.path {
            needs_restart.push("[store] path");
        }
        if config.control != self.config.control {
            needs_restart.push("[control]");
        }
        if config.node != self.config.node {
            needs_restart.push("[node]");
        }
        if config.dovecot != self.config.dovecot {
            needs_restart.push("[dovecot]");
        }
        if config.postfix != self.config.postfix {
            needs_restart.push("[postfix]");
        }
        if config.explain != self.config.explain {
            needs_restart.push("[explain]");
        }
        if config.portal != self.config.portal {
            needs_restart.push("[portal]");
        }
        if config.web != self.config.web {
            needs_restart.push("[web]");
        }
        if config.notices != self.config.notices {
            needs_restart.push("[notices]");
        }
        if config.notify != self.config.notify {
            needs_restart.push("[[notify]]");
        }
        if config.fleet != self.config.fleet {
            needs_restart.push("[fleet]");
        }
        self.config = config;
        Ok(needs_restart)
    }
}

/// An account that is stopped from sending is most probably stolen: the administrator should know at once.
fn warn_of_sending(decision: &Decision) {
    if let (Subject::Sending(sending), Origin::Rule(_)) = (&decision.subject, &decision.origin) {
        let (sender, code) = (crate::show::safe_line(&sending.sender.to_string()), decision.code);
        tracing::warn!(%sender, %code, reason = decision.reason, "sending is blocked; `fairban why {code}` tells more");
    }
}

/// When the account was last seen at the client's network, if the event is its sign-in there.
fn familiarity_before(engine: &Engine, event: &Event<'_>) -> Option<Time> {
    let account = event.account.as_deref().filter(|_| event.kind == EventKind::LoginSucceeded)?;
    engine.familiarity(account, event.client).map(|known| known.last)
}

/// An event as it is told.
pub(crate) fn seen(seq: Option<i64>, stored: &StoredEvent) -> Seen {
    Seen {
        seq,
        node: stored.node.to_string(),
        outcome: stored.outcome.as_str().to_owned(),
        event: stored.event.clone(),
    }
}

/// What the event log says of an outcome; `None`: the event is in it already.
fn stored(outcome: Outcome) -> Option<fairban_store::Outcome> {
    match outcome {
        Outcome::Counted => Some(fairban_store::Outcome::Counted),
        Outcome::Repeated => Some(fairban_store::Outcome::Repeated),
        Outcome::Spared | Outcome::Exempt => Some(fairban_store::Outcome::Spared),
        Outcome::Stopped(_) => Some(fairban_store::Outcome::Stopped),
        Outcome::Noted | Outcome::Late => Some(fairban_store::Outcome::Noted),
        Outcome::Duplicate => None,
    }
}

/// The address that a subject's scores are asked for by.
pub(crate) fn scored_address(subject: &Subject) -> Option<std::net::IpAddr> {
    subject.network().map(|net| net.addr())
}

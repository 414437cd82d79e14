//! What the administrator's pages and the API ask of the daemon, and have it do.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fairban_config::{Config, ValueSource};
use fairban_protocols::Judge as _;
use fairban_store::{Reader, StoreError};
use fairban_types::{Code, Decision, Event, Service, SignIn, Subject, Verdict, single};
use fairban_web::access::{Act, Answer, Change, DeskError, Sight, Vault};
use fairban_web::admin::desk::{Outcome, Setting, What};
use fairban_web::admin::{Desk, view};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::fed::Fed;
use super::judge::{Answers, SharedEngine};
use super::keep::{self, SetDetail};
use super::kernel::Kernel;
use super::lookup::{
    Chain, Found, account, accounts, blocks, counts, events, felt, never_row, newest, receipt, row, with_states,
};
use super::tally::Tally;
use super::{Told, now, vitals, what_if};
use crate::control::server::Shared;
use crate::control::{Reply, Request, Seen, Status, is_standing};

/// The pages' way into the daemon.
pub(crate) struct Office {
    pub(crate) shared: Shared,
    pub(crate) engine: SharedEngine,
    pub(crate) kernel: Kernel,
    pub(crate) answers: Answers,
    pub(crate) node: Arc<str>,
    pub(crate) observes: bool,
    pub(crate) tally: Tally,
    pub(crate) chain: Chain,
    pub(crate) fed: Fed,
}

fn failed(error: impl std::fmt::Display) -> DeskError {
    DeskError(error.to_string())
}

impl Office {
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, DeskError> {
        self.shared.read(read).await.map_err(|error| failed(format!("{error:#}")))
    }

    async fn never_rows(&self) -> Result<Vec<view::NeverRow>, DeskError> {
        match self.shared.wish(Request::NeverList, "web").await {
            Reply::NeverList(list) => Ok(list.into_iter().map(never_row).collect()),
            other => Err(failed(format!("{other:?}"))),
        }
    }

    async fn config(&self) -> Result<Config, DeskError> {
        match self.shared.wish(Request::Config, "web").await {
            Reply::Config(config) => Ok(*config),
            other => Err(failed(format!("{other:?}"))),
        }
    }

    fn enforces(&self) -> bool {
        let kernel = self.kernel.state();
        !self.observes && !kernel.is_observing() && kernel.error.is_none()
    }

    fn asks(&self) -> bool {
        !self.observes && self.engine.look().policy().mail_servers_ask
    }

    async fn status(&self) -> Result<Box<Status>, DeskError> {
        match self.shared.wish(Request::Status, "web").await {
            Reply::Status(status) => Ok(status),
            other => Err(failed(format!("{other:?}"))),
        }
    }

    /// The nodes that have a decision, and those of the fleet that it has not reached.
    async fn nodes_with(&self, decision: &Decision) -> Result<(Vec<String>, Vec<String>), DeskError> {
        let here = (vec![self.node.to_string()], Vec::new());
        let Some(fleet) = self.status().await?.fleet else { return Ok(here) };
        let stays_here = self.config().await?.fleet.local_rules.iter().any(|rule| rule == decision.origin.rule());
        Ok(if stays_here { here } else { vitals::nodes_with(&fleet, decision.time) })
    }

    async fn receipt_of(&self, code: Code) -> Result<Option<view::Receipt>, DeskError> {
        let Some(found) = self.read(move |reader| receipt(reader, code)).await? else { return Ok(None) };
        let Found { block, decision, story, offences } = found;
        let mut never = Vec::new();
        if let Subject::Network(net) | Subject::Pair(_, net) = &decision.subject {
            never = self.never_rows().await?;
            never.retain(|row| row.net.contains(net));
        }
        let (nodes, nodes_missing) = self.nodes_with(&decision).await?;
        let line = |told: Decision| view::StoryLine {
            time: told.time,
            action: told.action,
            by: told.origin.by().unwrap_or(told.origin.rule()).to_owned(),
            until: told.until,
            reason: told.reason,
        };
        let mut shown = row(&block);
        (shown.diagnosis, shown.reason) = (decision.diagnosis, decision.reason.clone());
        (shown.score, shown.threshold) = (decision.score, decision.threshold);
        Ok(Some(view::Receipt {
            felt: if is_standing(&block) {
                felt(&decision, self.enforces(), self.asks())
            } else {
                "no longer".to_owned()
            },
            block: shown,
            nodes,
            nodes_missing,
            holes: decision.holes.clone(),
            events: decision.events,
            story: story.into_iter().map(line).collect(),
            offences_30_days: offences,
            never,
        }))
    }

    async fn overview_of(&self, span: Duration, sight: &Sight) -> Result<view::Overview, DeskError> {
        let lately = self.tally.lately(span, sight);
        let (attacked, own) = (self.tally.attacked(sight, 10), sight.clone());
        let (counts, newest, attacked) = self
            .read(move |reader| {
                let counts = counts(reader, &own)?;
                Ok((counts, newest(reader, &own)?, with_states(reader, attacked)?))
            })
            .await?;
        Ok(view::Overview {
            now: now(),
            buckets: lately.buckets,
            bucket_secs: lately.bucket_secs,
            by_rule: lately.by_rule,
            by_service: lately.by_service,
            offenders: lately.offenders,
            attacked,
            standing: counts.networks,
            manual: counts.networks_by_hand,
            guards: counts.accounts,
            send_blocks: counts.sending,
            newest,
            one_address: lately.one_address,
        })
    }

    async fn what_if_of(&self, settings: &[Setting], days: u32) -> Result<view::WhatIf, DeskError> {
        let config = self.config().await?;
        let mut set = self.read(keep::set_values).await?;
        for setting in settings {
            match &setting.value {
                Some(value) => set.insert(setting.key.clone(), value.clone()),
                None => set.remove(&setting.key),
            };
        }
        let changed = match config.with_values(&set) {
            Ok(changed) => changed.policy,
            Err(problems) => {
                let problems = problems.list.iter().map(|problem| format!("{}: {}", problem.key, problem.message));
                let problems = problems.map(|text| text.trim_start_matches(": ").to_owned()).collect();
                return Ok(view::WhatIf { problems, ..view::WhatIf::default() });
            }
        };
        let present = self.engine.look().policy().clone();
        let mut other = changed;
        (other.never, other.mail_servers_ask) = (present.never.clone(), present.mail_servers_ask);
        // On a reader of its own: others are not to wait for it.
        let reader = self.read(Reader::reader).await?;
        let replay = tokio::task::spawn_blocking(move || what_if::replay(&reader, present, other, days));
        replay.await.map_err(failed)?.map_err(failed)
    }

    async fn changes_of(&self, before: Option<i64>, limit: usize) -> Result<Vec<view::RuleChange>, DeskError> {
        let found = self.read(move |reader| reader.audit_of(keep::SET, limit, before)).await?;
        let change = |audit: fairban_store::Audit| {
            let detail: SetDetail = serde_json::from_str(&audit.entry.detail).ok()?;
            let (time, by) = (audit.entry.time, audit.entry.actor);
            Some(view::RuleChange { seq: audit.seq, time, by, reason: detail.reason, changed: detail.changed })
        };
        Ok(found.into_iter().filter_map(change).collect())
    }

    async fn carry_out(&self, act: &Act) -> Result<Outcome, DeskError> {
        let secs = |time: Option<Duration>| time.map(|time| time.as_secs().max(1));
        let request = match act.what().clone() {
            What::Block { subject, time, reason } => Request::Block { subject, seconds: secs(time), reason },
            What::Release { subject, reason } => Request::Release { subject, reason },
            What::NeverAdd { net, reason, time } => Request::NeverAdd { net, reason, seconds: secs(time) },
            What::NeverRemove { net } => Request::NeverRemove { net },
            What::SendBlock { sending, reason, time } => Request::SendBlockAdd { sending, reason, seconds: secs(time) },
            What::Set { settings, reason } => {
                let settings = settings.into_iter().map(|setting| (setting.key, setting.value)).collect();
                Request::Set { settings, reason }
            }
            What::AcceptNode { node } => Request::FleetAccept { node },
            What::SessionBegins { client, time } => {
                // This machine's own addresses are on the list already, and so may others be by somebody's decision.
                if self.engine.look().never().iter().any(|net| net.contains(&client)) {
                    return Ok(Outcome::Done(String::new()));
                }
                let reason = SIGNED_IN.to_owned();
                Request::NeverAdd { net: single(client), reason, seconds: secs(Some(time)) }
            }
            What::SessionEnds { client } => {
                let own = self.never_rows().await?;
                if !own.iter().any(|row| row.net == single(client) && row.reason == SIGNED_IN) {
                    return Ok(Outcome::Done(String::new()));
                }
                Request::NeverRemove { net: single(client) }
            }
        };
        match self.shared.wish(request, act.by()).await {
            Reply::Done(text) => Ok(Outcome::Done(text)),
            Reply::No(text) | Reply::Wrong(text) => Ok(Outcome::No(text)),
            Reply::NotInForce => Ok(Outcome::No("it is no longer in force".to_owned())),
            other => Err(failed(format!("the daemon answered another question: {other:?}"))),
        }
    }
}

/// Why the address of an administrator is on the never-block list.
const SIGNED_IN: &str = "an administrator is signed in from here";

impl Desk for Office {
    fn health(&self) -> Answer<'_, view::Health> {
        Box::pin(async move { Ok(vitals::health(&*self.status().await?)) })
    }

    fn fleet(&self) -> Answer<'_, Option<view::FleetView>> {
        Box::pin(async move { Ok(self.status().await?.fleet.map(vitals::fleet)) })
    }

    fn overview<'a>(&'a self, span: Duration, sight: &'a Sight) -> Answer<'a, view::Overview> {
        Box::pin(self.overview_of(span, sight))
    }

    fn blocks<'a>(
        &'a self,
        query: &'a view::BlockQuery,
        sight: &'a Sight,
    ) -> Answer<'a, view::Listing<view::BlockRow>> {
        let (query, sight) = (query.clone(), sight.clone());
        Box::pin(self.read(move |reader| blocks(reader, &query, &sight)))
    }

    fn blocked(&self) -> Answer<'_, Arc<Vec<view::FeedRow>>> {
        let fed = self.fed.clone();
        Box::pin(self.read(move |reader| fed.rows(reader)))
    }

    fn receipt(&self, code: Code) -> Answer<'_, Option<view::Receipt>> {
        Box::pin(self.receipt_of(code))
    }

    fn never(&self) -> Answer<'_, Vec<view::NeverRow>> {
        Box::pin(self.never_rows())
    }

    fn accounts<'a>(&'a self, sight: &'a Sight) -> Answer<'a, Vec<view::AccountRow>> {
        let (attacked, sight) = (self.tally.attacked(sight, 100), sight.clone());
        Box::pin(self.read(move |reader| accounts(reader, attacked, &sight)))
    }

    fn account<'a>(&'a self, name: &'a str) -> Answer<'a, view::AccountView> {
        let (own, asked) = (name.to_owned(), name.to_owned());
        Box::pin(async move {
            let mut view = self.read(move |reader| account(reader, &own)).await?;
            view.usually_sends =
                self.engine.look().sending_habit(&asked).map(|habit| format!("Usually sends: {habit}"));
            Ok(view)
        })
    }

    fn events<'a>(
        &'a self,
        query: &'a view::EventQuery,
        sight: &'a Sight,
    ) -> Answer<'a, view::Listing<view::EventRow>> {
        let (query, sight) = (query.clone(), sight.clone());
        Box::pin(self.read(move |reader| events(reader, &query, &sight)))
    }

    fn rules(&self) -> Answer<'_, view::Rules> {
        Box::pin(async move {
            let (config, set) = (self.config().await?, self.read(keep::set_values).await?);
            let value = |value: fairban_config::ConfigValue| view::ValueRow {
                key: value.key,
                section: value.section,
                name: value.name.to_owned(),
                meaning: value.meaning.to_owned(),
                takes: value.takes,
                value: value.value,
                default: value.default,
                from: match value.source {
                    ValueSource::Profile => view::From::Profile,
                    ValueSource::File => view::From::File,
                    ValueSource::Set => view::From::Here,
                },
            };
            let values = config.values(&set).into_iter().map(value).collect();
            Ok(view::Rules { profile: config.policy.profile.clone(), values })
        })
    }

    fn what_if<'a>(&'a self, settings: &'a [Setting], days: u32) -> Answer<'a, view::WhatIf> {
        Box::pin(self.what_if_of(settings, days))
    }

    fn changes(&self, before: Option<i64>, limit: usize) -> Answer<'_, Vec<view::RuleChange>> {
        Box::pin(self.changes_of(before, limit))
    }

    fn audit(&self, before: Option<i64>, limit: usize) -> Answer<'_, Vec<view::AuditRow>> {
        Box::pin(async move {
            let rows = self.read(move |reader| reader.audit(limit, before)).await?;
            Ok(rows.into_iter().map(audit_row).collect())
        })
    }

    fn audit_state(&self) -> Answer<'_, view::AuditState> {
        Box::pin(async move {
            let chain = self.chain.clone();
            let mark = self.read(move |reader| chain.follow(reader)).await?;
            Ok(match mark.broken_at {
                None => view::AuditState { entries: mark.entries, head: hex(&mark.head), broken_at: None },
                Some(seq) => view::AuditState { entries: seq, head: String::new(), broken_at: Some(seq) },
            })
        })
    }

    fn check(&self, client: IpAddr, account: Option<&str>) -> view::Checked {
        let verdict = self.engine.look().verdict(now(), &SignIn { client, account, service: Service::Unknown });
        match verdict {
            Verdict::Allow => view::Checked { allowed: true, code: None, until: None, effect: None, diagnosis: None },
            Verdict::Refuse(refused) => view::Checked {
                allowed: false,
                code: Some(refused.code),
                until: refused.until,
                effect: Some(refused.effect),
                diagnosis: Some(refused.diagnosis),
            },
        }
    }

    fn follow(&self) -> mpsc::Receiver<view::News> {
        let (sender, news) = mpsc::channel(256);
        let mut feed = self.shared.feed();
        tokio::spawn(async move {
            loop {
                let told = match feed.recv().await {
                    Ok(Told::Event(event)) => view::News::Event(Box::new(of_seen(&event))),
                    Ok(Told::Decision(decision)) => view::News::Decision(Box::new((*decision).clone())),
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                };
                match sender.try_send(told) {
                    Err(mpsc::error::TrySendError::Closed(_)) => return,
                    Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
                }
            }
        });
        news
    }

    fn act<'a>(&'a self, act: &'a Act) -> Answer<'a, Outcome> {
        Box::pin(self.carry_out(act))
    }

    fn hear(&self, event: Event<'static>) {
        // One that is not taken is counted among the lost.
        self.answers.hear(event);
    }
}

fn of_seen(seen: &Seen) -> view::EventRow {
    view::EventRow {
        seq: seen.seq.unwrap_or(0),
        node: seen.node.clone(),
        outcome: seen.outcome.clone(),
        event: seen.event.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn audit_row(audit: fairban_store::Audit) -> view::AuditRow {
    let entry = audit.entry;
    // What the rules' history tells value by value is told in a line here.
    let detail = match (entry.act == keep::SET).then(|| serde_json::from_str::<SetDetail>(&entry.detail)) {
        Some(Ok(detail)) => {
            let changed =
                detail.changed.iter().map(|one| format!("{}: {} → {}", one.key, one.value_before, one.value_after));
            let changed: Vec<String> = changed.collect();
            if detail.reason.is_empty() {
                changed.join("; ")
            } else {
                format!("{} ({})", changed.join("; "), detail.reason)
            }
        }
        _ => entry.detail,
    };
    view::AuditRow {
        seq: audit.seq,
        time: entry.time,
        actor: entry.actor,
        act: entry.act,
        subject: entry.subject,
        detail,
        hash: hex(&audit.hash),
    }
}

/// Where users, tokens and links are kept: in the store, by the core.
pub(crate) struct Safe(pub(crate) Shared);

impl Vault for Safe {
    fn get<'a>(&'a self, space: &'a str, key: &'a str) -> Answer<'a, Option<String>> {
        let (space, key) = (space.to_owned(), key.to_owned());
        Box::pin(async move { self.0.read(move |reader| reader.kept(&space, &key)).await.map_err(failed) })
    }

    fn all<'a>(&'a self, space: &'a str) -> Answer<'a, Vec<(String, String)>> {
        let space = space.to_owned();
        Box::pin(async move { self.0.read(move |reader| reader.all_kept(&space)).await.map_err(failed) })
    }

    fn change<'a>(&'a self, change: &'a Change) -> Answer<'a, bool> {
        Box::pin(async move {
            match self.0.wish(Request::Keep(Box::new(change.clone())), &change.by).await {
                Reply::Done(_) => Ok(true),
                Reply::NotInForce => Ok(false),
                Reply::No(error) => Err(failed(error)),
                other => Err(failed(format!("{other:?}"))),
            }
        })
    }
}

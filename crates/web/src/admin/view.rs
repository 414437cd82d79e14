//! What the program tells, as pages and the API show it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fairban_types::{Action, Code, Decision, Diagnosis, Effect, Event, EventKind, Service, Subject, Time};
use ipnet::IpNet;
use serde::Serialize;

pub use super::fleet_view::{FleetNode, FleetView};
pub use super::rule_view::{ChangedValue, From, RuleChange, Rules, ValueRow, WhatIf, WhatIfRow};

/// Some rows of many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// What asks for the rows after these; `None`: there are none.
    pub next: Option<String>,
    /// How many rows there are in all, if that is known.
    pub total: Option<u64>,
}

/// A block in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockRow {
    /// Its reference.
    pub code: Code,
    /// `block` or `guard`.
    pub action: Action,
    /// Against whom.
    pub subject: Subject,
    /// By which rule, or `manual`.
    pub rule: String,
    /// By which person or program, if by one.
    pub by: Option<String>,
    /// The rule as it stood, or a person's reason.
    pub reason: String,
    /// Since when.
    pub since: Time,
    /// Until when; `None`: permanent.
    pub until: Option<Time>,
    /// The points of the evidence, of
    pub score: u32,
    /// so many needed.
    pub threshold: u32,
    /// What lies behind it.
    pub diagnosis: Diagnosis,
    /// How it is felt.
    pub effect: Effect,
    /// The how manieth offence.
    pub offence: u32,
    /// Whether familiar accounts may still sign in.
    pub spares_familiar: bool,
    /// Whether the kernel drops it.
    pub in_kernel: bool,
    /// How it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// The end of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// `released`, `expired` or `replaced`.
    pub how: String,
    /// When.
    pub time: Time,
    /// By whom or what.
    pub by: String,
}

/// Which blocks by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum State {
    /// In force.
    #[default]
    Standing,
    /// No longer in force.
    Over,
    /// All.
    All,
}

/// Which blocks by what is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Kind {
    /// Any but sending.
    #[default]
    Any,
    /// Addresses and networks.
    Network,
    /// Accounts (guards), and accounts at addresses.
    Account,
    /// Sending.
    Sending,
}

/// By what blocks are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Sort {
    /// When they began.
    #[default]
    Since,
    /// When they end.
    Until,
    /// The subject.
    Subject,
    /// The rule.
    Rule,
}

/// Which blocks are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BlockQuery {
    /// By state.
    pub state: State,
    /// By what is blocked.
    pub kind: Kind,
    /// Only by hand, or only not by hand.
    pub manual: Option<bool>,
    /// Only by this rule.
    pub rule: Option<String>,
    /// Only with this behind it.
    pub diagnosis: Option<Diagnosis>,
    /// Only those that have an address in common with this network.
    pub net: Option<IpNet>,
    /// Only those whose subject has this in it.
    pub text: Option<String>,
    /// The order.
    pub sort: Sort,
    /// Smallest first.
    pub ascending: bool,
    /// The most rows.
    pub limit: usize,
    /// From where on: what [`Listing::next`] was.
    pub cursor: Option<String>,
    /// Nobody asks for [`Listing::total`].
    pub is_uncounted: bool,
}

/// A network for other firewalls to block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedRow {
    /// The network.
    pub net: IpNet,
    /// Until when; `None`: permanent.
    pub until: Option<Time>,
    /// By which rule, or `manual`.
    pub rule: Arc<str>,
    /// The block's reference.
    pub code: Code,
}

/// All about one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The block.
    #[serde(flatten)]
    pub block: BlockRow,
    /// The nodes on which it is known,
    pub nodes: Vec<String>,
    /// and those of the fleet on which it is not yet.
    pub nodes_missing: Vec<String>,
    /// Networks that it leaves alone.
    pub holes: Vec<IpNet>,
    /// The events behind it, oldest first.
    pub events: Vec<fairban_types::Evidence>,
    /// Everything decided under this reference, oldest first.
    pub story: Vec<StoryLine>,
    /// Offences of the subject in the last 30 days, this one included.
    pub offences_30_days: u64,
    /// Entries of the never-block list that hold it.
    pub never: Vec<NeverRow>,
    /// Whether anything enforces it, and what.
    pub felt: String,
}

impl Receipt {
    /// The block as a decision, for what is asked of decisions.
    pub fn decision(&self) -> Decision {
        let block = &self.block;
        Decision {
            code: block.code,
            time: block.since,
            action: block.action,
            subject: block.subject.clone(),
            origin: match &block.by {
                Some(by) => fairban_types::Origin::Manual(by.clone()),
                None => fairban_types::Origin::Rule(block.rule.clone()),
            },
            reason: block.reason.clone(),
            score: block.score,
            threshold: block.threshold,
            until: block.until,
            effect: block.effect,
            diagnosis: block.diagnosis,
            offence: block.offence,
            spares_familiar: block.spares_familiar,
            in_kernel: block.in_kernel,
            holes: self.holes.clone(),
            events: self.events.clone(),
        }
    }
}

/// One decision of a block's story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoryLine {
    /// When.
    pub time: Time,
    /// What.
    pub action: Action,
    /// By whom or what.
    pub by: String,
    /// Until when then.
    pub until: Option<Time>,
    /// In whose words.
    pub reason: String,
}

/// An entry of the never-block list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeverRow {
    /// The network.
    pub net: IpNet,
    /// Why.
    pub reason: String,
    /// Who put it there.
    pub by: String,
    /// When, if that is known.
    pub added: Option<Time>,
    /// When it ends by itself, if it does.
    pub until: Option<Time>,
    /// Whether it can be removed here: what is in the configuration file, and the machine's own, cannot.
    pub removable: bool,
}

/// An account that something happens to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountRow {
    /// Its name.
    pub account: String,
    /// Failed sign-ins in the last day, and
    pub failures: u64,
    /// from how many networks.
    pub networks: u64,
    /// When the last one was.
    pub last: Option<Time>,
    /// What is in force: `guarded`, `locked`, `stopped from sending`.
    pub states: Vec<String>,
}

/// All about one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountView {
    /// Its name.
    pub account: String,
    /// The networks that it signs in from.
    pub familiar: Vec<FamiliarRow>,
    /// What signs in to it, or tries to, lately.
    pub devices: Vec<DeviceRow>,
    /// Blocks of it, its pairs and its sending, newest first.
    pub blocks: Vec<BlockRow>,
    /// Its latest events, newest first.
    pub events: Vec<EventRow>,
    /// What it usually sends, in words; `None`: nothing is known.
    pub usually_sends: Option<String>,
}

/// A network that is familiar to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FamiliarRow {
    /// The network.
    pub net: IpNet,
    /// The first sign-in.
    pub first: Time,
    /// The latest.
    pub last: Time,
    /// How many there were.
    pub successes: u32,
}

/// A device of an account, as far as it told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceRow {
    /// What it calls itself, or its HELO name.
    pub name: String,
    /// By which services.
    pub services: Vec<Service>,
    /// From where last.
    pub client: IpAddr,
    /// Sign-ins with success, and
    pub successes: u64,
    /// without.
    pub failures: u64,
    /// When last.
    pub last: Time,
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// Its number.
    pub seq: i64,
    /// The node that saw it.
    pub node: String,
    /// What became of it.
    pub outcome: String,
    /// The event.
    #[serde(flatten)]
    pub event: Event<'static>,
}

/// Which events are asked for; what is `None` does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EventQuery {
    /// The client's network.
    pub client: Option<IpNet>,
    /// The account.
    pub account: Option<String>,
    /// The kind.
    pub kind: Option<EventKind>,
    /// What became of it.
    pub outcome: Option<String>,
    /// The node that saw it.
    pub node: Option<String>,
    /// This moment or later,
    pub since: Option<Time>,
    /// before this moment.
    pub until: Option<Time>,
    /// Before this number.
    pub before: Option<i64>,
    /// The most rows.
    pub limit: usize,
}

/// What happens, as it happens.
#[derive(Clone, Debug)]
pub enum News {
    /// An event.
    Event(Box<EventRow>),
    /// A decision.
    Decision(Box<Decision>),
}

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Good,
    /// Not in use.
    Off,
    /// Worth a look.
    Warning,
    /// Not working.
    Bad,
}

/// How a part is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Which.
    pub name: String,
    /// How good.
    pub level: Level,
    /// In words.
    pub text: String,
}

/// A number for metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Its name by the conventions of Prometheus.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Whether it only grows.
    pub is_counter: bool,
    /// Values with their labels, from sets that do not grow with what clients choose.
    pub values: Vec<(Vec<(&'static str, String)>, f64)>,
}

/// How everything is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// The program's version.
    pub version: String,
    /// This node.
    pub node: String,
    /// When it was started.
    pub started: Time,
    /// The profile of its rules.
    pub profile: String,
    /// Each part.
    pub parts: Vec<Part>,
    /// What is wrong, and what to do.
    pub problems: Vec<String>,
    /// What one should know.
    pub warnings: Vec<String>,
    /// Numbers for metrics.
    #[serde(skip)]
    pub metrics: Vec<Metric>,
}

/// What happened in a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Its beginning.
    pub time: Time,
    /// Sign-ins with success.
    pub sign_ins: u64,
    /// Sign-ins that failed.
    pub failures: u64,
    /// Tries that a block stopped.
    pub stopped: u64,
    /// What else is bad: relaying, unknown recipients, spam, broken protocol.
    pub other: u64,
    /// Blocks and guards that began.
    pub blocks: u64,
    /// Blocks and guards that were released.
    pub releases: u64,
}

/// A name with a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The name.
    pub name: String,
    /// The number.
    pub count: u64,
}

/// What is happening.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Overview {
    /// The moment.
    pub now: Time,
    /// What happened over time, oldest first.
    pub buckets: Vec<Bucket>,
    /// How long a bucket is, in seconds.
    pub bucket_secs: u64,
    /// Blocks by rule.
    pub by_rule: Vec<Tally>,
    /// Failures by service.
    pub by_service: Vec<Tally>,
    /// Addresses with the most failures.
    pub offenders: Vec<Tally>,
    /// Accounts with the most failures.
    pub attacked: Vec<AccountRow>,
    /// Blocks in force of addresses and networks,
    pub standing: u64,
    /// of these by hand,
    pub manual: u64,
    /// guards and locks of accounts in force,
    pub guards: u64,
    /// send blocks in force.
    pub send_blocks: u64,
    /// The newest blocks.
    pub newest: Vec<BlockRow>,
    /// An address that all seems to come from: a proxy that does not tell who is behind it.
    pub one_address: Option<IpAddr>,
}

/// Whether a client may sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Whether it may.
    pub allowed: bool,
    /// By which block not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Until when not; nothing: until it is released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// How it should be felt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// What lies behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
}

/// An entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Its number.
    pub seq: i64,
    /// When.
    pub time: Time,
    /// Who.
    pub actor: String,
    /// What.
    pub act: String,
    /// To whom or what.
    pub subject: String,
    /// Anything more.
    pub detail: String,
    /// The chain's hash up to here, in hexadecimal.
    pub hash: String,
}

/// Whether the audit is as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditState {
    /// How many entries there are.
    pub entries: i64,
    /// The chain's hash, in hexadecimal.
    pub head: String,
    /// The first entry that is missing or changed, if one is.
    pub broken_at: Option<i64>,
}

/// The spans that the overview shows.
pub const SPANS: [(&str, Duration); 3] =
    [("1h", Duration::from_secs(3600)), ("24h", Duration::from_secs(86_400)), ("7d", Duration::from_secs(7 * 86_400))];

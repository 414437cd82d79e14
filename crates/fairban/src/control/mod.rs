//! How the command line and the daemon speak: a request as one line of JSON over a unix socket, answered by lines of
//! JSON up to one that ends the answer.

mod answers;
pub(crate) mod client;
pub(crate) mod finding;
mod involved;
mod past;
pub(crate) mod server;

pub(crate) use answers::listed;
pub(crate) use involved::{Involved, Place};
pub(crate) use past::{is_standing, with_evidence};

use fairban_store::EndKind;
use fairban_types::{Code, Decision, Event, EventKind, Finding, Sender, Sending, Subject, Time};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The longest request, in bytes.
pub(crate) const REQUEST_MAX: u64 = 64 * 1024;

/// The most requests in one [`Request::Many`]: with the longest reasons they fit into [`REQUEST_MAX`].
pub(crate) const MANY_MAX: usize = 50;

/// Where the socket is if nothing says otherwise.
pub(crate) const SOCKET: &str = "/run/fairban/control.sock";

/// What is wished.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Status,
    Blocks {
        subject: Option<Subject>,
        all: bool,
        limit: u32,
    },
    Events {
        subject: Option<Subject>,
        kind: Option<EventKind>,
        limit: u32,
        follow: bool,
    },
    Why {
        subject: String,
    },
    Block {
        subject: Subject,
        seconds: Option<u64>,
        reason: String,
    },
    Unblock {
        subject: String,
        reason: String,
    },
    NeverAdd {
        net: IpNet,
        reason: String,
        seconds: Option<u64>,
    },
    NeverRemove {
        net: IpNet,
    },
    /// Lets blocks of a node through that were held back.
    FleetAccept {
        node: String,
    },
    NeverList,
    SendBlockAdd {
        sending: Sending,
        reason: String,
        seconds: Option<u64>,
    },
    SendBlockRemove {
        sender: Sender,
        reason: String,
    },
    SendBlocks {
        all: bool,
    },
    /// Blocks and never-block entries, carried out in this order and made durable together.
    Many(Vec<Request>),
    /// Not from outside: an owner whom the portal lets out.
    LetOut {
        code: Code,
        subject: Subject,
        account: String,
        client: std::net::IpAddr,
    },
    /// Has everybody, or the one of this name, be told that this is a test.
    NotifyTest {
        name: Option<String>,
    },
    /// Users and tokens of the administrator's pages.
    Access(AccessWish),
    /// Not from outside: a release of this very subject.
    Release {
        subject: Subject,
        reason: String,
    },
    /// Not from outside: texts of the administrator's pages.
    Keep(Box<fairban_web::access::Change>),
    /// Not from outside: values of rules; `None` takes one away.
    Set {
        settings: Vec<(String, Option<String>)>,
        reason: String,
    },
    /// Not from outside: the configuration in force.
    Config,
    /// Not from outside: what the core knows for [`Request::Why`].
    Known {
        subject: Subject,
    },
}

/// What is wished about users and tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccessWish {
    Users,
    Link { user: Option<String>, role: String, domains: Vec<String>, seconds: Option<u64> },
    RemoveUser { name: String },
    SetRole { name: String, role: String, domains: Vec<String> },
    SignOut { name: String },
    Tokens,
    MakeToken { name: String, scope: String, domains: Vec<String>, seconds: Option<u64> },
    RevokeToken { id: String },
}

/// One line of an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// It was done.
    Done(String),
    /// The answer is no.
    No(String),
    /// An owner was let out, on these nodes and not on those.
    LetOut {
        reached: Vec<String>,
        unreached: Vec<String>,
    },
    /// There is nothing to let out of.
    NotInForce,
    /// The request makes no sense.
    Wrong(String),
    Status(Box<Status>),
    Block(Box<Listed>),
    Event(Box<Seen>),
    Decision(Box<Decision>),
    Never(Never),
    Why(Box<Why>),
    /// The whole never-block list.
    NeverList(Vec<Never>),
    Known(Box<Known>),
    /// What was asked about users and tokens.
    Data(serde_json::Value),
    /// Within the daemon only.
    #[serde(skip)]
    Config(Box<fairban_config::Config>),
    /// An answer to each of many requests.
    Many(Vec<Reply>),
    /// Nothing follows.
    End,
}

/// A block in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) code: Code,
    pub(crate) action: fairban_types::Action,
    pub(crate) subject: Subject,
    pub(crate) rule: String,
    /// The person who made it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    pub(crate) reason: String,
    pub(crate) since: Time,
    pub(crate) until: Option<Time>,
    pub(crate) score: u32,
    pub(crate) threshold: u32,
    pub(crate) diagnosis: fairban_types::Diagnosis,
    pub(crate) effect: fairban_types::Effect,
    pub(crate) offence: u32,
    pub(crate) spares_familiar: bool,
    pub(crate) in_kernel: bool,
    /// How it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Ended>,
}

/// The end of a block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) how: EndKind,
    pub(crate) time: Time,
    /// A person, a rule, or the code of the block that took its place.
    pub(crate) by: String,
}

impl Ended {
    pub(crate) fn how_in_words(&self) -> &'static str {
        match self.how {
            EndKind::Released => "was released",
            EndKind::Expired => "expired",
            EndKind::Replaced => "was replaced",
        }
    }
}

/// An event of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<i64>,
    pub(crate) node: String,
    pub(crate) outcome: String,
    #[serde(flatten)]
    pub(crate) event: Event<'static>,
}

/// An entry of the never-block list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Never {
    pub(crate) net: IpNet,
    pub(crate) reason: String,
    pub(crate) by: String,
    pub(crate) added: Option<Time>,
    pub(crate) until: Option<Time>,
}

/// A score in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scored {
    pub(crate) rule: String,
    pub(crate) score: u32,
    pub(crate) threshold: u32,
    pub(crate) events: Vec<fairban_types::Evidence>,
}

/// What the core knows of a subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) scores: Vec<Scored>,
    /// Entries of the never-block list that hold it.
    pub(crate) never: Vec<Never>,
    pub(crate) enforcing: bool,
    pub(crate) mail_servers_ask: bool,
    /// The interval between sign-ins that devices are asked to keep.
    pub(crate) courtesy: std::time::Duration,
}

/// All about a subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Why {
    pub(crate) subject: String,
    /// Whether anything in force holds the subject.
    pub(crate) blocked: bool,
    /// Whether blocks are put into the kernel.
    pub(crate) enforcing: bool,
    /// Whether mail servers ask before a sign-in.
    pub(crate) mail_servers_ask: bool,
    /// The block that was asked for by its code, if it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<Asked>,
    /// Blocks and guards in force, with their evidence.
    pub(crate) standing: Vec<Decision>,
    /// What was before, newest first, without evidence.
    pub(crate) history: Vec<Listed>,
    /// Of an account: blocks in force of the networks that it was lately tried from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) related: Vec<Listed>,
    /// What lies behind the block that was asked for and those in force, by their codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<Found>,
    /// What lies behind what went wrong in the last day, if nothing is blocked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suspicion: Option<Finding>,
    /// Devices that sign in too often; nobody is blocked for that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) polling: Vec<Finding>,
    /// Of an address: the accounts there; of an account: the addresses that it came from. Of the last seven days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) involved: Vec<Involved>,
    /// How many more of those there are.
    #[serde(default)]
    pub(crate) involved_others: usize,
    /// Of an account: the networks that it signs in from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) familiar: Vec<Place>,
    /// Scores that have not led to a block.
    pub(crate) scores: Vec<Scored>,
    /// Entries of the never-block list that hold it.
    pub(crate) never: Vec<Never>,
    /// The latest events.
    pub(crate) events: Vec<Seen>,
}

/// What lies behind a block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) code: Code,
    #[serde(flatten)]
    pub(crate) finding: Finding,
}

/// A block that is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) decision: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Ended>,
}

/// How the daemon is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) node: String,
    pub(crate) started: Time,
    pub(crate) profile: String,
    pub(crate) mail_servers_ask: bool,
    /// Blocks and guards in force.
    pub(crate) standing: usize,
    /// Addresses and accounts with scores.
    pub(crate) tracked: usize,
    pub(crate) memory_bytes: usize,
    pub(crate) memory_bytes_max: usize,
    pub(crate) counts: Counts,
    pub(crate) enforcement: Enforcement,
    pub(crate) store: StoreStatus,
    pub(crate) sources: Vec<SourceStatus>,
    /// Those who are told of what happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notify: Vec<NotifyStatus>,
    /// The servers that mail servers ask.
    #[serde(default)]
    pub(crate) asking: Vec<AskingStatus>,
    /// Who tells blocked clients why, if anybody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) explainer: Option<ExplainerStatus>,
    /// Where the portal listens, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) portal: Option<String>,
    /// The fleet, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fleet: Option<fairban_fleet::Status>,
    /// What is wrong, with what to do about it.
    pub(crate) problems: Vec<String>,
    /// What the operator should know.
    pub(crate) warnings: Vec<String>,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) lines: u64,
    pub(crate) events: u64,
    pub(crate) defects: u64,
    pub(crate) counted: u64,
    pub(crate) repeated: u64,
    pub(crate) spared: u64,
    pub(crate) stopped: u64,
    pub(crate) duplicates: u64,
    pub(crate) sign_ins: u64,
    pub(crate) blocks: u64,
    pub(crate) guards: u64,
    pub(crate) releases: u64,
}

impl Enforcement {
    /// Whether nothing is put into the kernel.
    pub(crate) fn is_observing(&self) -> bool {
        self.mode.starts_with("observe")
    }
}

/// How the kernel is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Enforcement {
    pub(crate) mode: String,
    pub(crate) description: String,
    /// Addresses and networks that should be in the kernel.
    pub(crate) intended: usize,
    /// Differences found and mended since the start.
    pub(crate) mended: u64,
    pub(crate) reconciled: Option<Time>,
    pub(crate) packets_dropped: u64,
    pub(crate) error: Option<String>,
}

/// How the store is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct StoreStatus {
    pub(crate) path: String,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// Events and decisions that wait to be committed.
    pub(crate) waiting: usize,
    pub(crate) error: Option<String>,
}

/// How a server for mail servers is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AskingStatus {
    /// Who asks it: `dovecot` or `postfix`.
    pub(crate) server: String,
    pub(crate) listen: String,
    pub(crate) connections: u64,
    pub(crate) requests: u64,
    /// Requests that were answered with no.
    pub(crate) refused: u64,
    pub(crate) malformed: u64,
    /// Connections closed because there were too many, or they were too slow.
    pub(crate) limited: u64,
    pub(crate) last: Option<Time>,
    /// What is wrong, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// How telling somebody goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct NotifyStatus {
    /// Its name in the configuration.
    pub(crate) name: String,
    /// `webhook`, `mail` or `command`.
    pub(crate) by: String,
    /// Messages that were taken,
    pub(crate) told: u64,
    /// given up after several tries,
    pub(crate) failed: u64,
    /// left out because too many waited,
    pub(crate) left_out: u64,
    /// or wait.
    pub(crate) waiting: u64,
    /// When the last one was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Time>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

/// How the explainer is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ExplainerStatus {
    pub(crate) port: u16,
    /// Connections open now.
    pub(crate) connections: u64,
    /// Connections of blocked clients.
    pub(crate) came: u64,
    /// Those that were told why.
    pub(crate) told: u64,
    /// Connections that were redirected from no port of mail.
    pub(crate) strays: u64,
    /// Connections closed because there were too many, or they took too long.
    pub(crate) limited: u64,
    pub(crate) last: Option<Time>,
}

/// How a source is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SourceStatus {
    pub(crate) name: String,
    pub(crate) state: String,
    /// What is wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    pub(crate) lines: u64,
    /// Lines that told an event, those among them that told it a second time included.
    pub(crate) events: u64,
    pub(crate) last_line: Option<Time>,
}

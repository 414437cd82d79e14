use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fairban_types::{CustomFormat, Policy};

use crate::Warning;
use crate::load::Origin;

/// All settings of a node, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// By what the engine decides.
    pub policy: Policy,
    /// Whether `policy.mail_servers_ask` is only what is to be expected: it holds once one does ask.
    pub asks_once_asked: bool,
    /// This machine.
    pub node: Node,
    /// The embedded database.
    pub store: StoreConfig,
    /// The control socket.
    pub control: Control,
    /// Where lines come from; empty: the machine's own mail logs, which the program finds.
    pub sources: Vec<SourceConfig>,
    /// What is done with a block.
    pub enforce: Enforce,
    /// The operator's own log formats.
    pub formats: Vec<CustomFormat>,
    /// Send blocks.
    pub send: SendConfig,
    /// What refused clients are told.
    pub messages: Messages,
    /// Dovecot's auth policy.
    pub dovecot: Dovecot,
    /// Postfix's policy delegation.
    pub postfix: Postfix,
    /// The admin interface.
    pub web: Web,
    /// The self-service portal.
    pub portal: Portal,
    /// The fleet.
    pub fleet: Fleet,
    /// What the operator should know; also what is understood but cannot be acted on by this version.
    pub warnings: Vec<Warning>,
    pub(crate) origin: Origin,
}

/// This machine.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Node {
    /// Its name in the fleet and in receipts; `None`: the host's name.
    pub name: Option<String>,
}

/// The embedded database.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StoreConfig {
    /// Its folder.
    pub path: PathBuf,
    /// How long events are kept.
    pub event_retention: Duration,
    /// How long blocks that have ended, their receipts and the audit are kept.
    pub block_retention: Duration,
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Control {
    /// Its path.
    pub socket: PathBuf,
    /// The group that owns it; `None`: the daemon's own.
    pub group: Option<String>,
    /// Its permissions, such as `0o660`.
    pub mode: u32,
}

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// A log file that is followed.
    File {
        /// Its path.
        path: PathBuf,
    },
    /// The systemd journal.
    Journald {
        /// Only these units; empty: all.
        units: Vec<String>,
    },
    /// A syslog receiver.
    Syslog {
        /// Where it listens.
        listen: SyslogListen,
    },
    /// Standard input.
    Stdin,
}

/// Where a syslog receiver listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogListen {
    /// One message a datagram (RFC 5426).
    Udp(SocketAddr),
    /// A stream of messages (RFC 6587).
    Tcp(SocketAddr),
    /// A datagram socket in the file system, such as `/dev/log`.
    Unix(PathBuf),
}

/// What is done with a block.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Enforce {
    /// How.
    pub mode: EnforceMode,
    /// The TCP ports that are closed to a blocked client, in order.
    pub ports: Vec<u16>,
    /// The name of Fairban's own nftables table.
    pub table: String,
    /// The priority of its chain in the input hook.
    pub priority: i32,
    /// How often the kernel is compared with what should be in it.
    pub reconcile_every: Duration,
}

/// How blocks are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EnforceMode {
    /// In the kernel.
    #[default]
    Nftables,
    /// Not at all: decisions are made and recorded only.
    Observe,
}

/// A listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// TCP.
    Tcp(SocketAddr),
    /// A stream socket in the file system.
    Unix(PathBuf),
}

/// Send blocks, apart from how senders are compared, which is the policy's.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SendConfig {
    /// What a blocked sender's recipients are refused with: an SMTP reply of one line.
    pub answer: String,
}

/// What refused clients are told.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Messages {
    /// The first sentence that a blocked client is told: one line of ASCII.
    pub blocked: String,
    /// Where a blocked person finds the portal; `None`: that is not told.
    pub portal: Option<String>,
}

/// Dovecot's auth policy.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Dovecot {
    /// Where the auth policy server listens; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// What Dovecot must send as `auth_policy_server_api_header`.
    pub api_key: Option<Secret>,
    /// How long Dovecot delays the answer to a client whose block is a tarpit.
    pub tarpit: Duration,
}

/// Postfix's policy delegation.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Postfix {
    /// Where the policy service listens; `None`: nowhere.
    pub listen: Option<Listen>,
    /// The permissions of a socket in the file system.
    pub mode: u32,
    /// How blocked clients are refused.
    pub on_block: OnBlock,
    /// Whether blocked clients are refused before it is known who signs in.
    pub refuse_at_connect: bool,
}

/// How blocked clients are refused over SMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnBlock {
    /// For now (4xx): a mail server tries again when the block is over.
    #[default]
    Defer,
    /// For good (5xx): the mail is lost to its sender.
    Reject,
}

/// The admin interface.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Web {
    /// Where it listens; `None`: nowhere.
    pub listen: Option<SocketAddr>,
}

/// The self-service portal.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Portal {
    /// Where it listens; `None`: nowhere.
    pub listen: Option<SocketAddr>,
}

/// The fleet.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Fleet {
    /// The Valkey or Redis server; may hold a password. `None`: this node is alone.
    pub url: Option<Secret>,
}

/// A text that no message, log line or debug print shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Secret(text)
    }

    /// The text itself, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

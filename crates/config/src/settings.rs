use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use fairban_types::{CustomFormat, Policy};
use ipnet::IpNet;

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
    /// The explainer.
    pub explain: Explain,
    /// The admin interface.
    pub web: Web,
    /// The self-service portal.
    pub portal: Portal,
    /// Mail about releases.
    pub notices: Notices,
    /// Who is told of what happens.
    pub notify: Vec<NotifyTarget>,
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

/// The explainer, which tells blocked clients why.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Explain {
    /// Whether there is one.
    pub enabled: bool,
    /// Where it listens, on every address.
    pub port: u16,
    /// A PEM file with the certificate for TLS; `None`: it has no TLS.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the certificate's key. There if the certificate is.
    pub key: Option<PathBuf>,
    /// So many connections of one address are explained in a minute, and no more.
    pub connections_per_minute: u32,
    /// The tags of the languages (RFC 5646), the most important first.
    pub languages: Vec<&'static str>,
    /// By which it greets; `None`: the host's name.
    pub name: Option<String>,
}

/// The administrator's pages, the API, metrics and health.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Web {
    /// Where it listens; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// The address that administrators type.
    pub url: Option<String>,
    /// A PEM file with its certificate; `None`: plain HTTP.
    pub tls_certificate: Option<PathBuf>,
    /// A PEM file with the certificate's key. There if the certificate is.
    pub tls_key: Option<PathBuf>,
    /// The reverse proxies whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they write it.
    pub forward_header: ForwardHeader,
    /// The time zone of times on pages; `None`: the machine's.
    pub time_zone: Option<String>,
    /// Whether metrics are told to whoever asks.
    pub metrics_open: bool,
    /// Whether a password alone is not enough.
    pub second_factor: SecondFactor,
    /// An OpenID provider at which administrators may sign in.
    pub openid: WebOpenId,
}

/// Whether administrators need more than a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SecondFactor {
    /// Who wants one has one.
    #[default]
    Optional,
    /// Who has none sets one up before anything else.
    Required,
}

/// An OpenID provider. Without an issuer there is none.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct WebOpenId {
    /// Its issuer, as it calls itself.
    pub issuer: Option<String>,
    /// What we are called there.
    pub client_id: Option<String>,
    /// A file with our secret there.
    pub client_secret_file: Option<PathBuf>,
    /// What the button calls it.
    pub name: String,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim with somebody's groups.
    pub claim: String,
    /// The groups of administrators,
    pub administrators: Vec<String>,
    /// of support,
    pub support: Vec<String>,
    /// of domain administrators, and
    pub domain_administrators: Vec<String>,
    /// of those who only look.
    pub read_only: Vec<String>,
    /// The claim with the domains of a domain administrator.
    pub domains_claim: String,
}

/// The self-service portal.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Portal {
    /// Where it listens; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// The address that people type.
    pub url: Option<String>,
    /// A PEM file with its certificate; `None`: plain HTTP.
    pub tls_certificate: Option<PathBuf>,
    /// A PEM file with the certificate's key. There if the certificate is.
    pub tls_key: Option<PathBuf>,
    /// The reverse proxies whose word on the client's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they write it.
    pub forward_header: ForwardHeader,
    /// What the operator calls the service.
    pub brand: Option<String>,
    /// Whom people turn to.
    pub contact: Option<String>,
    /// Where people change their password.
    pub password_url: Option<String>,
    /// The domain of accounts without one.
    pub default_domain: Option<String>,
    /// The language for browsers that ask for none that there is.
    pub language: String,
    /// A folder with more message catalogues.
    pub catalogues: Option<PathBuf>,
    /// The time zone of times on pages; `None`: the machine's.
    pub time_zone: Option<String>,
    /// The mail server that checks passwords.
    pub imap: PortalImap,
    /// Signed links from a hosting panel.
    pub links: LinkSettings,
    /// How often owners may lift blocks.
    pub lift: PortalLift,
}

/// The header in which a reverse proxy tells the client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ForwardHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS from the first byte.
    Tls,
    /// TLS after `STARTTLS`.
    StartTls,
    /// Not at all.
    Plain,
}

/// The mail server that checks passwords for the portal.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PortalImap {
    /// Whether people sign in by password.
    pub enabled: bool,
    /// Its name or address.
    pub host: String,
    /// Its port, if that is not the usual one; see [`PortalImap::port`].
    pub port: Option<u16>,
    /// How the connection is protected, if that was said; see [`PortalImap::security`].
    pub security: Option<MailSecurity>,
    /// The name that its certificate must have; `None`: the host.
    pub name: Option<String>,
    /// A PEM file of authorities; `None`: the system's.
    pub authority: Option<PathBuf>,
}

impl PortalImap {
    /// How the connection is protected.
    pub fn security(&self) -> MailSecurity {
        let is_here = is_loopback(&self.host);
        self.security.unwrap_or(if is_here { MailSecurity::Plain } else { MailSecurity::Tls })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.security() == MailSecurity::Tls { 993 } else { 143 })
    }
}

/// Signed links from a hosting panel; at most one of the keys is set.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LinkSettings {
    /// A file with the shared secret (HS256).
    pub secret: Option<PathBuf>,
    /// A PEM file with an Ed25519 public key (EdDSA).
    pub public_key: Option<PathBuf>,
    /// The audience that links must be meant for.
    pub audience: String,
    /// The longest life of a link.
    pub lifetime: Duration,
}

/// How often owners may lift blocks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PortalLift {
    /// So many releases by one account,
    pub per_account: u32,
    /// so many of one address,
    pub per_address: u32,
    /// in so long.
    pub period: Duration,
}

/// Mail about releases.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Notices {
    /// The relay that sends it; `None`: there is none.
    pub relay: Option<String>,
    /// Its port, if that is not the usual one; see [`Notices::port`].
    pub port: Option<u16>,
    /// How the connection is protected, if that was said; see [`Notices::security`].
    pub security: Option<MailSecurity>,
    /// A PEM file of the authority that signed its certificate; `None`: the system's.
    pub authority: Option<PathBuf>,
    /// As whom to sign in there. With it goes the next.
    pub user: Option<String>,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// The sender. There if the relay is.
    pub from: Option<String>,
    /// The administrator, if they want to be told.
    pub administrator: Option<String>,
    /// Whether owners are told.
    pub to_owner: bool,
}

impl Notices {
    /// How the connection is protected.
    pub fn security(&self) -> MailSecurity {
        let is_here = self.relay.as_deref().is_some_and(is_loopback);
        self.security.unwrap_or(if is_here { MailSecurity::Plain } else { MailSecurity::StartTls })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security() {
            MailSecurity::Tls => 465,
            MailSecurity::StartTls => 587,
            MailSecurity::Plain => 25,
        })
    }
}

fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Something that somebody may want to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occasion {
    /// Any block or guard began.
    Blocked,
    /// A rule made a block for good.
    BlockPermanent,
    /// A rule blocked a network: several addresses of it offended.
    NetworkBlocked,
    /// An account is guarded or locked.
    AccountGuarded,
    /// A rule stopped an account from sending.
    SendingBlocked,
    /// A person or program released a block.
    Released,
    /// A source of lines does not work, or works again.
    SourceFailed,
    /// The kernel is not what it should be: blocks are not in it, or somebody else changed it.
    KernelTrouble,
    /// Nothing can be stored, or it can again.
    StoreTrouble,
    /// This node goes on without its fleet, or has it again.
    FleetTrouble,
    /// An administrator signed in from a network where they never did.
    AdministratorSignedIn,
}

impl Occasion {
    /// Every occasion.
    pub const ALL: &'static [Occasion] = &[
        Occasion::Blocked,
        Occasion::BlockPermanent,
        Occasion::NetworkBlocked,
        Occasion::AccountGuarded,
        Occasion::SendingBlocked,
        Occasion::Released,
        Occasion::SourceFailed,
        Occasion::KernelTrouble,
        Occasion::StoreTrouble,
        Occasion::FleetTrouble,
        Occasion::AdministratorSignedIn,
    ];
    /// Those that are told if nobody chooses.
    pub const USUAL: &'static [Occasion] = &[
        Occasion::BlockPermanent,
        Occasion::NetworkBlocked,
        Occasion::AccountGuarded,
        Occasion::SendingBlocked,
        Occasion::SourceFailed,
        Occasion::KernelTrouble,
        Occasion::StoreTrouble,
        Occasion::FleetTrouble,
        Occasion::AdministratorSignedIn,
    ];

    /// Its name, such as `block_permanent`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Occasion::Blocked => "blocked",
            Occasion::BlockPermanent => "block_permanent",
            Occasion::NetworkBlocked => "network_blocked",
            Occasion::AccountGuarded => "account_guarded",
            Occasion::SendingBlocked => "sending_blocked",
            Occasion::Released => "released",
            Occasion::SourceFailed => "source_failed",
            Occasion::KernelTrouble => "kernel_trouble",
            Occasion::StoreTrouble => "store_trouble",
            Occasion::FleetTrouble => "fleet_trouble",
            Occasion::AdministratorSignedIn => "administrator_signed_in",
        }
    }
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyTarget {
    /// Its name.
    pub name: String,
    /// Of what.
    pub occasions: Vec<Occasion>,
    /// The same of the same subject is told once in so long.
    pub again: Duration,
    /// How long telling may take each time.
    pub time_limit: Duration,
    /// How.
    pub by: NotifyBy,
}

/// How somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyBy {
    /// By a POST of JSON.
    Webhook {
        /// Where to.
        url: String,
        /// A file with the key that it is signed by.
        secret_file: Option<PathBuf>,
        /// A PEM file of the authorities that may have signed its certificate; `None`: the system's.
        authority: Option<PathBuf>,
    },
    /// By mail, over the relay of the notices.
    Mail {
        /// Who gets it.
        to: String,
    },
    /// By a program, without a shell.
    Command {
        /// The program and its arguments.
        arguments: Vec<String>,
    },
}

/// The fleet.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Fleet {
    /// The Valkey or Redis server; may hold a password. `None`: this node is alone.
    pub url: Option<Secret>,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// A PEM file of the authorities that may have signed the server's certificate; `None`: those of the system.
    pub authority: Option<PathBuf>,
    /// What the names of all keys at the server begin with.
    pub name: String,
    /// Nodes whose decisions apply to themselves only.
    pub limited: Vec<String>,
    /// So many blocks that one node began within a minute are taken from it.
    pub blocks_per_minute: u32,
    /// Rules whose blocks are this node's own.
    pub local_rules: Vec<String>,
    /// Whether values of rules that are set in the browser, or by the API, are those of all nodes.
    pub share_rules: bool,
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

use std::time::Duration;

use ipnet::IpNet;

use crate::{Effect, EventKind, Service, ServiceSet, format_duration};

/// All values that the engine decides by: a profile with the operator's own values over it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The name of the profile it came from.
    pub profile: String,
    /// The rules, in the order of the profile.
    pub rules: Vec<Rule>,
    /// The never-block list.
    pub never: Vec<IpNet>,
    /// How addresses are grouped into subjects.
    pub address: AddressPolicy,
    /// What makes a network familiar to an account.
    pub familiar: FamiliarPolicy,
    /// When a block widens to a network; `None`: never.
    pub widen: Option<WidenPolicy>,
    /// When an account is guarded; `None`: never.
    pub guard: Option<GuardPolicy>,
    /// Whether mail servers ask before a sign-in (Dovecot's auth policy), so that a block can spare familiar accounts.
    pub mail_servers_ask: bool,
    /// How senders are compared with send blocks.
    pub send: SendPolicy,
    /// When an account sends more than it should; `None`: nobody looks.
    pub outbound: Option<OutboundPolicy>,
    /// The interval between sign-ins that devices are asked to keep; who is faster is told so, and never blocked for it.
    pub courtesy_interval: Duration,
    /// The memory that scores and history may take, in bytes. Beyond it, what was idle longest is forgotten first;
    /// live blocks never are.
    pub memory_bytes_max: usize,
}

/// How senders are compared with send blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendPolicy {
    /// What may stand between a mailbox's name and a detail: mail from `bob+news@example.test` is bob's.
    pub recipient_delimiters: String,
    /// The domains whose accounts may sign in by their local part alone, as they are compared (`domain_ascii`).
    pub local_domains: Vec<String>,
}

impl Default for SendPolicy {
    fn default() -> Self {
        SendPolicy { recipient_delimiters: "+".to_owned(), local_domains: Vec::new() }
    }
}

/// When an account sends more than it should. What is counted is recipients and, apart from them, messages.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboundPolicy {
    /// How long a recipient or message counts.
    pub period: Duration,
    /// The recipients within the period beyond which any account is blocked.
    pub recipients_max: u32,
    /// The same for messages.
    pub messages_max: u32,
    /// How many times its own usual most an account may send,
    pub normal_factor: u32,
    /// but never blocked is who sends no more than this.
    pub floor: u32,
    /// The limit of an account without a history, once this server has learned for long enough.
    pub newcomer: u32,
    /// How long that is.
    pub learn: Duration,
    /// The block times.
    pub ladder: Ladder,
}

/// How addresses are grouped into subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPolicy {
    /// The prefix length by which IPv4 addresses are scored and blocked; 32 is each for itself.
    pub ipv4_prefix: u8,
    /// The same for IPv6; 64 is one customer's network.
    pub ipv6_prefix: u8,
}

/// What makes a network familiar to an account, and what that is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FamiliarPolicy {
    /// How long a successful sign-in makes a network familiar.
    pub forget: Duration,
    /// The prefix length of a familiar IPv4 network.
    pub ipv4_prefix: u8,
    /// The same for IPv6.
    pub ipv6_prefix: u8,
    /// Where nobody asks: how many times the threshold an address with familiar accounts must reach.
    pub log_only_threshold_factor: u32,
    /// Where nobody asks: the longest block of such an address.
    pub log_only_block_max: Duration,
    /// Where mail servers ask: the longest block of such an address by the ladder; it may linger longer.
    pub shared_block_max: Duration,
}

/// When a block widens from addresses to their network.
#[derive(Clone, Debug, PartialEq)]
pub struct WidenPolicy {
    /// How many addresses must have failed,
    pub addresses: u32,
    /// how often together (different wrong credentials),
    pub failures: u32,
    /// within which time.
    pub period: Duration,
    /// The prefix length of the IPv4 network that is blocked.
    pub ipv4_prefix: u8,
    /// The same for IPv6.
    pub ipv6_prefix: u8,
    /// The block times.
    pub ladder: Ladder,
}

/// When an account is guarded.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardPolicy {
    /// How many unfamiliar networks must have failed on the account,
    pub networks: u32,
    /// within which time.
    pub period: Duration,
    /// How long the guard stands after the last refused attempt.
    pub lasts: Duration,
}

/// What a rule scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// The client's address (IPv6: its network).
    Address,
    /// The account.
    Account,
    /// The account as used from the client's address.
    Pair,
    /// Sending mail. No rule of the configuration scores it.
    Sending,
}

impl SubjectKind {
    /// The name in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            SubjectKind::Address => "address",
            SubjectKind::Account => "account",
            SubjectKind::Pair => "pair",
            SubjectKind::Sending => "sending",
        }
    }
}

/// What the same wrong credential or recipient again is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repeats {
    /// As much as the first.
    Count,
    /// Nothing within the period: the same wrong password is one mistake.
    Once,
}

/// Points by event kind.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Points(Vec<u32>);

impl Points {
    /// The points of one event of the kind.
    pub fn of(&self, kind: EventKind) -> u32 {
        self.0.get(kind as usize).copied().unwrap_or(0)
    }

    /// The kinds that earn points.
    pub fn iter(&self) -> impl Iterator<Item = (EventKind, u32)> + '_ {
        EventKind::ALL.iter().map(|kind| (*kind, self.of(*kind))).filter(|(_, points)| *points > 0)
    }
}

impl FromIterator<(EventKind, u32)> for Points {
    fn from_iter<I: IntoIterator<Item = (EventKind, u32)>>(points: I) -> Self {
        let mut all = vec![0; EventKind::ALL.len()];
        for (kind, points) in points {
            all[kind as usize] = points;
        }
        Points(all)
    }
}

/// Block times of the 1st, 2nd, 3rd … offence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// The times; the last one repeats unless `then_permanent`.
    pub steps: Vec<Duration>,
    /// Whether what comes after the last step is permanent.
    pub then_permanent: bool,
    /// How long an offence is remembered.
    pub forget: Duration,
}

impl Ladder {
    /// The block time of the `offence`th offence (from 1); `None` is permanent.
    pub fn time(&self, offence: u32) -> Option<Duration> {
        let index = offence.saturating_sub(1) as usize;
        match (self.steps.get(index), self.steps.last()) {
            (Some(step), _) => Some(*step),
            (None, Some(last)) if !self.then_permanent => Some(*last),
            (None, _) => None,
        }
    }
}

/// Which kinds on which services earn how many points, over which period, for which subject; and what is done at which
/// threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The name.
    pub name: String,
    /// Points by kind.
    pub points: Points,
    /// The services on which they count.
    pub services: ServiceSet,
    /// Who is scored.
    pub subject: SubjectKind,
    /// How long points count.
    pub period: Duration,
    /// The score at which the subject is blocked.
    pub threshold: u32,
    /// What repeats are worth.
    pub repeats: Repeats,
    /// Whether failures of an account at a network familiar to it are left out, and a success takes back the account's
    /// failures before it. (A rule whose subject is a pair counts only those failures instead.)
    pub spares_familiar: bool,
    /// Whether a success of the subject (of the account, where that is scored) spends what it scored before: only
    /// failures in a row count.
    pub resets_on_success: bool,
    /// How the block is felt.
    pub effect: Effect,
    /// How long it lasts.
    pub ladder: Ladder,
    /// Where mail servers ask: the block goes on for so long after the last refused try with yet another credential.
    /// (A block in the kernel hears of no more tries, and cannot linger.)
    pub linger: Duration,
}

impl Rule {
    /// The rule as a sentence, for receipts: `5 × login_failed 50 … reach 250 points within 20m`.
    pub fn in_words(&self) -> String {
        let points: Vec<String> = self.points.iter().map(|(kind, points)| format!("{kind} {points}")).collect();
        let services: Vec<&str> = Service::ALL
            .iter()
            .filter(|service| self.services.contains(**service))
            .map(|service| service.as_str())
            .collect();
        let on =
            if services.len() == Service::ALL.len() { String::new() } else { format!(" on {}", services.join(", ")) };
        format!(
            "{}{on}: {} points within {} block the {}{}{}",
            points.join(", "),
            self.threshold,
            format_duration(self.period),
            self.subject.as_str(),
            if self.repeats == Repeats::Once { "; the same again counts once" } else { "" },
            if self.resets_on_success { "; a success starts from nothing" } else { "" }
        )
    }
}

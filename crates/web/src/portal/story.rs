//! A block, told to the person it met: which of the facts, in which words.

use std::net::IpAddr;

use fairban_types::{Decision, Diagnosis, Event, EventKind, Evidence, Service, Subject};

use super::lift::{Accounts, Kept};
use super::mask::{clean, masked};
use super::rests::rests;
use super::session::Outcome;
use super::{BlockView, Device, Portal};
use crate::Words;

/// Of a diagnosis that is less sure than this, it is told that it may be another.
const SURE_PERCENT: u8 = 75;
/// Events beyond this are not listed; the latest are.
const ROWS_MAX: usize = 50;

/// How a block stands, for colour and heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Lifted,
    Blocked,
    Over,
}

impl Standing {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Standing::Lifted => "good",
            Standing::Blocked => "bad",
            Standing::Over => "past",
        }
    }
}

/// A label and what belongs to it.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) label: String,
    pub(crate) value: String,
}

/// One event as it is listed.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) time: String,
    pub(crate) what: String,
    pub(crate) account: String,
    pub(crate) detail: String,
}

/// A block on a page.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) standing: Standing,
    pub(crate) heading: String,
    pub(crate) state: Vec<String>,
    pub(crate) why: Vec<String>,
    /// What the diagnosis rests on.
    pub(crate) rests: Vec<String>,
    pub(crate) advice: Vec<String>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) rows: Vec<Row>,
    pub(crate) left_out: Option<String>,
    pub(crate) code: String,
    /// Whether a button to lift it is offered.
    pub(crate) may_lift: bool,
    pub(crate) ask_administrator: bool,
}

/// The keys of the messages about a diagnosis.
pub(crate) fn key_of(diagnosis: Diagnosis) -> &'static str {
    match diagnosis {
        Diagnosis::StalePassword => "stale_password",
        Diagnosis::PasswordGuessing => "password_guessing",
        Diagnosis::PasswordSpraying => "password_spraying",
        Diagnosis::CredentialStuffing => "credential_stuffing",
        Diagnosis::FrequentPolling => "frequent_polling",
        Diagnosis::RelayProbing => "relay_probing",
        Diagnosis::AddressHarvesting => "address_harvesting",
        Diagnosis::SpamRun => "spam_run",
        Diagnosis::Malware => "malware",
        Diagnosis::ProtocolAbuse => "protocol_abuse",
        Diagnosis::Manual => "manual",
        Diagnosis::Unknown => "unknown",
    }
}

fn kept_key(kept: Kept) -> &'static str {
    match kept {
        Kept::ByHand => "by_hand",
        Kept::Permanent => "permanent",
        Kept::Grave => "grave",
        Kept::OfAccount => "of_account",
        Kept::NotYours => "not_yours",
        Kept::AccountLimit => "account_limit",
        Kept::AddressLimit => "address_limit",
        Kept::Busy => "busy",
        Kept::Over => "over",
    }
}

/// Whether only an administrator can help.
pub(crate) fn needs_administrator(kept: Kept) -> bool {
    matches!(
        kept,
        Kept::ByHand | Kept::Permanent | Kept::Grave | Kept::OfAccount | Kept::AccountLimit | Kept::AddressLimit
    )
}

pub(crate) fn service_name(words: &Words, service: Service) -> String {
    words.say(&format!("service.{service}")).to_owned()
}

/// Who reads the story: in which language, signed in to which account, coming from where.
pub(crate) struct Reader<'a> {
    pub(crate) portal: &'a Portal,
    pub(crate) words: &'a Words,
    pub(crate) account: &'a str,
    pub(crate) client: IpAddr,
}

impl Reader<'_> {
    fn accounts(&self) -> &Accounts {
        &self.portal.accounts
    }

    fn is_own(&self, account: &str) -> bool {
        self.accounts().are_same(account, self.account)
    }

    /// The whole card. `outcome` is what was done about the block in this session.
    pub(crate) fn card(&self, view: &BlockView, outcome: Option<&Outcome>) -> Card {
        let words = self.words;
        let liftable = self.accounts().liftable(&self.portal.settings.lift, view, self.account, self.client);
        let standing = match outcome {
            Some(Outcome::Lifted(_)) => Standing::Lifted,
            _ if view.ended.is_some() => Standing::Over,
            _ => Standing::Blocked,
        };
        let kept = match (&outcome, &liftable) {
            (Some(Outcome::Lifted(_)), _) => None,
            (_, Err(kept)) => Some(*kept),
            (Some(Outcome::Kept(kept)), Ok(_)) => Some(*kept),
            _ => None,
        };
        let heading = match standing {
            Standing::Lifted => "card.lifted",
            Standing::Blocked => "card.blocked",
            Standing::Over => "card.over",
        };
        let block = &view.receipt;
        Card {
            standing,
            heading: words.say(heading).to_owned(),
            state: self.state(view, outcome, kept),
            why: self.why(view),
            rests: self.rests(view),
            advice: lines(words.say(&format!("diagnosis.{}.do", key_of(view.diagnosis())))),
            facts: self.facts(view),
            rows: self.rows(&block.events),
            left_out: (block.events.len() > ROWS_MAX)
                .then(|| words.count("card.left_out", (block.events.len() - ROWS_MAX) as u64)),
            code: block.code.to_string(),
            may_lift: standing == Standing::Blocked && liftable.is_ok() && !kept.is_some_and(needs_administrator),
            ask_administrator: standing == Standing::Blocked && kept.is_some_and(needs_administrator),
        }
    }

    /// What became of it.
    fn state(&self, view: &BlockView, outcome: Option<&Outcome>, kept: Option<Kept>) -> Vec<String> {
        let words = self.words;
        match outcome {
            Some(Outcome::Lifted(released)) => {
                let mut state = Vec::new();
                if !released.lifted.is_empty() {
                    state.push(words.fill("card.lifted_on", &[("nodes", &released.lifted.join(", "))]));
                } else if released.unreached.is_empty() {
                    state.push(words.say("card.was_over").to_owned());
                }
                if !released.unreached.is_empty() {
                    state.push(words.fill("card.unreached", &[("nodes", &released.unreached.join(", "))]));
                }
                state.push(words.say("card.again").to_owned());
                state
            }
            Some(Outcome::Unknown) => vec![words.say("card.no_answer").to_owned()],
            _ => match (view.ended, kept) {
                (Some(at), _) => vec![words.fill("card.ended", &[("time", &self.portal.moment(words, at))])],
                (None, Some(kept)) => vec![words.say(&format!("kept.{}", kept_key(kept))).to_owned()],
                (None, None) => vec![words.say("card.can_lift").to_owned()],
            },
        }
    }

    /// The device as far as the reader may know of it: their own first.
    pub(crate) fn device(&self, view: &BlockView) -> Option<Device> {
        let devices = &view.finding.devices;
        let is_own = |device: &&Device| device.account.as_deref().is_some_and(|account| self.is_own(account));
        if let Some(own) = devices.iter().find(is_own) {
            return Some(own.clone());
        }
        let device = view.finding.device()?;
        // Without an account, a program's name may still be somebody else's.
        let told = device.account.is_none() && self.accounts().concerns(view, self.account);
        Some(if told { device.clone() } else { Device { program: None, helo: None, method: None, ..device.clone() } })
    }

    /// What the diagnosis rests on. Of other people's accounts nothing is told but numbers.
    fn rests(&self, view: &BlockView) -> Vec<String> {
        let is_own = |device: &Device| device.account.as_deref().is_some_and(|account| self.is_own(account));
        let of_self = !view.finding.devices.is_empty() && view.finding.devices.iter().all(is_own);
        rests(self.words, &view.finding.facts, of_self, |at| self.portal.moment(self.words, at))
    }

    fn why(&self, view: &BlockView) -> Vec<String> {
        let words = self.words;
        let block = &view.receipt;
        let diagnosis = view.diagnosis();
        let mut why = vec![words.say(&format!("diagnosis.{}.why", key_of(diagnosis))).to_owned()];
        if view.finding.confidence_percent < SURE_PERCENT && diagnosis != Diagnosis::Unknown {
            why.push(words.say("card.unsure").to_owned());
        }
        if diagnosis == Diagnosis::Manual {
            return why;
        }
        if let Some(device) = self.device(view) {
            why.extend(self.device_sentence(&device));
        }
        if !self.accounts().concerns(view, self.account) && matches!(block.subject, Subject::Network(_)) {
            why.push(words.say("card.others").to_owned());
        }
        why
    }

    fn device_sentence(&self, device: &Device) -> Option<String> {
        let words = self.words;
        let account = self.shown_account(device.account.as_deref()?);
        let services: Vec<String> = device.services.iter().map(|service| service_name(words, *service)).collect();
        let program = device.program.as_deref().or(device.helo.as_deref());
        let program =
            program.map_or(String::new(), |program| words.fill("device.program", &[("program", &clean(program))]));
        let cadence = device
            .cadence
            .map_or(String::new(), |cadence| words.fill("device.cadence", &[("span", &words.cadence(cadence))]));
        Some(words.fill(
            "device.sentence",
            &[("account", &account), ("services", &services.join(", ")), ("program", &program), ("cadence", &cadence)],
        ))
    }

    fn facts(&self, view: &BlockView) -> Vec<Fact> {
        let words = self.words;
        let block = &view.receipt;
        let mut facts = Vec::new();
        let mut add = |label: &str, value: String| {
            facts.push(Fact { label: words.say(&format!("fact.{label}")).to_owned(), value });
        };
        add("what", self.subject(block));
        add("where", view.nodes.join(", "));
        add("since", self.portal.moment(words, block.time));
        match (view.ended, block.until) {
            (Some(at), _) => add("ended", self.portal.moment(words, at)),
            (None, Some(until)) => add("until", self.portal.moment(words, until)),
            (None, None) => add("until", words.say("fact.permanent").to_owned()),
        }
        if let Some(device) = self.device(view) {
            if let Some(account) = &device.account {
                add("account", self.shown_account(account));
            }
            let services: Vec<String> = device.services.iter().map(|service| service_name(words, *service)).collect();
            if !services.is_empty() {
                add("service", services.join(", "));
            }
            for (label, value) in [("program", &device.program), ("helo", &device.helo)] {
                if let Some(value) = value {
                    add(label, clean(value));
                }
            }
            if let Some(cadence) = device.cadence {
                add("cadence", words.fill("device.every", &[("span", &words.cadence(cadence))]));
            }
            if device.tries > 0 {
                add("tries", words.count("times", u64::from(device.tries)));
            }
            for (label, at) in [("first", device.first), ("last", device.last)] {
                if let Some(at) = at {
                    add(label, self.portal.moment(words, at));
                }
            }
        }
        if view.offences_30_days > 1 {
            add("offences", words.count("times", u64::from(view.offences_30_days)));
        }
        add("code", block.code.to_string());
        facts
    }

    /// What is blocked, in words.
    fn subject(&self, block: &Decision) -> String {
        let words = self.words;
        match &block.subject {
            Subject::Network(net) if net.prefix_len() == net.max_prefix_len() => {
                words.fill("subject.address", &[("address", &net.addr().to_string())])
            }
            Subject::Network(net) => words.fill("subject.network", &[("network", &net.to_string())]),
            Subject::Pair(account, net) => words.fill(
                "subject.pair",
                &[("account", &self.shown_account(account)), ("network", &Subject::Network(*net).to_string())],
            ),
            Subject::Account(account) => words.fill("subject.account", &[("account", &self.shown_account(account))]),
            Subject::Sending(_) => words.say("subject.sending").to_owned(),
        }
    }

    pub(crate) fn shown_account(&self, account: &str) -> String {
        if self.is_own(account) { clean(account) } else { masked(account) }
    }

    fn rows(&self, events: &[Evidence]) -> Vec<Row> {
        events.iter().rev().take(ROWS_MAX).map(|evidence| self.row(evidence)).collect()
    }

    fn row(&self, evidence: &Evidence) -> Row {
        let words = self.words;
        let event = &evidence.event;
        let own = event.account.as_deref().is_some_and(|account| self.is_own(account));
        let times = evidence.tries();
        let mut detail = Vec::new();
        if times > 1 {
            detail.push(words.count("times", u64::from(times)));
            if evidence.first.is_some() {
                detail.push(words.fill("event.since", &[("time", &self.portal.moment(words, evidence.first_seen()))]));
            }
        }
        if own {
            detail.extend(details(words, event));
        }
        Row {
            time: self.portal.moment(words, event.time),
            what: format!("{}, {}", words.say(kind_key(event.kind)), service_name(words, event.service)),
            account: event.account.as_deref().map_or(String::new(), |account| self.shown_account(account)),
            detail: detail.join(", "),
        }
    }
}

/// What else an event of one's own tells.
fn details(words: &Words, event: &Event<'_>) -> Vec<String> {
    let of = |label: &str, value: Option<&str>| {
        value.filter(|value| !value.is_empty()).map(|value| format!("{} {}", words.say(label), clean(value)))
    };
    [
        Some(event.client.to_string()),
        of("event.program", event.program.as_deref()),
        of("event.helo", event.helo.as_deref()),
        of("event.return_path", event.return_path.as_deref()),
        of("event.recipient", event.recipient.as_deref()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// People need fewer kinds than scoring does.
fn kind_key(kind: EventKind) -> &'static str {
    match kind {
        EventKind::LoginFailed | EventKind::PlaintextRefused => "kind.login_failed",
        EventKind::LoginUnknownAccount => "kind.login_unknown_account",
        EventKind::LoginSucceeded => "kind.login_succeeded",
        EventKind::LoginRefused => "kind.login_refused",
        EventKind::RelayDenied | EventKind::RelayAllowed => "kind.relay_denied",
        EventKind::RecipientUnknown | EventKind::RecipientRejected => "kind.recipient_unknown",
        EventKind::Spam
        | EventKind::Virus
        | EventKind::ContentRejected
        | EventKind::AttachmentBlocked
        | EventKind::PartialMessage => "kind.spam",
        EventKind::MessageSent | EventKind::RecipientAccepted | EventKind::MessageBounced => "kind.message_sent",
        EventKind::RateExceeded | EventKind::ConnectionAborted | EventKind::MessageTooBig => "kind.rate_exceeded",
        EventKind::DnsblListed
        | EventKind::SpfFailed
        | EventKind::PolicyRejected
        | EventKind::Greylisted
        | EventKind::HeloRejected
        | EventKind::SenderRejected
        | EventKind::ClientRejected
        | EventKind::SyntaxError => "kind.rejected",
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

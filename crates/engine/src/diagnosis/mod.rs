//! What lies behind the evidence, as far as logs can tell: the diagnosis, how sure it is, and the facts it rests on.
//!
//! It works on evidence as receipts carry it, so that what was stored can be looked at again with what is known later.

mod cadence;
mod device;
mod logins;
mod mail;
mod polling;

use std::collections::BTreeSet;
use std::net::IpAddr;

use fairban_types::{Decision, Diagnosis, EventKind, Evidence, Fact, Finding, Origin, Time, network_of};

use crate::{Engine, Familiarity};

pub use polling::polling;

/// What is known beside the evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Background {
    /// The sign-ins of the account that the evidence speaks of from the networks that it came from, if they began
    /// before it did.
    pub here: Option<Familiarity>,
    /// Its sign-ins from other networks.
    pub elsewhere: Elsewhere,
    /// Whether somebody who proved to own the account is there now.
    pub owner_is_here: bool,
    /// How many accounts sign in from there.
    pub accounts_here: u32,
}

/// An account's sign-ins from other networks than the evidence came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Elsewhere {
    /// Nobody has looked.
    #[default]
    NotKnown,
    /// There are none.
    Never,
    /// The latest one.
    Until(Time),
}

/// A diagnosis and what it rests on.
pub(crate) struct Verdict {
    pub(crate) diagnosis: Diagnosis,
    percent: u8,
    facts: Vec<Fact>,
}

impl Verdict {
    fn unknown(facts: Vec<Fact>) -> Self {
        Verdict { diagnosis: Diagnosis::Unknown, percent: 0, facts }
    }

    /// The diagnosis at a base confidence, with more or less for what else is true.
    fn of(diagnosis: Diagnosis, base: i32, adds: &[(bool, i32)], facts: Vec<Fact>) -> Self {
        let sum = base + adds.iter().filter(|(holds, _)| *holds).map(|(_, add)| add).sum::<i32>();
        let percent = u8::try_from(sum.clamp(0, CONFIDENCE_MAX)).unwrap_or(0);
        if percent < CONFIDENCE_MIN { Verdict::unknown(facts) } else { Verdict { diagnosis, percent, facts } }
    }
}

/// What is less sure is not said.
const CONFIDENCE_MIN: u8 = 50;
/// Logs never tell all.
const CONFIDENCE_MAX: i32 = 98;

/// What a client was after, by the kinds of its events.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Logins,
    Relay,
    Harvest,
    Content,
    Protocol,
    SignIns,
}

const FAMILIES: [Family; 6] =
    [Family::Logins, Family::Relay, Family::Harvest, Family::Content, Family::Protocol, Family::SignIns];

/// `None`: tells nothing of what the client was after.
const fn family(kind: EventKind) -> Option<Family> {
    match kind {
        EventKind::LoginFailed | EventKind::LoginUnknownAccount => Some(Family::Logins),
        EventKind::RelayDenied => Some(Family::Relay),
        EventKind::RecipientUnknown => Some(Family::Harvest),
        EventKind::Spam
        | EventKind::Virus
        | EventKind::ContentRejected
        | EventKind::AttachmentBlocked
        | EventKind::PartialMessage
        | EventKind::DnsblListed
        | EventKind::SpfFailed
        | EventKind::SenderRejected
        | EventKind::ClientRejected
        | EventKind::MessageSent
        | EventKind::MessageBounced => Some(Family::Content),
        EventKind::SyntaxError
        | EventKind::RateExceeded
        | EventKind::HeloRejected
        | EventKind::ConnectionAborted
        | EventKind::MessageTooBig
        | EventKind::PlaintextRefused => Some(Family::Protocol),
        EventKind::LoginSucceeded => Some(Family::SignIns),
        EventKind::LoginRefused
        | EventKind::RelayAllowed
        | EventKind::RecipientAccepted
        | EventKind::RecipientRejected
        | EventKind::PolicyRejected
        | EventKind::Greylisted => None,
    }
}

/// Of the evidence, the share in percent that must be of one family to be told from a mixture.
const MAIN_PERCENT: u32 = 60;

/// What lies behind the evidence of one subject.
pub fn diagnose(evidence: &[Evidence], background: &Background) -> Finding {
    let verdict = verdict(evidence, background);
    Finding {
        diagnosis: verdict.diagnosis,
        confidence_percent: verdict.percent,
        facts: verdict.facts,
        devices: device::devices(evidence),
    }
}

/// What lies behind a decision, seen again with what is known now.
pub fn diagnose_decision(decision: &Decision, background: &Background) -> Finding {
    let told = |percent| Finding {
        diagnosis: decision.diagnosis,
        confidence_percent: percent,
        facts: Vec::new(),
        devices: device::devices(&decision.events),
    };
    match decision.origin {
        Origin::Manual(_) => told(100),
        Origin::Rule(_) if decision.diagnosis == Diagnosis::Manual => told(100),
        // An old receipt whose events were forgotten.
        Origin::Rule(_) if decision.events.is_empty() => {
            told(if decision.diagnosis == Diagnosis::Unknown { 0 } else { CONFIDENCE_MIN })
        }
        Origin::Rule(_) => diagnose(&decision.events, background),
    }
}

pub(crate) fn verdict(evidence: &[Evidence], background: &Background) -> Verdict {
    let weight = |of: Family| tries(evidence.iter().filter(|piece| family(piece.event.kind) == Some(of)));
    let weights = FAMILIES.map(weight);
    let total = weights.iter().fold(0u32, |sum, weight| sum.saturating_add(*weight));
    let Some((main, most)) = FAMILIES.into_iter().zip(weights).max_by_key(|(_, weight)| *weight) else {
        return Verdict::unknown(Vec::new());
    };
    if most == 0 {
        return Verdict::unknown(vec![Fact::TooLittle { tries: 0 }]);
    }
    if u64::from(most) * 100 < u64::from(total) * u64::from(MAIN_PERCENT) {
        let kinds = weights.iter().filter(|weight| **weight > 0).count();
        return mail::malware_in(evidence, background)
            .unwrap_or_else(|| Verdict::unknown(vec![Fact::Mixture { kinds: number(kinds) }]));
    }
    let pieces: Vec<&Evidence> = evidence.iter().filter(|piece| family(piece.event.kind) == Some(main)).collect();
    match main {
        Family::Logins => logins::verdict(&pieces, background),
        Family::Relay => mail::relay(&pieces, background),
        Family::Harvest => mail::harvest(&pieces),
        Family::Content => mail::malware_in(evidence, background).unwrap_or_else(|| mail::content(&pieces)),
        Family::Protocol => mail::malware_in(evidence, background).unwrap_or_else(|| mail::protocol(&pieces)),
        Family::SignIns => polling::too_many(&pieces),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn tries<'e>(evidence: impl Iterator<Item = &'e Evidence>) -> u32 {
    evidence.fold(0, |sum, piece| sum.saturating_add(piece.tries()))
}

/// How many addresses it came from; what IPv6 gives to one customer is one.
fn addresses(evidence: &[&Evidence]) -> u32 {
    let nets: BTreeSet<_> = evidence.iter().map(|piece| network_of(piece.event.client, 32, 64)).collect();
    number(nets.len())
}

/// An account as it is compared.
fn account_of(piece: &Evidence) -> Option<String> {
    piece.event.account.as_deref().map(|name| crate::hash::lower(name.trim()).into_owned())
}

impl Engine {
    /// What the engine knows beside the evidence. Sign-ins from elsewhere are not among it.
    pub fn background(&self, evidence: &[Evidence]) -> Background {
        let clients: BTreeSet<IpAddr> = evidence.iter().map(|piece| piece.event.client.to_canonical()).collect();
        let policy = &self.rules.policy.familiar;
        // Of a network or a botnet, a few say as much as all.
        let clients = || clients.iter().take(CLIENTS_LOOKED_AT);
        let begun = evidence.iter().map(Evidence::first_seen).min();
        let accounts: BTreeSet<&str> =
            evidence.iter().filter_map(|piece| piece.event.account.as_deref()).take(ACCOUNTS_LOOKED_AT).collect();
        let known = |account: &str| {
            let of_client = |client: &IpAddr| self.familiarity(account, *client);
            clients().filter_map(of_client).find(|known| begun.is_some_and(|begun| known.first <= begun))
        };
        let mut names = accounts.iter().map(|name| name.trim().to_lowercase());
        let here = names.next().filter(|name| names.all(|other| other == *name)).and_then(|name| known(&name));
        let homes =
            clients().map(|client| self.familiar.accounts_at(self.place((*client).into()).home, self.now, policy));
        Background { here, accounts_here: homes.sum(), ..Background::default() }
    }

    /// What lies behind the evidence, as far as the engine knows when it decides.
    pub(crate) fn diagnosed(&self, evidence: &[Evidence]) -> Diagnosis {
        verdict(evidence, &self.background(evidence)).diagnosis
    }
}

const CLIENTS_LOOKED_AT: usize = 8;
/// Two different ones are as many as all: what is known of one account says nothing then.
const ACCOUNTS_LOOKED_AT: usize = 64;

#[cfg(test)]
mod tests;

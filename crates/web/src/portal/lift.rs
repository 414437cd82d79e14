//! What may be lifted by its owner: pure policy.

use std::net::IpAddr;
use std::time::Duration;

use fairban_types::{Diagnosis, Origin, Sender, Subject};
use ipnet::IpNet;

use super::attempts::place;
use super::{BlockView, Releases};

/// What owners may lift, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiftPolicy {
    /// Diagnoses that are left to the administrator. Blocks by hand and permanent ones always are.
    pub left_to_administrator: Vec<Diagnosis>,
    /// So many releases asked for by one account, and
    pub per_account_max: u32,
    /// so many of one IPv4 address or IPv6 /64, whoever asks,
    pub per_address_max: u32,
    /// in so long.
    pub period: Duration,
}

impl Default for LiftPolicy {
    fn default() -> Self {
        LiftPolicy {
            left_to_administrator: vec![Diagnosis::SpamRun, Diagnosis::Malware, Diagnosis::RelayProbing],
            per_account_max: 3,
            per_address_max: 3,
            period: Duration::from_secs(24 * 3600),
        }
    }
}

/// Why a block was not lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// An administrator made it.
    ByHand,
    Permanent,
    /// Left to the administrator for what lies behind it.
    Grave,
    /// Not of an address: a guard, or a block on sending.
    OfAccount,
    /// It is elsewhere, and nothing in it concerns the account that asks.
    NotYours,
    /// This account has asked often enough.
    AccountLimit,
    /// This address was let out often enough.
    AddressLimit,
    /// A release of the same is under way.
    Busy,
    /// It has ended already.
    Over,
}

/// Accounts as they are compared: how a person writes theirs, and how a mail program does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) default_domain: Option<String>,
}

impl Accounts {
    pub(crate) fn canonical(&self, account: &str) -> String {
        let account = account.trim().to_lowercase();
        match &self.default_domain {
            Some(domain) if !account.contains('@') => format!("{account}@{}", domain.to_lowercase()),
            _ => account,
        }
    }

    pub(crate) fn are_same(&self, one: &str, other: &str) -> bool {
        self.canonical(one) == self.canonical(other)
    }

    /// Whether the block rests on events of this account.
    pub(crate) fn concerns(&self, view: &BlockView, account: &str) -> bool {
        view.receipt
            .events
            .iter()
            .any(|evidence| evidence.event.account.as_deref().is_some_and(|theirs| self.are_same(theirs, account)))
    }

    /// Whether somebody who signed in to the account may know of the block without knowing its code.
    pub(crate) fn may_know(&self, view: &BlockView, account: &str) -> bool {
        match &view.receipt.subject {
            Subject::Network(_) => true,
            Subject::Account(theirs) | Subject::Pair(theirs, _) => self.are_same(theirs, account),
            Subject::Sending(sending) => match &sending.sender {
                Sender::Account(theirs) | Sender::Address(theirs) => self.are_same(theirs, account),
                Sender::Domain { .. } | Sender::Helo(_) => false,
            },
        }
    }

    /// What of the block may be let out, apart from how often: its subject, or the one address of a wider block.
    pub(crate) fn liftable(
        &self,
        policy: &LiftPolicy,
        view: &BlockView,
        account: &str,
        client: IpAddr,
    ) -> Result<Subject, Kept> {
        let block = &view.receipt;
        if view.ended.is_some() {
            return Err(Kept::Over);
        }
        if matches!(block.origin, Origin::Manual(_)) || block.diagnosis == Diagnosis::Manual {
            return Err(Kept::ByHand);
        }
        if block.until.is_none() {
            return Err(Kept::Permanent);
        }
        // What is known now may make it graver, and never less grave.
        if [block.diagnosis, view.diagnosis()].iter().any(|it| policy.left_to_administrator.contains(it)) {
            return Err(Kept::Grave);
        }
        match &block.subject {
            Subject::Network(net) if net.contains(&client.to_canonical()) => Ok(narrower(*net, place(client))),
            Subject::Network(net) => self.elsewhere(view, *net, account).ok_or(Kept::NotYours),
            Subject::Pair(theirs, _) if self.are_same(theirs, account) => Ok(block.subject.clone()),
            Subject::Pair(..) => Err(Kept::NotYours),
            Subject::Account(_) | Subject::Sending(_) => Err(Kept::OfAccount),
        }
    }

    /// The place inside a network where the account was seen last by what made the block.
    fn elsewhere(&self, view: &BlockView, net: IpNet, account: &str) -> Option<Subject> {
        let seen = view.receipt.events.iter().rev().find(|evidence| {
            net.contains(&evidence.event.client)
                && evidence.event.account.as_deref().is_some_and(|theirs| self.are_same(theirs, account))
        })?;
        Some(narrower(net, place(seen.event.client)))
    }
}

fn narrower(block: IpNet, place: IpNet) -> Subject {
    Subject::Network(if block.prefix_len() >= place.prefix_len() { block } else { place })
}

/// The two counts that a release adds to.
pub(crate) fn counted(subject: &Subject, account: &str, client: IpAddr) -> (Releases, Releases) {
    let net = match subject {
        Subject::Network(net) => place(net.addr()),
        Subject::Pair(..) | Subject::Account(_) | Subject::Sending(_) => place(client),
    };
    (Releases::By(account.to_owned()), Releases::Of(net))
}

//! Whether a sender may send: send blocks, found by every name that a sender goes by.

use std::borrow::Cow;

use fairban_types::{Code, Direction, Effect, Mailbox, Mailing, Sender, Sending, Time, Verdict, domain_ascii};

use crate::engine::Engine;
use crate::hash;
use crate::standing::Held;

/// A name that a send block may be against.
#[derive(Clone, Copy)]
enum Name<'a> {
    Address(&'a str),
    /// A domain and nothing below it.
    Domain(&'a str),
    /// A domain with all below it.
    Zone(&'a str),
    Account(&'a str),
    Helo(&'a str),
    /// What stands before the `@` of an address.
    Local(&'a str),
}

/// Keeps these hashes apart from others.
const SENDING: u64 = 0x5e4d << 8;

impl Name<'_> {
    fn key(self, direction: Direction) -> u64 {
        let (name, kind) = match self {
            Name::Address(name) => (name, 0),
            Name::Domain(name) => (name, 1),
            Name::Zone(name) => (name, 2),
            Name::Account(name) => (name, 3),
            Name::Helo(name) => (name, 4),
            Name::Local(name) => (name, 5),
        };
        hash::text(name, SENDING | kind << 2 | direction as u64)
    }
}

/// The key of a send block.
pub(crate) fn key(sending: &Sending) -> u64 {
    let name = match &sending.sender {
        Sender::Address(address) => Name::Address(address),
        Sender::Domain { name, subdomains: false } => Name::Domain(name),
        Sender::Domain { name, subdomains: true } => Name::Zone(name),
        Sender::Account(account) => Name::Account(account),
        Sender::Helo(name) => Name::Helo(name),
    };
    name.key(sending.direction)
}

/// The key by which the send block of an address is found of which only the local part is known.
pub(crate) fn local_key(sending: &Sending) -> Option<u64> {
    let Sender::Address(address) = &sending.sender else { return None };
    let (local, _) = address.rsplit_once('@')?;
    Some(Name::Local(local).key(sending.direction))
}

/// From clients that did not sign in.
const INBOUND: &[Direction] = &[Direction::Both, Direction::Inbound];
/// From accounts that signed in.
const OUTBOUND: &[Direction] = &[Direction::Both, Direction::Outbound];
/// From hosts that may be either, such as a webmail server.
const EITHER: &[Direction] = &[Direction::Both, Direction::Inbound, Direction::Outbound];

impl Engine {
    /// Whether the client may send, by the send blocks in force. The `From` header plays no part.
    ///
    /// Blocks of the client's address are not looked at: [`verdict`](Engine::verdict) answers those.
    pub fn may_send(&self, now: Time, question: &Mailing<'_>) -> Verdict {
        if self.standing.has_no_sendings() {
            return Verdict::Allow;
        }
        let account = question.account.map(str::trim).filter(|account| !account.is_empty());
        let directions = match account {
            Some(_) => OUTBOUND,
            None if self.standing.is_exempt(question.client.into()) => EITHER,
            None => INBOUND,
        };
        let search = Search { engine: self, now, directions };
        let found = account
            .and_then(|account| search.account(account))
            .or_else(|| search.mailbox(&Mailbox::parse(question.return_path?)?))
            .or_else(|| search.helo(question.helo));
        found.map_or(Verdict::Allow, |held| Verdict::Refuse(held.refused()))
    }

    /// The block of what an account sends.
    pub(crate) fn sending_block(&self, now: Time, account: &str) -> Option<Code> {
        if self.standing.has_no_sendings() {
            return None;
        }
        let search = Search { engine: self, now, directions: OUTBOUND };
        search.account(account.trim()).map(|held| held.code)
    }

    /// The block of sending that refuses the account's sign-in to a service that sends.
    pub(crate) fn sign_in_to_send(&self, now: Time, account: &str) -> Option<&Held> {
        let account = account.trim();
        if self.standing.has_no_sendings() || account.is_empty() {
            return None;
        }
        let search = Search { engine: self, now, directions: OUTBOUND };
        search.account(account).or_else(|| search.own_addresses(account))
    }
}

struct Search<'e> {
    engine: &'e Engine,
    now: Time,
    directions: &'static [Direction],
}

impl<'e> Search<'e> {
    fn find(&self, name: Name<'_>) -> Option<&'e Held> {
        let held = self.directions.iter().filter_map(|direction| self.engine.standing.sending(name.key(*direction)));
        held.into_iter().find(|held| self.is_in_force(held))
    }

    fn is_in_force(&self, held: &Held) -> bool {
        held.is_in_force(self.now) && held.effect != Effect::Observe
    }

    /// By the account's name, with and without a detail, with and without a local domain.
    fn account(&self, account: &str) -> Option<&'e Held> {
        let policy = &self.engine.rules.policy.send;
        let account = hash::lower(account);
        let (local, domain) = split(&account);
        let plain = without_detail(local, &policy.recipient_delimiters);
        let locals = [Some(local), plain];
        locals.into_iter().flatten().find_map(|local| match domain {
            None => {
                let mut full = policy.local_domains.iter().map(|domain| format!("{local}@{domain}"));
                self.find(Name::Account(local)).or_else(|| full.find_map(|name| self.find(Name::Account(&name))))
            }
            Some(domain) => {
                let full: Cow<'_, str> =
                    if plain.is_none() { (&*account).into() } else { format!("{local}@{domain}").into() };
                let is_local = policy.local_domains.contains(&domain_ascii(domain));
                let bare = is_local.then_some(Name::Account(local));
                self.find(Name::Account(&full)).or_else(|| self.find(bare?))
            }
        })
    }

    /// By the addresses that an account's name is.
    fn own_addresses(&self, account: &str) -> Option<&'e Held> {
        if account.contains('@') {
            return self.mailbox(&Mailbox::parse(account)?);
        }
        let domains = &self.engine.rules.policy.send.local_domains;
        if domains.is_empty() {
            return self.of_any_domain(account);
        }
        domains.iter().find_map(|domain| {
            let mailbox = Mailbox::parse(&format!("{account}@{domain}"))?;
            // Of several domains, it cannot be told whose the account is.
            if domains.len() == 1 { self.mailbox(&mailbox) } else { self.address(&mailbox) }
        })
    }

    /// Where nobody said which domains are local, an address with the account's name is taken to be its own.
    fn of_any_domain(&self, account: &str) -> Option<&'e Held> {
        let account = hash::lower(account);
        let plain = without_detail(&account, &self.engine.rules.policy.send.recipient_delimiters);
        [Some(&*account), plain].into_iter().flatten().find_map(|local| {
            let keys = self.directions.iter().map(|direction| Name::Local(local).key(*direction));
            keys.flat_map(|key| self.engine.standing.sendings_of(key)).find(|held| self.is_in_force(held))
        })
    }

    fn mailbox(&self, mailbox: &Mailbox) -> Option<&'e Held> {
        self.address(mailbox).or_else(|| self.domain(mailbox.domain()))
    }

    fn address(&self, mailbox: &Mailbox) -> Option<&'e Held> {
        self.find(Name::Address(mailbox.as_str())).or_else(|| {
            let plain = mailbox.without_detail(&self.engine.rules.policy.send.recipient_delimiters)?;
            self.find(Name::Address(&plain))
        })
    }

    /// The domain itself, then each that it is below.
    fn domain(&self, domain: &str) -> Option<&'e Held> {
        let above = std::iter::successors(Some(domain), |zone| zone.split_once('.').map(|(_, above)| above));
        self.find(Name::Domain(domain)).or_else(|| above.take(LABELS_MAX).find_map(|zone| self.find(Name::Zone(zone))))
    }

    fn helo(&self, helo: &str) -> Option<&'e Held> {
        if helo.is_empty() || helo.len() > HELO_MAX {
            return None;
        }
        self.find(Name::Helo(&domain_ascii(helo)))
    }
}

/// The most labels that a name has (RFC 1035, 2.3.4).
const LABELS_MAX: usize = 128;
/// Longer than any name is.
const HELO_MAX: usize = 1024;

fn split(account: &str) -> (&str, Option<&str>) {
    account.rsplit_once('@').map_or((account, None), |(local, domain)| (local, Some(domain)))
}

fn without_detail<'a>(local: &'a str, delimiters: &str) -> Option<&'a str> {
    let (place, _) = local.char_indices().find(|(place, c)| *place > 0 && delimiters.contains(*c))?;
    Some(&local[..place])
}

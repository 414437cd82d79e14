//! Answers to a mail server's questions.

use std::net::IpAddr;

use fairban_types::{Effect, Evidence, Service, SignIn, SubjectKind, Time, Verdict};

use crate::address::Address;
use crate::engine::Engine;
use crate::hash::{self, AccountId};
use crate::rules;
use crate::score::evidence;
use crate::standing::Held;

/// A subject's present score under one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// The rule's name.
    pub rule: String,
    /// The points inside the window that ends now.
    pub score: u32,
    /// The points at which the rule decides.
    pub threshold: u32,
    /// What counted, oldest first.
    pub events: Vec<Evidence>,
}

impl Engine {
    /// The scores of an address now, under every rule that has any.
    pub fn scores(&self, now: Time, client: IpAddr) -> Vec<Score> {
        let place = self.place(client.into());
        let Some(slot) = self.records.find(place.home) else { return Vec::new() };
        let record = self.records.get(slot);
        let rules = self.rules.policy.rules.iter().filter(|rule| rule.subject == SubjectKind::Address);
        let scores = rules.map(|rule| {
            let counted = rules::points(record, rule, now);
            Score {
                rule: rule.name.clone(),
                score: counted.iter().map(|(_, points)| points).sum(),
                threshold: rule.threshold,
                events: evidence(&record.entries, &counted),
            }
        });
        scores.filter(|score| score.score > 0).collect()
    }

    /// Whether the client may sign in, by the blocks in force. Blocks that have ended but were not yet swept do not
    /// count.
    pub fn verdict(&self, now: Time, question: &SignIn<'_>) -> Verdict {
        let client = Address::from(question.client);
        let account = question.account.map_or(0, hash::account);
        if let Some(held) = self.refusal(now, client, account) {
            return Verdict::Refuse(held.refused());
        }
        let sends = matches!(question.service, Service::Smtp | Service::Submission);
        let refusal = question.account.filter(|_| sends).and_then(|account| self.sign_in_to_send(now, account));
        refusal.map_or(Verdict::Allow, |held| Verdict::Refuse(held.refused()))
    }

    /// Whether anything enforces the block: the kernel, or a mail server that asks.
    fn is_felt(&self, held: &Held) -> bool {
        held.effect != Effect::Observe && (held.in_kernel || self.rules.policy.mail_servers_ask)
    }

    /// The block that refuses the client (and account, if not 0).
    pub(crate) fn refusal(&self, now: Time, client: Address, account: AccountId) -> Option<&Held> {
        if self.standing.is_exempt(client) {
            return None;
        }
        let in_force = |held: &Held| held.is_in_force(now) && self.is_felt(held);
        let mut familiar = None;
        let mut is_familiar =
            || *familiar.get_or_insert_with(|| account != 0 && self.is_familiar(account, client, now));
        let covering = self.standing.find_covering(client, |held| {
            in_force(held)
                && !held.holes.iter().any(|hole| hole.contains(&client.ip()))
                && !(held.spares_familiar && is_familiar())
        });
        if let Some((_, held)) = covering {
            return Some(held);
        }
        // Only a mail server that asks can refuse one account: what nobody enforces must not shield an attacker.
        if account != 0 && self.rules.policy.mail_servers_ask {
            if self.standing.has_pairs()
                && let Some(held) = self.standing.pair(account, self.subject_net(client)).filter(|held| in_force(held))
            {
                return Some(held);
            }
            if let Some(held) = self.standing.account(account).filter(|held| in_force(held)) {
                return (!(held.spares_familiar && is_familiar())).then_some(held);
            }
        }
        None
    }
}

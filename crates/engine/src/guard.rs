//! Many networks against one account: the account is guarded.

use fairban_types::{Action, Code, Decision, Diagnosis, Effect, Event, Evidence, Origin, Subject};
use smallvec::SmallVec;

use crate::address::Address;
use crate::engine::{Engine, Seen};
use crate::entry::{FAMILIAR, FORGIVEN};
use crate::hash;

/// The name of the rule in receipts.
pub(crate) const GUARD: &str = "guard";

impl Engine {
    /// Guards the account if enough unfamiliar networks have failed on it. Where nobody asks before a sign-in, a guard
    /// cannot refuse; there, an address that fails on a guarded account is blocked at once.
    pub(crate) fn consider_guard(&mut self, seen: Seen<'_>, out: &mut Vec<Decision>) {
        if self.rules.policy.guard.is_none() || seen.account == 0 {
            return;
        }
        if self.standing.account(seen.account).is_none() && !self.raise_guard(seen, out) {
            return;
        }
        if !self.rules.policy.mail_servers_ask {
            self.block_under_guard(seen, out);
        }
    }

    fn raise_guard(&mut self, seen: Seen<'_>, out: &mut Vec<Decision>) -> bool {
        let Some(policy) = self.rules.policy.guard.clone() else { return false };
        let Some(name) = seen.event.account.as_deref() else { return false };
        let members = self.by_account.of(seen.account);
        if members.len() < policy.networks as usize {
            return false;
        }
        let start = self.now.before(policy.period).millis();
        let familiar = self.rules.policy.familiar;
        let mut networks: SmallVec<[u128; 8]> = SmallVec::new();
        let mut events: Vec<Evidence> = Vec::new();
        for slot in members {
            let failures = self.records.get(*slot).entries.iter().filter(|entry| {
                entry.account == seen.account
                    && entry.time > start
                    && entry.kind.is_login_failure()
                    && !entry.is(FAMILIAR | FORGIVEN)
            });
            for entry in failures {
                let network = Address::from(entry.client()).network(familiar.ipv4_prefix, familiar.ipv6_prefix);
                let is_new = !networks.contains(&network);
                if is_new {
                    networks.push(network);
                }
                events.push(entry.evidence(u32::from(is_new)));
            }
        }
        let score = networks.len() as u32;
        if score < policy.networks {
            return false;
        }
        events.sort_by_key(|evidence| evidence.event.time);
        self.decide(
            Decision {
                code: Code::default(),
                time: self.now,
                action: Action::Guard,
                subject: Subject::Account(hash::lower(name.trim()).into_owned()),
                origin: Origin::Rule(GUARD.to_owned()),
                reason: format!(
                    "{} unfamiliar networks failed on one account within {}: sign-ins from unfamiliar networks are refused",
                    policy.networks,
                    fairban_types::format_duration(policy.period)
                ),
                score,
                threshold: policy.networks,
                until: Some(self.now.after(policy.lasts)),
                effect: Effect::Explain,
                diagnosis: Diagnosis::PasswordGuessing,
                offence: 1,
                spares_familiar: true,
                in_kernel: false,
                holes: Vec::new(),
                events,
            },
            out,
        );
        true
    }

    /// The attack goes on: once half the guard's time is over, it starts anew.
    pub(crate) fn prolong_guard(&mut self, seen: Seen<'_>, out: &mut Vec<Decision>) {
        let (Some(policy), Some(name)) = (&self.rules.policy.guard, seen.event.account.as_deref()) else { return };
        let Some(held) = self.standing.account(seen.account) else { return };
        let until = self.now.after(policy.lasts);
        if held.until.is_none_or(|end| end.since(self.now) > policy.lasts / 2) {
            return;
        }
        let subject = Subject::Account(hash::lower(name.trim()).into_owned());
        self.renew(subject, "prolonged: the attack goes on", out, |renewed| renewed.until = Some(until));
    }

    fn block_under_guard(&mut self, seen: Seen<'_>, out: &mut Vec<Decision>) {
        let familiar = &self.rules.policy.familiar;
        let is_home = self.familiar.accounts_at(seen.place.home, self.now, familiar) > 0;
        if is_home || self.refusal(self.now, seen.place.client, 0).is_some() {
            return;
        }
        let kind = seen.event.kind;
        let Some(rule) = self.rules.policy.rules.iter().find(|rule| rule.spares_familiar && rule.points.of(kind) > 0)
        else {
            return;
        };
        let (points, ladder) = (rule.points.of(kind), rule.ladder.clone());
        let subject = Subject::Network(self.subject_net(seen.place.client));
        let offence = self.climb(&subject, Diagnosis::PasswordGuessing, ladder.forget);
        let event = Event { time: seen.at, ..seen.event.clone().into_owned() };
        self.decide(
            Decision {
                code: Code::default(),
                time: self.now,
                action: Action::Block,
                subject,
                origin: Origin::Rule(GUARD.to_owned()),
                reason: "the account is under attack from many networks: one failure from an unfamiliar address \
                         blocks it"
                    .to_owned(),
                score: points,
                threshold: points,
                until: ladder.time(offence).map(|time| self.now.after(time)),
                effect: Effect::Drop,
                diagnosis: Diagnosis::PasswordGuessing,
                offence,
                spares_familiar: false,
                in_kernel: true,
                holes: Vec::new(),
                events: vec![Evidence { points, seen: 1, first: None, event }],
            },
            out,
        );
    }
}

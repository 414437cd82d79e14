//! What other nodes decided and saw.

use std::net::IpAddr;

use fairban_types::{Decision, Effect, Event, EventKind, Service, Subject, Time};

use crate::address::Address;
use crate::engine::{Engine, Outcome, Seen, ending};
use crate::familiar::Familiarity;
use crate::hash;
use crate::ladder::Offence;
use crate::rules;
use crate::standing::Place;

impl Engine {
    /// Puts a block or guard of another node in force, in place of one of the same subject. Its offence is this node's
    /// too, counted once; the windows that may have led to it here are spent. Returns whether it changed anything: what
    /// is on the never-block list, or over, does not.
    pub fn impose(&mut self, now: Time, mut decision: Decision, out: &mut Vec<Decision>) -> bool {
        self.advance(now, out);
        let is_over = decision.until.is_some_and(|until| until <= self.now);
        let net = match &decision.subject {
            Subject::Network(net) | Subject::Pair(_, net) => Some(*net),
            Subject::Account(_) | Subject::Sending(_) => None,
        };
        if is_over || net.is_some_and(|net| self.standing.is_exempt_network(net)) {
            return false;
        }
        let is_known = self.standing.get(&decision.subject).is_some_and(|held| {
            held.code == decision.code && held.until == decision.until && *held.holes == *decision.holes
        });
        if is_known {
            return false;
        }
        decision.in_kernel = self.reaches_kernel_here(&decision);
        if decision.offence > 0 {
            let key = hash::text(&decision.subject.to_string(), 0);
            let known = self.offences.get(key).unwrap_or(Offence { count: 0, last: decision.time });
            let count = known.count.max(decision.offence);
            self.offences.set(key, Offence { count, last: known.last.max(decision.time) });
        }
        // Without its time, which is by another machine's clock: this one's must not jump ahead.
        self.follow_from(&decision);
        self.hold(&decision);
        out.push(decision);
        true
    }

    /// Where this machine's mail servers do not ask, only the kernel can keep somebody out; where they do, it must not
    /// drop whom accounts are familiar with here.
    fn reaches_kernel_here(&self, decision: &Decision) -> bool {
        let Subject::Network(net) = &decision.subject else { return false };
        let policy = &self.rules.policy;
        if !policy.mail_servers_ask {
            return matches!(decision.effect, Effect::Drop | Effect::Explain);
        }
        let home = Address::from(net.addr()).subject(policy.address);
        let is_home = self.familiar.accounts_at(home, self.now, &policy.familiar) > 0;
        decision.in_kernel && !(decision.spares_familiar && is_home)
    }

    /// Takes away the block of exactly this subject, if there is one.
    pub fn lift(&mut self, now: Time, subject: &Subject, by: &str, reason: &str, out: &mut Vec<Decision>) -> bool {
        self.advance(now, out);
        let Some((subject, held)) = self.standing.release(Place::of(subject)) else { return false };
        if held.offence > 0 {
            self.offences.take_back(hash::text(&subject.to_string(), 0));
        }
        out.push(ending(fairban_types::Action::Release, self.now, subject, held, Some((by, reason))));
        true
    }

    /// Takes an event that counted on another node: it adds to the same windows as one of this node's own. `number` is
    /// its own, so that it counts once however often it comes.
    pub fn hear(&mut self, now: Time, event: &Event<'_>, number: u64, out: &mut Vec<Decision>) -> Outcome {
        self.advance(now, out);
        let prepared = Engine::prepare(event);
        if let Some(held) = self.refusal(self.now, prepared.client, prepared.account) {
            return Outcome::Stopped(held.code);
        }
        let seen = Seen { number: number | 1, ..self.see(event, prepared, event.count.max(1)) };
        match event.kind {
            kind if !self.rules.scores(kind) => return Outcome::Noted,
            _ if self.standing.is_exempt(prepared.client) => return Outcome::Exempt,
            _ if self.now.since(seen.at) > self.rules.period_max => return Outcome::Late,
            _ => {}
        }
        let credential = match prepared.credential {
            0 => seen.number,
            credential => credential,
        };
        let known = self.records.find(seen.place.home).map(|slot| self.records.get(slot));
        if known.is_some_and(|record| record.entries.iter().any(|entry| entry.credential == credential)) {
            return Outcome::Repeated;
        }
        self.score(seen, &rules::SUBJECTS, out)
    }

    /// Learns from another node that an account has signed in from an address; what it did wrong there is taken back.
    /// Returns whether that was news.
    pub fn learn_familiar(&mut self, now: Time, account: &str, client: IpAddr, last: Time) -> bool {
        let policy = self.rules.policy.familiar;
        let is_known = |known: Familiarity| known.last.after(policy.forget / 10) >= last;
        if now.since(last) > policy.forget || self.familiarity(account, client).is_some_and(is_known) {
            return false;
        }
        let event = Event::new(EventKind::LoginSucceeded, last, client, Service::Unknown).account(account);
        let seen = self.see(&event, Engine::prepare(&event), 1);
        self.succeeded(seen);
        true
    }
}

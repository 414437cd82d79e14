//! Blocks in force that change: they keep their code and their beginning.

use std::time::Duration;

use fairban_types::{Action, Decision, Subject, SubjectKind};

use crate::engine::{Engine, Seen};
use crate::entry::{Entry, SPENT};

impl Engine {
    /// Changes a block or guard in force, and says so.
    pub(crate) fn renew(
        &mut self,
        subject: Subject,
        reason: &str,
        out: &mut Vec<Decision>,
        change: impl FnOnce(&mut Decision),
    ) {
        let Some(held) = self.standing.get(&subject) else { return };
        let receipt = held.receipt.clone();
        let receipt = receipt.as_deref();
        let mut decision = Decision {
            code: held.code,
            time: held.since,
            action: if held.is_guard { Action::Guard } else { Action::Block },
            subject,
            origin: (*held.origin).clone(),
            reason: receipt.map_or_else(|| reason.to_owned(), |receipt| format!("{}; {reason}", receipt.reason)),
            score: receipt.map_or(0, |receipt| receipt.score),
            threshold: receipt.map_or(0, |receipt| receipt.threshold),
            until: held.until,
            effect: held.effect,
            diagnosis: receipt.map_or(held.diagnosis, |receipt| receipt.diagnosis),
            offence: held.offence,
            spares_familiar: held.spares_familiar,
            in_kernel: held.in_kernel,
            holes: held.holes.to_vec(),
            events: receipt.map_or_else(Vec::new, |receipt| receipt.events.clone()),
        };
        change(&mut decision);
        self.hold(&decision);
        out.push(Decision { time: self.now, ..decision });
    }

    /// How long a block goes on after the last refused try. One in the kernel hears of no more tries.
    pub(crate) fn linger_of(&self, decision: &Decision) -> Duration {
        let policy = &self.rules.policy;
        if decision.in_kernel || decision.action != Action::Block || !policy.mail_servers_ask {
            return Duration::ZERO;
        }
        let rule = policy.rules.iter().find(|rule| rule.name == decision.origin.rule());
        rule.map_or(Duration::ZERO, |rule| rule.linger)
    }

    /// A refused try: if it is with yet another credential, the block goes on. The old password of a device, tried
    /// again and again, prolongs nothing.
    pub(crate) fn linger(&mut self, seen: Seen<'_>, out: &mut Vec<Decision>) {
        let found = self.standing.find_covering(seen.place.client, |held| !held.linger.is_zero());
        let Some((net, held)) = found else { return };
        let (linger, until) = (held.linger, held.until);
        if !self.is_another_try(seen) || until.is_none_or(|until| until.since(self.now) > linger / 2) {
            return;
        }
        let until = self.now.after(linger);
        self.renew(Subject::Network(net), "prolonged: refused tries go on", out, |renewed| renewed.until = Some(until));
    }

    /// Whether the address has not tried this credential before; from now on it has.
    fn is_another_try(&mut self, seen: Seen<'_>) -> bool {
        let credential = seen.credential;
        if credential == 0 {
            return true;
        }
        let Some(slot) = self.records.find(seen.place.home) else { return true };
        let mut entries = self.records.get(slot).entries.iter();
        if entries.any(|entry| entry.credential == credential && entry.kind.is_login_failure()) {
            return false;
        }
        let rules = self.rules.scoring(SubjectKind::Address, seen.event.kind, seen.event.service, false);
        if !rules.is_empty() {
            let entry = Entry::new(seen.event, seen.at, seen.account, credential, 1, SPENT);
            if let Some(dropped) = self.records.push(slot, entry) {
                self.unindex(slot, &[dropped]);
            }
        }
        true
    }
}

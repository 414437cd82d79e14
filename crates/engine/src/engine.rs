//! The state machine.

use std::sync::Arc;

use fairban_types::{
    Action, Code, Decision, Diagnosis, Event, EventKind, Origin, Policy, Service, Subject, SubjectKind, Time,
};

use crate::address::Address;
use crate::entry::Entry;
use crate::familiar::{Familiar, Place};
use crate::hash::{self, AccountId};
use crate::ladder::Offences;
use crate::members::Members;
use crate::outbound::{self, Outbound};
use crate::prepared::Prepared;
use crate::records::Records;
use crate::refused::{Refusing, is_own_refusal};
use crate::rules::{self, Rules};
use crate::stale::Stale;
use crate::standing::{Held, Receipt, Standing};
use crate::witness::Witnesses;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It earned points.
    Counted,
    /// The same wrong credential was counted already.
    Repeated,
    /// A failure of an account at a network familiar to it: held against that pair alone.
    Spared,
    /// No rule scores it.
    Noted,
    /// The client or account was blocked; nothing was scored. The code is the block's.
    Stopped(Code),
    /// Another part of the mail server told it already.
    Duplicate,
    /// The client is on the never-block list.
    Exempt,
    /// Older than any rule looks back.
    Late,
}

/// Of the memory limit, the share that the engine plans with: the rest is the program's own and the allocator's.
const MEMORY_SHARE_PERCENT: usize = 60;

/// Everything that is known, and what is decided by it.
pub struct Engine {
    pub(crate) rules: Rules,
    pub(crate) records: Records,
    pub(crate) by_account: Members,
    pub(crate) by_network: Members,
    pub(crate) familiar: Familiar,
    pub(crate) standing: Standing,
    pub(crate) offences: Offences,
    pub(crate) stale: Stale,
    pub(crate) witnesses: Witnesses,
    pub(crate) outbound: Outbound,
    pub(crate) now: Time,
    steps: u64,
}

/// An event with what was looked up for it.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'e> {
    pub(crate) event: &'e Event<'e>,
    pub(crate) at: Time,
    pub(crate) account: AccountId,
    pub(crate) credential: u64,
    pub(crate) place: Place,
    pub(crate) is_familiar: bool,
    pub(crate) tries: u32,
    /// Tells it apart where the event carries no credential: it comes from another node, and may come twice. 0: it is
    /// this node's own.
    pub(crate) number: u64,
}

impl Engine {
    /// An engine that knows nothing yet.
    pub fn new(policy: Policy) -> Self {
        let memory_bytes_max = policy.memory_bytes_max;
        let rules = Rules::new(policy);
        let mut standing = Standing::default();
        for net in &rules.policy.never {
            standing.never_add(*net);
        }
        Engine {
            records: Records::new(rules.entries_max),
            rules,
            by_account: Members::default(),
            by_network: Members::default(),
            familiar: Familiar::default(),
            standing,
            offences: Offences::default(),
            stale: Stale::default(),
            witnesses: Witnesses::new(memory_bytes_max),
            outbound: Outbound::new(memory_bytes_max),
            now: Time::MIN,
            steps: 0,
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.rules.policy
    }

    /// Takes an event at its arrival, and appends what follows from it.
    ///
    /// `now` never goes back: an earlier time is taken as the latest one seen.
    pub fn step(&mut self, now: Time, event: &Event<'_>, out: &mut Vec<Decision>) -> Outcome {
        self.step_prepared(now, event, Engine::prepare(event), out)
    }

    /// The same as [`step`](Engine::step), with what [`prepare`](Engine::prepare) says of this very event.
    pub fn step_prepared(
        &mut self,
        now: Time,
        event: &Event<'_>,
        prepared: Prepared,
        out: &mut Vec<Decision>,
    ) -> Outcome {
        self.advance(now, out);
        self.tidy();
        let account = prepared.account;
        let tries = self.witnesses.fresh(event, prepared);
        if tries == 0 {
            self.learn(event, prepared, out);
            return Outcome::Duplicate;
        }
        let client = prepared.client;
        if outbound::concerns(event.kind)
            && let Some(outcome) = self.sent(event, account, out)
        {
            return outcome;
        }
        if let Some(held) = self.refusal(self.now, client, account) {
            let code = held.code;
            let refusal = Refusing::of(held);
            self.refused(refusal, event, prepared, tries, out);
            return Outcome::Stopped(code);
        }
        let seen = self.see(event, prepared, tries);
        match event.kind {
            EventKind::LoginSucceeded => {
                self.succeeded(seen);
                // No profile scores a success; an operator's own rule may, against devices that ask too often.
                if self.rules.scores(event.kind) && !self.standing.is_exempt(client) {
                    return self.score(seen, &rules::SUBJECTS, out);
                }
            }
            EventKind::RecipientAccepted => self.familiar.accepted(seen.place.home, seen.at),
            kind if !self.rules.scores(kind) || is_own_refusal(event) => {}
            _ if self.standing.is_exempt(client) => return Outcome::Exempt,
            _ if self.now.since(seen.at) > self.rules.period_max => return Outcome::Late,
            _ => return self.score(seen, &rules::SUBJECTS, out),
        }
        Outcome::Noted
    }

    /// Who told a failed sign-in first may not have known the service and the program (Dovecot's `auth`); who tells it
    /// again does.
    fn learn(&mut self, event: &Event<'_>, prepared: Prepared, out: &mut Vec<Decision>) {
        if event.service == Service::Unknown || !event.kind.is_login_failure() {
            return;
        }
        let Some(slot) = self.records.find(self.place(prepared.client).home) else { return };
        let is_same = |entry: &Entry| {
            entry.service == Service::Unknown
                && entry.kind.is_login_failure()
                && (prepared.account == 0 || entry.account == prepared.account)
        };
        if !self.records.amend(slot, is_same, |entry| entry.learn(event)) {
            return;
        }
        let seen = self.see(event, prepared, 1);
        for place in self.rules.scoring(SubjectKind::Address, event.kind, event.service, seen.is_familiar) {
            if self.judge(place, slot, SubjectKind::Address, seen, out) {
                break;
            }
        }
    }

    /// Moves time on: blocks that have come to their end are taken away.
    #[inline(always)]
    pub fn advance(&mut self, now: Time, out: &mut Vec<Decision>) {
        self.now = self.now.max(now);
        if self.standing.next_end().is_some_and(|end| end <= self.now) {
            self.end_due(out);
        }
    }

    #[inline(never)]
    fn end_due(&mut self, out: &mut Vec<Decision>) {
        while let Some((subject, held)) = self.standing.end_one(self.now) {
            out.push(ending(Action::Expire, held.until.unwrap_or(self.now), subject, held, None));
        }
    }

    /// When [`advance`](Engine::advance) has something to do next.
    pub fn next_end(&self) -> Option<Time> {
        self.standing.next_end()
    }

    /// How many blocks and guards are in force.
    pub fn standing_len(&self) -> usize {
        self.standing.len()
    }

    /// How many subjects have scores.
    pub fn tracked_len(&self) -> usize {
        self.records.len()
    }

    /// An estimate of the memory in use, in bytes, never much too low.
    pub fn bytes(&self) -> usize {
        self.evictable_bytes()
            + self.standing.bytes()
            + self.offences.bytes()
            + self.witnesses.bytes()
            + self.outbound.bytes()
    }

    fn evictable_bytes(&self) -> usize {
        self.records.bytes() + self.by_account.bytes() + self.by_network.bytes() + self.familiar.bytes()
    }

    pub(crate) fn is_familiar(&self, account: AccountId, client: Address, now: Time) -> bool {
        self.familiar.knows(account, client, now, &self.rules.policy.familiar)
    }

    pub(crate) fn place(&self, client: Address) -> Place {
        let neighbourhood = self
            .rules
            .policy
            .widen
            .as_ref()
            .map_or(0, |widen| hash::fold(client.network(widen.ipv4_prefix, widen.ipv6_prefix)));
        Place { client, home: client.subject(self.rules.policy.address), neighbourhood }
    }

    pub(crate) fn see<'e>(&self, event: &'e Event<'e>, prepared: Prepared, tries: u32) -> Seen<'e> {
        let Prepared { client, account, credential, .. } = prepared;
        let is_familiar = account != 0 && event.kind.is_login_failure() && self.is_familiar(account, client, self.now);
        let (at, place) = (event.time.min(self.now), self.place(client));
        Seen { event, at, account, credential, place, is_familiar, tries, number: 0 }
    }

    /// Puts a decision in force and appends it, with its code.
    pub(crate) fn decide(&mut self, mut decision: Decision, out: &mut Vec<Decision>) -> Code {
        let subject = hash::text(&decision.subject.to_string(), 1);
        let rule = hash::text(decision.origin.rule(), 2);
        decision.code = Code::new(hash::mix(&[subject, rule, decision.time.millis() as u64]));
        self.hold(&decision);
        let code = decision.code;
        out.push(decision);
        code
    }

    /// Puts a decision in force.
    pub(crate) fn hold(&mut self, decision: &Decision) {
        let known = self.rules.origins.iter().find(|origin| ***origin == decision.origin);
        let linger = self.linger_of(decision);
        let is_guard = decision.action == Action::Guard;
        let held = Held {
            code: decision.code,
            since: decision.time,
            until: decision.until,
            effect: decision.effect,
            offence: decision.offence,
            spares_familiar: decision.spares_familiar,
            in_kernel: decision.in_kernel,
            is_guard,
            diagnosis: decision.diagnosis,
            subject: match &decision.subject {
                Subject::Network(_) => SubjectKind::Address,
                Subject::Account(_) => SubjectKind::Account,
                Subject::Pair(..) => SubjectKind::Pair,
                Subject::Sending(_) => SubjectKind::Sending,
            },
            holes: decision.holes.clone().into_boxed_slice(),
            linger,
            receipt: (is_guard || !linger.is_zero()).then(|| receipt(decision, &self.standing)).flatten(),
            origin: known.cloned().unwrap_or_else(|| Arc::new(decision.origin.clone())),
        };
        self.standing.hold(&decision.subject, held);
    }

    /// Forgets what is too old, and beyond the memory limit what was idle longest. Live blocks are never forgotten.
    fn tidy(&mut self) {
        self.steps = self.steps.wrapping_add(1);
        let horizon = self.now.before(self.rules.period_max);
        for _ in 0..2 {
            if self.records.oldest_time().is_none_or(|time| time >= horizon) {
                break;
            }
            self.forget_oldest();
        }
        if !self.steps.is_multiple_of(64) {
            return;
        }
        let limit = self.rules.policy.memory_bytes_max / 100 * MEMORY_SHARE_PERCENT;
        let fixed = self.standing.bytes()
            + self.offences.bytes()
            + self.witnesses.bytes()
            + self.stale.bytes()
            + self.outbound.bytes();
        let allowed = limit.saturating_sub(fixed).max(limit / 8);
        while self.evictable_bytes() > allowed && self.records.len() > 0 {
            self.forget_oldest();
        }
        if self.steps.is_multiple_of(1 << 16) {
            let pairs_max = (limit / 4 / 128).max(1024);
            self.familiar.tidy(self.now, &self.rules.policy.familiar, pairs_max);
            self.stale.tidy(self.now, pairs_max);
            self.outbound.tidy(self.now);
            self.offences.drop_before(self.now.before(self.rules.forget_max));
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((slot, _, entries)) = self.records.forget_oldest() {
            self.unindex(slot, &entries);
        }
    }
}

/// Why a decision was made; a renewal is told with the reason of what it renews.
fn receipt(decision: &Decision, standing: &Standing) -> Option<Arc<Receipt>> {
    match standing.get(&decision.subject) {
        Some(before) if before.code == decision.code => before.receipt.clone(),
        _ => Some(Arc::new(Receipt {
            score: decision.score,
            threshold: decision.threshold,
            diagnosis: decision.diagnosis,
            reason: decision.reason.clone(),
            events: decision.events.clone(),
        })),
    }
}

/// The decision that ends a block.
pub(crate) fn ending(action: Action, time: Time, subject: Subject, held: Held, by: Option<(&str, &str)>) -> Decision {
    Decision {
        code: held.code,
        time,
        action,
        subject,
        origin: by.map_or_else(|| (*held.origin).clone(), |(by, _)| Origin::Manual(by.to_owned())),
        reason: by.map_or_else(String::new, |(_, reason)| reason.to_owned()),
        score: 0,
        threshold: 0,
        until: None,
        effect: held.effect,
        diagnosis: Diagnosis::Unknown,
        offence: held.offence,
        spares_familiar: held.spares_familiar,
        in_kernel: held.in_kernel,
        holes: held.holes.to_vec(),
        events: Vec::new(),
    }
}

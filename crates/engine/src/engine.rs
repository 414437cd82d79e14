//! The state machine.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use fairban_types::{
    Action, Code, Decision, Diagnosis, Effect, Event, EventKind, Evidence, Origin, Policy, Service, Subject,
    SubjectKind, Time, network_of,
};

use crate::entry::{Entry, FAMILIAR, FORGIVEN, SPENT};
use crate::familiar::{Familiar, Place};
use crate::hash::{self, AccountId};
use crate::ladder::{Offence, Offences};
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

/// How many times the threshold a sender of accepted mail may miss recipients before it counts as harvesting.
const DELIVERS_FACTOR: u32 = 5;

/// After an offence, this share of a rule's threshold suffices for the next one, in tenths.
const PROBATION_TENTHS: u32 = 6;

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
        let client = event.client.to_canonical();
        if outbound::concerns(event.kind)
            && let Some(outcome) = self.sent(event, account, out)
        {
            return outcome;
        }
        if let Some(held) = self.refusal(self.now, client, account) {
            let code = held.code;
            let refusal = Refusing::of(held);
            self.refused(refusal, event, client, prepared, tries, out);
            return Outcome::Stopped(code);
        }
        let seen = self.see(event, client, prepared, tries);
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
        let client = event.client.to_canonical();
        let Some(slot) = self.records.find(self.place(client).home) else { return };
        let is_same = |entry: &Entry| {
            entry.service == Service::Unknown
                && entry.kind.is_login_failure()
                && (prepared.account == 0 || entry.account == prepared.account)
        };
        if !self.records.amend(slot, is_same, |entry| entry.learn(event)) {
            return;
        }
        let seen = self.see(event, client, prepared, 1);
        for place in self.rules.scoring(SubjectKind::Address, event.kind, event.service, seen.is_familiar) {
            if self.judge(place, slot, SubjectKind::Address, seen, out) {
                break;
            }
        }
    }

    /// Moves time on: blocks that have come to their end are taken away.
    pub fn advance(&mut self, now: Time, out: &mut Vec<Decision>) {
        self.now = self.now.max(now);
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

    pub(crate) fn is_familiar(&self, account: AccountId, client: IpAddr, now: Time) -> bool {
        self.familiar.knows(account, client, now, &self.rules.policy.familiar)
    }

    pub(crate) fn place(&self, client: IpAddr) -> Place {
        let neighbourhood = self.rules.policy.widen.as_ref().map_or(0, |widen| {
            let bits = hash::address_bits(client, widen.ipv4_prefix, widen.ipv6_prefix);
            hash::fold(bits)
        });
        Place { client, home: hash::subject_bits(client, self.rules.policy.address), neighbourhood }
    }

    pub(crate) fn see<'e>(&self, event: &'e Event<'e>, client: IpAddr, prepared: Prepared, tries: u32) -> Seen<'e> {
        let Prepared { account, credential, .. } = prepared;
        let is_familiar = account != 0 && event.kind.is_login_failure() && self.is_familiar(account, client, self.now);
        let (at, place) = (event.time.min(self.now), self.place(client));
        Seen { event, at, account, credential, place, is_familiar, tries, number: 0 }
    }

    /// A success makes the network familiar to the account, and takes back what the account did wrong there before.
    /// It takes back nothing that other accounts did there.
    pub(crate) fn succeeded(&mut self, seen: Seen<'_>) {
        if seen.account == 0 {
            return;
        }
        self.familiar.signed_in(seen.account, seen.place, seen.at, &self.rules.policy.familiar);
        for subject in rules::SUBJECTS {
            if subject != SubjectKind::Address && !self.rules.has_subject(subject) {
                continue;
            }
            let key = record_key(subject, seen.account, seen.place.home);
            let Some(slot) = self.records.find(key) else { continue };
            for entry in &mut self.records.get_mut(slot).entries {
                if entry.account == seen.account && entry.kind.is_login_failure() {
                    entry.flags |= FORGIVEN;
                }
            }
        }
    }

    /// Whether a failure at an unfamiliar network is that of a device known from a familiar one; a failure at a
    /// familiar one is noted.
    fn is_stale_device(&mut self, seen: Seen<'_>) -> bool {
        if seen.account == 0 || !seen.event.kind.is_login_failure() || !self.rules.spares_familiar {
            return false;
        }
        if seen.is_familiar {
            self.stale.note(seen.credential, seen.account, seen.at);
            return false;
        }
        self.stale.explains(seen.credential, seen.account, seen.at)
    }

    pub(crate) fn score(&mut self, seen: Seen<'_>, subjects: &[SubjectKind], out: &mut Vec<Decision>) -> Outcome {
        if self.is_stale_device(seen) {
            return Outcome::Spared;
        }
        let mut outcome = if seen.is_familiar { Outcome::Spared } else { Outcome::Noted };
        for subject in subjects.iter().copied() {
            let Some((slot, repeated, rules)) = self.enter(subject, seen) else { continue };
            if !seen.is_familiar {
                outcome = if repeated { Outcome::Repeated } else { Outcome::Counted };
            }
            // The same again adds nothing, so nothing can follow from it.
            if repeated {
                continue;
            }
            for place in rules {
                if self.judge(place, slot, subject, seen, out) {
                    break;
                }
            }
            if subject == SubjectKind::Address && seen.event.kind.is_login_failure() && !seen.is_familiar {
                self.consider_guard(seen, out);
                self.consider_widening(seen, out);
            }
        }
        outcome
    }

    /// Puts the event into the subject's window. `None`: no rule for such subjects scores it. Otherwise the slot,
    /// whether it only repeats what is there, and the places of the rules that score it.
    pub(crate) fn enter(&mut self, subject: SubjectKind, seen: Seen<'_>) -> Option<(u32, bool, Range<usize>)> {
        let event = seen.event;
        if seen.account == 0 && subject != SubjectKind::Address {
            return None;
        }
        let rules = self.rules.scoring(subject, event.kind, event.service, seen.is_familiar);
        if rules.is_empty() {
            return None;
        }
        let key = record_key(subject, seen.account, seen.place.home);
        let slot = self.records.touch(key);
        let horizon = self.now.before(self.rules.period_max);
        if self.records.reaches_before(slot, horizon) {
            let dropped = self.records.drop_before(slot, horizon);
            self.unindex(slot, &dropped);
        }
        let credential = match seen.credential {
            0 => seen.number,
            credential => credential,
        };
        if credential != 0 && self.rules.merges(event.kind) {
            let same = |entry: &&mut Entry| entry.credential == credential && !entry.is(SPENT);
            if let Some(entry) = self.records.get_mut(slot).entries.iter_mut().find(same) {
                entry.see_again(seen.at);
                return Some((slot, true, rules));
            }
        }
        let flags = if seen.is_familiar { FAMILIAR } else { 0 };
        let entry = Entry::new(event, seen.at, seen.account, credential, seen.tries, flags);
        if let Some(dropped) = self.records.push(slot, entry) {
            self.unindex(slot, &[dropped]);
        }
        if subject == SubjectKind::Address && event.kind.is_login_failure() && !seen.is_familiar {
            if seen.account != 0 && self.rules.policy.guard.is_some() {
                self.by_account.add(seen.account, slot);
            }
            if self.rules.policy.widen.is_some() {
                self.by_network.add(seen.place.neighbourhood, slot);
            }
        }
        Some((slot, false, rules))
    }

    /// Takes a slot out of the indexes of entries that it no longer has.
    pub(crate) fn unindex(&mut self, slot: u32, dropped: &[Entry]) {
        for gone in dropped {
            let still = self.records.get(slot).entries.iter().any(|entry| entry.account == gone.account);
            if gone.account != 0 && !still {
                self.by_account.remove(gone.account, slot);
            }
        }
        if let Some(gone) = dropped.first()
            && self.records.get(slot).entries.is_empty()
        {
            let place = self.place(gone.client());
            self.by_network.remove(place.neighbourhood, slot);
        }
    }

    /// Blocks the subject if the threshold of the rule at a place of [`Rules::scoring`] is reached.
    fn judge(&mut self, place: usize, slot: u32, kind: SubjectKind, seen: Seen<'_>, out: &mut Vec<Decision>) -> bool {
        let index = self.rules.scoring_at(place);
        let rule = &self.rules.policy.rules[index];
        let record = self.records.get(slot);
        let counted = rules::points(record, rule, self.now);
        let score = counted.iter().fold(0u32, |sum, (_, points)| sum.saturating_add(*points));
        // Nothing below lowers a threshold further than an earlier offence does.
        if score == 0 || u64::from(score) * 10 < u64::from(rule.threshold) * u64::from(PROBATION_TENTHS) {
            return false;
        }
        let policy = &self.rules.policy;
        let shared = rule.spares_familiar
            && kind == SubjectKind::Address
            && self.familiar.accounts_at(seen.place.home, self.now, &policy.familiar) > 0;
        let mut threshold = rule.threshold;
        let mut reason = String::new();
        if shared && !policy.mail_servers_ask {
            threshold = threshold.saturating_mul(policy.familiar.log_only_threshold_factor.max(1));
            reason = "; accounts sign in from here and the mail server does not ask, so far more evidence was awaited \
                      and the block is shorter"
                .to_owned();
        }
        let has_offended = rule.spares_familiar && kind == SubjectKind::Address && !shared && {
            let subject = Subject::Network(self.subject_net(seen.place.client));
            self.offences.next(hash::text(&subject.to_string(), 0), self.now, rule.ladder.forget) > 1
        };
        if has_offended {
            threshold = threshold.saturating_mul(PROBATION_TENTHS).div_ceil(10);
            reason.push_str("; it has offended before, so less was needed");
        }
        let delivers = rule.spares_familiar
            && seen.event.kind == EventKind::RecipientUnknown
            && self.familiar.has_delivered(seen.place.home, self.now, &policy.familiar);
        if delivers {
            threshold = threshold.saturating_mul(DELIVERS_FACTOR);
        }
        if score < threshold {
            return false;
        }
        let subject = match (kind, seen.event.account.as_deref()) {
            (SubjectKind::Account, Some(name)) => Subject::Account(hash::lower(name.trim()).into_owned()),
            (SubjectKind::Pair, Some(name)) => {
                Subject::Pair(hash::lower(name.trim()).into_owned(), self.subject_net(seen.place.client))
            }
            _ => Subject::Network(self.subject_net(seen.place.client)),
        };
        // In force already, only not felt by this try.
        if self.standing.get(&subject).is_some_and(|held| held.until.is_none_or(|until| until > self.now)) {
            return false;
        }
        let evidence = evidence(record.entries.as_slice(), &counted);
        let diagnosis = self.diagnosed(&evidence);
        let (rule_words, ladder, effect) = (rule.in_words(), rule.ladder.clone(), rule.effect);
        let spares_familiar = rule.spares_familiar && policy.mail_servers_ask && kind == SubjectKind::Address;
        let block_max = match policy.mail_servers_ask {
            true => policy.familiar.shared_block_max,
            false => policy.familiar.log_only_block_max,
        };
        let block_max = shared.then_some(block_max);
        for entry in &mut self.records.get_mut(slot).entries {
            entry.flags |= SPENT;
        }
        let offence = self.climb(&subject, diagnosis, ladder.forget);
        let time = match (ladder.time(offence), block_max) {
            (Some(time), Some(max)) => Some(time.min(max)),
            (None, max) => max,
            (time, None) => time,
        };
        let reaches_kernel = match effect {
            Effect::Drop => true,
            // Where nobody asks, nobody can explain.
            Effect::Explain => !self.rules.policy.mail_servers_ask,
            Effect::Soft | Effect::Tarpit | Effect::Observe => false,
        };
        let in_kernel = reaches_kernel && kind == SubjectKind::Address && !(spares_familiar && shared);
        self.decide(
            Decision {
                code: Code::default(),
                time: self.now,
                action: Action::Block,
                subject,
                origin: (*self.rules.origins[index]).clone(),
                reason: rule_words + &reason,
                score,
                threshold,
                until: time.map(|time| self.now.after(time)),
                effect,
                diagnosis,
                offence,
                spares_familiar,
                in_kernel,
                holes: Vec::new(),
                events: evidence,
            },
            out,
        );
        true
    }

    pub(crate) fn subject_net(&self, client: IpAddr) -> ipnet::IpNet {
        let address = self.rules.policy.address;
        network_of(client, address.ipv4_prefix, address.ipv6_prefix)
    }

    /// The number of the offence that the subject commits now, remembered. An old password on a device climbs nothing.
    pub(crate) fn climb(&mut self, subject: &Subject, diagnosis: Diagnosis, forget: std::time::Duration) -> u32 {
        let id = hash::text(&subject.to_string(), 0);
        let next = self.offences.next(id, self.now, forget);
        let offence = if diagnosis == Diagnosis::StalePassword { next.saturating_sub(1).max(1) } else { next };
        self.offences.set(id, Offence { count: offence, last: self.now });
        offence
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

/// The key of a subject's record.
pub(crate) fn record_key(subject: SubjectKind, account: AccountId, home: u128) -> u128 {
    match subject {
        SubjectKind::Address => home,
        SubjectKind::Account | SubjectKind::Sending => hash::wide(account, None),
        SubjectKind::Pair => hash::wide(account, Some(home)),
    }
}

/// The counted entries as evidence, oldest first.
pub(crate) fn evidence(entries: &[Entry], counted: &[(usize, u32)]) -> Vec<Evidence> {
    let mut evidence: Vec<Evidence> = counted.iter().map(|(index, points)| entries[*index].evidence(*points)).collect();
    evidence.sort_by_key(|evidence| evidence.event.time);
    evidence
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

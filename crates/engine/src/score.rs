//! What an event adds to the windows of its subjects, and what follows when a threshold is reached.

use std::ops::Range;

use fairban_types::{Action, Code, Decision, Diagnosis, Effect, EventKind, Evidence, Rule, Subject, SubjectKind};

use crate::address::{Address, network_from_bits};
use crate::engine::{Engine, Outcome, Seen};
use crate::entry::{Entry, FAMILIAR, FORGIVEN, SPENT};
use crate::hash::{self, AccountId};
use crate::ladder::Offence;
use crate::rules;

/// How many times the threshold a sender of accepted mail may miss recipients before it counts as harvesting.
const DELIVERS_FACTOR: u32 = 5;

/// After an offence, this share of a rule's threshold suffices for the next one, in tenths.
const PROBATION_TENTHS: u32 = 6;

impl Engine {
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
    #[inline(always)]
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
            let place = self.place(gone.client().into());
            self.by_network.remove(place.neighbourhood, slot);
        }
    }

    /// Blocks the subject if the threshold of the rule at a place of [`Rules::scoring`] is reached.
    pub(crate) fn judge(
        &mut self,
        place: usize,
        slot: u32,
        kind: SubjectKind,
        seen: Seen<'_>,
        out: &mut Vec<Decision>,
    ) -> bool {
        let index = self.rules.scoring_at(place);
        let rule = &self.rules.policy.rules[index];
        let record = self.records.get(slot);
        let score = rules::score(record, rule, self.now);
        // Nothing below lowers a threshold further than an earlier offence does.
        if score == 0 || u64::from(score) * 10 < u64::from(rule.threshold) * u64::from(PROBATION_TENTHS) {
            return false;
        }
        let (threshold, why, shared) = self.threshold(rule, kind, seen);
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
        let evidence = evidence(record.entries.as_slice(), &rules::points(record, rule, self.now));
        let diagnosis = self.diagnosed(&evidence);
        let (rule_words, ladder, effect) = (rule.in_words(), rule.ladder.clone(), rule.effect);
        let asked = self.rules.policy.mail_servers_ask;
        let spares_familiar = rule.spares_familiar && asked && kind == SubjectKind::Address;
        let policy = &self.rules.policy;
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
                reason: rule_words + &why,
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

    /// How many points a rule awaits of somebody, how that is told where it is not the rule's own threshold, and whether
    /// accounts are at home behind the address.
    fn threshold(&self, rule: &Rule, kind: SubjectKind, seen: Seen<'_>) -> (u32, String, bool) {
        let policy = &self.rules.policy;
        let is_fair = rule.spares_familiar && kind == SubjectKind::Address;
        let shared = is_fair && self.familiar.accounts_at(seen.place.home, self.now, &policy.familiar) > 0;
        let mut threshold = rule.threshold;
        let mut why = String::new();
        if shared && !policy.mail_servers_ask {
            threshold = threshold.saturating_mul(policy.familiar.log_only_threshold_factor.max(1));
            why = "; accounts sign in from here and the mail server does not ask, so far more evidence was awaited \
                   and the block is shorter"
                .to_owned();
        }
        let has_offended = is_fair && !shared && {
            let subject = Subject::Network(self.subject_net(seen.place.client));
            self.offences.next(hash::text(&subject.to_string(), 0), self.now, rule.ladder.forget) > 1
        };
        if has_offended {
            threshold = threshold.saturating_mul(PROBATION_TENTHS).div_ceil(10);
            why.push_str("; it has offended before, so less was needed");
        }
        let delivers = rule.spares_familiar
            && seen.event.kind == EventKind::RecipientUnknown
            && self.familiar.has_delivered(seen.place.home, self.now, &policy.familiar);
        if delivers {
            threshold = threshold.saturating_mul(DELIVERS_FACTOR);
        }
        (threshold, why, shared)
    }

    pub(crate) fn subject_net(&self, client: Address) -> ipnet::IpNet {
        let policy = self.rules.policy.address;
        network_from_bits(client.subject(policy), policy.ipv4_prefix, policy.ipv6_prefix)
    }

    /// The number of the offence that the subject commits now, remembered. An old password on a device climbs nothing.
    pub(crate) fn climb(&mut self, subject: &Subject, diagnosis: Diagnosis, forget: std::time::Duration) -> u32 {
        let id = hash::text(&subject.to_string(), 0);
        let next = self.offences.next(id, self.now, forget);
        let offence = if diagnosis == Diagnosis::StalePassword { next.saturating_sub(1).max(1) } else { next };
        self.offences.set(id, Offence { count: offence, last: self.now });
        offence
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

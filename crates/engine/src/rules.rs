//! The policy, prepared for speed, and the score of a record under a rule.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fairban_types::{EventKind, Origin, Points, Policy, Repeats, Rule, Service, SubjectKind, Time};
use smallvec::SmallVec;

use crate::entry::{Entry, FAMILIAR, FORGIVEN, SPENT};
use crate::records::Record;

/// A record keeps at least this many entries,
const ENTRIES_MIN: u32 = 32;
/// and at most this many: what a rule that never fires may cost.
const ENTRIES_MAX: u32 = 4096;

/// What rules score, in the order of declaration.
pub(crate) const SUBJECTS: [SubjectKind; 3] = [SubjectKind::Address, SubjectKind::Account, SubjectKind::Pair];

/// A policy with what follows from it.
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    pub(crate) origins: Vec<Arc<Origin>>,
    /// The answers of [`Rules::scoring`], by [`scoring_place`], as places in `scoring_rules`.
    scoring: Vec<Range<u32>>,
    scoring_rules: Vec<u32>,
    /// By subject: whether any rule scores such.
    subjects: Vec<bool>,
    /// By kind: whether any rule scores it.
    scored: Vec<bool>,
    /// By kind: whether the same again is never worth anything, so that it need not be kept twice.
    merges: Vec<bool>,
    /// The longest time that any rule looks back.
    pub(crate) period_max: Duration,
    /// The longest time that any ladder remembers.
    pub(crate) forget_max: Duration,
    pub(crate) entries_max: usize,
    /// Whether any rule spares familiar networks: the profiles that copy others do not.
    pub(crate) spares_familiar: bool,
}

impl Rules {
    pub(crate) fn new(policy: Policy) -> Self {
        let by_kind = |test: &dyn Fn(&Rule, EventKind) -> bool, all: bool| -> Vec<bool> {
            EventKind::ALL
                .iter()
                .map(|kind| {
                    let mut rules = policy.rules.iter().filter(|rule| rule.points.of(*kind) > 0);
                    if all { rules.all(|rule| test(rule, *kind)) } else { rules.any(|rule| test(rule, *kind)) }
                })
                .collect()
        };
        let scored = by_kind(&|_, _| true, false);
        let merges = by_kind(&|rule, _| rule.repeats == Repeats::Once, true);
        let guard = policy.guard.iter().map(|guard| guard.period);
        let widen = policy.widen.iter().map(|widen| widen.period);
        let period_max = policy.rules.iter().map(|rule| rule.period).chain(guard).chain(widen).max();
        let forget_max = policy
            .rules
            .iter()
            .map(|rule| rule.ladder.forget)
            .chain(policy.widen.iter().map(|widen| widen.ladder.forget))
            .max();
        let entries_max = policy
            .rules
            .iter()
            .map(|rule| entries_needed(rule).saturating_mul(policy.familiar.log_only_threshold_factor.max(1)))
            .max();
        let (scoring, scoring_rules) = scoring_table(&policy);
        let has_subject = |subject: &SubjectKind| policy.rules.iter().any(|rule| rule.subject == *subject);
        Rules {
            scoring,
            scoring_rules,
            subjects: SUBJECTS.iter().map(has_subject).collect(),
            spares_familiar: policy.rules.iter().any(|rule| rule.spares_familiar),
            origins: policy.rules.iter().map(|rule| Arc::new(Origin::Rule(rule.name.clone()))).collect(),
            scored,
            merges,
            period_max: period_max.unwrap_or_default(),
            forget_max: forget_max.unwrap_or_default(),
            entries_max: entries_max.unwrap_or(0).clamp(ENTRIES_MIN, ENTRIES_MAX) as usize,
            policy,
        }
    }

    pub(crate) fn scores(&self, kind: EventKind) -> bool {
        self.scored[kind as usize]
    }

    pub(crate) fn merges(&self, kind: EventKind) -> bool {
        self.merges[kind as usize]
    }

    /// The places of the rules that score such an event for such a subject, for [`Rules::scoring_at`].
    pub(crate) fn scoring(
        &self,
        subject: SubjectKind,
        kind: EventKind,
        service: Service,
        is_familiar: bool,
    ) -> Range<usize> {
        let places = &self.scoring[scoring_place(subject, kind, service, is_familiar)];
        places.start as usize..places.end as usize
    }

    /// The index of the rule at a place.
    pub(crate) fn scoring_at(&self, place: usize) -> usize {
        self.scoring_rules[place] as usize
    }

    /// Whether any rule scores such subjects at all.
    pub(crate) fn has_subject(&self, subject: SubjectKind) -> bool {
        self.subjects.get(subject as usize).is_some_and(|has| *has)
    }
}

fn scoring_place(subject: SubjectKind, kind: EventKind, service: Service, is_familiar: bool) -> usize {
    ((subject as usize * EventKind::ALL.len() + kind as usize) * Service::ALL.len() + service as usize) * 2
        + usize::from(is_familiar)
}

/// The places of all answers of [`Rules::scoring`], by [`scoring_place`], and the rules there.
fn scoring_table(policy: &Policy) -> (Vec<Range<u32>>, Vec<u32>) {
    let mut table = Vec::new();
    let mut places: Vec<u32> = Vec::new();
    for subject in SUBJECTS {
        for kind in EventKind::ALL {
            for service in Service::ALL {
                for is_familiar in [false, true] {
                    let scores = |rule: &Rule| {
                        rule.subject == subject
                            && rule.points.of(*kind) > 0
                            && rule.services.contains(*service)
                            && (!rule.spares_familiar
                                || is_familiar == (subject == SubjectKind::Pair)
                                || !kind.is_login_failure())
                    };
                    let rules = policy.rules.iter().enumerate().filter(|(_, rule)| scores(rule));
                    let start = places.len() as u32;
                    places.extend(rules.map(|(index, _)| index as u32));
                    table.push(start..places.len() as u32);
                }
            }
        }
    }
    (table, places)
}

fn entries_needed(rule: &Rule) -> u32 {
    let least = rule.points.iter().map(|(_, points)| points).min().unwrap_or(1);
    rule.threshold.div_ceil(least).saturating_add(1)
}

/// What each entry of a record counts under a rule at a moment.
pub(crate) fn points(record: &Record, rule: &Rule, now: Time) -> SmallVec<[(usize, u32); 8]> {
    counted(record, rule, now).collect()
}

/// What they count together.
pub(crate) fn score(record: &Record, rule: &Rule, now: Time) -> u32 {
    counted(record, rule, now).fold(0, |sum, (_, points)| sum.saturating_add(points))
}

/// The entries of a record that count under a rule at a moment, with their points.
fn counted(record: &Record, rule: &Rule, now: Time) -> impl Iterator<Item = (usize, u32)> {
    let start = now.before(rule.period).millis();
    let entries = record.entries.as_slice();
    entries.iter().enumerate().filter_map(move |(index, entry)| {
        let points = entry_points(entry, rule, start);
        let is_repeat = || {
            let same = |other: &Entry| other.credential == entry.credential && entry_points(other, rule, start) > 0;
            rule.repeats == Repeats::Once && entry.credential != 0 && entries[..index].iter().any(same)
        };
        (points > 0 && !is_repeat()).then_some((index, points))
    })
}

/// The points of one entry inside a window that begins after `start`, apart from repeats.
fn entry_points(entry: &Entry, rule: &Rule, start: i64) -> u32 {
    if entry.time <= start || entry.is(SPENT) || !rule.services.contains(entry.service) {
        return 0;
    }
    let of_pair = rule.subject == SubjectKind::Pair;
    let is_failure = entry.kind.is_login_failure();
    if is_failure && rule.spares_familiar && (entry.is(FORGIVEN) || entry.is(FAMILIAR) != of_pair) {
        return 0;
    }
    if is_failure && rule.resets_on_success && entry.is(FORGIVEN) {
        return 0;
    }
    let once = rule.repeats == Repeats::Once;
    // At a familiar network, tries that cannot be told apart may all be one old password.
    if once && of_pair && rule.spares_familiar && entry.credential == 0 {
        return 0;
    }
    let tries = if once && entry.credential != 0 { 1 } else { u32::from(entry.tries) };
    Points::of(&rule.points, entry.kind).saturating_mul(tries)
}

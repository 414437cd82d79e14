//! Devices that sign in with success, but far too often. Nobody is blocked for that.

use std::collections::BTreeMap;
use std::time::Duration;

use fairban_types::{Diagnosis, Event, EventKind, Evidence, Fact, Finding, Service};

use super::cadence::{self, Pace};
use super::{Verdict, account_of, device, number, tries};

/// Fewer gaps than this may be a person who tries out a program.
const GAPS_MIN: usize = 7;
/// Shorter than the interval that is asked for by at least so much, in percent: clocks are not exact.
const SLACK_PERCENT: u32 = 10;

/// The devices that sign in regularly and faster than the interval that is asked for, by account, service and program.
/// The events are those of one client or one account; only sign-ins with success are looked at.
pub fn polling(events: &[Event<'static>], courtesy: Duration) -> Vec<Finding> {
    let mut by_device: BTreeMap<(String, Service, Option<&str>, std::net::IpAddr), Vec<Evidence>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == EventKind::LoginSucceeded) {
        let evidence = Evidence::from(event.clone());
        let Some(account) = account_of(&evidence) else { continue };
        let key = (account, event.service, event.program.as_deref(), event.client);
        by_device.entry(key).or_default().push(evidence);
    }
    let findings = by_device.values().filter_map(|pieces| {
        let pieces: Vec<&Evidence> = pieces.iter().collect();
        finding(&pieces, courtesy)
    });
    findings.collect()
}

fn finding(pieces: &[&Evidence], courtesy: Duration) -> Option<Finding> {
    let pace = cadence::of_times(pieces.iter().map(|piece| piece.event.time).collect());
    let Pace::Regular(regular) = pace else { return None };
    if regular.gaps < GAPS_MIN || regular.every * 100 > courtesy * (100 - SLACK_PERCENT) {
        return None;
    }
    let adds = [(regular.gaps >= 20, 10), (regular.share_percent >= 90, 5)];
    let facts = [Some(Fact::SignIns { count: number(regular.gaps + 1), courtesy }), pace.fact()];
    let facts = facts.into_iter().flatten().collect();
    let Verdict { diagnosis, percent, facts } = Verdict::of(Diagnosis::FrequentPolling, 80, &adds, facts);
    Some(Finding { diagnosis, confidence_percent: percent, facts, devices: vec![device::device(pieces)] })
}

/// What a rule of the operator's own found too many: sign-ins with success.
pub(super) fn too_many(pieces: &[&Evidence]) -> Verdict {
    let pace = cadence::pace(pieces);
    let is_regular = matches!(pace, Pace::Regular(_));
    let count = tries(pieces.iter().copied());
    let facts = pace.fact().into_iter().collect();
    Verdict::of(Diagnosis::FrequentPolling, 70, &[(is_regular, 15), (count >= 20, 10)], facts)
}

//! Who else a subject has to do with: the accounts at an address, the addresses of an account.

use std::collections::BTreeMap;
use std::time::Duration;

use fairban_engine::polling;
use fairban_store::{EventFilter, Reader, StoreError};
use fairban_types::{Event, Evidence, Finding, Subject, Time, single};
use serde::{Deserialize, Serialize};

use super::finding;
use crate::daemon::now;

/// So many of the latest events are looked through, of so long.
const EVENTS_MAX: usize = 5000;
const SPAN: Duration = Duration::from_secs(7 * 86_400);
/// What led to nothing is looked at for so long.
const SUSPECT_SPAN: Duration = Duration::from_secs(86_400);
/// So many are told of.
const INVOLVED_MAX: usize = 10;

/// One of those who have to do with a subject, and what they did lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Involved {
    /// An account, or an address.
    pub(crate) who: Subject,
    pub(crate) failures: u32,
    pub(crate) successes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_failure: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_success: Option<Time>,
}

/// A network that an account signs in from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) network: Subject,
    pub(crate) since: Time,
    pub(crate) last: Time,
    pub(crate) sign_ins: u32,
}

/// What happened around a subject lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    pub(super) involved: Vec<Involved>,
    /// How many more there are.
    pub(super) others: usize,
    pub(super) places: Vec<Place>,
    /// What lies behind failures that have led to no block.
    pub(super) suspicion: Option<Finding>,
    events: Vec<Event<'static>>,
}

impl Around {
    /// Devices that sign in too often.
    pub(super) fn polling(&self, courtesy: Duration) -> Vec<Finding> {
        polling(&self.events, courtesy)
    }
}

pub(super) fn around(reader: &Reader, subject: &Subject, filter: &EventFilter) -> Result<Around, StoreError> {
    let filter = EventFilter { since: Some(now().before(SPAN)), ..filter.clone() };
    let logged = reader.events(&filter, EVENTS_MAX, None)?;
    let events: Vec<Event<'static>> = logged.into_iter().map(|logged| logged.stored.event).collect();
    let mut involved = group(&events, matches!(subject, Subject::Network(_)));
    let others = involved.len().saturating_sub(INVOLVED_MAX);
    involved.truncate(INVOLVED_MAX);
    let account = match subject {
        Subject::Account(account) | Subject::Pair(account, _) => Some(account),
        Subject::Network(_) | Subject::Sending(_) => None,
    };
    let places = account.map_or(Ok(Vec::new()), |account| reader.familiar_of(account))?;
    let mut places: Vec<Place> = places
        .into_iter()
        .map(|known| Place {
            network: Subject::Network(known.net),
            since: known.first,
            last: known.last,
            sign_ins: known.successes,
        })
        .collect();
    places.sort_by_key(|place| std::cmp::Reverse(place.last));
    places.truncate(INVOLVED_MAX);
    let suspects = events.iter().filter(|event| is_suspect(event)).cloned().map(Evidence::from);
    let suspects: Vec<Evidence> = suspects.collect();
    let suspicion = if suspects.is_empty() { None } else { Some(finding::of_evidence(reader, &suspects)?) };
    Ok(Around { involved, others, places, suspicion, events })
}

fn is_suspect(event: &Event<'_>) -> bool {
    now().since(event.time) <= SUSPECT_SPAN && event.kind != fairban_types::EventKind::LoginSucceeded
}

/// By account, or by address; who failed most comes first, and then who was here last.
fn group(events: &[Event<'static>], by_account: bool) -> Vec<Involved> {
    let mut all: BTreeMap<Subject, Involved> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind.is_login_outcome()) {
        let who = match (by_account, event.account.as_deref()) {
            (true, Some(account)) => Subject::Account(account.trim().to_lowercase()),
            (true, None) => continue,
            (false, _) => Subject::Network(single(event.client)),
        };
        let one = all.entry(who.clone()).or_insert_with(|| Involved {
            who,
            failures: 0,
            successes: 0,
            last_failure: None,
            last_success: None,
        });
        // A sign-in that a block refused failed too, for its owner.
        let is_success = event.kind == fairban_types::EventKind::LoginSucceeded;
        let (count, last) = if is_success {
            (&mut one.successes, &mut one.last_success)
        } else {
            (&mut one.failures, &mut one.last_failure)
        };
        *count = count.saturating_add(event.count.max(1));
        *last = (*last).max(Some(event.time));
    }
    let mut all: Vec<Involved> = all.into_values().collect();
    all.sort_by_key(|one| std::cmp::Reverse((one.failures, one.last_failure.max(one.last_success))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairban_types::{EventKind, Service};

    #[test]
    fn who_failed_most_comes_first() {
        let event = |kind, account: &'static str, secs| {
            Event::new(kind, Time::from_secs(secs), [192, 0, 2, 7].into(), Service::Imap).account(account)
        };
        let events = [
            event(EventKind::LoginSucceeded, "Bob", 5),
            event(EventKind::LoginFailed, "alice", 3),
            event(EventKind::LoginRefused, "alice", 4),
            event(EventKind::LoginFailed, "bob", 1),
        ];
        let told: Vec<_> = group(&events, true)
            .into_iter()
            .map(|one| (one.who.to_string(), one.failures, one.successes, one.last_failure.map(Time::secs)))
            .collect();
        assert_eq!(told, [("alice".to_owned(), 2, 0, Some(4)), ("bob".to_owned(), 1, 1, Some(1))]);
        assert_eq!(group(&events, false).len(), 1);
    }
}

//! The device at fault, as far as the evidence of a block tells, where the house does not say.

use std::time::Duration;

use fairban_types::{Evidence, Time};

use super::Device;

/// Fewer gaps than this tell no cadence.
const GAPS_MIN: usize = 3;

impl Device {
    /// What the events have in common. The caller gives those of one account.
    pub fn from_evidence(events: &[&Evidence]) -> Option<Device> {
        let latest = events.iter().max_by_key(|evidence| evidence.event.time)?;
        let mut services = Vec::new();
        for evidence in events {
            if !services.contains(&evidence.event.service) {
                services.push(evidence.event.service);
            }
        }
        let text = |pick: fn(&Evidence) -> Option<&str>| {
            events.iter().rev().find_map(|evidence| pick(evidence)).map(str::to_owned)
        };
        Some(Device {
            account: text(|evidence| evidence.event.account.as_deref()),
            services,
            program: text(|evidence| evidence.event.program.as_deref()),
            helo: text(|evidence| evidence.event.helo.as_deref()),
            cadence: cadence(events),
            tries: events.iter().fold(0, |sum, evidence| sum.saturating_add(tries(evidence))),
            first: events.iter().map(|evidence| first(evidence)).min(),
            last: Some(latest.event.time),
        })
    }
}

pub(crate) fn tries(evidence: &Evidence) -> u32 {
    evidence.seen.saturating_mul(evidence.event.count.max(1))
}

pub(crate) fn first(evidence: &Evidence) -> Time {
    evidence.first.unwrap_or(evidence.event.time)
}

/// The usual gap between two tries, if most gaps are about as long.
fn cadence(events: &[&Evidence]) -> Option<Duration> {
    let mut gaps: Vec<Duration> = match events {
        // One mistake that was seen again and again: only how often and how long is known.
        [one] if one.seen as usize > GAPS_MIN => {
            let gap = one.event.time.since(one.first?) / (one.seen - 1);
            return (gap >= Duration::from_secs(1)).then_some(gap);
        }
        _ => {
            let mut times: Vec<Time> = events.iter().map(|evidence| evidence.event.time).collect();
            times.sort_unstable();
            times.windows(2).map(|pair| pair[1].since(pair[0])).collect()
        }
    };
    if gaps.len() < GAPS_MIN {
        return None;
    }
    gaps.sort_unstable();
    let usual = gaps[gaps.len() / 2];
    let near = gaps.iter().filter(|gap| gap.abs_diff(usual) <= (usual / 5).max(Duration::from_secs(2))).count();
    (usual >= Duration::from_secs(1) && near * 5 >= gaps.len() * 4).then_some(usual)
}

#[cfg(test)]
mod tests {
    use fairban_types::{Event, EventKind, Service};

    use super::*;

    fn seen_at(secs: &[i64]) -> Option<Duration> {
        let events: Vec<Evidence> = secs
            .iter()
            .map(|secs| Evidence {
                points: 1,
                seen: 1,
                first: None,
                event: Event::new(EventKind::LoginFailed, Time::from_secs(*secs), [192, 0, 2, 7].into(), Service::Imap),
            })
            .collect();
        Device::from_evidence(&events.iter().collect::<Vec<_>>()).and_then(|device| device.cadence)
    }

    #[test]
    fn only_what_is_regular_has_a_cadence() {
        let minute = Some(Duration::from_secs(60));
        assert_eq!(seen_at(&[0, 60, 120, 180, 240]), minute);
        assert_eq!(seen_at(&[0, 61, 119, 180, 241]), minute.map(|gap| gap + Duration::from_secs(1)));
        assert_eq!(seen_at(&[0, 60, 120]), None, "two gaps are chance");
        assert_eq!(seen_at(&[0, 10, 100, 130, 400]), None);
        assert_eq!(seen_at(&[0, 0, 0, 0, 0]), None);
        assert_eq!(seen_at(&[]), None);
    }
}

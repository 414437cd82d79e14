//! How regularly something comes.

use std::time::Duration;

use fairban_types::{Evidence, Fact, Time};

/// What comes within so long of another is the same visit: programs open several connections at once.
const VISIT: Duration = Duration::from_secs(2);
/// Fewer gaps than this are chance.
const GAPS_MIN: usize = 3;
/// From so many gaps on, some may be longer: a device sleeps, a line is lost.
const GAPS_MANY: usize = 10;
/// The share of the gaps that must keep to the middle one, in percent, with few gaps and with many.
const SHARE_FEW: usize = 80;
const SHARE_MANY: usize = 60;

/// How something comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Regular(Regular),
    /// Only how often within which time is known.
    Average(Duration),
    /// The middle one of the gaps.
    Irregular(Duration),
    /// Too few to tell.
    TooFew,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Regular {
    pub(super) every: Duration,
    pub(super) off: Duration,
    pub(super) share_percent: u8,
    pub(super) gaps: usize,
}

impl Pace {
    /// The fact that it is.
    pub(super) fn fact(self) -> Option<Fact> {
        match self {
            Pace::Regular(Regular { every, off, share_percent, .. }) => {
                Some(Fact::Regular { every, off, share_percent })
            }
            Pace::Average(every) => Some(Fact::OnAverage { every }),
            Pace::Irregular(middle) => Some(Fact::Irregular { middle }),
            Pace::TooFew => None,
        }
    }

    /// What a person would be told: the interval, if there is one.
    pub(super) fn cadence(self) -> Option<Duration> {
        match self {
            Pace::Regular(Regular { every, .. }) | Pace::Average(every) => Some(every),
            Pace::Irregular(_) | Pace::TooFew => None,
        }
    }

    /// The usual gap.
    pub(super) fn middle(self) -> Option<Duration> {
        match self {
            Pace::Regular(Regular { every, .. }) | Pace::Average(every) => Some(every),
            Pace::Irregular(middle) => Some(middle),
            Pace::TooFew => None,
        }
    }
}

/// How the evidence came. A device that speaks by two protocols has a pace in each, so the services are looked at apart,
/// and the one that says most is taken.
pub(super) fn pace(evidence: &[&Evidence]) -> Pace {
    let mut services: Vec<_> = evidence.iter().map(|piece| piece.event.service).collect();
    services.sort_unstable();
    services.dedup();
    let of_service = |service| {
        let pieces: Vec<&Evidence> = evidence.iter().copied().filter(|piece| piece.event.service == service).collect();
        pace_of(&pieces)
    };
    let paces = services.into_iter().map(of_service);
    paces.max_by_key(|pace| rank(*pace)).unwrap_or(Pace::TooFew)
}

fn rank(pace: Pace) -> (u8, usize) {
    match pace {
        Pace::Regular(regular) => (3, regular.gaps),
        Pace::Average(_) => (2, 0),
        Pace::Irregular(_) => (1, 0),
        Pace::TooFew => (0, 0),
    }
}

fn pace_of(evidence: &[&Evidence]) -> Pace {
    let told = of_times(evidence.iter().map(|piece| piece.event.time).collect());
    if told != Pace::TooFew {
        return told;
    }
    // The same again and again is told once, with how often and how long.
    let most = evidence.iter().max_by_key(|piece| piece.seen);
    match most {
        Some(piece) if piece.seen as usize > GAPS_MIN => {
            let gap = piece.event.time.since(piece.first_seen()) / (piece.seen - 1);
            if gap >= VISIT { Pace::Average(rounded(gap)) } else { Pace::TooFew }
        }
        _ => Pace::TooFew,
    }
}

/// The pace of things at these times.
pub(super) fn of_times(mut times: Vec<Time>) -> Pace {
    times.sort_unstable();
    times.dedup_by(|later, earlier| later.since(*earlier) < VISIT);
    let mut gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    if gaps.len() < GAPS_MIN {
        return Pace::TooFew;
    }
    gaps.sort_unstable();
    let middle = gaps[gaps.len() / 2];
    let slack = (middle / 5).max(VISIT);
    let near: Vec<Duration> = gaps.iter().map(|gap| gap.abs_diff(middle)).filter(|off| *off <= slack).collect();
    let share = near.len() * 100 / gaps.len();
    if share < if gaps.len() < GAPS_MANY { SHARE_FEW } else { SHARE_MANY } {
        return Pace::Irregular(rounded(middle));
    }
    Pace::Regular(Regular {
        every: rounded(middle),
        off: rounded(near.iter().copied().max().unwrap_or_default()),
        share_percent: u8::try_from(share).unwrap_or(100),
        gaps: gaps.len(),
    })
}

/// To whole seconds: logs tell no more.
fn rounded(duration: Duration) -> Duration {
    Duration::from_secs((duration.as_millis() as u64 + 500) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(secs: &[i64]) -> Option<(u64, u64)> {
        match of_times(secs.iter().map(|secs| Time::from_secs(*secs)).collect()) {
            Pace::Regular(regular) => Some((regular.every.as_secs(), regular.off.as_secs())),
            _ => None,
        }
    }

    #[test]
    fn only_what_is_regular_has_a_cadence() {
        assert_eq!(pace(&[0, 60, 120, 180, 240]), Some((60, 0)));
        assert_eq!(pace(&[240, 61, 119, 0, 180]), Some((61, 3)), "in any order");
        assert_eq!(pace(&[0, 1, 60, 61, 120, 121, 180]), Some((60, 0)), "two connections at once");
        assert_eq!(pace(&[0, 60, 120]), None, "two gaps are chance");
        assert_eq!(pace(&[0, 10, 100, 130, 400]), None);
        assert_eq!(pace(&[0, 0, 0, 0, 0]), None);
        assert_eq!(pace(&[]), None);
    }

    #[test]
    fn a_device_that_sleeps_now_and_then_is_still_regular() {
        let mut at = 0;
        let times: Vec<i64> = (0..40)
            .map(|n| {
                at += if n % 4 == 3 { 1900 } else { 300 };
                at
            })
            .collect();
        assert_eq!(pace(&times), Some((300, 0)));
    }
}

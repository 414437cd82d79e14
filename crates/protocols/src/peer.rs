use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::Limits;
use crate::clock::Clock;

/// What is known of how a connection is used. Its number is one more than that of the connection before. Times are those
/// of the server's clock; zero is never.
#[derive(Debug)]
pub(crate) struct Peer {
    clock: Arc<Clock>,
    number: u64,
    opened: u64,
    /// When the first byte of the request came that is not answered yet.
    began: AtomicU64,
    /// When the last answer was taken.
    rested: AtomicU64,
    answered: AtomicBool,
}

/// Whose place is taken first: the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    /// Never asked anything.
    NeverAsked,
    /// Asks nothing, since then.
    Resting(u64),
    /// Asks something, since then.
    Asking(u64),
}

impl Peer {
    pub(crate) fn new(clock: Arc<Clock>, number: u64) -> Self {
        let opened = clock.elapsed();
        Peer { clock, number, opened, began: 0.into(), rested: 0.into(), answered: false.into() }
    }

    /// Bytes of a request are here.
    pub(crate) fn begin(&self) {
        if self.began.load(Ordering::Relaxed) == 0 {
            self.began.store(self.clock.elapsed(), Ordering::Relaxed);
        }
    }

    /// Every request is answered, and the answers are on their way.
    pub(crate) fn rest(&self) {
        self.rested.store(self.clock.elapsed(), Ordering::Relaxed);
        self.began.store(0, Ordering::Relaxed);
    }

    /// There is an answer, which has not been sent yet.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// All that there was to send is sent.
    pub(crate) fn sent(&self) {
        // Only the connection itself writes this.
        if self.answered.load(Ordering::Relaxed) {
            self.answered.store(false, Ordering::Relaxed);
            self.rest();
        }
    }

    /// Its claim to its place; of equal ones the first that came is less.
    pub(crate) fn claim(&self) -> (Claim, u64) {
        let claim = match (self.began.load(Ordering::Relaxed), self.rested.load(Ordering::Relaxed)) {
            (_, 0) => Claim::NeverAsked,
            (0, rested) => Claim::Resting(rested),
            (began, _) => Claim::Asking(began),
        };
        (claim, self.number)
    }

    /// Until when something has to happen.
    fn due(&self, limits: &Limits) -> u64 {
        let (from, time) = match (self.began.load(Ordering::Relaxed), self.rested.load(Ordering::Relaxed)) {
            (0, 0) => (self.opened, limits.request_time),
            (0, rested) => (rested, limits.idle_time),
            (began, _) => (began, limits.request_time),
        };
        from.saturating_add(millis(time))
    }

    /// Whether the peer has taken too long, with a clock that ticks this often: never too early.
    pub(crate) fn is_overdue(&self, limits: &Limits, tick: Duration) -> bool {
        self.clock.elapsed() > self.due(limits).saturating_add(millis(tick))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_asked_makes_room_first_and_who_asks_last() {
        let peer = Peer::new(Arc::new(Clock::new()), 7);
        assert_eq!(peer.claim(), (Claim::NeverAsked, 7));
        peer.begin();
        assert_eq!(peer.claim(), (Claim::NeverAsked, 7), "a request that never ends is none");
        peer.answered();
        assert_eq!(peer.claim(), (Claim::NeverAsked, 7));
        peer.sent();
        assert!(matches!(peer.claim(), (Claim::Resting(_), 7)));
        peer.begin();
        assert!(matches!(peer.claim(), (Claim::Asking(_), 7)));
        assert!(Claim::NeverAsked < Claim::Resting(1) && Claim::Resting(1) < Claim::Resting(2));
        assert!(Claim::Resting(9) < Claim::Asking(1));
    }

    #[test]
    fn what_is_due_when() {
        let limits =
            Limits { request_time: Duration::from_secs(10), idle_time: Duration::from_secs(60), ..Limits::default() };
        let peer = Peer { opened: 5, ..Peer::new(Arc::new(Clock::new()), 0) };
        let due = |began: u64, rested: u64| {
            peer.began.store(began, Ordering::Relaxed);
            peer.rested.store(rested, Ordering::Relaxed);
            peer.due(&limits)
        };
        assert_eq!(due(0, 0), 10_005, "the first request, from connecting on");
        assert_eq!(due(0, 7), 60_007);
        assert_eq!(due(9, 7), 10_009, "a request, from its first byte on");
        assert!(!peer.is_overdue(&limits, Duration::from_secs(1)));
        let none = Limits { request_time: Duration::ZERO, ..limits };
        let peer = Peer { opened: 0, ..Peer::new(Arc::new(Clock::new()), 0) };
        assert!(peer.is_overdue(&none, Duration::ZERO) && !peer.is_overdue(&none, Duration::from_secs(600)));
    }
}

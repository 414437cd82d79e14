use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use fairban_types::Time;

/// What a server has done since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connections open now.
    pub connections: u64,
    /// Requests that were understood.
    pub requests: u64,
    /// Those answered with a refusal or a delay.
    pub refused: u64,
    /// Requests that could not be read, or asked for what there is not.
    pub malformed: u64,
    /// Requests with a wrong key, or none.
    pub unauthorized: u64,
    /// Connections closed because they took too long or their place was needed.
    pub limited: u64,
    /// Events that nobody had room for.
    pub lost: u64,
    /// When a request was understood last.
    pub last_request: Option<Time>,
}

/// The counters while they count. They are for show: no order between them is promised.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) unauthorized: AtomicU64,
    pub(crate) limited: AtomicU64,
    pub(crate) lost: AtomicU64,
    last_request: AtomicI64,
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    /// A request was understood.
    pub(crate) fn request(&self, now: Time) {
        count(&self.requests);
        self.last_request.store(now.millis(), Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests = read(&self.requests);
        Counters {
            connections: read(&self.connections),
            requests,
            refused: read(&self.refused),
            malformed: read(&self.malformed),
            unauthorized: read(&self.unauthorized),
            limited: read(&self.limited),
            lost: read(&self.lost),
            last_request: (requests > 0).then(|| Time::from_millis(self.last_request.load(Ordering::Relaxed))),
        }
    }
}

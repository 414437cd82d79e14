use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::SystemTime;

use fairban_types::Time;
use tokio::time::Instant;

/// The time as of the last tick, for what need not know it exactly: to look at it costs next to nothing.
#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    elapsed: AtomicU64,
    wall: AtomicI64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let clock = Clock { began: Instant::now(), elapsed: 0.into(), wall: 0.into() };
        clock.tick();
        clock
    }

    pub(crate) fn tick(&self) {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
        self.elapsed.store(elapsed, Ordering::Relaxed);
        self.wall.store(Time::from(SystemTime::now()).millis(), Ordering::Relaxed);
    }

    /// Milliseconds since it began, plus one: never zero.
    pub(crate) fn elapsed(&self) -> u64 {
        self.elapsed.load(Ordering::Relaxed)
    }

    /// By the calendar.
    pub(crate) fn wall(&self) -> Time {
        Time::from_millis(self.wall.load(Ordering::Relaxed))
    }
}

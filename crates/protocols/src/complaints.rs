use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// How often one server complains about its peers.
const PAUSE: Duration = Duration::from_secs(60);

/// Warnings that peers cause, at most one a minute.
#[derive(Debug)]
pub(crate) struct Complaints {
    server: &'static str,
    began: Instant,
    /// Milliseconds from the beginning until when nothing is said.
    quiet_until: AtomicU64,
    unsaid: AtomicU64,
}

impl Complaints {
    pub(crate) fn new(server: &'static str) -> Self {
        Complaints { server, began: Instant::now(), quiet_until: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// Says what is wrong, unless something was said lately.
    pub(crate) fn say(&self, problem: &str, why: &dyn Display) {
        let now = millis(self.began.elapsed());
        let until = self.quiet_until.load(Ordering::Relaxed);
        let next = now + millis(PAUSE);
        let is_mine = now >= until
            && self.quiet_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_mine {
            let unsaid = self.unsaid.swap(0, Ordering::Relaxed);
            warn!(server = self.server, %why, unsaid, "{problem}");
        } else {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

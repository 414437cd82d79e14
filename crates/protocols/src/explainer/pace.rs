use std::time::Duration;

/// So many a second, and as many at once. Time comes in as an argument.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: u32,
    /// In thousandths.
    left: u64,
    at: Duration,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Pace { per_second, left: u64::from(per_second) * 1000, at: Duration::ZERO }
    }

    /// Whether one more may be, so long after the beginning.
    pub(super) fn allows(&mut self, now: Duration) -> bool {
        let passed = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        self.at += Duration::from_millis(passed);
        let gained = passed.saturating_mul(u64::from(self.per_second));
        self.left = self.left.saturating_add(gained).min(u64::from(self.per_second) * 1000);
        let allows = self.left >= 1000;
        self.left -= if allows { 1000 } else { 0 };
        allows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_then_a_second() {
        let mut pace = Pace::new(3);
        let mut allowed = |millis| (0..10).filter(|_| pace.allows(Duration::from_millis(millis))).count();
        assert_eq!([0, 0, 333, 334, 1_000, 9_000, 8_000].map(&mut allowed), [3, 0, 0, 1, 2, 3, 0]);
    }
}

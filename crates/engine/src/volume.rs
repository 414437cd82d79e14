//! How much was sent within a time that ends with the latest message.

use std::collections::VecDeque;
use std::time::Duration;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Volume {
    pub(crate) recipients: u64,
    pub(crate) messages: u64,
    pub(crate) bounces: u64,
}

impl Volume {
    fn add(&mut self, other: Volume) {
        self.recipients += other.recipients;
        self.messages += other.messages;
        self.bounces += other.bounces;
    }

    fn take(&mut self, other: Volume) {
        self.recipients -= other.recipients;
        self.messages -= other.messages;
        self.bounces -= other.bounces;
    }
}

/// How a sliding window is cut: into so many ticks of so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    tick_secs: i64,
    ticks: i64,
}

/// A window has at most so many ticks, which bounds its memory. One of an hour is exact to the second.
const TICKS_MAX: i64 = 3600;

impl Span {
    /// A day, by hours.
    pub(crate) const DAY: Span = Span { tick_secs: 3600, ticks: 24 };

    pub(crate) fn of(period: Duration) -> Self {
        let secs = i64::try_from(period.as_secs()).unwrap_or(i64::MAX).max(1);
        let tick_secs = (secs / TICKS_MAX).max(1);
        Span { tick_secs, ticks: (secs / tick_secs).max(1) }
    }
}

/// A sliding window: what was told of the same tick is kept as one.
#[derive(Debug, Default)]
pub(crate) struct Window {
    buckets: VecDeque<(i64, Volume)>,
    sum: Volume,
}

impl Window {
    /// Takes in what was sent at a second. `false`: that is longer ago than the window reaches back.
    pub(crate) fn add(&mut self, secs: i64, volume: Volume, span: Span) -> bool {
        let tick = secs.div_euclid(span.tick_secs);
        let newest = self.buckets.back().map_or(tick, |(newest, _)| tick.max(*newest));
        let start = newest.saturating_sub(span.ticks);
        if tick <= start {
            return false;
        }
        self.sum.add(volume);
        let after = self.buckets.iter().rev().take_while(|(at, _)| *at > tick).count();
        let place = self.buckets.len() - after;
        match place.checked_sub(1).and_then(|before| self.buckets.get_mut(before)) {
            Some((at, bucket)) if *at == tick => bucket.add(volume),
            _ => self.buckets.insert(place, (tick, volume)),
        }
        while let Some((at, bucket)) = self.buckets.front().copied()
            && at <= start
        {
            self.buckets.pop_front();
            self.sum.take(bucket);
        }
        true
    }

    pub(crate) fn sum(&self) -> Volume {
        self.sum
    }

    pub(crate) fn clear(&mut self) {
        *self = Window::default();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<(i64, Volume)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_sum_is_that_of_a_naive_list(
            sent in prop::collection::vec((-90i64..600, 1u64..50), 1..200),
            period in 1u64..900,
        ) {
            let span = Span::of(Duration::from_secs(period));
            let (mut window, mut list) = (Window::default(), Vec::new());
            let (mut now, mut newest) = (1_800_000_000, i64::MIN);
            for (wait, recipients) in sent {
                now += wait;
                newest = newest.max(now);
                let start = newest - i64::try_from(period).unwrap();
                let taken = window.add(now, Volume { recipients, messages: 1, bounces: 0 }, span);
                prop_assert_eq!(taken, now > start);
                list.push((now, recipients));
                list.retain(|(at, _)| *at > start);
                prop_assert_eq!(window.sum().recipients, list.iter().map(|(_, recipients)| recipients).sum::<u64>());
                prop_assert_eq!(window.sum().messages, list.len() as u64);
            }
        }
    }

    #[test]
    fn memory_is_bounded_by_ticks() {
        for hours in [1, 24, 24 * 31] {
            let span = Span::of(Duration::from_secs(hours * 3600));
            let mut window = Window::default();
            for secs in 0..200_000 {
                window.add(secs * 15, Volume { recipients: 1, ..Volume::default() }, span);
            }
            assert!(window.buckets.len() <= 3601, "{hours} h: {}", window.buckets.len());
        }
    }
}

//! Token buckets: so many at once, then one at a time.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use fairban_types::Time;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many at once, and
    pub burst: u32,
    /// one more each time this has passed.
    pub every: Duration,
}

/// A bucket is told by the moment at which it is full again: 8 bytes say everything.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    full_at: Time,
}

/// A bucket for each of a bounded number of keys.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    keys_max: usize,
    used: HashMap<K, Bucket>,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    pub(crate) fn new(rate: Rate, keys_max: usize) -> Self {
        Buckets { rate, keys_max, used: HashMap::new() }
    }

    /// Takes one, or says how long to wait for it.
    pub(crate) fn take(&mut self, key: &K, now: Time) -> Result<(), Duration> {
        if self.rate.burst == 0 {
            return Err(self.rate.every);
        }
        self.wait(key, now)?;
        if !self.used.contains_key(key) {
            self.make_room(now);
        }
        let bucket = self.used.entry(key.clone()).or_insert(Bucket { full_at: now });
        bucket.full_at = bucket.full_at.max(now).after(self.rate.every);
        Ok(())
    }

    /// How long until the next can be taken; `Ok`: now.
    pub(crate) fn wait(&self, key: &K, now: Time) -> Result<(), Duration> {
        let Some(bucket) = self.used.get(key) else { return Ok(()) };
        let debt = bucket.full_at.since(now);
        let room = self.rate.every.saturating_mul(self.rate.burst.saturating_sub(1));
        if debt <= room { Ok(()) } else { Err(debt.saturating_sub(room)) }
    }

    /// Gives back one that was taken.
    pub(crate) fn give_back(&mut self, key: &K) {
        if let Some(bucket) = self.used.get_mut(key) {
            bucket.full_at = bucket.full_at.before(self.rate.every);
        }
    }

    /// Full buckets are forgotten first: they say nothing. If there is none, the one that is full soonest goes, which
    /// is that of whoever took the least.
    fn make_room(&mut self, now: Time) {
        if self.used.len() < self.keys_max {
            return;
        }
        self.used.retain(|_, bucket| bucket.full_at > now);
        if self.used.len() >= self.keys_max
            && let Some(soonest) = self.used.iter().min_by_key(|(_, bucket)| bucket.full_at).map(|(key, _)| key.clone())
        {
            self.used.remove(&soonest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Time {
        Time::from_secs(1_000_000 + secs)
    }

    fn minute(burst: u32, keys_max: usize) -> Buckets<u32> {
        Buckets::new(Rate { burst, every: Duration::from_secs(60) }, keys_max)
    }

    #[test]
    fn so_many_at_once_then_one_at_a_time() {
        let mut buckets = minute(3, 10);
        for _ in 0..3 {
            assert_eq!(buckets.take(&1, at(0)), Ok(()));
        }
        assert_eq!(buckets.take(&1, at(0)), Err(Duration::from_secs(60)));
        assert_eq!(buckets.take(&1, at(45)), Err(Duration::from_secs(15)), "a refused try costs nothing");
        assert_eq!(buckets.take(&1, at(60)), Ok(()));
        assert!(buckets.take(&1, at(60)).is_err());
        assert_eq!(buckets.take(&2, at(60)), Ok(()), "others are not concerned");
        buckets.give_back(&1);
        assert_eq!(buckets.take(&1, at(60)), Ok(()));
    }

    #[test]
    fn the_busiest_are_remembered_longest() {
        let mut buckets = minute(3, 2);
        for key in [1, 1, 1, 2, 3] {
            assert_eq!(buckets.take(&key, at(0)), Ok(()));
        }
        assert_eq!(buckets.used.len(), 2);
        assert!(buckets.take(&1, at(0)).is_err(), "1 has taken most, and is not forgotten for 2 or 3");
    }
}

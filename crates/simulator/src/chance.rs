//! Randomness by name: each person and attacker has a stream of their own, so that one more does not change the others.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Milliseconds in a second,
pub(crate) const SECOND: i64 = 1000;
/// a minute,
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// an hour,
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// a day.
pub(crate) const DAY: i64 = 24 * HOUR;

/// A stream of random numbers.
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of `name`'s `number`th member under `seed`.
    pub(crate) fn new(seed: u64, name: &str, number: usize) -> Self {
        let named = name.bytes().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte)));
        Chance(ChaCha8Rng::seed_from_u64(mix(named ^ number as u64)))
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn number(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high.max(low))
    }

    /// The same as a count or index.
    pub(crate) fn count(&mut self, low: usize, high: usize) -> usize {
        self.0.random_range(low..=high.max(low))
    }

    /// A moment from `low` to just before `high`.
    pub(crate) fn moment(&mut self, low: i64, high: i64) -> i64 {
        self.number(low, high.max(low + 1) - 1)
    }

    /// `around`, give or take a share of it.
    pub(crate) fn about(&mut self, around: i64, share: f64) -> i64 {
        let span = (around as f64 * share) as i64;
        self.number(around - span, around + span)
    }

    /// True with the given probability.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability.clamp(0.0, 1.0))
    }

    /// One of several.
    ///
    /// There must be at least one.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.0.random_range(0..from.len())]
    }

    /// Any 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.random()
    }
}

/// A number that looks random, from one that need not: the finalizer of SplitMix64.
pub(crate) const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

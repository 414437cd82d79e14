//! What of all that happens is told one by one. A state machine: time is an argument.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use fairban_config::Occasion;
use fairban_types::Time;

use super::happening::Happening;

/// Messages of one minute; what more there is becomes one.
const PER_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// Subjects that are remembered as told. Of more, the oldest may be told again too early.
const KNOWN_MAX: usize = 10_000;

/// What is to be done with what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    TellNow,
    /// It will be part of a sum.
    Later,
    /// The same was told a short time ago.
    Known,
}

/// What was told lately.
pub(super) struct Gather {
    again: Duration,
    known: HashMap<(Occasion, String, bool), Time>,
    minute: Time,
    count: u32,
    more: BTreeMap<Occasion, u64>,
}

impl Gather {
    pub(super) fn new(again: Duration) -> Self {
        Gather { again, known: HashMap::new(), minute: Time::MIN, count: 0, more: BTreeMap::new() }
    }

    pub(super) fn offer(&mut self, now: Time, happening: &Happening) -> Gathered {
        let key = (happening.occasion, happening.subject.clone(), happening.is_over);
        if self.known.get(&key).is_some_and(|told| now.since(*told) < self.again) {
            return Gathered::Known;
        }
        // What ended may begin again, and that is news.
        self.known.remove(&(happening.occasion, happening.subject.clone(), !happening.is_over));
        self.make_room(now);
        self.known.insert(key, now);
        if now.since(self.minute) >= MINUTE && self.more.is_empty() {
            (self.minute, self.count) = (now, 0);
        }
        if self.count < PER_MINUTE {
            self.count += 1;
            return Gathered::TellNow;
        }
        *self.more.entry(happening.occasion).or_default() += 1;
        Gathered::Later
    }

    /// What was too much, once its minute is over.
    pub(super) fn due(&mut self, now: Time) -> Option<BTreeMap<Occasion, u64>> {
        if self.more.is_empty() || now.since(self.minute) < MINUTE {
            return None;
        }
        // The sum is the first message of the next minute.
        (self.minute, self.count) = (now, 1);
        Some(std::mem::take(&mut self.more))
    }

    fn make_room(&mut self, now: Time) {
        if self.known.len() < KNOWN_MAX {
            return;
        }
        let again = self.again;
        self.known.retain(|_, told| now.since(*told) < again);
        if self.known.len() >= KNOWN_MAX {
            let mut times: Vec<Time> = self.known.values().copied().collect();
            let middle = times.len() / 2;
            let (_, middle, _) = times.select_nth_unstable(middle);
            let middle = *middle;
            self.known.retain(|_, told| *told > middle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Time {
        Time::from_secs(1_000_000 + secs)
    }

    fn happening(subject: &str, is_over: bool) -> Happening {
        Happening {
            occasion: Occasion::BlockPermanent,
            subject: subject.to_owned(),
            text: String::new(),
            code: None,
            is_over,
            decision: None,
        }
    }

    #[test]
    fn the_same_is_told_once_in_a_while() {
        let mut gather = Gather::new(Duration::from_secs(3600));
        for (secs, subject, is_over, told) in [
            (0, "a", false, Gathered::TellNow),
            (1, "a", false, Gathered::Known),
            (2, "b", false, Gathered::TellNow),
            (3, "a", true, Gathered::TellNow),
            (4, "a", false, Gathered::TellNow),
            (3000, "b", false, Gathered::Known),
            (3602, "b", false, Gathered::TellNow),
        ] {
            assert_eq!(gather.offer(at(secs), &happening(subject, is_over)), told, "{secs} {subject}");
        }
    }

    #[test]
    fn many_at_once_become_one() {
        let mut gather = Gather::new(Duration::from_secs(3600));
        let offered: Vec<Gathered> =
            (0..322).map(|number| gather.offer(at(5), &happening(&number.to_string(), false))).collect();
        assert_eq!(offered.iter().filter(|one| **one == Gathered::TellNow).count(), 10);
        assert_eq!(gather.due(at(30)), None);
        assert_eq!(gather.due(at(65)), Some(BTreeMap::from([(Occasion::BlockPermanent, 312)])));
        assert_eq!(gather.due(at(66)), None);
        assert_eq!(gather.offer(at(67), &happening("next", false)), Gathered::TellNow);
    }

    #[test]
    fn memory_is_bounded() {
        let mut gather = Gather::new(Duration::from_secs(3600));
        for number in 0..50_000 {
            gather.offer(at(number / 100), &happening(&number.to_string(), false));
        }
        assert!(gather.known.len() <= KNOWN_MAX);
        assert_eq!(gather.offer(at(500), &happening("49999", false)), Gathered::Known);
    }
}

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many recipients are remembered, of all messages under way: some 2 MB. What was remembered first is forgotten first.
const RECIPIENTS_MAX: usize = 1 << 16;

/// Which recipients of which messages were counted already. Postfix asks once for each place that names the service, and
/// again at the end of the message; connections of its processes come and go meanwhile.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Keyed at random: a client cannot make two recipients look the same.
    hasher: RandomState,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    hashes: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Known {
    fn insert(&mut self, hash: u64) -> bool {
        if !self.hashes.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > RECIPIENTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        true
    }
}

impl Recent {
    /// Remembers a recipient of a message. `false`: it was known.
    pub(super) fn insert(&self, instance: &str, recipient: &str) -> bool {
        let (message, both) = (self.hash(instance, None), self.hash(instance, Some(recipient)));
        let mut known = self.known();
        known.insert(message);
        known.insert(both)
    }

    /// Whether any recipient of the message is known.
    pub(super) fn knows(&self, instance: &str) -> bool {
        let hash = self.hash(instance, None);
        self.known().hashes.contains(&hash)
    }

    fn hash(&self, instance: &str, recipient: Option<&str>) -> u64 {
        self.hasher.hash_one((instance, recipient))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held; and half an insertion would do no harm.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_known_once_and_forgotten_in_order() {
        let recent = Recent::default();
        assert!(!recent.knows("1.a"));
        assert!(recent.insert("1.a", "bob@example.test"));
        assert!(!recent.insert("1.a", "bob@example.test"));
        assert!(recent.insert("1.a", "carol@example.test"));
        assert!(recent.insert("1.b", "bob@example.test"));
        assert!(recent.knows("1.a") && recent.knows("1.b") && !recent.knows("1.c"));
        for number in 0..RECIPIENTS_MAX {
            recent.insert("2.a", &number.to_string());
        }
        assert!(!recent.knows("1.a") && recent.insert("1.a", "bob@example.test"));
        assert!(recent.known().order.len() <= RECIPIENTS_MAX && recent.known().hashes.len() <= RECIPIENTS_MAX);
    }
}

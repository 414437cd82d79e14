//! Bursts of blocks by one node. Which blocks are held back follows from the facts alone, so all nodes agree.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fairban_types::Subject;

use crate::stamp::Stamp;

const MINUTE_MILLIS: u64 = 60_000;

/// The blocks of each node by the minute in which they began.
#[derive(Default)]
pub(super) struct Held {
    begun: BTreeMap<(String, u64), BTreeSet<(Stamp, Subject)>>,
    accepted: HashMap<String, u64>,
}

impl Held {
    /// Returns the subjects of blocks that are held back from now on, or no longer.
    pub(super) fn add(&mut self, node: &str, born: Stamp, subject: &Subject, most: usize) -> Vec<Subject> {
        let minute = self.begun.entry((node.to_owned(), born.millis / MINUTE_MILLIS)).or_default();
        minute.insert((born, subject.clone()));
        at_the_edge(minute, most)
    }

    pub(super) fn remove(&mut self, node: &str, born: Stamp, subject: &Subject, most: usize) -> Vec<Subject> {
        let place = (node.to_owned(), born.millis / MINUTE_MILLIS);
        let Some(minute) = self.begun.get_mut(&place) else { return Vec::new() };
        minute.remove(&(born, subject.clone()));
        let affected = at_the_edge(minute, most);
        if minute.is_empty() {
            self.begun.remove(&place);
        }
        affected
    }

    pub(super) fn accept(&mut self, node: &str, up_to: u64) {
        self.accepted.insert(node.to_owned(), up_to);
    }

    pub(super) fn is_held(&self, node: &str, born: Stamp, subject: &Subject, most: usize) -> bool {
        if self.accepted.get(node).is_some_and(|up_to| born.millis <= *up_to) {
            return false;
        }
        let Some(minute) = self.begun.get(&(node.to_owned(), born.millis / MINUTE_MILLIS)) else { return false };
        minute.len() > most && minute.iter().nth(most).is_some_and(|first| (&first.0, &first.1) <= (&born, subject))
    }

    pub(super) fn counts(&self, most: usize) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for ((node, minute), blocks) in &self.begun {
            let is_accepted = self.accepted.get(node).is_some_and(|up_to| minute * MINUTE_MILLIS <= *up_to);
            if blocks.len() > most && !is_accepted {
                *counts.entry(node).or_default() += blocks.len() - most;
            }
        }
        counts.into_iter().map(|(node, count)| (node.to_owned(), count)).collect()
    }
}

/// Whose turn may have changed by one that came or went: the last one that is taken, and the first one that is not.
fn at_the_edge(minute: &BTreeSet<(Stamp, Subject)>, most: usize) -> Vec<Subject> {
    if minute.len() < most {
        return Vec::new();
    }
    minute.iter().skip(most.saturating_sub(1)).take(2).map(|(_, subject)| subject.clone()).collect()
}

//! The server's side in memory: what the scripts do to facts and their stream, for tests.

use std::collections::{BTreeMap, HashMap};

use crate::fact::Fact;
use crate::stamp::Rank;

/// A place in the stream.
pub type Position = u64;

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// What came after the position, and where the reader is then.
    Facts(Vec<Fact>, Position),
    /// Something in between is no longer in the stream, or the stream is not the one that was read.
    Gap,
}

/// A server in memory. Cloned, it is a replica as of that moment.
#[derive(Clone, Debug, Default)]
pub struct Twin {
    facts: BTreeMap<String, Fact>,
    stream: BTreeMap<Position, Fact>,
    last: Position,
    trimmed: Position,
    /// Entries that the stream keeps.
    stream_max: usize,
}

impl Twin {
    /// An empty server whose stream keeps so many entries.
    pub fn new(stream_max: usize) -> Self {
        Twin { stream_max, ..Twin::default() }
    }

    /// Takes a fact, if it is news; told again it changes nothing. Returns its place in the stream.
    pub fn publish(&mut self, fact: &Fact) -> Position {
        let key = fact.key();
        if let Some(known) = self.facts.get_mut(&key)
            && known.rank >= fact.rank
        {
            if known.rank == fact.rank {
                known.ends = known.ends.max(fact.ends);
            }
            return self.last;
        }
        self.facts.insert(key, fact.clone());
        self.last += 1;
        self.stream.insert(self.last, fact.clone());
        while self.stream.len() > self.stream_max
            && let Some((place, _)) = self.stream.pop_first()
        {
            self.trimmed = place;
        }
        self.last
    }

    /// What came after a position.
    pub fn read(&self, after: Position, most: usize) -> Read {
        if after < self.trimmed || after > self.last {
            return Read::Gap;
        }
        let entries: Vec<(&Position, &Fact)> = self.stream.range(after + 1..).take(most).collect();
        let position = entries.last().map_or(after, |(place, _)| **place);
        Read::Facts(entries.into_iter().map(|(_, fact)| fact.clone()).collect(), position)
    }

    /// The last place of the stream.
    pub fn last(&self) -> Position {
        self.last
    }

    /// Which versions it has.
    pub fn ranks(&self) -> HashMap<String, Rank> {
        self.facts.iter().map(|(key, fact)| (key.clone(), fact.rank)).collect()
    }

    /// A fact by its key.
    pub fn fact(&self, key: &str) -> Option<&Fact> {
        self.facts.get(key)
    }
}

//! What all nodes decided, put together: a state machine without I/O.
//!
//! # Order
//!
//! Each matter (the block of a subject, its release, an entry of the never-block list …) has one fact: of two versions
//! the one of higher [`Rank`](crate::Rank) counts. Taking the higher one is commutative, associative and idempotent, so
//! whatever order facts come in, and however often, all nodes end with the same ones. What is in force is a pure function
//! of the facts.
//!
//! Blocks of one subject: the one that began later counts, and of one block its latest version.
//!
//! Releases: a release takes away every block that its author could have meant. A block stands against a release only if
//! its author *knew* of the release when the block began (the block names the releases that it knew), or if it began more
//! than [`HEAD_START`] later. So what was decided with knowledge of something else wins over it, whatever the clocks say;
//! where neither knew of the other and both happened within the same moments, the release wins. Clocks matter only
//! for what lies further apart than they do: they are those of the server, whose difference each node measures (one that
//! is cut off goes on with what it measured last), and may be wrong by less than [`HEAD_START`] in any direction.
//!
//! That a cut-off node prolongs a block makes it no newer: what counts is when it began.
//!
//! The never-block list: of two changes of one entry the later counts, and adding is stamped [`HEAD_START`] later than
//! it is made, so that it wins over a removal of the same moments.

mod cover;
mod decide;
mod held;
mod take;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use fairban_types::{Code, Decision, Subject, Time};
use ipnet::IpNet;

use crate::fact::{Fact, Matter};
use crate::stamp::{Rank, Stamp, node_number};
pub use cover::Effective;
pub use decide::Wish;
use held::Held;
pub use take::{Change, Told};

/// A block that did not know of a release must have begun so much later to stand against it. Clocks may differ by less.
pub const HEAD_START: Duration = Duration::from_secs(30);
/// A release is remembered for at least so long; a node that was away longer believes the server.
pub const RETENTION: Duration = Duration::from_secs(7 * 86_400);
/// A fact about something that has an end is kept for so long after it.
const GRACE: Duration = Duration::from_secs(3600);
/// So many facts are kept; beyond them those that end first are forgotten.
const FACTS_MAX: usize = 500_000;

/// How a node puts together what others say.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Nodes whose decisions apply to themselves only.
    pub limited: BTreeSet<String>,
    /// So many blocks that one node began within one minute are taken from it; the rest is held back.
    pub blocks_per_minute: usize,
}

impl Default for Trust {
    fn default() -> Self {
        Trust { limited: BTreeSet::new(), blocks_per_minute: 600 }
    }
}

/// What this node has put into force of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Applied {
    code: Code,
    rank: Rank,
    holes: Vec<IpNet>,
}

impl Applied {
    fn of(found: Effective<'_>) -> Self {
        Applied { code: found.decision.code, rank: found.fact.rank, holes: found.holes }
    }
}

/// All facts, and what follows from them.
pub struct Merge {
    name: String,
    number: u64,
    trust: Trust,
    facts: BTreeMap<String, Fact>,
    /// Blocks of networks, in order of address.
    nets: BTreeSet<IpNet>,
    /// Blocks of everything else.
    others: BTreeSet<Subject>,
    /// Releases by subject, one of each node, and of networks in order of address.
    released: HashMap<Subject, Vec<Stamp>>,
    released_nets: BTreeSet<IpNet>,
    outs: HashMap<Code, BTreeSet<Subject>>,
    nevers: BTreeMap<IpNet, Option<Time>>,
    held: Held,
    ends: BTreeSet<(Time, String)>,
    applied: HashMap<Subject, Applied>,
    /// Subjects whose blocks may have to change here,
    dirty: BTreeSet<Subject>,
    /// and what else is to be carried out, by key.
    pending: Vec<String>,
    /// Blocks that everybody else has forgotten.
    gone: BTreeSet<Subject>,
    /// Facts that the server may lack.
    unsent: BTreeSet<String>,
    /// Facts that came since changes were taken last.
    unwritten: BTreeSet<String>,
}

impl Merge {
    /// Nothing known yet.
    pub fn new(name: &str, trust: Trust) -> Self {
        Merge {
            name: name.to_owned(),
            number: node_number(name),
            trust,
            facts: BTreeMap::new(),
            nets: BTreeSet::new(),
            others: BTreeSet::new(),
            released: HashMap::new(),
            released_nets: BTreeSet::new(),
            outs: HashMap::new(),
            nevers: BTreeMap::new(),
            held: Held::default(),
            ends: BTreeSet::new(),
            applied: HashMap::new(),
            dirty: BTreeSet::new(),
            pending: Vec::new(),
            gone: BTreeSet::new(),
            unsent: BTreeSet::new(),
            unwritten: BTreeSet::new(),
        }
    }

    /// The name of this node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes a fact that another node (or an earlier run of this one) told. Returns whether it was news.
    pub fn absorb(&mut self, fact: Fact, now: Time) -> bool {
        let key = fact.key();
        if let Some(known) = self.facts.get(&key)
            && known.rank >= fact.rank
        {
            if known.rank == fact.rank && known.ends < fact.ends {
                self.end_later(&key, fact.ends);
            }
            return false;
        }
        if fact.ends <= now {
            return false;
        }
        let carries = !matches!(fact.matter, Matter::Block(_) | Matter::Accept { .. });
        let affected = self.put(key.clone(), fact);
        self.unwritten.insert(key.clone());
        if carries {
            self.pending.push(key);
        }
        self.dirty.extend(affected);
        true
    }

    /// Puts a fact in the place of an older one; returns the subjects that it may concern.
    fn put(&mut self, key: String, fact: Fact) -> Vec<Subject> {
        let mut affected = Vec::new();
        if let Some(old) = self.facts.remove(&key) {
            self.ends.remove(&(old.ends, key.clone()));
            affected.extend(self.unindex(&old));
        }
        self.ends.insert((fact.ends, key.clone()));
        affected.extend(self.index(&fact));
        self.facts.insert(key, fact);
        affected
    }

    fn index(&mut self, fact: &Fact) -> Vec<Subject> {
        match &fact.matter {
            Matter::Block(decision) => {
                let subject = decision.subject.clone();
                match &subject {
                    Subject::Network(net) => self.nets.insert(net.trunc()),
                    other => self.others.insert(other.clone()),
                };
                let mut affected = self.held.add(&fact.node, fact.rank.born, &subject, self.trust.blocks_per_minute);
                // A release that is remembered for less long than the block would let it come back.
                self.outlive(&subject, fact.ends);
                affected.push(subject);
                affected
            }
            Matter::Release(subject) => {
                self.released.entry(subject.clone()).or_default().push(fact.rank.stamp);
                if let Subject::Network(net) = subject {
                    self.released_nets.insert(net.trunc());
                }
                self.concerned(subject)
            }
            Matter::LetOut(code, subject) => {
                self.outs.entry(*code).or_default().insert(subject.clone());
                self.concerned(subject)
            }
            Matter::Never { net, listed, until } => {
                if *listed {
                    self.nevers.insert(net.trunc(), *until);
                } else {
                    self.nevers.remove(&net.trunc());
                }
                self.concerned(&Subject::Network(net.trunc()))
            }
            Matter::Accept { of, up_to } => {
                self.held.accept(of, *up_to);
                self.blocks()
                    .filter(|(_, fact)| fact.node == *of)
                    .map(|(decision, _)| decision.subject.clone())
                    .collect()
            }
            Matter::Value { .. } => Vec::new(),
        }
    }

    fn unindex(&mut self, fact: &Fact) -> Vec<Subject> {
        match &fact.matter {
            Matter::Block(decision) => {
                let subject = &decision.subject;
                match subject {
                    Subject::Network(net) => self.nets.remove(&net.trunc()),
                    other => self.others.remove(other),
                };
                self.held.remove(&fact.node, fact.rank.born, subject, self.trust.blocks_per_minute)
            }
            Matter::Release(subject) => {
                let Some(stamps) = self.released.get_mut(subject) else { return Vec::new() };
                stamps.retain(|stamp| *stamp != fact.rank.stamp);
                if stamps.is_empty() {
                    self.released.remove(subject);
                    if let Subject::Network(net) = subject {
                        self.released_nets.remove(&net.trunc());
                    }
                }
                Vec::new()
            }
            Matter::LetOut(code, subject) => {
                if let Some(subjects) = self.outs.get_mut(code) {
                    subjects.remove(subject);
                    if subjects.is_empty() {
                        self.outs.remove(code);
                    }
                }
                Vec::new()
            }
            Matter::Never { net, .. } => {
                self.nevers.remove(&net.trunc());
                self.concerned(&Subject::Network(net.trunc()))
            }
            Matter::Accept { .. } | Matter::Value { .. } => Vec::new(),
        }
    }

    fn end_later(&mut self, key: &str, ends: Time) {
        if let Some(fact) = self.facts.get_mut(key)
            && fact.ends < ends
        {
            self.ends.remove(&(fact.ends, key.to_owned()));
            fact.ends = ends;
            self.ends.insert((ends, key.to_owned()));
        }
    }

    /// Sees to it that releases of the subject are remembered for as long as what they release.
    fn outlive(&mut self, subject: &Subject, ends: Time) {
        for key in self.releases_over(subject) {
            if self.facts.get(&key).is_some_and(|fact| fact.ends < ends) {
                self.end_later(&key, ends);
                self.unsent.insert(key);
            }
        }
    }

    /// All blocks and guards that are known, in force or not.
    fn blocks(&self) -> impl Iterator<Item = (&Decision, &Fact)> {
        self.facts.values().filter_map(|fact| match &fact.matter {
            Matter::Block(decision) => Some((&**decision, fact)),
            _ => None,
        })
    }

    fn block(&self, subject: &Subject) -> Option<(&Decision, &Fact)> {
        let fact = self.facts.get(&format!("b:{subject}"))?;
        match &fact.matter {
            Matter::Block(decision) => Some((decision, fact)),
            _ => None,
        }
    }

    /// Which node began the block of this reference, if it is known.
    pub fn node_of(&self, code: Code, subject: &Subject) -> Option<&str> {
        self.block(subject).filter(|(decision, _)| decision.code == code).map(|(_, fact)| fact.node.as_str())
    }

    /// A fact by its key.
    pub fn fact(&self, key: &str) -> Option<&Fact> {
        self.facts.get(key)
    }

    /// Every fact's key with its rank.
    pub fn ranks(&self) -> impl Iterator<Item = (&str, Rank)> {
        self.facts.iter().map(|(key, fact)| (key.as_str(), fact.rank))
    }

    /// All facts.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.facts.values()
    }

    /// The facts that came before changes were taken last, to be written down: they are carried out.
    pub fn take_unwritten(&mut self) -> Vec<Fact> {
        let keys = std::mem::take(&mut self.unwritten);
        keys.iter().filter_map(|key| self.facts.get(key).cloned()).collect()
    }

    /// How many facts are known.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// How many facts the server may lack.
    pub fn unsent_len(&self) -> usize {
        self.unsent.len()
    }

    /// Whether the server may lack the fact.
    pub fn is_unsent(&self, key: &str) -> bool {
        self.unsent.contains(key)
    }

    /// Some facts that the server may lack, with their keys.
    pub fn unsent(&self, most: usize) -> Vec<(String, Fact)> {
        let known = |key: &String| self.facts.get(key).map(|fact| (key.clone(), fact.clone()));
        self.unsent.iter().filter_map(known).take(most).collect()
    }

    /// The server has this version, and remembers it until `ends`.
    pub fn sent(&mut self, key: &str, rank: Rank, ends: Time) {
        if self.facts.get(key).is_none_or(|fact| fact.rank == rank && fact.ends <= ends) {
            self.unsent.remove(key);
        }
    }

    /// Compares with all that the server has; returns the keys whose server's version is news here. What the server lacks
    /// is sent to it, unless this node was away for so long that a release may have been forgotten meanwhile: then what
    /// it knew before (`in_step_until`: the moment by the fleet's clock, in milliseconds, at which it was last in step) is
    /// believed gone.
    pub fn compare(&mut self, server: &HashMap<String, Rank>, in_step_until: Option<u64>) -> Vec<String> {
        let mut gone = Vec::new();
        for (key, fact) in &self.facts {
            match server.get(key) {
                Some(rank) if *rank >= fact.rank => {
                    self.unsent.remove(key);
                }
                None if in_step_until.is_some_and(|until| fact.rank.stamp.millis <= until) => gone.push(key.clone()),
                _ => {
                    self.unsent.insert(key.clone());
                }
            }
        }
        for key in gone {
            if let Some(Fact { matter: Matter::Block(decision), .. }) = self.facts.get(&key) {
                self.gone.insert(decision.subject.clone());
            }
            self.forget(&key);
        }
        let is_news = |(key, rank): &(&String, &Rank)| self.facts.get(*key).is_none_or(|fact| fact.rank < **rank);
        let mut news: Vec<String> = server.iter().filter(is_news).map(|(key, _)| key.clone()).collect();
        news.sort_unstable();
        news
    }

    /// Forgets what has ended, and beyond the limit what ends first.
    pub fn forget_ended(&mut self, now: Time) {
        while let Some((ends, key)) = self.ends.first().cloned() {
            if ends > now && self.facts.len() <= FACTS_MAX {
                break;
            }
            self.forget(&key);
        }
        self.applied
            .retain(|subject, _| self.facts.contains_key(&format!("b:{subject}")) || self.dirty.contains(subject));
    }

    fn forget(&mut self, key: &str) {
        let Some(fact) = self.facts.remove(key) else { return };
        self.ends.remove(&(fact.ends, key.to_owned()));
        self.unsent.remove(key);
        let affected = self.unindex(&fact);
        self.dirty.extend(affected);
        if let Matter::Block(decision) = fact.matter {
            self.dirty.insert(decision.subject);
        }
    }

    /// The nodes some of whose blocks are held back, with how many.
    pub fn held_back(&self) -> Vec<(String, usize)> {
        self.held.counts(self.trust.blocks_per_minute)
    }
}

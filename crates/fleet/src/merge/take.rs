//! What is to be carried out here because of what others said.

use fairban_types::{Code, Decision, Subject, Time};
use ipnet::IpNet;

use super::{Applied, Merge};
use crate::fact::{Fact, Matter};
use crate::merge::cover::wins;
use crate::stamp::{Rank, Stamp};

/// What this node should do so that it agrees with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Put a block or guard in force, in place of one of the same subject.
    Block {
        /// The block, with all its holes.
        decision: Box<Decision>,
        /// Who began it.
        node: String,
    },
    /// Take away the block of exactly this subject.
    Lift {
        /// Whose.
        subject: Subject,
        /// By whom, why, and on which node.
        by: Told,
    },
    /// Release a subject, as if a person here had wished it.
    Release {
        /// Whom.
        subject: Subject,
        /// By whom, why, and on which node.
        by: Told,
    },
    /// Let a subject out of one block.
    LetOut {
        /// Of which.
        code: Code,
        /// Whom.
        subject: Subject,
        /// By whom, why, and on which node.
        by: Told,
    },
    /// Change the never-block list.
    Never {
        /// The network.
        net: IpNet,
        /// Whether it is on the list.
        listed: bool,
        /// Until when.
        until: Option<Time>,
        /// By whom, why, and on which node.
        by: Told,
    },
    /// A value is another now: [`Merge::values`] has all of them.
    Value {
        /// Its name.
        name: String,
    },
}

/// Who said so elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The node.
    pub node: String,
    /// The person or program.
    pub by: String,
    /// The reason.
    pub reason: String,
}

impl Told {
    fn of(fact: &Fact) -> Told {
        Told { node: fact.node.clone(), by: fact.by.clone(), reason: fact.reason.clone() }
    }
}

impl Merge {
    /// Whether something is to be carried out.
    pub fn has_changes(&self) -> bool {
        !self.pending.is_empty() || !self.dirty.is_empty()
    }

    /// What is to be carried out here, in order; from now on it counts as done.
    pub fn take(&mut self, now: Time) -> Vec<Change> {
        let mut changes = Vec::new();
        for key in std::mem::take(&mut self.pending) {
            self.carry_out(&key, now, &mut changes);
        }
        for subject in std::mem::take(&mut self.dirty) {
            self.agree(subject, now, &mut changes);
        }
        changes
    }

    fn carry_out(&mut self, key: &str, now: Time, changes: &mut Vec<Change>) {
        let Some(fact) = self.facts.get(key) else { return };
        if fact.node != self.name && self.trust.limited.contains(&fact.node) {
            return;
        }
        let by = Told::of(fact);
        match fact.matter.clone() {
            Matter::Release(subject) => {
                let stamp = fact.rank.stamp;
                self.release(subject, stamp, by, now, changes);
            }
            Matter::LetOut(code, subject) => {
                let is_held = |subject: &Subject| self.applied.get(subject).is_some_and(|applied| applied.code == code);
                if self.concerned(&subject).iter().any(is_held) {
                    self.has_let_out(code, &subject);
                    changes.push(Change::LetOut { code, subject, by });
                }
            }
            Matter::Never { net, listed, until } => {
                if listed {
                    self.has_lifted(net);
                }
                changes.push(Change::Never { net, listed, until, by });
            }
            Matter::Value { name, .. } => changes.push(Change::Value { name }),
            Matter::Block(_) | Matter::Accept { .. } => {}
        }
    }

    /// A release as a whole, unless that would take away what is newer: then each older block by itself.
    fn release(&mut self, subject: Subject, stamp: Stamp, by: Told, now: Time, changes: &mut Vec<Change>) {
        let concerned = self.concerned(&subject);
        let is_newer = |concerned: &Subject| {
            self.block(concerned).is_some_and(|(_, fact)| !wins(stamp, fact))
                && self.effective(concerned, now).is_some()
        };
        if !concerned.iter().any(is_newer) {
            self.has_released(&subject);
            changes.push(Change::Release { subject, by });
            return;
        }
        for subject in concerned {
            if self.effective(&subject, now).is_none() && self.applied.remove(&subject).is_some() {
                changes.push(Change::Lift { subject, by: by.clone() });
            }
        }
    }

    /// Puts a subject's block in force, changes it, or takes it away, where it differs from what is in force here.
    fn agree(&mut self, subject: Subject, now: Time, changes: &mut Vec<Change>) {
        let wanted = self.effective(&subject, now).map(|found| {
            let decision = Decision { holes: found.holes.clone(), ..found.decision.clone() };
            let node = found.fact.node.clone();
            (Applied::of(found), decision, node)
        });
        match (wanted, self.applied.get(&subject)) {
            (Some((wanted, ..)), Some(applied)) if wanted == *applied => {}
            (Some((wanted, decision, node)), _) => {
                self.applied.insert(subject, wanted);
                changes.push(Change::Block { decision: Box::new(decision), node });
            }
            (None, Some(_)) => {
                self.applied.remove(&subject);
                let is_gone = self.gone.remove(&subject);
                let is_over =
                    self.block(&subject).is_none_or(|(block, _)| block.until.is_some_and(|until| until <= now));
                // What has come to its end is ended by everybody alone.
                if is_gone || !is_over {
                    changes.push(Change::Lift { subject, by: Told::default() });
                }
            }
            (None, None) => {}
        }
    }

    /// The values that all nodes should have, by name; `None`: one that was taken back.
    pub fn values(&self) -> Vec<(String, Option<String>, Told)> {
        let all = self.facts.range("v:".to_owned().."v;".to_owned());
        let heard = all.filter(|(key, _)| self.is_heard(key));
        let value = |(_, fact): (&String, &Fact)| match &fact.matter {
            Matter::Value { name, value } => Some((name.clone(), value.clone(), Told::of(fact))),
            _ => None,
        };
        heard.filter_map(value).collect()
    }

    /// The rank of what is in force here of a subject.
    pub fn applied(&self, subject: &Subject) -> Option<Rank> {
        self.applied.get(subject).map(|applied| applied.rank)
    }
}

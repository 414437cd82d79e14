//! What this node decides.

use std::collections::HashMap;

use fairban_types::{Action, Code, Decision, Subject, Time};
use ipnet::IpNet;

use super::{Applied, GRACE, HEAD_START, Merge, RETENTION};
use crate::fact::{FOREVER, Fact, Matter};
use crate::stamp::{Rank, Stamp};

/// Events that a shared receipt tells; the oldest of more are left out.
const EVIDENCE_MAX: usize = 64;

/// Who wishes something, and why.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// By whom.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
}

impl Merge {
    /// Takes a block or guard of this node's own, new or renewed. It is in force here already. `now` is the time by the
    /// fleet's clock. Returns the key of the fact.
    pub fn decided(&mut self, decision: &Decision, now: Time) -> Option<String> {
        if !matches!(decision.action, Action::Block | Action::Guard) {
            return None;
        }
        let mut decision = decision.clone();
        let surplus = decision.events.len().saturating_sub(EVIDENCE_MAX);
        decision.events.drain(..surplus);
        let subject = decision.subject.clone();
        let before = self.block(&subject);
        let is_known = before.is_some_and(|(known, _)| known.code == decision.code);
        if !is_known && self.applied.get(&subject).is_some_and(|applied| applied.code == decision.code) {
            // What is prolonged here has been replaced meanwhile, which is only not carried out yet.
            self.dirty.insert(subject);
            return None;
        }
        let seen = before.map(|(_, fact)| fact.rank.stamp.max(fact.rank.born)).unwrap_or_default();
        let stamp = Stamp::next(millis(now), seen, self.number);
        // Who prolongs a block does not begin it. Two blocks have the same reference if the clock stood still between them.
        let goes_on = self.applied.get(&subject).is_some_and(|applied| applied.code == decision.code);
        let (born, node, knows) = match before {
            Some((known, fact)) if goes_on && known.code == decision.code => {
                (fact.rank.born, fact.node.clone(), fact.knows.clone())
            }
            _ => (stamp, self.name.clone(), self.known_releases(&subject, stamp)),
        };
        let ends = decision.until.map_or(FOREVER, |until| until.after(GRACE));
        let (code, mut holes) = (decision.code, decision.holes.clone());
        let fact = Fact {
            rank: Rank { born, stamp },
            node,
            by: decision.origin.by().unwrap_or_default().to_owned(),
            reason: String::new(),
            knows,
            time: decision.time,
            matter: Matter::Block(Box::new(decision)),
            ends,
        };
        let rank = fact.rank;
        let key = self.tell(fact);
        holes.sort_unstable();
        holes.dedup();
        // It is in force here whatever else is known; any difference is mended with the next changes.
        self.applied.insert(subject.clone(), Applied { code, rank, holes });
        self.dirty.insert(subject);
        Some(key)
    }

    /// Takes a release by this node: it is carried out here already. Returns the key of the fact.
    pub fn released(&mut self, subject: &Subject, wish: Wish<'_>, now: Time) -> String {
        let seen = self.stamp_of(&format!("r:{:016x}:{subject}", self.number));
        let concerned = self.concerned(subject);
        let until = concerned.iter().filter_map(|subject| self.block(subject).map(|(_, fact)| fact.ends)).max();
        let ends = now.after(RETENTION).max(until.unwrap_or_default());
        self.has_released(subject);
        self.act(Matter::Release(subject.clone()), seen, ends, wish, now)
    }

    /// Takes it that a subject was let out of one block here. Returns the key of the fact.
    pub fn let_out(&mut self, code: Code, subject: &Subject, wish: Wish<'_>, now: Time) -> String {
        let concerned = self.concerned(subject);
        let of =
            |subject: &Subject| self.block(subject).filter(|(block, _)| block.code == code).map(|(_, fact)| fact.ends);
        let until = concerned.iter().filter_map(of).max();
        let ends = now.after(RETENTION).max(until.unwrap_or_default());
        self.has_let_out(code, subject);
        self.act(Matter::LetOut(code, subject.clone()), Stamp::default(), ends, wish, now)
    }

    /// Takes a change of the never-block list here. Returns the key of the fact.
    pub fn never(&mut self, net: IpNet, listed: bool, until: Option<Time>, wish: Wish<'_>, now: Time) -> String {
        let net = net.trunc();
        let matter = Matter::Never { net, listed, until };
        let seen = self.stamp_of(&format!("n:{net}"));
        let ends = match (listed, until) {
            (true, None) => FOREVER,
            (true, Some(until)) => until.after(GRACE),
            (false, _) => now.after(RETENTION),
        };
        if listed {
            self.has_lifted(net);
        }
        self.act(matter, seen, ends, wish, now)
    }

    /// Lets the blocks of a node through that were held back until now. Returns the key of the fact.
    pub fn accept(&mut self, node: &str, wish: Wish<'_>, now: Time) -> String {
        let matter = Matter::Accept { of: node.to_owned(), up_to: millis(now) + 2 * HEAD_START.as_millis() as u64 };
        let seen = self.stamp_of(&format!("a:{node}"));
        self.act(matter, seen, now.after(RETENTION), wish, now)
    }

    /// Takes a value that all nodes should have, or that it is taken back. Returns the key of the fact.
    pub fn value(&mut self, name: &str, value: Option<&str>, wish: Wish<'_>, now: Time) -> String {
        let matter = Matter::Value { name: name.to_owned(), value: value.map(str::to_owned) };
        let seen = self.stamp_of(&format!("v:{name}"));
        self.act(matter, seen, FOREVER, wish, now)
    }

    /// Takes back in a fact that an earlier run of this node knew and had carried out.
    pub fn recall(&mut self, fact: Fact, now: Time) {
        let key = fact.key();
        if fact.ends <= now || self.facts.get(&key).is_some_and(|known| known.rank >= fact.rank) {
            return;
        }
        let affected = self.put(key, fact);
        for subject in affected {
            self.settle(&subject, now);
        }
    }

    /// Compares with what is in force here, as the program found it after a start. What it has and no fact knows becomes
    /// one, decided at its time; any other difference is mended with the next changes. Returns the keys of new facts.
    pub fn match_standing(&mut self, standing: &[Decision], now: Time) -> Vec<String> {
        let mut here: HashMap<&Subject, &Decision> = standing.iter().map(|held| (&held.subject, held)).collect();
        for (subject, applied) in std::mem::take(&mut self.applied) {
            if here.get(&subject).is_some_and(|held| held.code == applied.code) {
                here.remove(&subject);
                self.applied.insert(subject, applied);
            } else {
                self.dirty.insert(subject);
            }
        }
        let mut keys = Vec::new();
        for (subject, held) in here {
            if self.block(subject).is_none() {
                keys.extend(self.decided(held, held.time.min(now)));
            } else {
                let applied = Applied { code: held.code, rank: Rank::default(), holes: Vec::new() };
                self.applied.insert(subject.clone(), applied);
                self.dirty.insert(subject.clone());
            }
        }
        keys
    }

    fn act(&mut self, matter: Matter, seen: Stamp, ends: Time, wish: Wish<'_>, now: Time) -> String {
        let is_favoured = matches!(matter, Matter::Never { listed: true, .. });
        let moment = if is_favoured { now.after(HEAD_START) } else { now };
        let stamp = Stamp::next(millis(moment), seen, self.number);
        self.tell(Fact {
            rank: Rank { born: stamp, stamp },
            node: self.name.clone(),
            by: wish.by.to_owned(),
            reason: wish.reason.to_owned(),
            knows: Vec::new(),
            time: now,
            matter,
            ends,
        })
    }

    fn stamp_of(&self, key: &str) -> Stamp {
        self.facts.get(key).map(|fact| fact.rank.stamp).unwrap_or_default()
    }

    fn tell(&mut self, fact: Fact) -> String {
        let key = fact.key();
        let affected = self.put(key.clone(), fact);
        self.dirty.extend(affected);
        self.unsent.insert(key.clone());
        key
    }

    /// Notes what releasing the subject has done to what is in force here.
    pub(super) fn has_released(&mut self, subject: &Subject) {
        for concerned in self.concerned(subject) {
            match (concerned.network(), subject.network()) {
                (Some(wide), Some(net)) if wide != net && wide.contains(&net) => self.has_punched(&concerned, net),
                _ => drop(self.applied.remove(&concerned)),
            }
        }
    }

    /// Notes what letting the subject out of one block has done.
    pub(super) fn has_let_out(&mut self, code: Code, subject: &Subject) {
        for concerned in self.concerned(subject) {
            if self.applied.get(&concerned).is_none_or(|applied| applied.code != code) {
                continue;
            }
            match (concerned.network(), subject.network()) {
                (Some(wide), Some(net)) if wide != net && wide.contains(&net) => self.has_punched(&concerned, net),
                _ => drop(self.applied.remove(&concerned)),
            }
        }
    }

    /// Notes what an entry of the never-block list has lifted.
    pub(super) fn has_lifted(&mut self, net: IpNet) {
        for subject in self.narrower(&Subject::Network(net)) {
            self.applied.remove(&subject);
        }
    }

    fn has_punched(&mut self, wide: &Subject, net: IpNet) {
        if let Some(applied) = self.applied.get_mut(wide) {
            applied.holes.push(net.trunc());
            applied.holes.sort_unstable();
            applied.holes.dedup();
        }
    }

    /// Notes that what is in force here of a subject is what should be.
    fn settle(&mut self, subject: &Subject, now: Time) {
        match self.effective(subject, now).map(Applied::of) {
            Some(applied) => self.applied.insert(subject.clone(), applied),
            None => self.applied.remove(subject),
        };
        self.dirty.remove(subject);
    }
}

fn millis(time: Time) -> u64 {
    u64::try_from(time.millis()).unwrap_or(0)
}

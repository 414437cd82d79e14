//! Which releases and entries of the never-block list concern which subjects.

use std::collections::BTreeSet;

use fairban_types::{Decision, Direction, Sender, Sending, Subject, Time};
use ipnet::IpNet;

use super::{HEAD_START, Merge};
use crate::fact::Fact;
use crate::stamp::Stamp;

/// What is in force of a subject, by all facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective<'m> {
    /// The block or guard.
    pub decision: &'m Decision,
    /// Who said so, and when.
    pub fact: &'m Fact,
    /// The networks inside that it leaves alone.
    pub holes: Vec<IpNet>,
}

impl Merge {
    /// The block of a subject that is in force, by all facts.
    pub fn effective(&self, subject: &Subject, now: Time) -> Option<Effective<'_>> {
        let (decision, fact) = self.block(subject)?;
        let born = fact.rank.born;
        let is_over = decision.until.is_some_and(|until| until <= now);
        let most = self.trust.blocks_per_minute;
        let is_foreign = fact.node != self.name;
        if is_over
            || self.is_released(subject, fact)
            || self.is_let_out(decision)
            || self.is_never(subject, now)
            || is_foreign
                && (self.trust.limited.contains(&fact.node) || self.held.is_held(&fact.node, born, subject, most))
        {
            return None;
        }
        let mut holes = decision.holes.clone();
        if let Subject::Network(net) = subject {
            holes.extend(self.punched(*net, decision, fact));
            holes.sort_unstable();
            holes.dedup();
        }
        Some(Effective { decision, fact, holes })
    }

    /// All blocks in force, by subject.
    pub fn in_force(&self, now: Time) -> Vec<Effective<'_>> {
        let subjects: Vec<Subject> = self.blocks().map(|(decision, _)| decision.subject.clone()).collect();
        subjects.into_iter().filter_map(|subject| self.effective(&subject, now)).collect()
    }

    fn is_released(&self, subject: &Subject, block: &Fact) -> bool {
        self.covering(subject).iter().any(|cover| self.takes_away(cover, block))
    }

    /// Whether a release of `released` takes away (a part of) the block.
    fn takes_away(&self, released: &Subject, block: &Fact) -> bool {
        let stamps = self.released.get(released).into_iter().flatten();
        stamps.copied().any(|stamp| wins(stamp, block) && self.is_heard(&release_key(stamp, released)))
    }

    /// Whether a fact is not that of a limited node.
    pub(super) fn is_heard(&self, key: &str) -> bool {
        self.facts.get(key).is_some_and(|fact| fact.node == self.name || !self.trust.limited.contains(&fact.node))
    }

    fn is_let_out(&self, decision: &Decision) -> bool {
        let Some(outs) = self.outs.get(&decision.code) else { return false };
        outs.iter().any(|out| match (out, &decision.subject) {
            (Subject::Network(out), Subject::Network(net)) => out.contains(net),
            (out, subject) => out == subject,
        })
    }

    fn is_never(&self, subject: &Subject, now: Time) -> bool {
        let (Subject::Network(net) | Subject::Pair(_, net)) = subject else { return false };
        let is_listed = |wide: &IpNet| self.nevers.get(wide).is_some_and(|until| until.is_none_or(|until| until > now));
        !self.nevers.is_empty() && wider(*net).any(|wide| is_listed(&wide) && self.is_heard(&format!("n:{wide}")))
    }

    /// What was released or let out inside a network.
    fn punched(&self, net: IpNet, decision: &Decision, block: &Fact) -> Vec<IpNet> {
        let is_later = |inner: &IpNet| self.takes_away(&Subject::Network(*inner), block);
        let mut holes: Vec<IpNet> = inside(&self.released_nets, net).filter(is_later).collect();
        if let Some(outs) = self.outs.get(&decision.code) {
            holes.extend(outs.iter().filter_map(Subject::network).filter(|out| net.contains(out)));
        }
        holes
    }

    /// The subjects whose release is one of this subject too.
    fn covering(&self, subject: &Subject) -> Vec<Subject> {
        if self.released.is_empty() {
            return Vec::new();
        }
        match subject {
            Subject::Network(net) => self.released_around(*net).collect(),
            Subject::Account(_) => vec![subject.clone()],
            Subject::Pair(account, net) => {
                let nets = self.released_around(*net);
                nets.chain([subject.clone(), Subject::Account(account.clone())]).collect()
            }
            Subject::Sending(sending) => {
                let mut covering = vec![subject.clone()];
                covering.push(Subject::Sending(Sending { direction: Direction::Both, ..sending.clone() }));
                if let Sender::Account(account) = &sending.sender {
                    covering.push(Subject::Account(account.clone()));
                }
                covering
            }
        }
    }

    fn released_around(&self, net: IpNet) -> impl Iterator<Item = Subject> {
        wider(net).filter(|wide| self.released_nets.contains(wide)).map(Subject::Network)
    }

    /// The keys of releases that cover the subject.
    pub(super) fn releases_over(&self, subject: &Subject) -> Vec<String> {
        let keys = |cover: &Subject| -> Vec<String> {
            self.released.get(cover).into_iter().flatten().map(|stamp| release_key(*stamp, cover)).collect()
        };
        self.covering(subject).iter().flat_map(keys).collect()
    }

    /// The subjects of blocks that the release of a subject may concern: its own, narrower ones, wider ones.
    pub(super) fn concerned(&self, subject: &Subject) -> Vec<Subject> {
        let mut concerned = self.narrower(subject);
        if let Subject::Network(net) = subject {
            let is_blocked = |wide: &IpNet| *wide != net.trunc() && self.nets.contains(wide);
            concerned.extend(wider(*net).filter(is_blocked).map(Subject::Network));
        }
        concerned
    }

    /// The subjects of blocks that the release of a subject takes away whole.
    pub(super) fn narrower(&self, subject: &Subject) -> Vec<Subject> {
        let others =
            |test: &dyn Fn(&Subject) -> bool| self.others.iter().filter(|other| test(other)).cloned().collect();
        match subject {
            Subject::Network(net) => {
                let mut found: Vec<Subject> =
                    others(&|other| matches!(other, Subject::Pair(_, from) if net.contains(from)));
                found.extend(inside(&self.nets, *net).map(Subject::Network));
                found
            }
            Subject::Account(name) => others(&|other| match other {
                Subject::Account(other) | Subject::Pair(other, _) => other == name,
                Subject::Sending(sending) => matches!(&sending.sender, Sender::Account(other) if other == name),
                Subject::Network(_) => false,
            }),
            Subject::Pair(..) => others(&|other| other == subject),
            Subject::Sending(sending) => others(&|other| match other {
                Subject::Sending(other) => {
                    other.sender == sending.sender
                        && (other.direction == sending.direction || sending.direction == Direction::Both)
                }
                _ => false,
            }),
        }
    }

    /// The releases of late that a block of the subject, which begins now, knows of.
    pub(super) fn known_releases(&self, subject: &Subject, born: Stamp) -> Vec<Stamp> {
        let over = self.covering(subject).into_iter();
        let within =
            subject.network().into_iter().flat_map(|net| inside(&self.released_nets, net)).map(Subject::Network);
        let stamps = over.chain(within).filter_map(|cover| self.released.get(&cover)).flatten().copied();
        let mut known: Vec<Stamp> = stamps.filter(|stamp| is_close(*stamp, born)).collect();
        known.sort_unstable();
        known.dedup();
        known
    }

    /// When an address, or an account, was last released, by the fleet's clock.
    pub fn released_at(&self, subject: &Subject) -> Option<Time> {
        let keys = self.releases_over(subject).into_iter().filter(|key| self.is_heard(key));
        let stamps = keys.filter_map(|key| self.facts.get(&key).map(|fact| fact.rank.stamp.millis));
        stamps.max().map(|millis| Time::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
    }
}

/// Whether a release takes a block away: the block neither knew of it nor began much later.
pub(super) fn wins(release: Stamp, block: &Fact) -> bool {
    is_close(release, block.rank.born) && !block.knows.contains(&release)
}

fn is_close(release: Stamp, born: Stamp) -> bool {
    release.millis.saturating_add(HEAD_START.as_millis() as u64) >= born.millis
}

pub(super) fn release_key(stamp: Stamp, subject: &Subject) -> String {
    format!("r:{:016x}:{subject}", stamp.node)
}

/// The network and every wider one.
fn wider(net: IpNet) -> impl Iterator<Item = IpNet> {
    let net = net.trunc();
    std::iter::successors(Some(net), IpNet::supernet)
}

/// The networks of a set inside a network, itself included.
fn inside(set: &BTreeSet<IpNet>, net: IpNet) -> impl Iterator<Item = IpNet> {
    let net = net.trunc();
    // Networks are ordered by their first address, then by prefix length.
    let start = IpNet::new(net.addr(), 0).unwrap_or(net);
    set.range(start..)
        .copied()
        .take_while(move |other| net.contains(&other.addr()))
        .filter(move |other| net.contains(other))
}

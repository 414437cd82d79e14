//! Nodes, a server and a bad network, by seed: whatever happens on the way, all nodes end with the same, and the three
//! wins hold. `FAIRBAN_FLEET_SEEDS=100000` runs more of them, `FAIRBAN_FLEET_SEED=7` that one alone.

use std::collections::{BTreeMap, BTreeSet};

use fairban_fleet::{Change, Fact, HEAD_START, Matter, Merge, Position, Rank, Read, Trust, Twin, Wish};
use fairban_types::{Code, Decision, Subject, Time};
use ipnet::IpNet;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::merging::block;

const SEEDS: u64 = 500;
const NODES: usize = 4;
const STEPS: usize = 220;
const BY: Wish<'static> = Wish { by: "admin", reason: "" };
const SUBJECTS: [&str; 10] = [
    "192.0.2.7",
    "192.0.2.8",
    "192.0.2.0/24",
    "192.0.0.0/16",
    "2001:db8::/64",
    "2001:db8::/48",
    "alice",
    "alice from 192.0.2.7",
    "bob from 192.0.2.8",
    "send:bob@example.test",
];
/// The most by which two clocks differ, in milliseconds.
const SKEW: i64 = 5_000;

/// What was decided, with the true time of it.
struct Decided {
    time: i64,
    fact: Fact,
    /// Releases and never-block entries that the author knew.
    knew: BTreeSet<Rank>,
    /// Whether it only goes on with what was there.
    renews: bool,
}

/// A node: the merge logic, and an engine that does what it is told.
struct Node {
    merge: Merge,
    standing: BTreeMap<Subject, (Code, Vec<IpNet>)>,
    never: BTreeSet<IpNet>,
    clock: i64,
    position: Position,
    in_step: bool,
    connected: bool,
    /// What is on its way to the server, and from it.
    outgoing: Vec<Fact>,
    incoming: Vec<Fact>,
}

impl Node {
    fn new(index: usize, clock: i64) -> Self {
        Node {
            merge: Merge::new(&format!("mx{index}"), Trust::default()),
            standing: BTreeMap::new(),
            never: BTreeSet::new(),
            clock,
            position: 0,
            in_step: false,
            connected: true,
            outgoing: Vec::new(),
            incoming: Vec::new(),
        }
    }

    fn now(&self, time: i64) -> Time {
        Time::from_millis(time + self.clock)
    }

    /// Does as the daemon does with what others decided.
    fn carry_out(&mut self, time: i64) {
        let now = self.now(time);
        for change in self.merge.take(now) {
            match change {
                Change::Block { decision, .. } => {
                    self.standing.insert(decision.subject.clone(), (decision.code, decision.holes.clone()));
                }
                Change::Lift { subject, .. } => drop(self.standing.remove(&subject)),
                Change::Release { subject, .. } => self.release(&subject),
                Change::LetOut { code, subject, .. } => self.let_out(code, &subject),
                Change::Never { net, listed: true, .. } => self.never_add(net),
                Change::Never { net, .. } => drop(self.never.remove(&net)),
                Change::Value { .. } => {}
            }
        }
    }

    fn release(&mut self, subject: &Subject) {
        self.standing.retain(|other, _| !covers(subject, other));
        if let Some(net) = subject.network() {
            for (wide, (_, holes)) in &mut self.standing {
                if wide.network().is_some_and(|wide| wide != net && wide.contains(&net)) && !holes.contains(&net) {
                    holes.push(net);
                    holes.sort_unstable();
                }
            }
        }
    }

    fn let_out(&mut self, code: Code, subject: &Subject) {
        let is_whole = |other: &Subject| match (subject, other) {
            (Subject::Network(out), Subject::Network(net)) => out.contains(net),
            (out, other) => out == other,
        };
        self.standing.retain(|other, (of, _)| *of != code || !is_whole(other));
        if let Some(net) = subject.network() {
            for (wide, (of, holes)) in &mut self.standing {
                if *of == code && wide.network().is_some_and(|wide| wide.contains(&net)) && !holes.contains(&net) {
                    holes.push(net);
                    holes.sort_unstable();
                }
            }
        }
    }

    fn never_add(&mut self, net: IpNet) {
        self.never.insert(net);
        self.standing.retain(|other, _| match other {
            Subject::Network(inner) | Subject::Pair(_, inner) => !net.contains(inner),
            _ => true,
        });
    }

    /// Everything again, from what was written down: what was decided and what was carried out.
    fn restart(&mut self, index: usize, time: i64) {
        self.carry_out(time);
        let fresh = Node::new(index, self.clock);
        let old = std::mem::replace(self, fresh);
        let now = self.now(time);
        for key in old.merge.ranks().map(|(key, _)| key.to_owned()).collect::<Vec<_>>() {
            self.merge.recall(old.merge.fact(&key).unwrap().clone(), now);
        }
        (self.never, self.standing) = (old.never, old.standing);
    }
}

fn covers(subject: &Subject, other: &Subject) -> bool {
    match (subject, other) {
        (Subject::Network(net), Subject::Network(inner) | Subject::Pair(_, inner)) => net.contains(inner),
        (Subject::Account(name), Subject::Pair(other, _)) => name == other,
        (one, other) => one == other,
    }
}

struct World {
    chance: ChaCha8Rng,
    nodes: Vec<Node>,
    server: Twin,
    replica: Twin,
    time: i64,
    codes: u64,
    history: Vec<Decided>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let nodes = (0..NODES).map(|index| Node::new(index, chance.random_range(-SKEW / 2..=SKEW / 2))).collect();
        let server = Twin::new(20);
        let replica = server.clone();
        World { chance, nodes, server, replica, time: 1_800_000_000_000, codes: 0, history: Vec::new() }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.time += self.chance.random_range(0..12_000);
            let node = self.chance.random_range(0..NODES);
            match self.chance.random_range(0..100) {
                0..=17 => self.block(node),
                18..=22 => self.renew(node),
                23..=29 => self.release(node),
                30..=33 => self.let_out(node),
                34..=37 => self.never(node),
                38..=39 => self.value(node),
                40..=57 => self.send(node),
                58..=79 => self.receive(node),
                80..=83 => self.cut(node),
                84..=87 => self.connect(node),
                88..=89 => self.nodes[node].restart(node, self.time),
                90..=93 => self.replica = self.server.clone(),
                94..=95 => self.fail(self.replica.clone()),
                96 => self.fail(Twin::new(20)),
                _ => self.deliver(node),
            }
        }
        self.settle();
    }

    fn subject(&mut self) -> Subject {
        SUBJECTS[self.chance.random_range(0..SUBJECTS.len())].parse().unwrap()
    }

    fn note(&mut self, node: usize, key: &str, renews: bool) {
        let merge = &self.nodes[node].merge;
        let fact = merge.fact(key).unwrap().clone();
        let is_release = |key: &str| key.starts_with("r:");
        let knew = match fact.matter {
            Matter::Block(_) => merge.ranks().filter(|(key, _)| is_release(key)).map(|(_, rank)| rank).collect(),
            _ => BTreeSet::new(),
        };
        self.history.push(Decided { time: self.time, fact, knew, renews });
    }

    fn block(&mut self, index: usize) {
        let subject = self.subject();
        self.codes += 1;
        let decision = block(&subject.to_string(), self.codes, Time::from_millis(self.time), None);
        let node = &mut self.nodes[index];
        let now = node.now(self.time);
        let (Subject::Network(net) | Subject::Pair(_, net)) = &subject else {
            return self.decide(index, &decision, now);
        };
        // The engine does not block what is on the never-block list, nor what is blocked.
        if node.never.iter().any(|never| never.contains(net)) || node.standing.contains_key(&subject) {
            return;
        }
        self.decide(index, &decision, now);
    }

    fn decide(&mut self, index: usize, decision: &Decision, now: Time) {
        let node = &mut self.nodes[index];
        let renews = node.standing.get(&decision.subject).is_some_and(|(code, _)| *code == decision.code);
        node.standing.insert(decision.subject.clone(), (decision.code, decision.holes.clone()));
        if let Some(key) = node.merge.decided(decision, now) {
            self.note(index, &key, renews);
        }
    }

    fn renew(&mut self, index: usize) {
        let node = &self.nodes[index];
        let Some((subject, (code, holes))) = node.standing.iter().next() else { return };
        let mut decision = block(&subject.to_string(), code.number(), Time::from_millis(self.time), None);
        decision.holes.clone_from(holes);
        let now = node.now(self.time);
        self.decide(index, &decision, now);
    }

    fn release(&mut self, index: usize) {
        let subject = self.subject();
        let node = &mut self.nodes[index];
        node.release(&subject);
        let now = node.now(self.time);
        let key = node.merge.released(&subject, BY, now);
        self.note(index, &key, false);
    }

    fn let_out(&mut self, index: usize) {
        let subject = self.subject();
        let node = &mut self.nodes[index];
        let held = node.standing.iter().find(|(held, _)| match (held, &subject) {
            (Subject::Network(held), Subject::Network(net)) => held.contains(net),
            (held, subject) => *held == subject,
        });
        let Some((_, (code, _))) = held else { return };
        let code = *code;
        node.let_out(code, &subject);
        let now = node.now(self.time);
        let key = node.merge.let_out(code, &subject, BY, now);
        self.note(index, &key, false);
    }

    fn never(&mut self, index: usize) {
        let Some(net) = self.subject().network() else { return };
        let node = &mut self.nodes[index];
        let listed = !node.never.contains(&net);
        if listed {
            node.never_add(net);
        } else {
            node.never.remove(&net);
        }
        let now = node.now(self.time);
        let key = node.merge.never(net, listed, None, BY, now);
        self.note(index, &key, false);
        self.nodes[index].carry_out(self.time);
    }

    fn value(&mut self, index: usize) {
        self.codes += 1;
        let (name, value) = (["one", "two"][self.chance.random_range(0..2)], self.codes.to_string());
        let value = self.chance.random_bool(0.8).then_some(value.as_str());
        let node = &mut self.nodes[index];
        let now = node.now(self.time);
        let key = node.merge.value(name, value, BY, now);
        self.note(index, &key, false);
    }

    /// Some of what the server lacks goes on its way; it may be lost, doubled, and overtaken.
    fn send(&mut self, index: usize) {
        let World { chance, nodes, .. } = self;
        let node = &mut nodes[index];
        for (_, fact) in node.merge.unsent(5) {
            for _ in 0..chance.random_range(0..3) {
                let place = chance.random_range(0..=node.outgoing.len());
                node.outgoing.insert(place, fact.clone());
            }
        }
        self.deliver(index);
    }

    fn deliver(&mut self, index: usize) {
        let World { chance, nodes, server, .. } = self;
        let node = &mut nodes[index];
        if !node.connected {
            return;
        }
        for fact in std::mem::take(&mut node.outgoing) {
            server.publish(&fact);
            // The answer may be lost.
            if chance.random_bool(0.8) {
                node.merge.sent(&fact.key(), fact.rank, fact.ends);
            }
        }
    }

    fn receive(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if !node.connected {
            return;
        }
        if !node.in_step {
            return self.catch_up(index);
        }
        match self.server.read(node.position, 8) {
            Read::Facts(facts, position) => {
                node.position = position;
                node.incoming.extend(facts);
            }
            Read::Gap => return self.catch_up(index),
        }
        self.take(index);
    }

    /// What was read comes in any order, and twice; what is not taken yet comes later.
    fn take(&mut self, index: usize) {
        let World { chance, nodes, time, .. } = self;
        let node = &mut nodes[index];
        let now = node.now(*time);
        for fact in std::mem::take(&mut node.incoming) {
            if chance.random_bool(0.2) {
                node.incoming.push(fact);
                continue;
            }
            if chance.random_bool(0.3) {
                node.incoming.push(fact.clone());
            }
            node.merge.absorb(fact, now);
        }
        if chance.random_bool(0.8) {
            node.carry_out(*time);
        }
    }

    fn catch_up(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let now = node.now(self.time);
        node.position = self.server.last();
        for key in node.merge.compare(&self.server.ranks(), None) {
            node.merge.absorb(self.server.fact(&key).unwrap().clone(), now);
        }
        node.in_step = true;
        node.carry_out(self.time);
    }

    fn cut(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.connected = false;
        node.in_step = false;
        node.incoming.clear();
        node.outgoing.clear();
    }

    fn connect(&mut self, index: usize) {
        self.nodes[index].connected = true;
    }

    /// Another server takes over: everybody loses the connection.
    fn fail(&mut self, successor: Twin) {
        self.server = successor;
        self.replica = self.server.clone();
        for node in 0..NODES {
            let was_connected = self.nodes[node].connected;
            self.cut(node);
            self.nodes[node].connected = was_connected;
        }
    }

    /// The network is whole again, and everything arrives.
    fn settle(&mut self) {
        for _ in 0..3 {
            for index in 0..NODES {
                self.connect(index);
                self.catch_up(index);
                let node = &mut self.nodes[index];
                let now = node.now(self.time);
                for fact in std::mem::take(&mut node.incoming) {
                    node.merge.absorb(fact, now);
                }
                for (key, fact) in node.merge.unsent(usize::MAX) {
                    self.server.publish(&fact);
                    node.merge.sent(&key, fact.rank, fact.ends);
                }
                node.carry_out(self.time);
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let first = &self.nodes[0];
        for node in &self.nodes {
            let name = node.merge.name();
            let ranks: BTreeMap<&str, _> = node.merge.ranks().collect();
            if ranks != first.merge.ranks().collect() {
                return Err(format!("{name} knows something else than mx0"));
            }
            if node.never != first.never {
                return Err(format!("{name} spares {:?}, mx0 {:?}", node.never, first.never));
            }
            if node.merge.values() != first.merge.values() {
                return Err(format!("{name} has other values than mx0"));
            }
            let wanted = node.merge.in_force(node.now(self.time)).into_iter();
            let wanted: BTreeMap<Subject, (Code, Vec<IpNet>)> =
                wanted.map(|found| (found.decision.subject.clone(), (found.decision.code, found.holes))).collect();
            if node.standing != wanted {
                return Err(format!("{name} has {:?} in force, and should have {wanted:?}", node.standing));
            }
            if node.merge.has_changes() || node.merge.unsent_len() > 0 {
                return Err(format!("{name} is not at rest"));
            }
        }
        for standing in &first.standing {
            self.check_standing(standing.0, standing.1)?;
        }
        self.check_values()?;
        self.history.iter().try_for_each(|decided| self.check_kept(decided))
    }

    /// Nothing in force is older than its release, nor on the never-block list.
    fn check_standing(&self, subject: &Subject, held: &(Code, Vec<IpNet>)) -> Result<(), String> {
        if let Subject::Network(net) | Subject::Pair(_, net) = subject
            && self.nodes[0].never.iter().any(|never| never.contains(net))
        {
            return Err(format!("{subject} is in force though it is on the never-block list"));
        }
        let begun = self.history.iter().find(|decided| match &decided.fact.matter {
            Matter::Block(decision) => decision.code == held.0 && !decided.renews,
            _ => false,
        });
        let begun = begun.unwrap();
        let is_violated = |decided: &Decided| match &decided.fact.matter {
            Matter::Release(released) => decided.time > begun.time && covers(released, subject),
            Matter::LetOut(code, out) => {
                *code == held.0
                    && match (out, subject) {
                        (Subject::Network(out), Subject::Network(net)) => out.contains(net),
                        (out, subject) => out == subject,
                    }
            }
            _ => false,
        };
        if let Some(release) = self.history.iter().find(|decided| is_violated(decided)) {
            let (begun, release) = ((begun.time, &begun.fact), (release.time, &release.fact));
            return Err(format!("{subject} is in force though it was released after that: {begun:?} {release:?}"));
        }
        let lacks_hole = |decided: &Decided| match (&decided.fact.matter, subject.network()) {
            (Matter::Release(Subject::Network(inner)), Some(net)) => {
                decided.time > begun.time && net != *inner && net.contains(inner) && !held.1.contains(inner)
            }
            _ => false,
        };
        match self.history.iter().any(lacks_hole) {
            true => Err(format!("{subject} lacks a hole for what was released after it began")),
            false => Ok(()),
        }
    }

    /// Where one value was set later than all others by more than clocks differ, it is the one.
    fn check_values(&self) -> Result<(), String> {
        for (name, value, _) in self.nodes[0].merge.values() {
            let set = self.history.iter().filter_map(|decided| match &decided.fact.matter {
                Matter::Value { name: other, value } if *other == name => Some((decided.time, value)),
                _ => None,
            });
            let mut set: Vec<_> = set.collect();
            set.sort_by_key(|(time, _)| *time);
            let is_clear = |set: &[(i64, &Option<String>)]| match set {
                [.., (before, _), (last, _)] => last - before > SKEW,
                _ => true,
            };
            if is_clear(&set) && set.last().is_none_or(|(_, last)| **last != value) {
                return Err(format!("{name} is {value:?} after {set:?}"));
            }
        }
        Ok(())
    }

    /// A block that no release and no newer block speaks against stands.
    fn check_kept(&self, decided: &Decided) -> Result<(), String> {
        let Matter::Block(decision) = &decided.fact.matter else { return Ok(()) };
        let subject = &decision.subject;
        let tolerance = HEAD_START.as_millis() as i64 + SKEW;
        let speaks_against = |other: &Decided| match &other.fact.matter {
            Matter::Release(released) => {
                let is_known = decided.knew.contains(&other.fact.rank);
                covers(released, subject) && !is_known && other.time + tolerance >= decided.time
            }
            Matter::LetOut(code, _) => *code == decision.code,
            _ => false,
        };
        let is_never = match subject {
            Subject::Network(net) | Subject::Pair(_, net) => {
                self.nodes[0].never.iter().any(|never| never.contains(net))
            }
            _ => false,
        };
        // A newer block of the same subject may have been released instead of this one.
        let is_last = !self.history.iter().any(|other| match &other.fact.matter {
            Matter::Block(newer) => newer.subject == *subject && other.fact.rank > decided.fact.rank,
            _ => false,
        });
        let was_renewal = decided.renews;
        if is_never || was_renewal || !is_last || self.history.iter().any(speaks_against) {
            return Ok(());
        }
        match self.nodes[0].standing.contains_key(subject) {
            true => Ok(()),
            false => Err(format!("the block of {subject} was lost, and nothing speaks against it")),
        }
    }
}

#[test]
fn all_nodes_end_with_the_same_whatever_happens_on_the_way() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("FAIRBAN_FLEET_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("FAIRBAN_FLEET_SEEDS").unwrap_or(SEEDS),
    };
    let mut failures = Vec::new();
    for seed in seeds {
        let mut world = World::new(seed);
        world.run();
        if let Err(error) = world.check() {
            failures.push(format!("seed {seed}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{} seeds fail:\n{}", failures.len(), failures[..failures.len().min(20)].join("\n"));
}

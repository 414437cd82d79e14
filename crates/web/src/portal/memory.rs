//! A house in memory, for tests, examples and whoever wants to see how the seam is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Mutex;

use fairban_types::{Code, Decision, Device, Effect, Event, Evidence, Fact, Finding, Sender, Subject, Time};

use super::attempts::place;
use super::lock;
use super::{Answer, BlockView, House, HouseError, MayTry, Release, Released, Releases};
use crate::Clock;

/// What one node holds of one block.
#[derive(Clone, Debug)]
struct Standing {
    receipt: Decision,
    released: Option<Time>,
}

#[derive(Debug, Default)]
struct Rooms {
    /// By node and code. A node that is not reachable keeps what it has until it is.
    nodes: BTreeMap<String, BTreeMap<Code, Standing>>,
    unreachable: BTreeSet<String>,
    owed: Vec<(String, Release)>,
    devices: BTreeMap<Code, Vec<Device>>,
    facts: BTreeMap<Code, Vec<Fact>>,
    failures: Vec<Evidence>,
    releases: Vec<(Time, Release)>,
    heard: Vec<Event<'static>>,
    may_try: Option<MayTry>,
    silent: bool,
}

/// Nodes, blocks, releases and failures in memory. Decides nothing: blocks are put in, and stand until they end or are
/// released.
#[derive(Debug)]
pub struct MemoryHouse {
    clock: Clock,
    rooms: Mutex<Rooms>,
}

impl MemoryHouse {
    /// Of these nodes.
    pub fn new(clock: Clock, nodes: &[&str]) -> Self {
        let nodes = nodes.iter().map(|node| ((*node).to_owned(), BTreeMap::new())).collect();
        MemoryHouse { clock, rooms: Mutex::new(Rooms { nodes, ..Rooms::default() }) }
    }

    /// A block on every node.
    pub fn block(&self, receipt: Decision) {
        let mut rooms = lock(&self.rooms);
        for standing in rooms.nodes.values_mut() {
            standing.insert(receipt.code, Standing { receipt: receipt.clone(), released: None });
        }
    }

    /// What the house knows of the device behind a block.
    pub fn device(&self, code: Code, device: Device) {
        lock(&self.rooms).devices.insert(code, vec![device]);
    }

    /// What the diagnosis of a block rests on.
    pub fn facts(&self, code: Code, facts: Vec<Fact>) {
        lock(&self.rooms).facts.insert(code, facts);
    }

    /// A failed sign-in.
    pub fn failed(&self, evidence: Evidence) {
        lock(&self.rooms).failures.push(evidence);
    }

    /// A node goes away, or comes back and gets the releases that it is owed.
    pub fn reachable(&self, node: &str, reachable: bool) {
        let mut rooms = lock(&self.rooms);
        if !reachable {
            rooms.unreachable.insert(node.to_owned());
            return;
        }
        rooms.unreachable.remove(node);
        let now = self.clock.now();
        let (owed, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut rooms.owed).into_iter().partition(|(of, _)| of == node);
        rooms.owed = rest;
        for (node, release) in owed {
            if let Some(standing) = rooms.nodes.get_mut(&node).and_then(|node| node.get_mut(&release.code)) {
                let_out(standing, &release.subject, now);
            }
        }
    }

    /// No question is answered any more, or again.
    pub fn silent(&self, silent: bool) {
        lock(&self.rooms).silent = silent;
    }

    /// What is said to tries from now on.
    pub fn say(&self, may_try: MayTry) {
        lock(&self.rooms).may_try = Some(may_try);
    }

    /// The events that were heard.
    pub fn heard(&self) -> Vec<Event<'static>> {
        lock(&self.rooms).heard.clone()
    }

    /// The releases that were asked for.
    pub fn released(&self) -> Vec<Release> {
        lock(&self.rooms).releases.iter().map(|(_, release)| release.clone()).collect()
    }

    /// Whether the address is kept out on the node.
    pub fn is_blocked(&self, node: &str, client: IpAddr) -> bool {
        let now = self.clock.now();
        let rooms = lock(&self.rooms);
        rooms.nodes.get(node).is_some_and(|node| {
            node.values().any(|standing| standing.ended(now).is_none() && covers(&standing.receipt, client, None))
        })
    }

    fn answer<T>(&self, make: impl FnOnce(&mut Rooms, Time) -> T) -> Result<T, HouseError> {
        let mut rooms = lock(&self.rooms);
        if rooms.silent {
            return Err(HouseError("the house is silent".into()));
        }
        Ok(make(&mut rooms, self.clock.now()))
    }
}

impl Standing {
    fn ended(&self, now: Time) -> Option<Time> {
        self.released.or(self.receipt.until.filter(|until| *until <= now))
    }
}

/// Ends the block, or makes a hole in it.
fn let_out(standing: &mut Standing, subject: &Subject, now: Time) -> bool {
    if standing.ended(now).is_some() {
        return false;
    }
    match (subject.network(), standing.receipt.subject.network()) {
        (Some(hole), Some(block)) if hole != block => standing.receipt.holes.push(hole),
        _ => standing.released = Some(now),
    }
    true
}

fn covers(block: &Decision, client: IpAddr, account: Option<&str>) -> bool {
    let client = client.to_canonical();
    if block.effect == Effect::Observe || block.holes.iter().any(|hole| hole.contains(&client)) {
        return false;
    }
    match &block.subject {
        Subject::Network(net) | Subject::Pair(_, net) => net.contains(&client),
        Subject::Account(theirs) => account == Some(theirs.as_str()),
        Subject::Sending(sending) => match &sending.sender {
            Sender::Account(theirs) | Sender::Address(theirs) => account == Some(theirs.as_str()),
            Sender::Domain { .. } | Sender::Helo(_) => false,
        },
    }
}

/// The blocks of all nodes for which it holds, each once.
fn views(rooms: &Rooms, now: Time, wanted: impl Fn(&Standing) -> bool) -> Vec<BlockView> {
    let mut views: BTreeMap<Code, BlockView> = BTreeMap::new();
    for (name, node) in &rooms.nodes {
        for standing in node.values().filter(|standing| wanted(standing)) {
            let code = standing.receipt.code;
            let view = views.entry(code).or_insert_with(|| BlockView {
                nodes: Vec::new(),
                receipt: standing.receipt.clone(),
                ended: standing.ended(now),
                finding: Finding {
                    diagnosis: standing.receipt.diagnosis,
                    confidence_percent: 90,
                    facts: rooms.facts.get(&code).cloned().unwrap_or_default(),
                    devices: rooms.devices.get(&code).cloned().unwrap_or_default(),
                },
                offences_30_days: standing.receipt.offence,
            });
            view.nodes.push(name.clone());
            // It has ended when it has everywhere.
            view.ended = view.ended.and(standing.ended(now));
        }
    }
    views.into_values().collect()
}

impl House for MemoryHouse {
    fn look<'a>(&'a self, client: IpAddr, account: Option<&'a str>) -> Answer<'a, Vec<BlockView>> {
        Box::pin(async move {
            self.answer(|rooms, now| {
                views(rooms, now, |standing| {
                    standing.ended(now).is_none() && covers(&standing.receipt, client, account)
                })
            })
        })
    }

    fn find(&self, code: Code) -> Answer<'_, Option<BlockView>> {
        Box::pin(
            async move { self.answer(|rooms, now| views(rooms, now, |standing| standing.receipt.code == code).pop()) },
        )
    }

    fn release<'a>(&'a self, release: &'a Release) -> Answer<'a, Released> {
        Box::pin(async move {
            self.answer(|rooms, now| {
                let mut released = Released::default();
                rooms.releases.push((now, release.clone()));
                for (name, node) in &mut rooms.nodes {
                    let Some(standing) = node.get_mut(&release.code) else { continue };
                    if rooms.unreachable.contains(name) {
                        released.unreached.push(name.clone());
                        rooms.owed.push((name.clone(), release.clone()));
                    } else if let_out(standing, &release.subject, now) {
                        released.lifted.push(name.clone());
                    }
                }
                released
            })
        })
    }

    fn failures<'a>(&'a self, account: &'a str, since: Time, most: usize) -> Answer<'a, Vec<Evidence>> {
        Box::pin(async move {
            self.answer(|rooms, _| {
                let of = |evidence: &&Evidence| {
                    evidence.event.time >= since && evidence.event.account.as_deref() == Some(account)
                };
                rooms.failures.iter().rev().filter(of).take(most).cloned().collect()
            })
        })
    }

    fn releases<'a>(&'a self, of: &'a Releases, since: Time) -> Answer<'a, u32> {
        Box::pin(async move {
            self.answer(|rooms, _| {
                let counts = |release: &Release| match of {
                    Releases::By(account) => release.owner.account == *account,
                    Releases::Of(net) => {
                        net.contains(&place(release.owner.client))
                            || release.subject.network().is_some_and(|subject| net.contains(&subject))
                    }
                };
                let asked = rooms.releases.iter().filter(|(time, release)| *time >= since && counts(release)).count();
                u32::try_from(asked).unwrap_or(u32::MAX)
            })
        })
    }

    fn may_try(&self, _: IpAddr, _: &str) -> MayTry {
        lock(&self.rooms).may_try.unwrap_or(MayTry::Yes)
    }

    fn hear(&self, event: Event<'static>) {
        lock(&self.rooms).heard.push(event);
    }
}

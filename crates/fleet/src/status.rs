//! How the fleet is, as this node sees it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;

use fairban_types::Time;
use serde::{Deserialize, Serialize};

use crate::fleet::{Shared, lock};

/// A place in the server's stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamPlace {
    /// Milliseconds by the server's clock,
    pub millis: u64,
    /// and a number within them.
    pub number: u64,
}

impl std::fmt::Display for StreamPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

impl std::str::FromStr for StreamPlace {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (millis, number) = text.split_once('-').unwrap_or((text, "0"));
        Ok(StreamPlace { millis: millis.parse()?, number: number.parse()? })
    }
}

/// Whether this node has the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not connected: it goes on by itself.
    #[default]
    Alone,
    /// Connected, and comparing what was missed.
    CatchingUp,
    /// In step.
    Connected,
}

impl State {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Alone => "alone",
            State::CatchingUp => "catching up",
            State::Connected => "connected",
        }
    }
}

/// What a node tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Presence {
    pub(crate) version: String,
    pub(crate) started: Time,
    pub(crate) place: String,
    pub(crate) facts: usize,
    pub(crate) unsent: usize,
    pub(crate) every_ms: u64,
    #[serde(default)]
    pub(crate) limited: Vec<String>,
    #[serde(default)]
    pub(crate) takes_values: bool,
}

/// A node of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// Whether it is this one.
    pub is_self: bool,
    /// Whether it was heard of lately.
    pub is_live: bool,
    /// When it was heard of last, by the server's clock.
    pub seen: Time,
    /// What was decided up to here, by the server's clock, it has carried out.
    #[serde(default)]
    pub read_up_to: Time,
    /// By how much it is behind the newest decision, in milliseconds.
    pub lag_ms: u64,
    /// How many facts it knows.
    pub facts: usize,
    /// How many of its facts it has not yet told.
    pub unsent: usize,
    /// Whether its decisions apply to itself only, as this node is configured.
    pub is_limited: bool,
}

/// How the fleet is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whether this node has the others.
    pub state: State,
    /// The server, without the password.
    pub server: String,
    /// This node's name.
    pub node: String,
    /// Since when the state is so.
    pub since: Time,
    /// Why it is alone, and what to do.
    pub problem: Option<String>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// The nodes, by name.
    pub nodes: Vec<Node>,
    /// Decisions and other facts known.
    pub facts: usize,
    /// Facts that wait to be told.
    pub unsent: usize,
    /// Nodes with blocks that are held back.
    pub held_back: Vec<(String, usize)>,
    /// Failures counted at the server,
    pub counted: u64,
    /// and those that were not, since there were too many.
    pub lost: u64,
    /// This machine's clock less the server's, in milliseconds.
    pub clock_ahead_ms: i64,
}

/// Places in the stream that are remembered, to compare those of other nodes with.
const LATELY_MAX: usize = 256;

/// What tasks note for [`Status`].
#[derive(Default)]
pub(crate) struct Health {
    pub(crate) state: State,
    pub(crate) since: Time,
    pub(crate) problem: Option<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) nodes: BTreeMap<String, (Time, Presence)>,
    pub(crate) server_time: Time,
    pub(crate) server_last: StreamPlace,
    /// How many facts the server has.
    pub(crate) server_facts: u64,
    /// What this node told is in the stream up to here,
    pub(crate) published: StreamPlace,
    /// it has read up to here,
    pub(crate) read: StreamPlace,
    /// at these moments before, latest last,
    lately: VecDeque<u64>,
    /// is carrying out what came up to here,
    taking: StreamPlace,
    /// and has carried out what came up to here.
    pub(crate) carried_out: StreamPlace,
    pub(crate) counted: u64,
    /// Nodes whose bursts were said already.
    pub(crate) alarmed: BTreeSet<String>,
}

impl Health {
    pub(crate) fn is_connected(&self) -> bool {
        self.state != State::Alone
    }

    pub(crate) fn set(&mut self, state: State, problem: Option<String>) {
        if self.state != state || self.since == Time::default() {
            self.since = Time::from(std::time::SystemTime::now());
        }
        (self.state, self.problem) = (state, problem);
    }

    pub(crate) fn has_read(&mut self, place: StreamPlace) {
        self.read = place;
        self.lately.push_back(place.millis);
        if self.lately.len() > LATELY_MAX {
            self.lately.pop_front();
        }
    }

    /// How far a node was behind when it last told its place: what came later than that says nothing about it.
    fn lag_ms(&self, seen: Time, place: StreamPlace) -> u64 {
        let told = u64::try_from(seen.millis()).unwrap_or_default();
        let newest = self.lately.iter().rev().copied().chain([self.server_last.millis]).find(|at| *at <= told);
        newest.unwrap_or_default().saturating_sub(place.millis)
    }

    pub(crate) fn take_started(&mut self) {
        self.taking = self.read;
    }

    pub(crate) fn take_done(&mut self) {
        self.carried_out = self.carried_out.max(self.taking);
    }

    /// The stream is another one: places in the old one say nothing.
    pub(crate) fn begin_at(&mut self, place: StreamPlace) {
        self.read = place;
        self.carried_out = self.carried_out.min(place);
        self.taking = self.taking.min(place);
        self.published = self.published.min(place);
    }

    /// The nodes that were heard of lately.
    pub(crate) fn live(&self) -> impl Iterator<Item = &String> {
        self.nodes
            .iter()
            .filter(|(_, (seen, presence))| is_live(self.server_time, *seen, presence))
            .map(|(name, _)| name)
    }
}

fn is_live(now: Time, seen: Time, presence: &Presence) -> bool {
    now.since(seen).as_millis() <= u128::from(presence.every_ms.max(1000)) * 3 + 2000
}

impl Status {
    pub(crate) fn of(shared: &Shared) -> Status {
        let merge = lock(&shared.merge);
        let (facts, unsent, held_back) = (merge.len(), merge.unsent_len(), merge.held_back());
        drop(merge);
        let health = lock(&shared.health);
        let settings = &shared.settings;
        let node = |(name, (seen, presence)): (&String, &(Time, Presence))| {
            let place: StreamPlace = presence.place.parse().unwrap_or_default();
            Node {
                name: name.clone(),
                version: presence.version.clone(),
                is_self: *name == settings.node,
                is_live: health.is_connected() && is_live(health.server_time, *seen, presence),
                seen: *seen,
                read_up_to: Time::from_millis(i64::try_from(place.millis).unwrap_or_default()),
                lag_ms: health.lag_ms(*seen, place),
                facts: presence.facts,
                unsent: presence.unsent,
                is_limited: settings.trust.limited.contains(name),
            }
        };
        let mut warnings = health.warnings.clone();
        warnings.extend(held_back.iter().map(|(node, count)| {
            format!(
                "{count} blocks by {node} are held back, since it made more than {} in a minute: look into it, then \
                 `fairban fleet accept {node}` or add it to [fleet] limited",
                settings.trust.blocks_per_minute
            )
        }));
        let ahead = -shared.ahead.load(Ordering::Relaxed);
        if ahead.abs() > 2000 {
            let (secs, way) = (ahead.abs() / 1000, if ahead > 0 { "ahead of" } else { "behind" });
            warnings
                .push(format!("this machine's clock is {secs} s {way} the server's: ends of blocks differ by as much"));
        }
        Status {
            state: health.state,
            server: shared.place.clone(),
            node: settings.node.clone(),
            since: health.since,
            problem: health.problem.clone(),
            warnings,
            nodes: health.nodes.iter().map(node).collect(),
            facts,
            unsent,
            held_back,
            counted: health.counted,
            lost: shared.lost.load(Ordering::Relaxed),
            clock_ahead_ms: ahead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_measured_by_what_there_was_when_it_told_its_place() {
        let mut health = Health::default();
        for millis in [1000, 5000, 9000] {
            health.has_read(StreamPlace { millis, number: 0 });
        }
        let lag =
            |seen: i64, place: u64| health.lag_ms(Time::from_millis(seen), StreamPlace { millis: place, number: 0 });
        // What came at 9000 was not there yet when it told that it had read up to 5000.
        assert_eq!(lag(8500, 5000), 0);
        assert_eq!(lag(9500, 5000), 4000);
        assert_eq!(lag(8500, 1000), 4000);
        assert_eq!(lag(500, 0), 0);
    }
}

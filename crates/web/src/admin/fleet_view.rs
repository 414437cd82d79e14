//! The fleet, as pages and the API show it.

use fairban_types::Time;
use serde::Serialize;

use super::view::Tally;

/// How the fleet is, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FleetView {
    /// `connected`, `catching up` or `alone`.
    pub state: String,
    /// Since when.
    pub since: Time,
    /// The server, without the password.
    pub server: String,
    /// Why this node is alone, and what to do.
    pub problem: Option<String>,
    /// What one should know.
    pub warnings: Vec<String>,
    /// The nodes, by name.
    pub nodes: Vec<FleetNode>,
    /// Nodes that made too many blocks at once, with how many are held back.
    pub held_back: Vec<Tally>,
    /// Decisions known.
    pub decisions: u64,
    /// Decisions that wait to be told.
    pub waiting: u64,
    /// Failures counted together,
    pub counted: u64,
    /// and those that were not, since there were too many.
    pub lost: u64,
    /// This machine's clock less the server's, in milliseconds.
    pub clock_ahead_ms: i64,
}

/// A node of the fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FleetNode {
    /// Its name.
    pub name: String,
    /// Its program's version.
    pub version: String,
    /// Whether it is the one that is asked.
    pub is_self: bool,
    /// Whether it was heard of lately.
    pub is_live: bool,
    /// When it was heard of last.
    pub seen: Time,
    /// By how much it is behind the newest decision, in milliseconds.
    pub lag_ms: u64,
    /// Decisions that it knows.
    pub decisions: u64,
    /// Decisions that it has not yet told.
    pub waiting: u64,
    /// Whether its decisions apply to itself only, as the node that is asked is configured.
    pub is_limited: bool,
}

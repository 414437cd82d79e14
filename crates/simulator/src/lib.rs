//! Simulated people and attackers, by seed, who write the logs of real mail servers; and beside every line what it
//! really was. It serves the population trial and `fairban run --demo`.
//!
//! This crate must not know how Fairban parses, scores or decides, nor read a clock, a file or another source of
//! randomness than the seed: the same settings give the same bytes.
#![forbid(unsafe_code)]

mod address;
mod attackers;
mod chance;
pub mod demo;
mod label;
mod password;
mod people;
mod record;
mod scenarios;
mod scene;
pub mod write;

use fairban_types::Time;

pub use label::{Deed, Label, Truth};
pub use scenarios::{Scenario, scenarios};

/// What to simulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What everything follows from.
    pub seed: u64,
    /// For how many days the log goes on; at least 1.
    pub days: u32,
    /// How many people and attackers there are, against a provider of a few hundred mailboxes.
    pub scale: f64,
    /// When the log begins.
    pub start: Time,
    /// Whether there is also what nobody can do well: guessers behind shared addresses before anyone was seen there, and
    /// newcomers who arrive there amid the guessing.
    pub hard: bool,
}

impl Settings {
    /// Seven days at scale 1 from a fixed Monday.
    pub const fn new(seed: u64) -> Self {
        // 2026-11-02T00:00:00Z.
        Settings { seed, days: 7, scale: 1.0, start: Time::from_secs(1_793_577_600), hard: false }
    }
}

/// A log, and what its lines really were.
#[derive(Clone, Debug)]
pub struct Population {
    /// The log.
    pub log: String,
    /// One label for each thing that a client did, in the order of the lines that tell it first.
    pub labels: Vec<Label>,
    /// When the log ends.
    pub end: Time,
}

/// Simulates a population.
pub fn simulate(settings: &Settings) -> Population {
    let mut scene = scene::Scene::new(settings);
    people::live(&mut scene);
    attackers::attack(&mut scene);
    let end = Time::from_millis(scene.end);
    let (log, labels) = record::record(scene);
    Population { log, labels, end }
}

#[cfg(test)]
mod tests;

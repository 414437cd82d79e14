//! A small mail server to look at: everything that Fairban is there for happens within two minutes, again and again.
//!
//! All addresses are from the ranges for documentation (RFC 5737, RFC 3849), so that nothing real can be blocked by it.

mod actors;

use std::collections::VecDeque;
use std::time::Duration;

use fairban_types::Time;

use crate::chance::Chance;
use crate::write::{Head, Stamp};

/// How long it takes until everything has happened once.
pub const ROUND: Duration = Duration::from_secs(120);

/// One line of the demo's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it is due; the time that is written on it.
    pub at: Time,
    /// The line, with its line feed.
    pub line: String,
    /// What happens, in words; only where something begins.
    pub what: Option<String>,
}

/// The lines in the order of their times, without end.
pub struct Demo {
    seed: u64,
    start: Time,
    round: u32,
    due: VecDeque<Step>,
}

impl Demo {
    /// A demo whose first line is due at `start`.
    pub fn new(seed: u64, start: Time) -> Self {
        Demo { seed, start, round: 0, due: VecDeque::new() }
    }
}

impl Iterator for Demo {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.due.is_empty() {
            let begin = self.start.after(ROUND * self.round);
            let mut stage = Stage::new(self.seed, begin, self.round);
            actors::play(&mut stage);
            stage.steps.sort_by_key(|step| step.at);
            self.due = stage.steps.into();
            self.round = self.round.wrapping_add(1);
        }
        self.due.pop_front()
    }
}

/// One round in the making.
struct Stage {
    begin: Time,
    round: u32,
    chance: Chance,
    steps: Vec<Step>,
}

impl Stage {
    fn new(seed: u64, begin: Time, round: u32) -> Self {
        Stage { begin, round, chance: Chance::new(seed, "demo", round as usize), steps: Vec::new() }
    }

    /// What happens from here on, in words, told with the next line.
    fn tell(&mut self, first: usize, what: String) {
        if let Some(step) = self.steps.get_mut(first) {
            step.what = Some(what);
        }
    }

    /// A line at so many milliseconds into the round.
    fn line(&mut self, millis: u64, write: impl FnOnce(&mut String, Head<'_>)) {
        let at = self.begin.after(Duration::from_millis(millis));
        let mut line = String::new();
        write(&mut line, Head { at, host: "demo", stamp: Stamp::Iso { offset_secs: 0 } });
        self.steps.push(Step { at, line, what: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_in_order_and_the_same_for_the_same_seed() {
        let start = Time::from_secs(1_793_577_600);
        let steps: Vec<Step> = Demo::new(1, start).take(2000).collect();
        assert_eq!(steps, Demo::new(1, start).take(2000).collect::<Vec<_>>());
        assert!(steps.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(steps.iter().all(|step| step.line.ends_with('\n') && step.line.matches('\n').count() == 1));
        let first = steps.iter().take_while(|step| step.at.since(start) < ROUND);
        let told: Vec<&str> = first.filter_map(|step| step.what.as_deref()).collect();
        assert_eq!(told.len(), 9, "{told:#?}");
        assert_eq!(steps[0].at, start);
    }

    #[test]
    fn uses_addresses_for_documentation_only() {
        for step in Demo::new(2, Time::default()).take(1000) {
            let text = step.line.replace(['[', ']', '(', ')', ',', '<', '>', '='], " ");
            for word in text.split_whitespace() {
                if let Ok(address) = word.parse::<std::net::IpAddr>() {
                    let shown = address.to_string();
                    let ranges = ["192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:"];
                    assert!(ranges.iter().any(|range| shown.starts_with(range)), "{}", step.line);
                }
            }
        }
    }
}

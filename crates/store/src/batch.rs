use std::sync::Arc;

use fairban_types::{Decision, Event, Subject, Time};
use ipnet::IpNet;

use crate::{AuditEntry, Kept, NeverEntry};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It earned points.
    Counted,
    /// It came from a subject that was blocked, and did not count.
    Stopped,
    /// It was spared: familiar, or never to be blocked.
    Spared,
    /// It repeated what had counted already.
    Repeated,
    /// It was only noted.
    Noted,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: &'static [Outcome] =
        &[Outcome::Counted, Outcome::Stopped, Outcome::Spared, Outcome::Repeated, Outcome::Noted];

    /// The outcome's name, such as `counted`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Counted => "counted",
            Outcome::Stopped => "stopped",
            Outcome::Spared => "spared",
            Outcome::Repeated => "repeated",
            Outcome::Noted => "noted",
        }
    }
}

/// An event for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// The node that saw it.
    pub node: Arc<str>,
    /// What became of it.
    pub outcome: Outcome,
    /// The event.
    pub event: Event<'static>,
}

/// One thing that happened, in its place in the order of things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// An event.
    Event(StoredEvent),
    /// A decision: its receipt is kept, and the block that it makes, changes or ends.
    Decision(Decision),
}

/// A network that is familiar to an account. A commit replaces what was known of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Familiar {
    /// The account, in lower case.
    pub account: String,
    /// The network.
    pub net: IpNet,
    /// The first successful sign-in.
    pub first: Time,
    /// The latest one.
    pub last: Time,
    /// How many there were.
    pub successes: u32,
}

/// What an account usually sends. A commit replaces what was known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habit {
    /// The account, in lower case.
    pub account: String,
    /// The habit, as the engine's own text.
    pub habit: String,
    /// When the account last sent anything.
    pub last: Time,
}

/// A change of the never-block list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NeverChange {
    /// Puts an entry on the list, in place of one of the same network.
    Add(NeverEntry),
    /// Takes the entry of this very network off.
    Remove(IpNet),
}

/// The offences of one subject: its place on the ladder. A commit replaces what was known; a count of 0 forgets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offence {
    /// The subject.
    pub subject: Subject,
    /// How many offences are remembered.
    pub count: u32,
    /// The time of the latest.
    pub last: Time,
}

/// What is committed together: all of it or, after a crash or an error, none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events and decisions in the order in which they happened.
    pub happenings: Vec<Happening>,
    /// How far each source was read, as the source's own text.
    pub cursors: Vec<(String, String)>,
    /// Familiar networks.
    pub familiar: Vec<Familiar>,
    /// What accounts usually send.
    pub habits: Vec<Habit>,
    /// Changes of the never-block list, in order.
    pub never: Vec<NeverChange>,
    /// The ladder.
    pub offences: Vec<Offence>,
    /// What people and programs did.
    pub audit: Vec<AuditEntry>,
    /// What other rooms keep in their own words.
    pub kept: Vec<Kept>,
}

impl Batch {
    /// Adds an event.
    pub fn event(&mut self, event: StoredEvent) {
        self.happenings.push(Happening::Event(event));
    }

    /// Adds a decision, after all that was added so far.
    pub fn decision(&mut self, decision: Decision) {
        self.happenings.push(Happening::Decision(decision));
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.happenings.is_empty()
            && self.cursors.is_empty()
            && self.familiar.is_empty()
            && self.habits.is_empty()
            && self.never.is_empty()
            && self.offences.is_empty()
            && self.audit.is_empty()
            && self.kept.is_empty()
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.happenings.clear();
        self.cursors.clear();
        self.familiar.clear();
        self.habits.clear();
        self.never.clear();
        self.offences.clear();
        self.audit.clear();
        self.kept.clear();
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CommitInfo {
    /// The sequence number of the last event in the store, 0 if there was none ever.
    pub seq: i64,
    /// How many events the batch added; their numbers end at `seq` and have no gaps.
    pub events: usize,
    /// How many blocks and guards began or changed.
    pub blocks: usize,
    /// How many blocks and guards ended.
    pub ended: usize,
}

//! What is to be changed, and why: found by looking, before anything is done.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Whose configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Server {
    /// Fairban's own.
    #[value(skip)]
    Fairban,
    /// Postfix.
    Postfix,
    /// Dovecot.
    Dovecot,
    /// Exim.
    Exim,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Server::Fairban => "Fairban",
            Server::Postfix => "Postfix",
            Server::Dovecot => "Dovecot",
            Server::Exim => "Exim",
        })
    }
}

/// A line, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reason {
    pub(super) line: String,
    pub(super) why: String,
}

/// What a file becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    pub(super) server: Server,
    pub(super) path: PathBuf,
    /// `None`: there is no such file yet.
    pub(super) before: Option<String>,
    pub(super) after: String,
    /// The mode of a new file, and the group that may read it; an existing file keeps its own.
    pub(super) mode: u32,
    pub(super) group: Option<String>,
    pub(super) reasons: Vec<Reason>,
}

impl Change {
    pub(super) fn changes_something(&self) -> bool {
        self.before.as_deref() != Some(self.after.as_str())
    }
}

/// Lines that a person has to put into place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ByHand {
    pub(super) what: String,
    pub(super) lines: String,
}

/// What is to be done for one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Part {
    pub(super) server: Server,
    /// What was found, in words.
    pub(super) found: String,
    pub(super) changes: Vec<Change>,
    pub(super) by_hand: Vec<ByHand>,
    /// What the administrator should know.
    pub(super) notes: Vec<String>,
    /// Why nothing can be applied to it.
    pub(super) obstacle: Option<String>,
}

impl Part {
    pub(super) fn new(server: Server, found: String) -> Self {
        Part { server, found, changes: Vec::new(), by_hand: Vec::new(), notes: Vec::new(), obstacle: None }
    }

    /// With only what changes something, so that a second time nothing is left.
    pub(super) fn settled(mut self) -> Self {
        self.changes.retain(Change::changes_something);
        self
    }
}

/// Everything that is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Plan {
    pub(super) parts: Vec<Part>,
}

impl Plan {
    pub(super) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.parts.iter().filter(|part| part.obstacle.is_none()).flat_map(|part| &part.changes)
    }

    pub(super) fn part(&self, server: Server) -> Option<&Part> {
        self.parts.iter().find(|part| part.server == server)
    }
}

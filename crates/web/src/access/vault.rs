//! Where users, tokens and links are kept: the seam to the program, which knows nothing of what the texts mean.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

/// What the program could not do; for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeskError(pub String);

/// An answer that the program has to look up.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeskError>> + Send + 'a>>;

/// One text under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Of which sort it is: `user`, `token`, `link`.
    pub space: String,
    /// Its name there.
    pub key: String,
    /// What must be there before; `None`: nothing.
    pub before: Option<String>,
    /// What is there after; `None`: nothing.
    pub after: Option<String>,
}

/// A change: all of it, or, if anything is not as it was thought to be, none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The texts.
    pub entries: Vec<Entry>,
    /// What the audit says of it: act, subject, detail. `None`: it is not worth a line there.
    pub audit: Option<(String, String, String)>,
    /// Who did it.
    pub by: String,
}

/// Keeps texts. Every call may come from many tasks at once.
pub trait Vault: Send + Sync + 'static {
    /// The text of this name.
    fn get<'a>(&'a self, space: &'a str, key: &'a str) -> Answer<'a, Option<String>>;

    /// All texts of a sort with their names, in order of name.
    fn all<'a>(&'a self, space: &'a str) -> Answer<'a, Vec<(String, String)>>;

    /// Makes a change durable, with its line in the audit. `false`: something was not as it was thought to be, and
    /// nothing was changed.
    fn change<'a>(&'a self, change: &'a Change) -> Answer<'a, bool>;
}

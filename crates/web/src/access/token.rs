//! Tokens of programs, and one-time links by which people get in. Both are kept as hashes: what is stored opens nothing.

use fairban_types::Time;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::role::Role;

/// What a token begins with, so that secret scanners and people know it.
const TOKEN_PREFIX: &str = "fbt_";

/// A token of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// A short name by which it is revoked.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made, and
    pub made: Time,
    /// by whom.
    pub by: String,
    /// When it ends; `None`: when it is revoked.
    #[serde(default)]
    pub expires: Option<Time>,
    /// When it was last used, to the minute.
    #[serde(default)]
    pub used: Option<Time>,
}

/// A link by which a person sets their password, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The user whose password is set; `None`: the visitor chooses the name of a new one.
    pub user: Option<String>,
    /// What a new user may do.
    pub role: Role,
    /// When it ends unused.
    pub expires: Time,
    /// Who made it.
    pub by: String,
}

/// A new token's text.
pub(super) fn token_text(random: &str) -> String {
    format!("{TOKEN_PREFIX}{random}")
}

/// Whether a text may be a token.
pub(super) fn is_token(text: &str) -> bool {
    text.len() == TOKEN_PREFIX.len() + 43 && text.starts_with(TOKEN_PREFIX)
}

/// The name under which a secret text is kept.
pub(super) fn kept_as(secret: &str) -> String {
    use std::fmt::Write as _;
    digest(&SHA256, secret.as_bytes()).as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

//! What the program tells of rules.

use fairban_types::{Diagnosis, Subject, Time};
use serde::{Deserialize, Serialize};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// The profile, or the key's own default.
    Profile,
    /// The configuration file.
    File,
    /// It was set here.
    Here,
}

/// One value of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueRow {
    /// The whole key.
    pub key: String,
    /// The section, such as `rule.login`.
    pub section: String,
    /// The key within it.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// What it takes.
    pub takes: String,
    /// The value in force, as TOML; empty: none is set.
    pub value: String,
    /// The profile's value, as TOML; empty: it has none.
    pub default: String,
    /// Where it comes from.
    pub from: From,
}

/// Every value of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// The profile.
    pub profile: String,
    /// The values, section by section.
    pub values: Vec<ValueRow>,
}

/// A change of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleChange {
    /// Its number in the audit.
    pub seq: i64,
    /// When.
    pub time: Time,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What.
    pub changed: Vec<ChangedValue>,
}

/// A value that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedValue {
    /// The key.
    pub key: String,
    /// What was set before; `None`: nothing was set here.
    pub before: Option<String>,
    /// What is set after.
    pub after: Option<String>,
    /// The value that was in force before,
    #[serde(default)]
    pub value_before: String,
    /// and after.
    #[serde(default)]
    pub value_after: String,
}

/// Somebody to whom a change of the rules would have made a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WhatIfRow {
    /// Who.
    pub subject: Subject,
    /// How often they would have been, or were, blocked.
    pub times: u64,
    /// For how long in all, in seconds; `None`: for good.
    pub secs: Option<u64>,
    /// What lay behind it.
    pub diagnosis: Diagnosis,
    /// By which rule.
    pub rule: String,
    /// Accounts that signed in from there in these days.
    pub accounts: Vec<String>,
}

/// What a change of the rules would have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
pub struct WhatIf {
    /// What is wrong with the values, if anything: then nothing was replayed.
    pub problems: Vec<String>,
    /// The days that were replayed,
    pub days: u32,
    /// with so many events.
    pub events: u64,
    /// Whether there were more, and only the latest were replayed.
    pub is_cut: bool,
    /// Blocks with the values in force, and
    pub blocks_now: u64,
    /// with these.
    pub blocks_then: u64,
    /// Who would be blocked that is not.
    pub newly: Vec<WhatIfRow>,
    /// Who would not be blocked that is.
    pub freed: Vec<WhatIfRow>,
    /// How many of the newly blocked have accounts that signed in from there.
    pub newly_with_sign_ins: u64,
    /// How many of the freed have.
    pub freed_with_sign_ins: u64,
}

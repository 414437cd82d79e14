use std::net::IpAddr;

use fairban_types::Time;
use serde::{Deserialize, Serialize};

/// What a line really was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// An attacker's try: a wrong password, a right one that is not theirs, a relay attempt, a harvested address.
    Guess,
    /// A person's or device's error.
    Mistake,
    /// A person's sign-in, or honest mail from another server.
    Good,
    /// What should count neither for nor against anyone, such as an attacker's use of an account of their own.
    Noise,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// A sign-in was tried.
    SignIn,
    /// Mail to elsewhere was offered without a sign-in.
    Relay,
    /// A recipient who does not exist was named.
    UnknownRecipient,
    /// A message was delivered.
    Delivery,
}

/// What one line of a log really was. Of several lines that tell the same thing, the first is labelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The line, from 1.
    pub line: usize,
    /// The time that is written on it.
    pub time: Time,
    /// Who did it: a person and device, or an attacker.
    pub who: String,
    /// The class of people or attackers they are of.
    pub class: String,
    /// What it really was.
    pub truth: Truth,
    /// What was done.
    pub deed: Deed,
    /// The client's address.
    pub address: IpAddr,
    /// The account as typed; the recipient where there is no sign-in.
    pub typed: String,
    /// The account that was meant, in full; as typed where there is no such account.
    pub account: String,
    /// Whether the password was right.
    pub right: bool,
    /// How many tries the line tells of: more than one where only the end of a session is logged.
    pub tries: u32,
}

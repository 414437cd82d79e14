//! What nodes tell each other, one matter at a time.

use fairban_types::{Code, Decision, Subject, Time};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::stamp::{Rank, Stamp};

/// One version of one matter. Of two versions of a matter, the one of higher rank counts, on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Which version.
    pub rank: Rank,
    /// Who said so.
    pub node: String,
    /// By whom: a person or program; empty for a rule.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Of a block: the releases of late that its author knew when it began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub knows: Vec<Stamp>,
    /// When, by the author's own clock: shown to people, never compared.
    pub time: Time,
    /// What.
    pub matter: Matter,
    /// When everybody may forget it. It travels beside the fact, since it may grow.
    #[serde(skip)]
    pub ends: Time,
}

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matter {
    /// A block or guard, with its receipt.
    Block(Box<Decision>),
    /// A subject is released from whatever is older, and what is narrower with it.
    Release(Subject),
    /// A subject is let out of one block and no other.
    LetOut(Code, Subject),
    /// Whether a network is on the never-block list, and until when.
    Never {
        /// The network.
        net: IpNet,
        /// Whether it is on the list.
        listed: bool,
        /// The end; `None`: until it is removed.
        until: Option<Time>,
    },
    /// Blocks of a node that were held back up to this moment of the fleet's clock (milliseconds) are let through.
    Accept {
        /// Whose.
        of: String,
        /// Up to when.
        up_to: u64,
    },
    /// A rule or another value that all nodes should have; the fleet does not look into it.
    Value {
        /// Its name.
        name: String,
        /// The value, as the program writes it; `None`: it is taken back.
        value: Option<String>,
    },
}

impl Fact {
    /// The name under which versions of the matter are kept. Each node has releases of its own, so that none hides
    /// another.
    pub fn key(&self) -> String {
        match &self.matter {
            Matter::Block(decision) => format!("b:{}", decision.subject),
            Matter::Release(subject) => format!("r:{:016x}:{subject}", self.rank.stamp.node),
            Matter::LetOut(code, subject) => format!("o:{code}:{subject}"),
            Matter::Never { net, .. } => format!("n:{net}"),
            Matter::Accept { of, .. } => format!("a:{of}"),
            Matter::Value { name, .. } => format!("v:{name}"),
        }
    }
}

/// Later than anything: for what is forgotten by nobody. It can be written and read as a time, which end a day later.
pub const FOREVER: Time = Time::from_millis(253_402_128_000_000);

#[cfg(test)]
mod tests {
    use super::FOREVER;

    #[test]
    fn what_is_forgotten_by_nobody_can_be_written_down() {
        assert_eq!(FOREVER.to_string().parse::<fairban_types::Time>().ok(), Some(FOREVER));
    }
}

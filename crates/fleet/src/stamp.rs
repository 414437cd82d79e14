//! When something was decided, in an order that every node agrees on.

use std::fmt;
use std::hash::Hasher as _;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip::SipHasher13;

/// A place in the order of decisions: milliseconds by the fleet's clock, then the node. Two nodes never make the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since the Unix epoch, or later than that if the author knew a later decision.
    pub millis: u64,
    /// The author, as a number.
    pub node: u64,
}

/// By what two versions of one fact are compared: when the matter began, then when it was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rank {
    /// When the matter began: a block that is prolonged is still the same block.
    pub born: Stamp,
    /// When it was last changed.
    pub stamp: Stamp,
}

/// A node's name as a number; the same on every machine.
pub fn node_number(name: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(name.as_bytes());
    hasher.finish()
}

impl Stamp {
    /// The smallest that is later than `seen`, and not before `millis`.
    pub(crate) fn next(millis: u64, seen: Stamp, node: u64) -> Stamp {
        Stamp { millis: millis.max(seen.millis.saturating_add(1)), node }
    }
}

/// Hexadecimal of fixed length: the server compares it as text, whatever its locale.
impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rank { born, stamp } = self;
        write!(f, "{:016x}{:016x}{:016x}{:016x}", born.millis, born.node, stamp.millis, stamp.node)
    }
}

impl FromStr for Rank {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |index: usize| {
            let digits = text.get(index * 16..(index + 1) * 16)?;
            u64::from_str_radix(digits, 16).ok()
        };
        let wrong = || "a rank is 64 hexadecimal digits".to_owned();
        let [a, b, c, d] = [part(0), part(1), part(2), part(3)].map(|part| part.ok_or_else(wrong));
        Ok(Rank { born: Stamp { millis: a?, node: b? }, stamp: Stamp { millis: c?, node: d? } })
    }
}

impl Serialize for Rank {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rank {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_ordered_as_their_text_is() {
        let stamps = [
            Stamp { millis: 0, node: 9 },
            Stamp { millis: 1, node: 0 },
            Stamp { millis: 1, node: u64::MAX },
            Stamp { millis: 0x10, node: 0xa },
            Stamp { millis: u64::MAX, node: 1 },
        ];
        let ranks: Vec<Rank> =
            stamps.iter().flat_map(|born| stamps.iter().map(|stamp| Rank { born: *born, stamp: *stamp })).collect();
        for one in &ranks {
            assert_eq!(one.to_string().parse(), Ok(*one));
            for other in &ranks {
                assert_eq!(one.cmp(other), one.to_string().cmp(&other.to_string()));
            }
        }
        for text in ["", "00", &"g".repeat(64), "ä"] {
            assert!(text.parse::<Rank>().is_err(), "{text}");
        }
    }
}

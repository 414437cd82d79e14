use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Event, Subject, Time};

/// What a decision does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A block begins, or one in force is replaced (longer, shorter, other holes).
    Block,
    /// A guard on an account begins or is prolonged.
    Guard,
    /// A block or guard is taken away before its time.
    Release,
    /// A block or guard has come to its end.
    Expire,
}

impl Action {
    /// The action's name, such as `block`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Block => "block",
            Action::Guard => "guard",
            Action::Release => "release",
            Action::Expire => "expire",
        }
    }
}

/// How a block is felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Refused, and told why in the protocol.
    Explain,
    /// Dropped by the firewall, silently.
    #[default]
    Drop,
    /// AUTH fails like a wrong password, RCPT is refused, nothing shows at EHLO.
    Soft,
    /// Answers are delayed.
    Tarpit,
    /// Recorded only.
    Observe,
}

/// What most probably lies behind the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diagnosis {
    /// A device that goes on using an old password.
    StalePassword,
    /// Many passwords tried against one or few accounts.
    PasswordGuessing,
    /// One or few passwords tried against many accounts.
    PasswordSpraying,
    /// Pairs of account and password from somewhere else, each tried once.
    CredentialStuffing,
    /// A device that asks far more often than it should.
    FrequentPolling,
    /// Attempts to send through this server to elsewhere.
    RelayProbing,
    /// Recipients tried to find out which exist.
    AddressHarvesting,
    /// Spam, viruses or forbidden content.
    SpamRun,
    /// What infected devices do: mail under changing names, straight to the servers of others.
    Malware,
    /// Broken or hostile use of the protocol.
    ProtocolAbuse,
    /// An administrator's own decision.
    Manual,
    /// The evidence does not tell.
    #[default]
    Unknown,
}

impl Diagnosis {
    /// The diagnosis as a person would say it.
    pub const fn in_words(self) -> &'static str {
        match self {
            Diagnosis::StalePassword => "a device that goes on using an old password",
            Diagnosis::PasswordGuessing => "password guessing: many passwords tried against few accounts",
            Diagnosis::PasswordSpraying => "password spraying: few passwords tried against many accounts",
            Diagnosis::CredentialStuffing => "credential stuffing: stolen account and password pairs tried one by one",
            Diagnosis::FrequentPolling => "a device that asks far more often than it should",
            Diagnosis::RelayProbing => "relay probing: attempts to send mail to elsewhere through this server",
            Diagnosis::AddressHarvesting => "address harvesting: recipients tried to find out which exist",
            Diagnosis::SpamRun => "a run of spam, viruses or forbidden content",
            Diagnosis::Malware => "behaviour of malware: mail under changing names, as infected devices send it",
            Diagnosis::ProtocolAbuse => "broken or hostile use of the mail protocols",
            Diagnosis::Manual => "an administrator's decision",
            Diagnosis::Unknown => "unknown: the evidence does not tell",
        }
    }
}

/// Who or what made a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A rule, by name.
    Rule(String),
    /// A person or program, by name.
    Manual(String),
}

impl Origin {
    /// The rule's name, or `manual`.
    pub fn rule(&self) -> &str {
        match self {
            Origin::Rule(name) => name,
            Origin::Manual(_) => "manual",
        }
    }

    /// The person or program, if it was one.
    pub fn by(&self) -> Option<&str> {
        match self {
            Origin::Rule(_) => None,
            Origin::Manual(name) => Some(name),
        }
    }
}

/// The reference of a block, short enough to read out on the phone: eight characters of Crockford's base 32 as `K7Q2-M9XD`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Code(u64);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Code {
    /// From a number, of which 40 bits count.
    pub const fn new(number: u64) -> Self {
        Code(number & 0xff_ffff_ffff)
    }

    /// The number behind it: 40 bits.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |place: u32| ALPHABET[(self.0 >> (5 * place) & 31) as usize];
        // Written at once: lists of many are.
        let text = [7, 6, 5, 4, u32::MAX, 3, 2, 1, 0].map(|place| if place > 7 { b'-' } else { letter(place) });
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Code {
    type Err = String;

    /// Forgives what is misheard: lower case, O for 0, I and L for 1, a missing or added hyphen.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || format!("'{}' is not a reference code such as K7Q2-M9XD", text.chars().take(40).collect::<String>());
        let mut number = 0;
        let mut letters = 0;
        for byte in text.trim().bytes().filter(|byte| *byte != b'-' && *byte != b' ') {
            let byte = match byte.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let value = ALPHABET.iter().position(|letter| *letter == byte).ok_or_else(wrong)?;
            number = number << 5 | value as u64;
            letters += 1;
            if letters > 8 {
                return Err(wrong());
            }
        }
        if letters == 8 { Ok(Code(number)) } else { Err(wrong()) }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One event behind a decision, with what it counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The points it counted under the deciding rule; 0 for what is shown but did not count.
    pub points: u32,
    /// How often the same was seen (the same wrong password again counts once).
    #[serde(default = "once")]
    pub seen: u32,
    /// When it was seen first, if more than once; the event's own time is the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Time>,
    /// The event.
    #[serde(flatten)]
    pub event: Event<'static>,
}

fn once() -> u32 {
    1
}

/// What was decided about a subject, with everything needed to explain it: a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The reference of the block; a release or expiry carries that of the block it ends.
    pub code: Code,
    /// When it was decided.
    pub time: Time,
    /// What was decided.
    pub action: Action,
    /// Against whom.
    pub subject: Subject,
    /// By what.
    pub origin: Origin,
    /// The rule as it stood, or the reason that a person gave.
    pub reason: String,
    /// The points that the evidence summed up to, and
    pub score: u32,
    /// the points at which the rule decides.
    pub threshold: u32,
    /// The end; `None` is permanent.
    pub until: Option<Time>,
    /// How it is felt.
    pub effect: Effect,
    /// What lies behind it.
    pub diagnosis: Diagnosis,
    /// The how manieth offence of the subject this is, from 1; 0 for manual decisions.
    pub offence: u32,
    /// Whether accounts familiar at the subject may still sign in.
    pub spares_familiar: bool,
    /// Whether the kernel should drop the subject's packets.
    pub in_kernel: bool,
    /// Networks inside the subject that the block leaves alone (the never-block list is not among them: it always wins).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holes: Vec<IpNet>,
    /// The events behind it, oldest first.
    pub events: Vec<Evidence>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_the_telephone() {
        let code = Code::new(0x12_3456_789a);
        assert_eq!(code.to_string().parse(), Ok(code));
        assert_eq!(code.to_string().to_lowercase().replace('-', " ").parse(), Ok(code));
        assert_eq!("OIL0-0000".parse::<Code>(), "0110-0000".parse::<Code>());
        for text in ["", "K7Q2-M9X", "K7Q2-M9XDD", "K7Q2-M9X!", "U7Q2-M9XD"] {
            assert!(text.parse::<Code>().is_err(), "{text}");
        }
    }
}

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::mailbox::{Mailbox, domain_ascii};

/// Who a send block is against.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Sender {
    /// A return-path address: `bob@example.test`.
    Address(String),
    /// All return-paths of a domain: `@example.test`; with its subdomains: `@.example.test`.
    Domain {
        /// Its name, as it is compared.
        name: String,
        /// Whether subdomains are meant too.
        subdomains: bool,
    },
    /// All that an account sends: `account=alice`.
    Account(String),
    /// A HELO or EHLO name: `helo=mail.example.test`.
    Helo(String),
}

/// Which way mail goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From clients that did not sign in.
    Inbound,
    /// From accounts that signed in.
    Outbound,
    /// Either.
    #[default]
    Both,
}

/// What a send block is against: sending, by somebody, some way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sending {
    /// By whom.
    pub sender: Sender,
    /// Which way.
    pub direction: Direction,
}

/// A sender that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a sender: name an address (bob@example.test), a domain (@example.test, or @.example.test with its \
     subdomains), an account (account=bob) or a HELO name (helo=mail.example.test)"
)]
pub struct SenderError(pub String);

impl Direction {
    /// Every direction.
    pub const ALL: &'static [Direction] = &[Direction::Inbound, Direction::Outbound, Direction::Both];

    /// The direction's name, such as `inbound`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
            Direction::Both => "both",
        }
    }

    /// What marks it in a subject's text.
    const fn mark(self) -> &'static str {
        match self {
            Direction::Inbound => "send-inbound:",
            Direction::Outbound => "send-outbound:",
            Direction::Both => "send:",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Direction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|direction| direction.as_str() == text);
        found.ok_or_else(|| format!("'{text}' is not a direction: inbound, outbound or both"))
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sender::Address(address) => f.write_str(address),
            Sender::Domain { name, subdomains } => write!(f, "@{}{name}", if *subdomains { "." } else { "" }),
            Sender::Account(account) => write!(f, "account={account}"),
            Sender::Helo(name) => write!(f, "helo={name}"),
        }
    }
}

impl FromStr for Sender {
    type Err = SenderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let wrong = || SenderError(text.chars().take(80).collect());
        if text.len() > 512 || text.chars().any(char::is_control) {
            return Err(wrong());
        }
        let named = |name: String| (!name.is_empty()).then_some(name).ok_or_else(wrong);
        if let Some(account) = text.strip_prefix("account=") {
            return named(account.trim().to_lowercase()).map(Sender::Account);
        }
        if let Some(name) = text.strip_prefix("helo=") {
            return named(domain_ascii(name)).map(Sender::Helo);
        }
        let domain = text.strip_prefix('@').or_else(|| (!text.contains('@') && text.contains('.')).then_some(text));
        if let Some(domain) = domain {
            let (name, subdomains) = domain.strip_prefix('.').map_or((domain, false), |name| (name, true));
            let name = named(domain_ascii(name))?;
            let is_domain =
                !name.starts_with('.') && !name.contains(|c: char| c.is_whitespace() || "@/:,<>".contains(c));
            return if is_domain { Ok(Sender::Domain { name, subdomains }) } else { Err(wrong()) };
        }
        let mailbox = Mailbox::parse(text).ok_or_else(wrong)?;
        if mailbox.as_str().contains(char::is_whitespace) {
            Err(wrong())
        } else {
            Ok(Sender::Address(mailbox.as_str().to_owned()))
        }
    }
}

impl fmt::Display for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.direction.mark(), self.sender)
    }
}

impl Sending {
    /// Whether the text begins as that of a send block's subject does.
    pub(crate) fn is_marked(text: &str) -> bool {
        Direction::ALL.iter().any(|direction| text.starts_with(direction.mark()))
    }
}

impl FromStr for Sending {
    type Err = SenderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let marked =
            Direction::ALL.iter().find_map(|direction| Some((*direction, text.strip_prefix(direction.mark())?)));
        let (direction, sender) = marked.ok_or_else(|| SenderError(text.chars().take(80).collect()))?;
        Ok(Sending { sender: sender.parse()?, direction })
    }
}

impl TryFrom<String> for Sender {
    type Error = SenderError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Sender> for String {
    fn from(sender: Sender) -> Self {
        sender.to_string()
    }
}

impl TryFrom<String> for Sending {
    type Error = SenderError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Sending> for String {
    fn from(sending: Sending) -> Self {
        sending.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_read_as_they_are_shown() {
        for (text, shown) in [
            ("Bob@Example.test", "bob@example.test"),
            ("<bob@example.test>", "bob@example.test"),
            ("@Example.test", "@example.test"),
            ("example.test", "@example.test"),
            (".example.test", "@.example.test"),
            ("@.bücher.test", "@.xn--bcher-kva.test"),
            ("account=Alice", "account=alice"),
            ("helo=Mail.Example.test.", "helo=mail.example.test"),
            ("helo=[192.0.2.1]", "helo=[192.0.2.1]"),
        ] {
            let sender: Sender = text.parse().unwrap();
            assert_eq!(sender.to_string(), shown);
            for direction in Direction::ALL {
                let sending = Sending { sender: sender.clone(), direction: *direction };
                assert_eq!(sending.to_string().parse(), Ok(sending));
            }
        }
        for text in ["", "bob", "@", "@.", "account=", "helo=", "a b@x.test", "<>", "x\n@y", "a.b c", "http://x.test"] {
            assert!(text.parse::<Sender>().is_err(), "{text}");
        }
    }
}

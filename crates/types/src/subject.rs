use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::sender::{Sender, Sending};
use crate::{domain_of, single};

/// What is scored or blocked. Shown and read as text: `192.0.2.7`, `192.0.2.0/24`, `alice@example.test`,
/// `alice@example.test from 192.0.2.7`, `send:alice@example.test`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// One address, or a network. A network of one address is that address.
    Network(IpNet),
    /// An account, in lower case.
    Account(String),
    /// An account as used from a network.
    Pair(String, IpNet),
    /// Sending mail, by a return-path, a domain, an account or a HELO name.
    Sending(Sending),
}

/// A subject that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither an address, a network (CIDR) nor an account")]
pub struct SubjectError(pub String);

impl Subject {
    /// The subject that is this one address.
    pub fn address(address: IpAddr) -> Self {
        Subject::Network(single(address))
    }

    /// The network, if the subject is one.
    pub fn network(&self) -> Option<IpNet> {
        match self {
            Subject::Network(net) => Some(*net),
            Subject::Account(_) | Subject::Pair(..) | Subject::Sending(_) => None,
        }
    }

    /// The domain whose account or sender it is.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Subject::Network(_) => None,
            Subject::Account(name) | Subject::Pair(name, _) => domain_of(name),
            Subject::Sending(sending) => match &sending.sender {
                Sender::Address(name) | Sender::Account(name) => domain_of(name),
                Sender::Domain { name, .. } => Some(name),
                Sender::Helo(_) => None,
            },
        }
    }
}

/// Shows a network of one address as the address.
fn show(f: &mut fmt::Formatter<'_>, net: &IpNet) -> fmt::Result {
    if net.prefix_len() == net.max_prefix_len() { write!(f, "{}", net.addr()) } else { write!(f, "{net}") }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Network(net) => show(f, net),
            Subject::Account(account) => {
                // A client chooses its account's name: one that reads like an address must never be taken for it.
                if is_misleading(account) { write!(f, "{ACCOUNT}{account}") } else { f.write_str(account) }
            }
            Subject::Pair(account, net) => {
                write!(f, "{account} from ")?;
                show(f, net)
            }
            Subject::Sending(sending) => write!(f, "{sending}"),
        }
    }
}

/// Marks an account whose name would be read as something else.
const ACCOUNT: &str = "account:";

fn is_misleading(account: &str) -> bool {
    account.starts_with(ACCOUNT) || !matches!(read_unmarked(account), Ok(Subject::Account(name)) if name == account)
}

fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(single(address));
    }
    text.parse::<IpNet>().ok().map(|net| net.trunc())
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(ACCOUNT) {
            Some(account) => Ok(Subject::Account(account.to_lowercase())),
            None => read_unmarked(text),
        }
    }
}

fn read_unmarked(text: &str) -> Result<Subject, SubjectError> {
    let wrong = || SubjectError(text.chars().take(80).collect());
    let text = text.trim();
    if Sending::is_marked(text) {
        return text.parse().map(Subject::Sending).map_err(|_| wrong());
    }
    if let Some(net) = network(text) {
        return Ok(Subject::Network(net));
    }
    if let Some((account, from)) = text.rsplit_once(" from ")
        && let Some(net) = network(from)
    {
        return Ok(Subject::Pair(account.to_lowercase(), net));
    }
    // What looks like a mistyped address must not quietly become an account.
    let looks_like_address = text.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'/'))
        && text.bytes().any(|b| matches!(b, b'.' | b':' | b'/'));
    if text.is_empty() || text.len() > 512 || looks_like_address || text.chars().any(char::is_control) {
        return Err(wrong());
    }
    Ok(Subject::Account(text.to_lowercase()))
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_reads_like_an_address_is_never_one() {
        for name in [
            "192.0.2.7",
            "2001:db8::/32",
            "x from 192.0.2.7",
            "account:192.0.2.7",
            "send:a@b.test",
            " a",
            "",
            "a\nb",
            "1.2.3",
        ] {
            let account = Subject::Account(name.to_owned());
            assert_eq!(account.to_string().parse(), Ok(account));
        }
    }

    #[test]
    fn reads_what_it_shows() {
        for text in [
            "192.0.2.7",
            "192.0.2.0/24",
            "2001:db8::/64",
            "alice@example.test",
            "alice from 192.0.2.7",
            "bob from 2001:db8::/64",
            "send:bob@example.test",
            "send-outbound:account=bob from 192.0.2.7",
            "send-inbound:@.example.test",
        ] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.7/24".parse::<Subject>().unwrap().to_string(), "192.0.2.0/24");
        assert_eq!("::ffff:192.0.2.7".parse::<Subject>().unwrap().to_string(), "192.0.2.7");
        for text in ["", "192.0.2.0/33", "192.0.2", "192.0.2.256", "2001:db8::/129", "a\nb"] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}

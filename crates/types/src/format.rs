use crate::{EventKind, Service};

/// An operator's own log format: lines that a pattern matches are events of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomFormat {
    /// The name, for messages.
    pub name: String,
    /// Only lines of this syslog program are looked at; `None`: every line, whole, without its prefix.
    pub program: Option<String>,
    /// A linear-time regular expression (`regex` crate syntax) with named groups `client` (required), `account`,
    /// `digest`, `helo`, `return_path`, `recipient`, `session`, `reason`. It must be anchored at the start (`^`) or at
    /// the end (`$`), and between that anchor and `client` nothing may match text that a client chooses freely.
    pub pattern: String,
    /// What a matching line is.
    pub kind: EventKind,
    /// On which service.
    pub service: Service,
    /// Lines that must match, with the client address that must come out; `fairban check` runs them.
    pub examples: Vec<(String, std::net::IpAddr)>,
}

//! The names under which things are kept at the server. What one script touches has one hash tag, so that a cluster
//! keeps it in one place; windows are spread over all shards by their subject.

use std::fmt::Write as _;

use ipnet::IpNet;

use crate::stamp::node_number;

/// Whose failures are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Window {
    /// Those of an address, as it is scored.
    Address(IpNet),
    /// Those of an account, from wherever.
    Account(String),
    /// Those of neighbouring addresses.
    Neighbourhood(IpNet),
}

/// All names of one fleet.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    name: String,
    pub(crate) facts: String,
    pub(crate) ranks: String,
    pub(crate) ends: String,
    pub(crate) stream: String,
    pub(crate) nodes: String,
    pub(crate) places: String,
    pub(crate) birth: String,
}

impl Keys {
    pub(crate) fn new(name: &str) -> Self {
        let key = |what: &str| format!("{name}:{{all}}:{what}");
        Keys {
            name: name.to_owned(),
            facts: key("facts"),
            ranks: key("ranks"),
            ends: key("ends"),
            stream: key("stream"),
            nodes: key("nodes"),
            places: key("places"),
            birth: key("birth"),
        }
    }

    /// Where the failures of a window are, and where who is familiar there.
    pub(crate) fn window(&self, window: &Window) -> (String, String) {
        let mut tag = String::new();
        // Names of accounts are a client's text: a number keeps braces and lengths out of keys.
        let written = match window {
            Window::Address(net) => write!(tag, "n{net}"),
            Window::Account(name) => write!(tag, "a{:016x}", node_number(name)),
            Window::Neighbourhood(net) => write!(tag, "w{net}"),
        };
        debug_assert!(written.is_ok());
        (format!("{}:{{{tag}}}:seen", self.name), format!("{}:{{{tag}}}:known", self.name))
    }
}

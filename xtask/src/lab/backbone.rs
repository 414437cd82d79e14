//! What mail servers share, in a namespace of its own: each of them is at the end of a cable of its own.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

use super::net::{Net, fresh_name, inside, ip, ip_in, remove};
use crate::process::output;

/// Addresses of servers there.
pub(crate) const SHARED: [&str; 3] = ["10.98.255.1", "10.98.255.2", "10.98.255.3"];

/// The namespace; gone with everything in it when this goes.
#[derive(Debug)]
pub(crate) struct Backbone {
    namespace: String,
    cables: AtomicU32,
}

impl Backbone {
    pub(crate) fn new() -> Result<Backbone> {
        let backbone = Backbone { namespace: format!("{}-shared", fresh_name()), cables: AtomicU32::new(0) };
        let namespace = &backbone.namespace;
        ip(&format!("netns add {namespace}\n")).context("cannot make a network namespace (this needs root)")?;
        let addresses: String = SHARED.iter().map(|address| format!("addr add {address}/32 dev lo\n")).collect();
        ip_in(namespace, &format!("link set lo up\n{addresses}"))?;
        Ok(backbone)
    }

    /// Joins a mail server.
    pub(crate) fn plug(&self, net: &Net) -> Result<()> {
        let (namespace, server) = (&self.namespace, net.server());
        let number = self.cables.fetch_add(1, Ordering::Relaxed) + 1;
        ip(&format!("link add fleet netns {server} type veth peer name end{number} netns {namespace}\n"))?;
        ip_in(namespace, &format!("addr add 10.98.{number}.1/24 dev end{number}\nlink set end{number} up\n"))?;
        ip_in(
            &server,
            &format!(
                "addr add 10.98.{number}.2/24 dev fleet\nlink set fleet up\nroute add 10.98.255.0/24 via \
                 10.98.{number}.1\n"
            ),
        )
    }

    /// Does the work there. Programs that it starts stay there.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        inside(&self.namespace, work)
    }

    /// Drops, or no longer, all packets between two of the addresses.
    pub(crate) fn part(&self, one: &str, other: &str, are_parted: bool) -> Result<()> {
        let rules = format!(
            "ip saddr {one} ip daddr {other} drop ; add rule inet parted input ip saddr {other} ip daddr {one} drop"
        );
        let rules = format!(
            "add table inet parted ; add chain inet parted input {{ type filter hook input priority 0 ; }} ; \
             add rule inet parted input {rules}"
        );
        let text = if are_parted { rules.as_str() } else { "delete table inet parted" };
        self.inside(|| output(Command::new("nft").arg(text)).map(drop))
    }
}

impl Drop for Backbone {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.namespace) {
            eprintln!("cannot take namespace '{}' away: {error:#}", self.namespace);
        }
    }
}

/// Drops, or no longer, all packets between a mail server and what it shares: nobody is told.
pub(crate) fn cut_off(net: &Net, is_cut: bool) -> Result<()> {
    let text = if is_cut {
        "add table inet cut ; add chain inet cut input { type filter hook input priority 0 ; } ; \
         add rule inet cut input iifname \"fleet\" drop"
    } else {
        "delete table inet cut"
    };
    net.on_server(|| output(Command::new("nft").arg(text)).map(drop))
}

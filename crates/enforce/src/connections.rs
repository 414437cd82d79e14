//! Established connections of blocked clients, closed on this side: a server process would else wait for minutes on a
//! client whose packets no longer arrive (`sock_diag(7)`; `SOCK_DESTROY` since Linux 4.5).

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fairban_types::network_of;
use ipnet::IpNet;
use nix::errno::Errno;

use crate::EnforceError;
use crate::netlink::{Heard, Link, dump_request, message};

const NETLINK_SOCK_DIAG: isize = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// From `SYN_RECV` to `CLOSING`, as bits: what has a peer and is not yet over.
const STATES: u32 = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;
/// `struct inet_diag_sockid`: local port, peer's port, local address, peer's address, interface, cookie.
const ID_LEN: usize = 48;
/// Where the identity starts in `struct inet_diag_msg`.
const ID_AT: usize = 4;
/// How many sockets are closed by one datagram.
const DESTROY_MAX: usize = 1000;

type Id = [u8; ID_LEN];

/// Closes connections. Best effort: the packets of a blocked client are dropped whether this works or not.
pub(crate) struct Connections {
    /// `None`: this kernel cannot, or must not, and that has been said.
    link: Option<Link>,
}

/// An open connection to a guarded port.
struct Connection {
    family: u8,
    id: Id,
}

impl Connections {
    /// Opens the way to the connections of the calling thread's network namespace.
    pub(crate) fn open() -> Self {
        match Link::open(NETLINK_SOCK_DIAG, "the list of connections") {
            Ok(link) => Connections { link: Some(link) },
            Err(error) => {
                tracing::warn!(%error, "connections of blocked clients will go silent instead of being closed");
                Connections { link: None }
            }
        }
    }

    /// Closes the connections to guarded ports whose peer is in one of the networks and is not spared.
    pub(crate) fn cut(&mut self, nets: &[IpNet], guards: impl Fn(u16) -> bool, spares: impl Fn(IpAddr) -> bool) {
        let Some(link) = self.link.as_mut().filter(|_| !nets.is_empty()) else { return };
        let nets = Nets::new(nets);
        let is_doomed = |port, peer| guards(port) && nets.contain(peer) && !spares(peer);
        match close(link, is_doomed) {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "closed connections of newly blocked clients"),
            Err(error @ (EnforceError::Permission | EnforceError::Unsupported(_))) => {
                tracing::warn!(%error, "connections of blocked clients will go silent instead of being closed");
                self.link = None;
            }
            Err(error) => tracing::warn!(%error, "some connections of newly blocked clients were not closed"),
        }
    }
}

fn close(link: &mut Link, is_doomed: impl Fn(u16, IpAddr) -> bool) -> Result<usize, EnforceError> {
    let mut doomed = Vec::new();
    for family in [AF_INET, AF_INET6] {
        doomed.extend(list(link, family, &is_doomed)?);
    }
    for some in doomed.chunks(DESTROY_MAX) {
        destroy(link, some)?;
    }
    Ok(doomed.len())
}

fn list(link: &mut Link, family: u8, is_doomed: impl Fn(u16, IpAddr) -> bool) -> Result<Vec<Connection>, EnforceError> {
    let request = dump_request(SOCK_DIAG_BY_FAMILY, |buf| put_request(buf, family, &[0; ID_LEN]));
    let found = link.dump(&request, "listing connections", |message| {
        let id: Id = *message.body.get(ID_AT..)?.first_chunk()?;
        let (port, peer) = read_id(family, &id);
        is_doomed(port, peer).then_some(Connection { family, id })
    })?;
    Ok(found.unwrap_or_default())
}

fn destroy(link: &mut Link, connections: &[Connection]) -> Result<(), EnforceError> {
    let mut bytes = Vec::new();
    for (sequence, connection) in (1..).zip(connections) {
        message::put(&mut bytes, SOCK_DESTROY, message::ACK, sequence, |buf| {
            put_request(buf, connection.family, &connection.id);
        });
    }
    let mut failure = None;
    let last = connections.len() as u32;
    link.exchange(&bytes, "closing connections", |message| {
        if let Some(errno) = message.answer().and_then(|answer| answer.error)
            // It may have been closed by itself meanwhile.
            && errno != Errno::ENOENT
        {
            failure = Some(errno);
        }
        if message.sequence == last { Heard::Done } else { Heard::GoOn }
    })?;
    failure.map_or(Ok(()), |errno| Err(EnforceError::new("closing connections", errno)))
}

/// `struct inet_diag_req_v2`.
fn put_request(buf: &mut Vec<u8>, family: u8, id: &Id) {
    buf.extend_from_slice(&[family, IPPROTO_TCP, 0, 0]);
    buf.extend_from_slice(&STATES.to_ne_bytes());
    buf.extend_from_slice(id);
}

/// The local port and the peer's address.
fn read_id(family: u8, id: &Id) -> (u16, IpAddr) {
    let port = u16::from_be_bytes([id[0], id[1]]);
    let mut peer = [0; 16];
    peer.copy_from_slice(&id[20..36]);
    let peer = match family {
        AF_INET => IpAddr::V4(Ipv4Addr::new(peer[0], peer[1], peer[2], peer[3])),
        // A server that listens on both families sees IPv4 clients mapped into IPv6.
        _ => IpAddr::V6(Ipv6Addr::from(peer)).to_canonical(),
    };
    (port, peer)
}

/// Networks of which to ask whether one holds an address, as many times as there are prefix lengths.
struct Nets {
    nets: HashSet<IpNet>,
    lengths: BTreeSet<u8>,
}

impl Nets {
    fn new(nets: &[IpNet]) -> Self {
        Nets { nets: nets.iter().copied().collect(), lengths: nets.iter().map(IpNet::prefix_len).collect() }
    }

    fn contain(&self, address: IpAddr) -> bool {
        self.lengths.iter().any(|len| self.nets.contains(&network_of(address, *len, *len)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_found_in_networks_of_all_lengths() {
        let nets: Vec<IpNet> =
            ["192.0.2.7/32", "198.51.100.0/24", "2001:db8::/64"].iter().map(|net| net.parse().unwrap()).collect();
        let nets = Nets::new(&nets);
        for (peer, is_in) in [
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("198.51.100.9", true),
            ("2001:db8::9", true),
            ("2001:db8:0:1::9", false),
        ] {
            assert_eq!(nets.contain(peer.parse().unwrap()), is_in, "{peer}");
        }
    }

    #[test]
    fn mapped_peers_are_ipv4() {
        let mut id = [0; ID_LEN];
        id[..2].copy_from_slice(&143u16.to_be_bytes());
        id[20..36].copy_from_slice(&"::ffff:192.0.2.7".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(read_id(AF_INET6, &id), (143, "192.0.2.7".parse().unwrap()));
    }
}

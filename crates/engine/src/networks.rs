//! Networks and what is kept of each, found by an address in them.
//!
//! Few prefix lengths are in use at any time, so one table for each of them answers faster than a trie: a question costs
//! one look-up for each length, without following pointers.

use std::net::Ipv6Addr;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;

use crate::address::{Address, network_from_bits};
use crate::hash::table_bytes;

/// All networks of one prefix length.
struct Level<T> {
    prefix: u8,
    nets: HashMap<u128, T, RandomState>,
}

/// A map from networks to something.
pub(crate) struct Networks<T> {
    /// Longest prefix first.
    ipv4: Vec<Level<T>>,
    /// Longest prefix first.
    ipv6: Vec<Level<T>>,
    /// By the first byte of an IPv4 address: whether a network here may hold it. Most addresses need no look-up.
    may_hold: [bool; 256],
    len: usize,
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Networks { ipv4: Vec::new(), ipv6: Vec::new(), may_hold: [false; 256], len: 0 }
    }
}

/// An IPv6 network that is not an address must not be taken for IPv4, so the family is that of the network as written.
fn key(net: IpNet) -> u128 {
    match net {
        IpNet::V4(_) => Address::from(net.addr()).network(net.prefix_len(), net.prefix_len()),
        IpNet::V6(v6) => Ipv6Addr::to_bits(v6.network()),
    }
}

impl<T> Networks<T> {
    fn levels(&self, is_ipv4: bool) -> &[Level<T>] {
        if is_ipv4 { &self.ipv4 } else { &self.ipv6 }
    }

    fn levels_mut(&mut self, net: IpNet) -> &mut Vec<Level<T>> {
        if matches!(net, IpNet::V4(_)) { &mut self.ipv4 } else { &mut self.ipv6 }
    }

    pub(crate) fn insert(&mut self, net: IpNet, value: T) -> Option<T> {
        let prefix = net.prefix_len();
        if let IpNet::V4(v4) = net {
            let (first, last) = (v4.network().octets()[0], v4.broadcast().octets()[0]);
            self.may_hold[usize::from(first)..=usize::from(last)].fill(true);
        }
        let levels = self.levels_mut(net);
        let at = levels.partition_point(|level| level.prefix > prefix);
        if levels.get(at).is_none_or(|level| level.prefix != prefix) {
            levels.insert(at, Level { prefix, nets: HashMap::default() });
        }
        let before = levels[at].nets.insert(key(net), value);
        self.len += usize::from(before.is_none());
        before
    }

    pub(crate) fn remove(&mut self, net: &IpNet) -> Option<T> {
        let levels = self.levels_mut(*net);
        let at = levels.iter().position(|level| level.prefix == net.prefix_len())?;
        let removed = levels[at].nets.remove(&key(*net))?;
        if levels[at].nets.is_empty() {
            levels.remove(at);
        }
        self.len -= 1;
        Some(removed)
    }

    pub(crate) fn get(&self, net: &IpNet) -> Option<&T> {
        let level = self.levels(matches!(net, IpNet::V4(_))).iter().find(|level| level.prefix == net.prefix_len())?;
        level.nets.get(&key(*net))
    }

    /// What is kept of the networks that hold the address, narrowest first.
    pub(crate) fn covering(&self, address: Address) -> impl Iterator<Item = (IpNet, &T)> {
        let levels = match address.is_ipv4() {
            true if !self.may_hold[address.first_octet()] => &[],
            is_ipv4 => self.levels(is_ipv4),
        };
        levels.iter().filter_map(move |level| {
            let bits = address.network(level.prefix, level.prefix);
            level.nets.get(&bits).map(|value| (network_from_bits(bits, level.prefix, level.prefix), value))
        })
    }

    /// Whether a network here holds all of the given one.
    pub(crate) fn covers(&self, net: IpNet) -> bool {
        let key = key(net);
        let levels = self.levels(matches!(net, IpNet::V4(_))).iter();
        let width = net.max_prefix_len();
        levels.filter(|level| level.prefix <= net.prefix_len()).any(|level| {
            let host_bits = u32::from(width - level.prefix);
            let wide = (key >> (host_bits % 128)) << (host_bits % 128);
            level.nets.contains_key(if host_bits == 128 { &0 } else { &wide })
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpNet, &T)> {
        let shown = |is_ipv4| {
            self.levels(is_ipv4).iter().flat_map(move |level| {
                let net = move |key: u128| net_from_key(key, level.prefix, is_ipv4);
                level.nets.iter().map(move |(key, value)| (net(*key), value))
            })
        };
        shown(true).chain(shown(false))
    }

    /// The networks inside the given one, itself included, in no order.
    pub(crate) fn inside(&self, net: IpNet) -> impl Iterator<Item = IpNet> {
        let is_ipv4 = matches!(net, IpNet::V4(_));
        let levels = self.levels(is_ipv4).iter().filter(move |level| level.prefix >= net.prefix_len());
        levels.flat_map(move |level| {
            level
                .nets
                .keys()
                .map(move |key| net_from_key(*key, level.prefix, is_ipv4))
                .filter(move |it| net.contains(it))
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        let levels = self.ipv4.iter().chain(&self.ipv6);
        levels.map(|level| table_bytes::<(u128, T)>(level.nets.len())).sum()
    }
}

fn net_from_key(key: u128, prefix: u8, is_ipv4: bool) -> IpNet {
    if is_ipv4 {
        return network_from_bits(key, prefix, prefix);
    }
    ipnet::Ipv6Net::new_assert(Ipv6Addr::from_bits(key), prefix).into()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_finds_its_networks_narrowest_first() {
        let mut networks = Networks::default();
        let texts =
            ["192.0.2.0/24", "192.0.0.0/16", "0.0.0.0/0", "192.0.2.7/32", "2001:db8::/48", "2001:db8::/64", "::/0"];
        for text in texts {
            assert_eq!(networks.insert(net(text), text), None);
        }
        let found = |address: &str| -> Vec<String> {
            networks
                .covering(address.parse::<IpAddr>().unwrap().into())
                .map(|(net, text)| format!("{net} {text}"))
                .collect()
        };
        let twice = |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| format!("{text} {text}")).collect() };
        assert_eq!(found("192.0.2.7"), twice(&["192.0.2.7/32", "192.0.2.0/24", "192.0.0.0/16", "0.0.0.0/0"]));
        assert_eq!(found("::ffff:192.0.3.7"), twice(&["192.0.0.0/16", "0.0.0.0/0"]));
        assert_eq!(found("2001:db8::1"), twice(&["2001:db8::/64", "2001:db8::/48", "::/0"]));
        assert_eq!(found("::1"), twice(&["::/0"]));
    }

    #[test]
    fn networks_cover_and_hold_one_another() {
        let mut networks = Networks::default();
        for text in ["192.0.2.0/24", "2001:db8::/48", "198.51.100.7/32", "::ffff:0:0/96"] {
            networks.insert(net(text), ());
        }
        for (text, expected) in [
            ("192.0.2.0/24", true),
            ("192.0.2.128/25", true),
            ("192.0.2.7/32", true),
            ("192.0.0.0/16", false),
            ("0.0.0.0/0", false),
            ("2001:db8:0:1::/64", true),
            ("2001:db8::/32", false),
            ("::ffff:0:0/100", true),
            ("203.0.113.0/24", false),
        ] {
            assert_eq!(networks.covers(net(text)), expected, "{text}");
        }
        let mut inside: Vec<_> = networks.inside(net("192.0.0.0/8")).collect();
        assert_eq!(inside, [net("192.0.2.0/24")]);
        inside = networks.inside(net("::/0")).collect();
        inside.sort_unstable();
        assert_eq!(inside, [net("::ffff:0:0/96"), net("2001:db8::/48")]);
        assert_eq!((networks.len(), networks.iter().count()), (4, 4));
        assert_eq!(networks.remove(&net("192.0.2.0/24")), Some(()));
        assert_eq!((networks.remove(&net("192.0.2.0/24")), networks.get(&net("192.0.2.0/24"))), (None, None));
        networks.insert(net("0.0.0.0/0"), ());
        assert!(networks.covers(net("203.0.113.0/24")) && networks.get(&net("0.0.0.0/0")).is_some());
    }
}

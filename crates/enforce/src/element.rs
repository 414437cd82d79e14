use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An address or network that is blocked, and for how long from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Element {
    /// Whom. An IPv4-mapped IPv6 network (RFC 4291, 2.5.5.2) is taken as the IPv4 network.
    pub net: IpNet,
    /// The time that remains; `None` is permanent, zero is over.
    pub timeout: Option<Duration>,
    /// How they notice.
    pub felt: Felt,
}

/// How a blocked client notices. Where several elements hold an address, the later of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Felt {
    /// New connections to mail ports end at the explainer, which tells the reason. Everything that is not explained is
    /// dropped, all of it where the [`Layout`](crate::Layout) names no explainer.
    Explain,
    /// Packets are dropped.
    #[default]
    Drop,
}

impl Felt {
    pub(crate) const BOTH: [Felt; 2] = [Felt::Drop, Felt::Explain];
}

/// One thing to change in what is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Blocked from now on, for the element's own time, whatever was said of the same network before.
    Add(Element),
    /// Not blocked as this network any more; wider and narrower ones stay. Removing what is not there is no error.
    Remove(IpNet),
    /// Passes whatever else is blocked.
    AddNever(IpNet),
    /// Passes no more for this entry's sake.
    RemoveNever(IpNet),
}

/// The network in the form in which the kernel meets it: without host bits, and IPv4 where it is IPv4 mapped into IPv6.
pub(crate) fn canonical(net: IpNet) -> IpNet {
    match net.trunc() {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.network().to_ipv4_mapped() {
            Some(v4) => IpNet::V4(Ipv4Net::new_assert(v4, v6.prefix_len() - 96)),
            None => IpNet::V6(v6),
        },
        other => other,
    }
}

/// Which addresses a set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Family; 2] = [Family::V4, Family::V6];

    pub(crate) fn of(net: &IpNet) -> Self {
        match net {
            IpNet::V4(_) => Family::V4,
            IpNet::V6(_) => Family::V6,
        }
    }

    /// The last address of all, as a number.
    pub(crate) const fn last(self) -> u128 {
        match self {
            Family::V4 => u32::MAX as u128,
            Family::V6 => u128::MAX,
        }
    }

    /// The address with this number.
    pub(crate) fn address(self, number: u128) -> IpAddr {
        match self {
            Family::V4 => IpAddr::from((number as u32).to_be_bytes()),
            Family::V6 => IpAddr::from(number.to_be_bytes()),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The first and the last address of a network, as numbers.
pub(crate) fn bounds(net: &IpNet) -> (u128, u128) {
    (number(net.network()), number(net.broadcast()))
}

/// Whether the network is one address.
pub(crate) fn is_single(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

/// The network of which this is a half, if it is not everything.
pub(crate) fn parent(net: &IpNet) -> Option<IpNet> {
    match net {
        IpNet::V4(v4) => v4.supernet().map(IpNet::from),
        IpNet::V6(v6) => v6.supernet().map(IpNet::from),
    }
}

/// Everything of the family.
pub(crate) fn everything(family: Family) -> IpNet {
    match family {
        Family::V4 => IpNet::V4(Ipv4Net::new_assert([0, 0, 0, 0].into(), 0)),
        Family::V6 => IpNet::V6(Ipv6Net::new_assert([0u16; 8].into(), 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_networks_are_ipv4() {
        for (given, taken) in [
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("::ffff:192.0.2.7/128", "192.0.2.7/32"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("2001:db8::7/64", "2001:db8::/64"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(canonical(given.parse().unwrap()).to_string(), taken);
        }
    }
}

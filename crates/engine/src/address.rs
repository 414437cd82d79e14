//! An address as one number.

use std::net::{IpAddr, Ipv6Addr};

use fairban_types::{AddressPolicy, network_of};
use ipnet::IpNet;

/// A client's address in 128 bits. IPv4 stands in the mapped range, so that both ways to write one address are the same.
///
/// The parts of an [`IpAddr`] are written one by one; who then reads all of them at once waits until the processor has
/// put them together, which is longer than most look-ups take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address(u128);

/// What stands before the 32 bits of an IPv4 address.
const MAPPED: u128 = 0xffff;

impl From<IpAddr> for Address {
    #[inline]
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Address(MAPPED << 32 | u128::from(v4.to_bits())),
            IpAddr::V6(v6) => Address(v6.to_bits()),
        }
    }
}

impl Address {
    pub(crate) fn bits(self) -> u128 {
        self.0
    }

    /// The address itself, of IPv4 where it is one.
    pub(crate) fn ip(self) -> IpAddr {
        Ipv6Addr::from_bits(self.0).to_canonical()
    }

    #[inline]
    pub(crate) fn is_ipv4(self) -> bool {
        self.0 >> 32 == MAPPED
    }

    /// The first byte of an IPv4 address.
    #[inline]
    pub(crate) fn first_octet(self) -> usize {
        (self.0 >> 24 & 0xff) as usize
    }

    /// The bits of its network: those of the host cleared, by the prefix of its family.
    #[inline]
    pub(crate) fn network(self, ipv4_prefix: u8, ipv6_prefix: u8) -> u128 {
        if self.is_ipv4() {
            MAPPED << 32 | u128::from(self.0 as u32 & mask32(ipv4_prefix))
        } else {
            self.0 & mask128(ipv6_prefix)
        }
    }

    /// The subject that it belongs to.
    #[inline]
    pub(crate) fn subject(self, policy: AddressPolicy) -> u128 {
        self.network(policy.ipv4_prefix, policy.ipv6_prefix)
    }
}

/// The network that the bits of [`Address::network`] stand for.
pub(crate) fn network_from_bits(bits: u128, ipv4_prefix: u8, ipv6_prefix: u8) -> IpNet {
    network_of(Address(bits).ip(), ipv4_prefix, ipv6_prefix)
}

fn mask32(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

fn mask128(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back_as_networks() {
        for (written, shown) in [
            ("192.0.2.7", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ] {
            let ip: IpAddr = written.parse().unwrap();
            let address = Address::from(ip);
            assert_eq!(address.ip(), ip.to_canonical());
            assert_eq!(network_from_bits(address.network(24, 48), 24, 48).to_string(), shown);
        }
        assert_eq!((mask32(0), mask32(32), mask128(0), mask128(128)), (0, u32::MAX, 0, u128::MAX));
    }
}

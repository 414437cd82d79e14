use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The network of the given prefix length that holds the address. A prefix longer than the address means the address.
/// An IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) is the IPv4 address.
pub fn network_of(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpNet::V4(Ipv4Net::new_assert(v4, ipv4_prefix.min(32)).trunc()),
        IpAddr::V6(v6) => IpNet::V6(Ipv6Net::new_assert(v6, ipv6_prefix.min(128)).trunc()),
    }
}

/// The network that is just this address.
pub fn single(address: IpAddr) -> IpNet {
    network_of(address, 32, 128)
}

/// What is left of a network when holes are taken out of it, in order of address.
///
/// Each hole splits at most one network per bit, so the result has at most `128 * holes.len() + 1` parts.
pub fn subtract(net: IpNet, holes: &[IpNet]) -> Vec<IpNet> {
    if holes.iter().any(|hole| hole.contains(&net)) {
        return Vec::new();
    }
    let inside: Vec<IpNet> = holes.iter().copied().filter(|hole| net.contains(hole)).collect();
    if inside.is_empty() {
        return vec![net.trunc()];
    }
    match net.subnets(net.prefix_len() + 1) {
        Ok(halves) => halves.flat_map(|half| subtract(half, &inside)).collect(),
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn holes_leave_the_rest() {
        let net = "192.0.2.0/30".parse().unwrap();
        assert_eq!(subtract(net, &nets(&["192.0.2.2/32"])), nets(&["192.0.2.0/31", "192.0.2.3/32"]));
        assert_eq!(subtract(net, &nets(&["192.0.2.0/24"])), nets(&[]));
        assert_eq!(subtract(net, &nets(&["198.51.100.0/24"])), nets(&["192.0.2.0/30"]));
        assert_eq!(subtract(net, &nets(&["2001:db8::/32"])), nets(&["192.0.2.0/30"]));
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert_eq!(network_of("::ffff:192.0.2.7".parse().unwrap(), 32, 64).to_string(), "192.0.2.7/32");
        assert_eq!(network_of("2001:db8::1".parse().unwrap(), 32, 64).to_string(), "2001:db8::/64");
    }

    proptest! {
        #[test]
        fn every_address_is_left_or_in_a_hole(
            holes in prop::collection::vec((any::<u8>(), 24u8..=32), 0..6),
            probe in any::<u8>(),
        ) {
            let net: IpNet = "192.0.2.0/24".parse().unwrap();
            let holes: Vec<IpNet> =
                holes.iter().map(|(last, len)| network_of(IpAddr::from([192, 0, 2, *last]), *len, 128)).collect();
            let address = IpAddr::from([192, 0, 2, probe]);
            let parts = subtract(net, &holes);
            let left = parts.iter().filter(|part| part.contains(&address)).count();
            let in_hole = holes.iter().any(|hole| hole.contains(&address));
            prop_assert_eq!(left, usize::from(!in_hole));
        }
    }
}

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::chance::{Chance, DAY, HOUR, mix};

/// The first 24 bits of an IPv4 network.
pub(crate) type Net24 = [u8; 3];

/// Hands out networks that nobody else has.
pub(crate) struct AddressBook {
    chance: Chance,
    used: BTreeSet<Net24>,
    customers: u16,
}

impl AddressBook {
    pub(crate) fn new(seed: u64) -> Self {
        AddressBook { chance: Chance::new(seed, "addresses", 0), used: BTreeSet::new(), customers: 0 }
    }

    /// An IPv4 network of 24 bits.
    pub(crate) fn net24(&mut self) -> Net24 {
        loop {
            let net =
                [self.chance.number(24, 95) as u8, self.chance.number(0, 255) as u8, self.chance.number(0, 255) as u8];
            if self.used.insert(net) {
                return net;
            }
        }
    }

    /// One address in a network of its own.
    pub(crate) fn address(&mut self) -> IpAddr {
        let net = self.net24();
        host(net, self.chance.number(1, 254) as u8)
    }

    /// The first 48 bits of an IPv6 network under 2001:db8::/32.
    pub(crate) fn net48(&mut self) -> u64 {
        self.customers += 1;
        0x2001_0db8_0000_0000 | u64::from(self.customers) << 16
    }
}

/// An address in a network.
pub(crate) fn host(net: Net24, last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(net[0], net[1], net[2], last))
}

/// An IPv6 address from its network's 64 bits and its own.
pub(crate) fn v6(net64: u64, own: u64) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(u128::from(net64) << 64 | u128::from(own)))
}

/// Where a device is connected: an address at any moment.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Always the same.
    Fixed(IpAddr),
    /// A home whose provider gives another address of its pool every day: the `customer`th of the pool.
    Daily { pool: Vec<Net24>, customer: u64 },
    /// An IPv6 home: a /64 of its /56, another one every day if `moving`; each device changes its own part every few
    /// hours (RFC 8981).
    V6 { net56: u64, moving: bool, device: u64 },
    /// A phone behind a carrier's NAT: one of its addresses for some hours, then another.
    Carrier { pool: Vec<IpAddr>, device: u64 },
    /// Here until 8 and from 18 o'clock, there between.
    Commute { home: Box<Place>, away: Box<Place> },
    /// Elsewhere between two moments.
    Trip { home: Box<Place>, away: Box<Place>, from: i64, to: i64 },
}

impl Place {
    /// The address at a moment.
    pub(crate) fn address(&self, at: i64) -> IpAddr {
        let day = at.div_euclid(DAY).unsigned_abs();
        match self {
            Place::Fixed(address) => *address,
            Place::Daily { pool, customer } => {
                // A rotation keeps customers of one pool apart on every day.
                let size = pool.len() as u64 * 250;
                let slot = (customer * 37 + mix(day) % size) % size;
                host(pool[(slot / 250) as usize], (slot % 250 + 2) as u8)
            }
            Place::V6 { net56, moving, device } => {
                let subnet = if *moving { mix(day ^ *net56) & 0xff } else { 0 };
                let shift = at.div_euclid(6 * HOUR).unsigned_abs();
                v6(net56 | subnet, mix(*device ^ mix(shift)))
            }
            Place::Carrier { pool, device } => {
                let shift = (at + (*device % 180) as i64 * 60_000).div_euclid(3 * HOUR).unsigned_abs();
                pool[(mix(*device ^ mix(shift)) % pool.len() as u64) as usize]
            }
            Place::Commute { home, away } => {
                let hour = at.rem_euclid(DAY) / HOUR;
                if (8..18).contains(&hour) { away.address(at) } else { home.address(at) }
            }
            Place::Trip { home, away, from, to } => {
                if (*from..*to).contains(&at) {
                    away.address(at)
                } else {
                    home.address(at)
                }
            }
        }
    }
}

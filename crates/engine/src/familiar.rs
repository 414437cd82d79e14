//! Which networks each account signs in from, and which addresses anyone signs in from.

use fairban_types::{FamiliarPolicy, Time};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use smallvec::SmallVec;

use crate::address::Address;
use crate::hash::{AccountId, blend, table_bytes};

/// An account's successes from one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Familiarity {
    /// The first success.
    pub first: Time,
    /// The latest success.
    pub last: Time,
    /// How many.
    pub successes: u32,
}

/// What is good about an address.
#[derive(Clone, Copy, Debug)]
struct Home {
    /// The latest sign-in, seconds.
    signed_in: i64,
    /// How many accounts became familiar through it.
    accounts: u32,
    /// The latest accepted message, seconds.
    accepted: i64,
}

const NEVER: i64 = i64::MIN;

/// The most neighbours remembered of one network: with so many people in it, no block widens to it.
pub(crate) const NEIGHBOURS_MAX: usize = 64;

/// All familiar pairs and good addresses.
#[derive(Default)]
pub(crate) struct Familiar {
    pairs: HashMap<u64, Familiarity, RandomState>,
    homes: HashMap<u128, Home, RandomState>,
    /// By the network to which a block may widen: the addresses in it that people sign in from.
    neighbourhoods: HashMap<u64, SmallVec<[u128; 2]>, RandomState>,
}

/// An address as the maps of this module know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) client: Address,
    /// The subject that it is scored as.
    pub(crate) home: u128,
    /// The network to which a block may widen.
    pub(crate) neighbourhood: u64,
}

impl Familiar {
    fn pair(account: AccountId, client: Address, policy: &FamiliarPolicy) -> u64 {
        let network = client.network(policy.ipv4_prefix, policy.ipv6_prefix);
        blend(blend(account, (network >> 64) as u64), network as u64)
    }

    /// Whether the account signs in from the client's network.
    pub(crate) fn knows(&self, account: AccountId, client: Address, now: Time, policy: &FamiliarPolicy) -> bool {
        self.pairs.get(&Self::pair(account, client, policy)).is_some_and(|pair| now.since(pair.last) <= policy.forget)
    }

    /// What is known of the account at the client's network.
    pub(crate) fn get(&self, account: AccountId, client: Address, policy: &FamiliarPolicy) -> Option<Familiarity> {
        self.pairs.get(&Self::pair(account, client, policy)).copied()
    }

    /// Notes a success of the account; `home` is the client's subject.
    pub(crate) fn signed_in(&mut self, account: AccountId, place: Place, at: Time, policy: &FamiliarPolicy) {
        let mut is_new = false;
        let pair = self.pairs.entry(Self::pair(account, place.client, policy)).or_insert_with(|| {
            is_new = true;
            Familiarity { first: at, last: at, successes: 0 }
        });
        pair.last = pair.last.max(at);
        pair.successes = pair.successes.saturating_add(1);
        let home = self.homes.entry(place.home).or_insert(Home { signed_in: NEVER, accounts: 0, accepted: NEVER });
        if home.signed_in == NEVER {
            let neighbours = self.neighbourhoods.entry(place.neighbourhood).or_default();
            if neighbours.len() < NEIGHBOURS_MAX && !neighbours.contains(&place.home) {
                neighbours.push(place.home);
            }
        }
        home.signed_in = home.signed_in.max(at.secs());
        home.accounts = home.accounts.saturating_add(u32::from(is_new)).max(1);
    }

    /// Restores what an earlier run knew.
    pub(crate) fn restore(&mut self, account: AccountId, place: Place, known: Familiarity, policy: &FamiliarPolicy) {
        self.signed_in(account, place, known.last, policy);
        if let Some(pair) = self.pairs.get_mut(&Self::pair(account, place.client, policy)) {
            pair.first = pair.first.min(known.first);
            pair.successes = pair.successes.max(known.successes);
        }
    }

    /// Notes mail accepted from the address.
    pub(crate) fn accepted(&mut self, home: u128, at: Time) {
        let home = self.homes.entry(home).or_insert(Home { signed_in: NEVER, accounts: 0, accepted: NEVER });
        home.accepted = home.accepted.max(at.secs());
    }

    /// The addresses of a network that people signed in from lately.
    pub(crate) fn neighbours(&self, neighbourhood: u64, now: Time, policy: &FamiliarPolicy) -> Vec<u128> {
        let homes = self.neighbourhoods.get(&neighbourhood).map_or(&[][..], SmallVec::as_slice);
        homes.iter().copied().filter(|home| self.accounts_at(*home, now, policy) > 0).collect()
    }

    /// How many accounts sign in from the address: 0 if none did lately.
    pub(crate) fn accounts_at(&self, home: u128, now: Time, policy: &FamiliarPolicy) -> u32 {
        self.homes.get(&home).map_or(0, |home| {
            if home.signed_in != NEVER && now.since(Time::from_secs(home.signed_in)) <= policy.forget {
                home.accounts
            } else {
                0
            }
        })
    }

    /// Whether mail was accepted from the address lately.
    pub(crate) fn has_delivered(&self, home: u128, now: Time, policy: &FamiliarPolicy) -> bool {
        self.homes
            .get(&home)
            .is_some_and(|home| home.accepted != NEVER && now.since(Time::from_secs(home.accepted)) <= policy.forget)
    }

    /// Forgets what is older than the policy remembers, and beyond `pairs_max` the older half as well.
    pub(crate) fn tidy(&mut self, now: Time, policy: &FamiliarPolicy, pairs_max: usize) {
        let horizon = now.before(policy.forget);
        if self.pairs.len() > pairs_max {
            self.pairs.retain(|_, pair| pair.last >= horizon);
        }
        if self.pairs.len() > pairs_max {
            let mut times: Vec<Time> = self.pairs.values().map(|pair| pair.last).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.pairs.retain(|_, pair| pair.last > median);
        }
        if self.homes.len() > pairs_max {
            self.homes.retain(|_, home| home.signed_in.max(home.accepted) >= horizon.secs());
        }
        if self.homes.len() > pairs_max {
            let mut times: Vec<i64> = self.homes.values().map(|home| home.signed_in.max(home.accepted)).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            self.homes.retain(|_, home| home.signed_in.max(home.accepted) > median);
        }
        if self.neighbourhoods.len() > pairs_max {
            let homes = &self.homes;
            self.neighbourhoods.retain(|_, neighbours| neighbours.iter().any(|home| homes.contains_key(home)));
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        table_bytes::<(u64, Familiarity)>(self.pairs.len())
            + table_bytes::<(u128, Home)>(self.homes.len())
            + table_bytes::<(u64, SmallVec<[u128; 2]>)>(self.neighbourhoods.len())
    }
}

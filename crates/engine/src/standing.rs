//! The blocks and guards in force, and when each ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use fairban_types::{Code, Diagnosis, Effect, Evidence, Origin, Refused, Sending, Subject, SubjectKind, Time, single};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::address::Address;
use crate::hash::{self, AccountId, table_bytes};
use crate::networks::Networks;
use crate::sending;

/// What made a block.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) score: u32,
    pub(crate) threshold: u32,
    pub(crate) diagnosis: Diagnosis,
    pub(crate) reason: String,
    pub(crate) events: Vec<Evidence>,
}

/// One block or guard in force.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) code: Code,
    pub(crate) since: Time,
    /// `None` is permanent.
    pub(crate) until: Option<Time>,
    pub(crate) effect: Effect,
    pub(crate) offence: u32,
    pub(crate) spares_familiar: bool,
    pub(crate) in_kernel: bool,
    pub(crate) is_guard: bool,
    pub(crate) diagnosis: Diagnosis,
    pub(crate) subject: SubjectKind,
    pub(crate) holes: Box<[IpNet]>,
    /// How long it goes on after the last refused try.
    pub(crate) linger: Duration,
    /// Why, for blocks that may be renewed: they are few. A block in the kernel leaves its receipt to the store.
    pub(crate) receipt: Option<Arc<Receipt>>,
    /// Shared by all blocks of a rule.
    pub(crate) origin: Arc<Origin>,
}

impl Held {
    /// What a question that it answers with no is told.
    pub(crate) fn refused(&self) -> Refused {
        Refused {
            code: self.code,
            until: self.until,
            effect: self.effect,
            diagnosis: self.diagnosis,
            subject: self.subject,
        }
    }

    /// Whether its time is not over.
    pub(crate) fn is_in_force(&self, now: Time) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// Where a block is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    Network(IpNet),
    Account(AccountId),
    Pair(AccountId, IpNet),
    /// By [`sending::key`].
    Sending(u64),
}

impl Place {
    pub(crate) fn of(subject: &Subject) -> Place {
        match subject {
            Subject::Network(net) => Place::Network(net.trunc()),
            Subject::Account(name) => Place::Account(hash::account(name)),
            Subject::Pair(name, net) => Place::Pair(hash::account(name), net.trunc()),
            Subject::Sending(sending) => Place::Sending(sending::key(sending)),
        }
    }
}

struct Named {
    name: Box<str>,
    held: Held,
}

struct SendBlock {
    sending: Sending,
    held: Held,
}

/// All blocks and guards in force, with the never-block list.
#[derive(Default)]
pub(crate) struct Standing {
    addresses: HashMap<Address, Held, RandomState>,
    networks: Networks<Held>,
    accounts: HashMap<AccountId, Named, RandomState>,
    pairs: HashMap<(AccountId, IpNet), Named, RandomState>,
    sendings: HashMap<u64, SendBlock, RandomState>,
    /// The keys of send blocks of addresses, by the key of their local part.
    locals: HashMap<u64, SmallVec<[u64; 1]>, RandomState>,
    ends: BinaryHeap<Reverse<(Time, Place)>>,
    never: Networks<()>,
}

impl Standing {
    pub(crate) fn never(&self) -> Vec<IpNet> {
        let mut nets: Vec<IpNet> = self.never.iter().map(|(net, ())| net).collect();
        nets.sort_unstable();
        nets
    }

    pub(crate) fn never_add(&mut self, net: IpNet) -> bool {
        self.never.insert(net.trunc(), ()).is_none()
    }

    pub(crate) fn never_remove(&mut self, net: IpNet) -> bool {
        self.never.remove(&net.trunc()).is_some()
    }

    /// Whether the address is on the never-block list.
    pub(crate) fn is_exempt(&self, address: Address) -> bool {
        self.never.covering(address).next().is_some()
    }

    /// Whether the whole network is on the never-block list.
    pub(crate) fn is_exempt_network(&self, net: IpNet) -> bool {
        self.never.covers(net)
    }

    /// The narrowest block of the address that the question accepts.
    pub(crate) fn find_covering(
        &self,
        address: Address,
        mut accepts: impl FnMut(&Held) -> bool,
    ) -> Option<(IpNet, &Held)> {
        if let Some(held) = self.addresses.get(&address)
            && accepts(held)
        {
            return Some((single(address.ip()), held));
        }
        self.networks.covering(address).find(|(_, held)| accepts(held))
    }

    pub(crate) fn account(&self, account: AccountId) -> Option<&Held> {
        if self.accounts.is_empty() { None } else { self.accounts.get(&account).map(|named| &named.held) }
    }

    /// Whether any account is blocked at an address alone.
    pub(crate) fn has_pairs(&self) -> bool {
        !self.pairs.is_empty()
    }

    pub(crate) fn pair(&self, account: AccountId, net: IpNet) -> Option<&Held> {
        self.pairs.get(&(account, net)).map(|named| &named.held)
    }

    /// The send block with this key.
    pub(crate) fn sending(&self, key: u64) -> Option<&Held> {
        self.sendings.get(&key).map(|block| &block.held)
    }

    /// The send blocks of addresses with this local part, by [`sending::local_key`].
    pub(crate) fn sendings_of(&self, local: u64) -> impl Iterator<Item = &Held> {
        self.locals.get(&local).into_iter().flatten().filter_map(|key| self.sending(*key))
    }

    /// Whether no send block is in force.
    pub(crate) fn has_no_sendings(&self) -> bool {
        self.sendings.is_empty()
    }

    pub(crate) fn get(&self, subject: &Subject) -> Option<&Held> {
        self.at(Place::of(subject))
    }

    fn at(&self, place: Place) -> Option<&Held> {
        match place {
            Place::Network(net) if net.prefix_len() == net.max_prefix_len() => {
                self.addresses.get(&Address::from(net.addr()))
            }
            Place::Network(net) => self.networks.get(&net),
            Place::Account(account) => self.accounts.get(&account).map(|named| &named.held),
            Place::Pair(account, net) => self.pairs.get(&(account, net)).map(|named| &named.held),
            Place::Sending(key) => self.sending(key),
        }
    }

    /// Puts a block in force, in place of one of the same subject.
    pub(crate) fn hold(&mut self, subject: &Subject, held: Held) {
        let place = Place::of(subject);
        if let Some(until) = held.until {
            self.ends.push(Reverse((until, place)));
        }
        let name = || match subject {
            Subject::Account(name) | Subject::Pair(name, _) => name.as_str().into(),
            Subject::Network(_) | Subject::Sending(_) => "".into(),
        };
        match place {
            Place::Network(net) if net.prefix_len() == net.max_prefix_len() => {
                self.addresses.insert(net.addr().into(), held);
            }
            Place::Network(net) => {
                self.networks.insert(net, held);
            }
            Place::Account(account) => {
                self.accounts.insert(account, Named { name: name(), held });
            }
            Place::Pair(account, net) => {
                self.pairs.insert((account, net), Named { name: name(), held });
            }
            Place::Sending(key) => {
                if let Subject::Sending(sending) = subject
                    && self.sendings.insert(key, SendBlock { sending: sending.clone(), held }).is_none()
                    && let Some(local) = sending::local_key(sending)
                {
                    self.locals.entry(local).or_default().push(key);
                }
            }
        }
    }

    /// Takes a block away.
    pub(crate) fn release(&mut self, place: Place) -> Option<(Subject, Held)> {
        match place {
            Place::Network(net) => {
                let held = if net.prefix_len() == net.max_prefix_len() {
                    self.addresses.remove(&Address::from(net.addr()))
                } else {
                    self.networks.remove(&net)
                };
                held.map(|held| (Subject::Network(net), held))
            }
            Place::Account(account) => {
                self.accounts.remove(&account).map(|named| (Subject::Account(named.name.into()), named.held))
            }
            Place::Pair(account, net) => {
                self.pairs.remove(&(account, net)).map(|named| (Subject::Pair(named.name.into(), net), named.held))
            }
            Place::Sending(key) => {
                let block = self.sendings.remove(&key)?;
                if let Some(local) = sending::local_key(&block.sending)
                    && let Entry::Occupied(mut keys) = self.locals.entry(local)
                {
                    keys.get_mut().retain(|of| *of != key);
                    if keys.get().is_empty() {
                        keys.remove();
                    }
                }
                Some((Subject::Sending(block.sending), block.held))
            }
        }
    }

    /// When the next block may end.
    pub(crate) fn next_end(&self) -> Option<Time> {
        self.ends.peek().map(|Reverse((time, _))| *time)
    }

    /// Takes away one block that has come to its end.
    pub(crate) fn end_one(&mut self, now: Time) -> Option<(Subject, Held)> {
        while let Some(Reverse((time, place))) = self.ends.peek().copied() {
            if time > now {
                return None;
            }
            self.ends.pop();
            // A block that was replaced meanwhile ends at its new time.
            if self.at(place).is_some_and(|held| held.until == Some(time)) {
                return self.release(place);
            }
        }
        None
    }

    /// The blocks of networks and addresses inside the network, itself included, in order of address.
    pub(crate) fn inside(&self, net: IpNet) -> Vec<IpNet> {
        let mut found: Vec<IpNet> = self.networks.inside(net).collect();
        if net.prefix_len() == net.max_prefix_len() {
            found.extend(self.addresses.contains_key(&Address::from(net.addr())).then_some(net));
        } else {
            let addresses = self.addresses.keys().map(|address| address.ip());
            found.extend(addresses.filter(|address| net.contains(address)).map(single));
        }
        found.sort_unstable();
        found
    }

    /// Every pair block inside the network, and of the account.
    pub(crate) fn pairs_of(&self, account: Option<AccountId>, net: Option<IpNet>) -> Vec<Place> {
        let mut places: Vec<Place> = self
            .pairs
            .keys()
            .filter(|(id, from)| {
                account.is_none_or(|account| account == *id) && net.is_none_or(|net| net.contains(from))
            })
            .map(|(id, from)| Place::Pair(*id, *from))
            .collect();
        places.sort_unstable();
        places
    }

    /// How many blocks and guards are in force.
    pub(crate) fn len(&self) -> usize {
        self.addresses.len() + self.networks.len() + self.accounts.len() + self.pairs.len() + self.sendings.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        table_bytes::<(Address, Held)>(self.addresses.len())
            + self.networks.bytes()
            + table_bytes::<(AccountId, IpNet, Named)>(self.accounts.len() + self.pairs.len())
            + table_bytes::<(u64, SendBlock)>(self.sendings.len())
            + table_bytes::<(u64, SmallVec<[u64; 1]>)>(self.locals.len())
            + self.ends.capacity() * size_of::<(Time, Place)>()
    }
}

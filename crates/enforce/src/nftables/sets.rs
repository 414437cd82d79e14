//! The sets of the table and what goes into them.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use super::abi::*;
use super::cover::Piece;
use super::transaction::{FAMILY_HEADER, Failure, Transaction};
use crate::element::Family;
use crate::netlink::attribute::{self, Attributes, find, find_u32, find_u64, nest, put, put_text, put_u32, put_u64};
use crate::netlink::message::{CREATE, HEADER};
use crate::{EnforceError, Felt, Layout};

/// What a set of addresses is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// Ranges that pass whatever else is said.
    Never,
    /// Single addresses that are blocked.
    Block(Felt),
    /// Ranges that are blocked.
    Net(Felt),
}

impl Role {
    /// How those in it feel it.
    pub(super) fn felt(self) -> Option<Felt> {
        match self {
            Role::Never => None,
            Role::Block(felt) | Role::Net(felt) => Some(felt),
        }
    }
}

/// One of the sets of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Set {
    pub(super) role: Role,
    pub(super) family: Family,
}

/// The name of the set of guarded ports.
pub(super) const PORTS: &str = "ports";
/// The name of the set of ports that lead to the explainer.
pub(super) const EXPLAINED_PORTS: &str = "explained_ports";

impl Set {
    const ALL: [Set; 10] = {
        const fn of(role: Role, family: Family) -> Set {
            Set { role, family }
        }
        [
            of(Role::Never, Family::V4),
            of(Role::Never, Family::V6),
            of(Role::Block(Felt::Drop), Family::V4),
            of(Role::Block(Felt::Drop), Family::V6),
            of(Role::Net(Felt::Drop), Family::V4),
            of(Role::Net(Felt::Drop), Family::V6),
            of(Role::Block(Felt::Explain), Family::V4),
            of(Role::Block(Felt::Explain), Family::V6),
            of(Role::Net(Felt::Explain), Family::V4),
            of(Role::Net(Felt::Explain), Family::V6),
        ]
    };

    /// The sets that the layout has; the never-block list comes first.
    pub(super) fn all(layout: &Layout) -> &'static [Set] {
        if layout.explain.is_some() { &Set::ALL } else { &Set::ALL[..6] }
    }

    pub(super) fn name(self) -> &'static str {
        match (self.role, self.family) {
            (Role::Never, Family::V4) => "never4",
            (Role::Never, Family::V6) => "never6",
            (Role::Block(Felt::Drop), Family::V4) => "block4",
            (Role::Block(Felt::Drop), Family::V6) => "block6",
            (Role::Net(Felt::Drop), Family::V4) => "net4",
            (Role::Net(Felt::Drop), Family::V6) => "net6",
            (Role::Block(Felt::Explain), Family::V4) => "explain4",
            (Role::Block(Felt::Explain), Family::V6) => "explain6",
            (Role::Net(Felt::Explain), Family::V4) => "explain_net4",
            (Role::Net(Felt::Explain), Family::V6) => "explain_net6",
        }
    }

    pub(super) fn flags(self) -> u32 {
        match self.role {
            Role::Never => NFT_SET_INTERVAL,
            Role::Block(_) => NFT_SET_TIMEOUT,
            Role::Net(_) => NFT_SET_INTERVAL | NFT_SET_TIMEOUT,
        }
    }

    pub(super) fn key_type(self) -> u32 {
        key_type(self.family)
    }

    pub(super) fn key_len(self) -> u32 {
        key_len(self.family)
    }

    pub(super) fn is_ranges(self) -> bool {
        !matches!(self.role, Role::Block(_))
    }
}

const fn key_type(family: Family) -> u32 {
    match family {
        Family::V4 => TYPE_IPV4_ADDRESS,
        Family::V6 => TYPE_IPV6_ADDRESS,
    }
}

const fn key_len(family: Family) -> u32 {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

/// A range of addresses as the kernel is told of it, with the time that remains. In a set of single addresses, first
/// and last are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) timeout: Option<Duration>,
}

impl Span {
    pub(super) fn single(number: u128, timeout: Option<Duration>) -> Self {
        Span { first: number, last: number, timeout }
    }

    pub(super) fn of(piece: &Piece, now: Duration) -> Self {
        Span { first: piece.first, last: piece.last, timeout: piece.expiry.remaining(now) }
    }

    fn is_over(&self) -> bool {
        self.timeout.is_some_and(|timeout| timeout.as_millis() == 0)
    }
}

/// A range as the networks that it is made of.
pub(super) fn networks(family: Family, span: &Span) -> Vec<IpNet> {
    match (family.address(span.first), family.address(span.last)) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Ipv4Subnets::new(first, last, 0).map(IpNet::from).collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ipv6Subnets::new(first, last, 0).map(IpNet::from).collect(),
        _ => Vec::new(),
    }
}

/// How elements are taken out that may have ended by themselves meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// The kernel knows of removing what may not be there.
    Destroy,
    /// It does not (before Linux 6.3): put it in, then take it out, in one transaction.
    AddThenDelete,
}

/// Appends the making of a set.
pub(super) fn make(transaction: &mut Transaction, table: &str, set: Set, id: u32) {
    make_set(transaction, table, set.name(), set.flags(), set.key_type(), set.key_len(), id, |_| {});
}

/// Appends the making of a set of ports, and the ports.
pub(super) fn make_ports(transaction: &mut Transaction, table: &str, name: &'static str, ports: &[u16], id: u32) {
    make_set(transaction, table, name, 0, TYPE_INET_SERVICE, 2, id, |_| {});
    transaction.put(NFT_MSG_NEWSETELEM, CREATE, name, |buf| {
        put_text(buf, NFTA_SET_ELEM_LIST_TABLE, table);
        put_text(buf, NFTA_SET_ELEM_LIST_SET, name);
        nest(buf, NFTA_SET_ELEM_LIST_ELEMENTS, |buf| {
            for port in ports {
                put_element(buf, &port.to_be_bytes(), 0, None);
            }
        });
    });
}

/// The set in which the kernel counts how often each address was sent to the explainer.
pub(super) const fn pace(family: Family) -> &'static str {
    match family {
        Family::V4 => "pace4",
        Family::V6 => "pace6",
    }
}

/// What a set of [`pace`] is known by: name, flags, type of keys.
pub(super) const fn pace_shape(family: Family) -> (&'static str, u32, u32) {
    (pace(family), NFT_SET_TIMEOUT | NFT_SET_EVAL, key_type(family))
}

/// As many addresses are counted at once; any others are dropped meanwhile.
const PACE_MAX: u32 = 1 << 16;
/// So long after its last connection an address is forgotten: then it has its full number a minute again.
const PACE_FORGET: Duration = Duration::from_secs(61);

/// Appends the making of a set of [`pace`].
pub(super) fn make_pace(transaction: &mut Transaction, table: &str, family: Family, id: u32) {
    let (name, flags, key) = pace_shape(family);
    make_set(transaction, table, name, flags, key, key_len(family), id, |buf| {
        put_u64(buf, NFTA_SET_TIMEOUT, PACE_FORGET.as_millis() as u64);
        nest(buf, NFTA_SET_DESC, |buf| put_u32(buf, NFTA_SET_DESC_SIZE, PACE_MAX));
    });
}

#[expect(clippy::too_many_arguments, reason = "a set has as many attributes")]
fn make_set(
    transaction: &mut Transaction,
    table: &str,
    name: &'static str,
    flags: u32,
    key: u32,
    len: u32,
    id: u32,
    more: impl FnOnce(&mut Vec<u8>),
) {
    transaction.put(NFT_MSG_NEWSET, CREATE, name, |buf| {
        put_text(buf, NFTA_SET_TABLE, table);
        put_text(buf, NFTA_SET_NAME, name);
        put_u32(buf, NFTA_SET_FLAGS, flags);
        put_u32(buf, NFTA_SET_KEY_TYPE, key);
        put_u32(buf, NFTA_SET_KEY_LEN, len);
        put_u32(buf, NFTA_SET_ID, id);
        more(buf);
    });
}

/// Appends the putting in of elements; those whose time is over are left out.
pub(super) fn add(tx: &mut Transaction, table: &str, set: Set, spans: impl IntoIterator<Item = Span>) {
    let live = spans.into_iter().filter(|span| !span.is_over());
    put_elements(tx, NFT_MSG_NEWSETELEM, CREATE, table, set, live);
}

/// Appends the taking out of elements, there or not.
pub(super) fn remove(
    tx: &mut Transaction,
    removal: Removal,
    table: &str,
    set: Set,
    spans: impl IntoIterator<Item = Span> + Clone,
) {
    match removal {
        Removal::Destroy => put_elements(tx, NFT_MSG_DESTROYSETELEM, 0, table, set, spans),
        Removal::AddThenDelete => {
            let lasting = spans.clone().into_iter().map(|span| Span { timeout: None, ..span });
            put_elements(tx, NFT_MSG_NEWSETELEM, CREATE, table, set, lasting);
            put_elements(tx, NFT_MSG_DELSETELEM, 0, table, set, spans);
        }
    }
}

/// Appends the taking out of all elements.
pub(super) fn empty(tx: &mut Transaction, table: &str, set: Set) {
    tx.put(NFT_MSG_DELSETELEM, 0, set.name(), |buf| {
        put_text(buf, NFTA_SET_ELEM_LIST_TABLE, table);
        put_text(buf, NFTA_SET_ELEM_LIST_SET, set.name());
    });
}

/// The most that two elements (a range's start and end) can take.
const RANGE_BYTES_MAX: usize = 128;

fn put_elements(
    tx: &mut Transaction,
    message: u16,
    flags: u16,
    table: &str,
    set: Set,
    spans: impl IntoIterator<Item = Span>,
) {
    let mut spans = spans.into_iter().peekable();
    while spans.peek().is_some() {
        tx.put(message, flags, set.name(), |buf| {
            put_text(buf, NFTA_SET_ELEM_LIST_TABLE, table);
            put_text(buf, NFTA_SET_ELEM_LIST_SET, set.name());
            nest(buf, NFTA_SET_ELEM_LIST_ELEMENTS, |buf| {
                let full = buf.len() + attribute::DATA_MAX - RANGE_BYTES_MAX;
                while buf.len() < full
                    && let Some(span) = spans.next()
                {
                    put_span(buf, message, set, &span);
                }
            });
        });
    }
}

fn put_span(buf: &mut Vec<u8>, message: u16, set: Set, span: &Span) {
    let timeout = if message == NFT_MSG_NEWSETELEM { span.timeout } else { None };
    put_address(buf, set.family, span.first, 0, timeout);
    // A range is two elements, the end being the first address behind it; one that reaches the last address has none.
    if set.is_ranges() && span.last < set.family.last() {
        put_address(buf, set.family, span.last + 1, NFT_SET_ELEM_INTERVAL_END, None);
    }
}

fn put_address(buf: &mut Vec<u8>, family: Family, number: u128, flags: u32, timeout: Option<Duration>) {
    match family {
        Family::V4 => put_element(buf, &(number as u32).to_be_bytes(), flags, timeout),
        Family::V6 => put_element(buf, &number.to_be_bytes(), flags, timeout),
    }
}

fn put_element(buf: &mut Vec<u8>, key: &[u8], flags: u32, timeout: Option<Duration>) {
    nest(buf, NFTA_LIST_ELEM, |buf| {
        nest(buf, NFTA_SET_ELEM_KEY, |buf| put(buf, NFTA_DATA_VALUE, key));
        if flags != 0 {
            put_u32(buf, NFTA_SET_ELEM_FLAGS, flags);
        }
        if let Some(timeout) = timeout {
            put_u64(buf, NFTA_SET_ELEM_TIMEOUT, timeout.as_millis() as u64);
        }
    });
}

/// An element as the kernel shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) number: u128,
    pub(super) is_end: bool,
    pub(super) remaining: Option<Duration>,
}

/// The elements in a message of a dump, by the attributes after its header.
pub(super) fn read(attributes: &[u8]) -> impl Iterator<Item = Shown> {
    let list = find(attributes, NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or_default();
    Attributes(list).filter_map(|(_, element)| read_one(element))
}

fn read_one(element: &[u8]) -> Option<Shown> {
    let timeout = find_u64(element, NFTA_SET_ELEM_TIMEOUT).filter(|millis| *millis > 0);
    let remaining = find_u64(element, NFTA_SET_ELEM_EXPIRATION);
    Some(Shown {
        number: read_key(element)?,
        is_end: find_u32(element, NFTA_SET_ELEM_FLAGS).unwrap_or(0) & NFT_SET_ELEM_INTERVAL_END != 0,
        remaining: timeout.map(|timeout| Duration::from_millis(remaining.unwrap_or(timeout))),
    })
}

fn read_key(element: &[u8]) -> Option<u128> {
    let key = find(find(element, NFTA_SET_ELEM_KEY)?, NFTA_DATA_VALUE)?;
    (key.len() <= 16).then(|| key.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)))
}

impl Failure {
    /// The address that the kernel stumbled over, if it said where.
    fn address(&self) -> Option<String> {
        let set = Set::ALL.into_iter().find(|set| set.name() == self.about)?;
        let element = self.message.get(self.offset.filter(|offset| *offset >= HEADER + FAMILY_HEADER)?..)?;
        let (_, element) = Attributes(element).next()?;
        Some(set.family.address(read_key(element)?).to_string())
    }
}

impl From<Failure> for EnforceError {
    fn from(failure: Failure) -> Self {
        let mut what = failure.about.to_owned();
        if let Some(address) = failure.address() {
            what = format!("{address} in set {what}");
        }
        if let Some(text) = &failure.text {
            what = format!("{what} ({text})");
        }
        EnforceError::new(what, failure.errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn a_refusal_names_the_address() {
        let key = |number: u8| {
            let mut buf = Vec::new();
            put_element(&mut buf, &[192, 0, 2, number], 0, Some(Duration::from_secs(1)));
            buf
        };
        let mut message = vec![0; HEADER + FAMILY_HEADER];
        message.extend(key(7));
        let second = message.len();
        message.extend(key(8));
        for (offset, shown) in [
            (Some(second), "192.0.2.8 in set block4 (busy)"),
            (Some(HEADER + FAMILY_HEADER), "192.0.2.7 in set block4 (busy)"),
            (Some(3), "block4 (busy)"),
            (Some(9999), "block4 (busy)"),
            (None, "block4 (busy)"),
        ] {
            let text = Some("busy".to_owned());
            let failure = Failure { errno: Errno::EBUSY, about: "block4", message: message.clone(), offset, text };
            let error = EnforceError::from(failure).to_string();
            assert!(error.starts_with(&format!("the kernel refused {shown}: ")), "{error}");
        }
    }

    #[test]
    fn long_lists_are_split_and_lose_nothing() {
        for family in Family::BOTH {
            let set = Set { role: Role::Net(Felt::Drop), family };
            let spans = (0..20_000u128).map(|number| Span { first: number * 4, last: number * 4 + 1, timeout: None });
            let mut tx = Transaction::new();
            add(&mut tx, "fairban", set, spans);
            let starts: Vec<u128> = tx
                .messages()
                .flat_map(|message| read(&message[HEADER + FAMILY_HEADER..]).collect::<Vec<_>>())
                .filter(|shown| !shown.is_end)
                .map(|shown| shown.number)
                .collect();
            assert!(tx.messages().count() > 10);
            assert!(starts.into_iter().eq((0..20_000).map(|number| number * 4)));
        }
    }
}

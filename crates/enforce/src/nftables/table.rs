//! The table as a whole: made, looked at, removed.

use std::collections::BTreeSet;

use nix::errno::Errno;

use super::abi::*;
use super::rule::{comment_data, read_counters};
use super::rules::{self, chains, rules};
use super::sets::{self, EXPLAINED_PORTS, PORTS, Set, Shown};
use super::transaction::{FAMILY_HEADER, Transaction, kind, put_family};
use crate::element::Family;
use crate::netlink::attribute::{find, find_text, find_u32, put_text};
use crate::netlink::message::{ACK, CREATE, Message};
use crate::netlink::{Heard, Link, dump_request, message};
use crate::{Dropped, EnforceError, Layout};

/// Whether the table is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Absent,
    /// There, but not as this program makes it.
    Foreign,
    Sound,
}

/// Appends the making of the table with empty sets.
pub(super) fn make(transaction: &mut Transaction, layout: &Layout) {
    transaction.put(NFT_MSG_NEWTABLE, CREATE, "the table", |buf| put_text(buf, NFTA_TABLE_NAME, &layout.table));
    let mut ids = 1..;
    for (set, id) in Set::all(layout).iter().zip(&mut ids) {
        sets::make(transaction, &layout.table, *set, id);
    }
    for ((name, ports), id) in ports(layout).into_iter().zip(&mut ids) {
        sets::make_ports(transaction, &layout.table, name, &ports, id);
    }
    for (family, id) in paced(layout).iter().zip(&mut ids) {
        sets::make_pace(transaction, &layout.table, *family, id);
    }
    rules::make(transaction, layout);
}

/// The sets of ports that the layout has.
fn ports(layout: &Layout) -> Vec<(&'static str, Vec<u16>)> {
    let guarded = (!layout.ports.is_empty()).then(|| (PORTS, layout.ports.clone()));
    let explained = layout.explain.map(|_| (EXPLAINED_PORTS, layout.explained_ports()));
    guarded.into_iter().chain(explained).filter(|(_, ports)| !ports.is_empty()).collect()
}

/// The families whose connections to the explainer are counted.
fn paced(layout: &Layout) -> &'static [Family] {
    if layout.explain.is_some() { &Family::BOTH } else { &[] }
}

/// Appends the removal of the table, which must be there.
pub(super) fn remove(transaction: &mut Transaction, layout: &Layout) {
    transaction.put(NFT_MSG_DELTABLE, 0, "the table", |buf| put_text(buf, NFTA_TABLE_NAME, &layout.table));
}

/// Compares the table, its chains, rules, sets and ports with what [`make`] makes.
pub(super) fn inspect(link: &mut Link, layout: &Layout) -> Result<State, EnforceError> {
    let Some(flags) = table_flags(link, layout)? else { return Ok(State::Absent) };
    // Any flag means a table that is dormant or belongs to another program.
    let is_sound = flags == 0
        && has_chains(link, layout)?
        && has_rules(link, layout)?
        && has_sets(link, layout)?
        && has_ports(link, layout)?;
    Ok(if is_sound { State::Sound } else { State::Foreign })
}

fn table_flags(link: &mut Link, layout: &Layout) -> Result<Option<u32>, EnforceError> {
    const DOING: &str = "asking for the table";
    let mut request = Vec::new();
    message::put(&mut request, kind(NFT_MSG_GETTABLE), ACK, 1, |buf| {
        put_family(buf, NFPROTO_INET, 0);
        put_text(buf, NFTA_TABLE_NAME, &layout.table);
    });
    let mut flags = None;
    let mut error = None;
    let is_complete = link.exchange(&request, DOING, |message| {
        if let Some(answer) = message.answer() {
            error = answer.error;
            return Heard::Done;
        }
        flags = Some(find_u32(attributes(message), NFTA_TABLE_FLAGS).unwrap_or(0));
        Heard::GoOn
    })?;
    match error {
        Some(Errno::ENOENT) => Ok(None),
        Some(errno) => Err(EnforceError::new(DOING, errno)),
        None if is_complete => Ok(flags),
        None => Err(EnforceError::Busy(DOING.to_owned())),
    }
}

/// The attributes of a message of nf_tables.
pub(super) fn attributes<'a>(message: &Message<'a>) -> &'a [u8] {
    message.body.get(FAMILY_HEADER..).unwrap_or_default()
}

fn dump<T>(
    link: &mut Link,
    request: u16,
    fill: impl FnOnce(&mut Vec<u8>),
    doing: &str,
    mut read: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Vec<T>, EnforceError> {
    let request = dump_request(kind(request), |buf| {
        put_family(buf, NFPROTO_INET, 0);
        fill(buf);
    });
    Ok(link.dump(&request, doing, |message| read(attributes(message)))?.unwrap_or_default())
}

fn is_ours(attributes: &[u8], kind: u16, layout: &Layout) -> bool {
    find_text(attributes, kind) == Some(&layout.table)
}

type ChainShown = (String, Option<(u32, u32, u32)>);

fn has_chains(link: &mut Link, layout: &Layout) -> Result<bool, EnforceError> {
    let found: BTreeSet<ChainShown> = dump(
        link,
        NFT_MSG_GETCHAIN,
        |_| {},
        "listing chains",
        |data| {
            if !is_ours(data, NFTA_CHAIN_TABLE, layout) {
                return None;
            }
            let hook = find(data, NFTA_CHAIN_HOOK).and_then(|hook| {
                let policy = find_u32(data, NFTA_CHAIN_POLICY)?;
                Some((find_u32(hook, NFTA_HOOK_HOOKNUM)?, find_u32(hook, NFTA_HOOK_PRIORITY)?, policy))
            });
            Some((find_text(data, NFTA_CHAIN_NAME)?.to_owned(), hook))
        },
    )?
    .into_iter()
    .collect();
    let wanted = chains(layout).iter().map(|chain| {
        let hook = chain.hook.map(|hook| (hook.number(), hook.priority(layout) as u32, NF_ACCEPT as u32));
        (chain.name.to_owned(), hook)
    });
    Ok(found == wanted.collect())
}

/// A rule cannot be changed in place, only replaced by one that lacks the comment; so comments tell enough.
fn has_rules(link: &mut Link, layout: &Layout) -> Result<bool, EnforceError> {
    let found: Vec<(String, Vec<u8>)> = dump_rules(link, layout, |data| {
        let comment = find(data, NFTA_RULE_USERDATA).unwrap_or_default().to_vec();
        Some((find_text(data, NFTA_RULE_CHAIN)?.to_owned(), comment))
    })?;
    Ok(chains(layout).iter().all(|chain| {
        let found = found.iter().filter(|(name, _)| name == chain.name).map(|(_, comment)| comment);
        found.eq(rules(*chain, layout).iter().map(|rule| comment_data(&rule.comment)).collect::<Vec<_>>().iter())
    }))
}

fn dump_rules<T>(
    link: &mut Link,
    layout: &Layout,
    mut read: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Vec<T>, EnforceError> {
    let ask = |buf: &mut Vec<u8>| put_text(buf, NFTA_RULE_TABLE, &layout.table);
    dump(link, NFT_MSG_GETRULE, ask, "listing rules", |data| {
        is_ours(data, NFTA_RULE_TABLE, layout).then(|| read(data)).flatten()
    })
}

fn has_sets(link: &mut Link, layout: &Layout) -> Result<bool, EnforceError> {
    let ask = |buf: &mut Vec<u8>| put_text(buf, NFTA_SET_TABLE, &layout.table);
    let found: BTreeSet<(String, u32, u32)> = dump(link, NFT_MSG_GETSET, ask, "listing sets", |data| {
        let name = find_text(data, NFTA_SET_NAME)?.to_owned();
        let flags = find_u32(data, NFTA_SET_FLAGS).unwrap_or(0);
        is_ours(data, NFTA_SET_TABLE, layout).then_some((name, flags, find_u32(data, NFTA_SET_KEY_TYPE)?))
    })?
    .into_iter()
    .collect();
    let addresses = Set::all(layout).iter().map(|set| (set.name(), set.flags(), set.key_type()));
    let ports = ports(layout).into_iter().map(|(name, _)| (name, 0, TYPE_INET_SERVICE));
    let paces = paced(layout).iter().map(|family| sets::pace_shape(*family));
    let wanted = addresses.chain(ports).chain(paces).map(|(name, flags, key)| (name.to_owned(), flags, key));
    Ok(found == wanted.collect())
}

fn has_ports(link: &mut Link, layout: &Layout) -> Result<bool, EnforceError> {
    for (name, mut ports) in ports(layout) {
        let mut found: Vec<u128> = elements(link, layout, name)?.iter().map(|shown| shown.number).collect();
        found.sort_unstable();
        ports.sort_unstable();
        if !found.into_iter().eq(ports.into_iter().map(u128::from)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The elements that a set holds now, without those whose time is over.
pub(super) fn elements(link: &mut Link, layout: &Layout, set: &'static str) -> Result<Vec<Shown>, EnforceError> {
    let ask = |buf: &mut Vec<u8>| {
        put_text(buf, NFTA_SET_ELEM_LIST_TABLE, &layout.table);
        put_text(buf, NFTA_SET_ELEM_LIST_SET, set);
    };
    let lists: Vec<Vec<Shown>> =
        dump(link, NFT_MSG_GETSETELEM, ask, "listing blocked addresses", |data| Some(sets::read(data).collect()))?;
    Ok(lists.into_iter().flatten().collect())
}

/// What the counters of all rules sum up to.
pub(super) fn dropped(link: &mut Link, layout: &Layout) -> Result<Dropped, EnforceError> {
    let counters = dump_rules(link, layout, |data| find(data, NFTA_RULE_EXPRESSIONS).map(read_counters))?;
    Ok(counters.iter().fold(Dropped::default(), |sum, rule| Dropped {
        packets: sum.packets + rule.packets,
        bytes: sum.bytes + rule.bytes,
    }))
}

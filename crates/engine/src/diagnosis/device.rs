//! The devices that the evidence comes from, as far as anything tells.

use std::collections::BTreeMap;

use fairban_types::{Device, EventKind, Evidence};

use super::{account_of, cadence, tries};

/// So many are named.
const DEVICES_MAX: usize = 50;

/// One for each account, who tried most first. What names no account is one device, if it names itself in one way only.
pub(super) fn devices(evidence: &[Evidence]) -> Vec<Device> {
    let mut by_account: BTreeMap<Option<String>, Vec<&Evidence>> = BTreeMap::new();
    for piece in evidence {
        by_account.entry(account_of(piece)).or_default().push(piece);
    }
    let mut devices: Vec<Device> = by_account.values().map(|pieces| device(pieces)).collect();
    devices.retain(|device| device.account.is_some() || device.helo.is_some() || device.program.is_some());
    devices.sort_by_key(|device| std::cmp::Reverse(device.tries));
    devices.truncate(DEVICES_MAX);
    devices
}

/// What the evidence of one account has in common.
pub(super) fn device(pieces: &[&Evidence]) -> Device {
    let mut services = Vec::new();
    for piece in pieces {
        if !services.contains(&piece.event.service) {
            services.push(piece.event.service);
        }
    }
    // A name that changes names nothing; the latest of several of an account's programs is the one to look for.
    let is_account = pieces.iter().any(|piece| piece.event.account.is_some());
    let text = |pick: fn(&Evidence) -> Option<&str>| {
        let mut told = pieces.iter().rev().filter_map(|piece| pick(piece)).filter(|text| !text.is_empty());
        let latest = told.next()?;
        (is_account || told.all(|other| other == latest)).then(|| latest.to_owned())
    };
    Device {
        account: text(|piece| piece.event.account.as_deref()),
        services,
        program: text(|piece| piece.event.program.as_deref()),
        helo: text(|piece| piece.event.helo.as_deref()),
        method: text(|piece| piece.event.method.as_deref()),
        is_unencrypted: pieces.iter().any(|piece| piece.event.kind == EventKind::PlaintextRefused),
        cadence: cadence::pace(pieces).cadence(),
        tries: tries(pieces.iter().copied()),
        first: pieces.iter().map(|piece| piece.first_seen()).min(),
        last: pieces.iter().map(|piece| piece.event.time).max(),
    }
}

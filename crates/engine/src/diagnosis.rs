//! What lies behind the evidence, as far as logs can tell.

use std::collections::BTreeSet;

use fairban_types::{Diagnosis, EventKind};

use crate::entry::Entry;

/// Repeats of one wrong password from which on it is a device, not a person.
const STALE_REPEATS: u32 = 3;

/// Reads the evidence of one subject.
pub(crate) fn diagnose<'a>(entries: impl Iterator<Item = &'a Entry>) -> Diagnosis {
    let entries: Vec<&Entry> = entries.collect();
    let count = |kinds: &[EventKind]| entries.iter().filter(|entry| kinds.contains(&entry.kind)).count();
    let logins = count(&[EventKind::LoginFailed, EventKind::LoginUnknownAccount]);
    let families = [
        (logins, None),
        (count(&[EventKind::RelayDenied]), Some(Diagnosis::RelayProbing)),
        (count(&[EventKind::RecipientUnknown]), Some(Diagnosis::AddressHarvesting)),
        (
            count(&[
                EventKind::Spam,
                EventKind::Virus,
                EventKind::ContentRejected,
                EventKind::AttachmentBlocked,
                EventKind::PartialMessage,
                EventKind::DnsblListed,
            ]),
            Some(Diagnosis::SpamRun),
        ),
        (
            count(&[
                EventKind::SyntaxError,
                EventKind::RateExceeded,
                EventKind::HeloRejected,
                EventKind::ConnectionAborted,
                EventKind::PlaintextRefused,
            ]),
            Some(Diagnosis::ProtocolAbuse),
        ),
    ];
    // Most of the evidence decides; a mixture is not explained by a guess.
    match families.iter().max_by_key(|(count, _)| *count) {
        Some((most, _)) if *most * 2 < entries.len() || *most == 0 => Diagnosis::Unknown,
        Some((_, Some(diagnosis))) => *diagnosis,
        _ => diagnose_logins(&entries),
    }
}

fn diagnose_logins(entries: &[&Entry]) -> Diagnosis {
    let logins: Vec<&&Entry> = entries.iter().filter(|entry| entry.kind.is_login_failure()).collect();
    let accounts: BTreeSet<u64> = logins.iter().map(|entry| entry.account).collect();
    let digests: BTreeSet<_> = logins.iter().filter_map(|entry| entry.digest()).collect();
    let has_digests = logins.iter().all(|entry| entry.credential != 0);
    let tries: u32 = logins.iter().map(|entry| u32::from(entry.tries).max(entry.seen)).sum();
    match accounts.len() {
        1 if has_digests && digests.len() == 1 && tries >= STALE_REPEATS => Diagnosis::StalePassword,
        // One account and no digests: a device and a guesser look alike.
        1 if !has_digests && logins.len() < 3 => Diagnosis::Unknown,
        1 => Diagnosis::PasswordGuessing,
        accounts if accounts * 2 < logins.len() => Diagnosis::PasswordGuessing,
        accounts if accounts < 3 => Diagnosis::PasswordGuessing,
        accounts if has_digests && digests.len() * 2 > accounts => Diagnosis::CredentialStuffing,
        _ => Diagnosis::PasswordSpraying,
    }
}

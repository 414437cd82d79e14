//! Mail that is not wanted, and what else a client does that does not sign in.

use std::collections::BTreeSet;
use std::net::IpAddr;

use fairban_types::{Diagnosis, EventKind, Evidence, Fact};

use super::{Background, Family, Verdict, addresses, family, number, tries};

/// Fewer than this of each is a mistake.
const RELAYS_MIN: u32 = 3;
const RECIPIENTS_MIN: u32 = 4;
const MESSAGES_MIN: u32 = 2;
const VIOLATIONS_MIN: u32 = 4;
/// What speaks for malware must come to so much.
const SIGNS_MIN: u32 = 3;
/// From so many HELO names, or domains of return-paths, on they are made up.
const NAMES_MADE_UP: usize = 3;

fn distinct<'e>(pieces: &[&'e Evidence], pick: fn(&'e Evidence) -> Option<&'e str>) -> BTreeSet<String> {
    pieces.iter().filter_map(|piece| pick(piece)).filter(|text| !text.is_empty()).map(str::to_lowercase).collect()
}

pub(super) fn relay(pieces: &[&Evidence], background: &Background) -> Verdict {
    let count = tries(pieces.iter().copied());
    let recipients = distinct(pieces, |piece| piece.event.recipient.as_deref());
    let mut facts = vec![Fact::Relays { count, recipients: number(recipients.len()) }];
    // A mail program of somebody who lives there, and which does not sign in, does the same.
    let at_home = background.accounts_here > 0;
    facts.extend(at_home.then_some(Fact::AccountsHere { count: background.accounts_here }));
    if count < RELAYS_MIN {
        return Verdict::unknown(vec![Fact::TooLittle { tries: count }]);
    }
    Verdict::of(Diagnosis::RelayProbing, 85, &[(count >= 10, 8), (at_home, -25)], facts)
}

pub(super) fn harvest(pieces: &[&Evidence]) -> Verdict {
    let recipients = number(distinct(pieces, |piece| piece.event.recipient.as_deref()).len());
    // Some servers do not tell the recipient.
    let untold = tries(pieces.iter().copied().filter(|piece| piece.event.recipient.is_none()));
    let count = recipients.saturating_add(untold);
    if count < RECIPIENTS_MIN {
        return Verdict::unknown(vec![Fact::TooLittle { tries: count }]);
    }
    let facts = vec![Fact::UnknownRecipients { count }];
    Verdict::of(Diagnosis::AddressHarvesting, 75, &[(count >= 10, 12), (untold > 0, -10)], facts)
}

pub(super) fn content(pieces: &[&Evidence]) -> Verdict {
    let of = |kinds: &[EventKind]| tries(pieces.iter().copied().filter(|piece| kinds.contains(&piece.event.kind)));
    let (sent, bounced) = (of(&[EventKind::MessageSent]), of(&[EventKind::MessageBounced]));
    let virus = of(&[EventKind::Virus]);
    let count = tries(pieces.iter().copied()) - sent - bounced;
    let mut facts = Vec::new();
    facts.extend((count > 0).then_some(Fact::BadMessages { count }));
    facts.extend((sent > 0).then_some(Fact::Sent { recipients: sent }));
    facts.extend((bounced > 0).then_some(Fact::Bounced { recipients: bounced }));
    facts.extend(names(pieces));
    if sent == 0 && virus == 0 && count < MESSAGES_MIN {
        return Verdict::unknown(vec![Fact::TooLittle { tries: count }]);
    }
    let adds = [
        (count >= 10, 10),
        (virus > 0, 10),
        // Much mail of one account alone may be a newsletter.
        (sent > 0 && count == 0, -10),
        (bounced > 0 && bounced * 5 >= sent, 10),
    ];
    Verdict::of(Diagnosis::SpamRun, 75, &adds, facts)
}

pub(super) fn protocol(pieces: &[&Evidence]) -> Verdict {
    let count = tries(pieces.iter().copied());
    let plain = tries(pieces.iter().copied().filter(|piece| piece.event.kind == EventKind::PlaintextRefused));
    if count < VIOLATIONS_MIN {
        return Verdict::unknown(vec![Fact::TooLittle { tries: count }]);
    }
    let mut facts = Vec::new();
    facts.extend((count > plain).then_some(Fact::Violations { count: count - plain }));
    facts.extend((plain > 0).then_some(Fact::Unencrypted { count: plain }));
    facts.extend(names(pieces));
    Verdict::of(Diagnosis::ProtocolAbuse, 70, &[(count >= 10, 10), (plain * 2 > count, -10)], facts)
}

/// Names that change, or are none.
fn names(pieces: &[&Evidence]) -> Vec<Fact> {
    let helos = distinct(pieces, |piece| piece.event.helo.as_deref());
    let paths = distinct(pieces, |piece| piece.event.return_path.as_deref());
    [
        (helos.len() >= NAMES_MADE_UP).then(|| Fact::HeloNames { count: number(helos.len()) }),
        speaks_as_device(pieces).then_some(Fact::HeloOfDevice),
        (paths.len() >= NAMES_MADE_UP).then(|| Fact::ReturnPaths { count: number(paths.len()) }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Malware, if enough speaks for it: bad mail straight to us from a device, under names that are made up anew.
pub(super) fn malware_in(evidence: &[Evidence], background: &Background) -> Option<Verdict> {
    let is_mail = |piece: &&Evidence| {
        let of_mail = [Family::Content, Family::Relay, Family::Harvest].map(Some).contains(&family(piece.event.kind));
        (of_mail || piece.event.kind == EventKind::HeloRejected) && piece.event.kind != EventKind::MessageSent
    };
    let mail: Vec<&Evidence> = evidence.iter().filter(is_mail).collect();
    let bad = tries(mail.iter().copied().filter(|piece| family(piece.event.kind) == Some(Family::Content)));
    if bad < MESSAGES_MIN || tries(mail.iter().copied()) * 2 < tries(evidence.iter()) {
        return None;
    }
    let helos = distinct(&mail, |piece| piece.event.helo.as_deref()).len();
    let domains: BTreeSet<String> = distinct(&mail, |piece| piece.event.return_path.as_deref())
        .into_iter()
        .filter_map(|path| path.rsplit_once('@').map(|(_, domain)| domain.to_owned()))
        .collect();
    let changes_names = helos >= NAMES_MADE_UP && helos > 2 * addresses(&mail) as usize;
    let is_home = background.accounts_here > 0 || background.here.is_some();
    let signs = 2 * u32::from(changes_names)
        + u32::from(speaks_as_device(&mail))
        + u32::from(domains.len() >= NAMES_MADE_UP)
        + u32::from(is_home)
        + u32::from(mail.iter().any(|piece| piece.event.kind == EventKind::Virus));
    if signs < SIGNS_MIN {
        return None;
    }
    let mut facts = names(&mail);
    facts.push(Fact::BadMessages { count: bad });
    facts.extend(is_home.then_some(Fact::AccountsHere { count: background.accounts_here.max(1) }));
    let adds = [(signs > SIGNS_MIN, 10), (bad >= 10, 5)];
    Some(Verdict::of(Diagnosis::Malware, 72, &adds, facts))
}

/// Whether most of what has a HELO name speaks by one that no mail server has.
fn speaks_as_device(pieces: &[&Evidence]) -> bool {
    let named = || pieces.iter().filter_map(|piece| Some((piece.event.helo.as_deref()?, piece.event.client)));
    let of_device = named().filter(|(helo, client)| is_of_device(helo, *client)).count();
    of_device > 0 && of_device * 2 > named().count()
}

/// A bare name, an address, or a name that a provider makes from the address of a dial-up line.
fn is_of_device(helo: &str, client: IpAddr) -> bool {
    let helo = helo.trim_end_matches('.').to_lowercase();
    if helo.starts_with('[') || !helo.contains('.') || helo.parse::<IpAddr>().is_ok() {
        return true;
    }
    // What the registered domain is called tells nothing.
    let host = helo.rsplitn(3, '.').nth(2).unwrap_or_default();
    let words: Vec<&str> = host.split(|letter: char| !letter.is_ascii_alphanumeric()).collect();
    let is_line = |word: &&str| {
        ["dyn", "dynamic", "dsl", "adsl", "dhcp", "pool", "dialup", "ppp", "cable", "broadband"].contains(word)
    };
    let of_address = match client.to_canonical() {
        IpAddr::V4(v4) => {
            v4.octets().iter().filter(|octet| words.iter().any(|word| word.parse() == Ok(**octet))).count() >= 3
        }
        IpAddr::V6(_) => false,
    };
    of_address || words.iter().any(is_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_servers_have_names_of_their_own() {
        let client: IpAddr = "203.0.113.77".parse().unwrap();
        for helo in ["PC-ALICE", "[203.0.113.77]", "203.0.113.77", "77-113-0-203.example.net", "x.dyn.example.net"] {
            assert!(is_of_device(helo, client), "{helo}");
        }
        for helo in ["mail.example.net", "mx1.pool-supplies.example", "smtp-203.example.net"] {
            assert!(!is_of_device(helo, client), "{helo}");
        }
    }
}

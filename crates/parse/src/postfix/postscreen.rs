//! What postscreen tells of its clients, which it writes as `[address]:port`.

use fairban_types::{Event, EventKind, Service, Time};

use super::{after_queue_id, peer, reject};
use crate::Outcome;
use crate::scan::{find, leading_number};

/// Reads the words of postscreen.
pub(super) fn read(time: Time, text: &[u8]) -> Outcome<'_> {
    const WORDINGS: [(&[u8], EventKind); 11] = [
        (b"COMMAND PIPELINING from ", EventKind::SyntaxError),
        (b"COMMAND TIME LIMIT from ", EventKind::ConnectionAborted),
        (b"COMMAND COUNT LIMIT from ", EventKind::RateExceeded),
        (b"COMMAND LENGTH LIMIT from ", EventKind::SyntaxError),
        (b"NON-SMTP COMMAND from ", EventKind::SyntaxError),
        (b"BARE NEWLINE from ", EventKind::SyntaxError),
        (b"DATA without valid RCPT from ", EventKind::SyntaxError),
        (b"BDAT without valid RCPT from ", EventKind::SyntaxError),
        (b"BLACKLISTED ", EventKind::ClientRejected),
        (b"DENYLISTED ", EventKind::ClientRejected),
        (b"DNSBL rank ", EventKind::DnsblListed),
    ];
    match text.first() {
        Some(b'P') => return pregreet(time, text),
        Some(b'H') => return hangup(time, text),
        Some(b'N') if text.starts_with(b"NOQUEUE: ") => return reject(time, text),
        _ => {}
    }
    let Some((wording, kind)) = WORDINGS.iter().find(|(wording, _)| text.starts_with(wording)) else {
        return Outcome::Nothing;
    };
    let mut rest = &text[wording.len()..];
    if *kind == EventKind::DnsblListed {
        let (digits, _) = leading_number(rest);
        let Some(client) = rest[digits..].strip_prefix(b" for ") else { return Outcome::Nothing };
        rest = client;
    }
    event(*kind, time, rest)
}

fn event(kind: EventKind, time: Time, client: &[u8]) -> Outcome<'_> {
    match peer::read(client) {
        Ok((client, _)) => Outcome::Event(Event::new(kind, time, client, Service::Smtp)),
        Err(defect) => Outcome::Defect(defect),
    }
}

/// `PREGREET 14 after 0.16 from [address]:port: EHLO x`; what the client said stands last.
fn pregreet(time: Time, text: &[u8]) -> Outcome<'_> {
    match text.strip_prefix(b"PREGREET ").and_then(behind_from) {
        Some(client) => event(EventKind::SyntaxError, time, client),
        None => Outcome::Nothing,
    }
}

/// `HANGUP after 0.2 from [address]:port in tests before SMTP handshake`.
fn hangup(time: Time, text: &[u8]) -> Outcome<'_> {
    match text.strip_prefix(b"HANGUP ").and_then(behind_from) {
        Some(client) => event(EventKind::ConnectionAborted, time, client),
        None => Outcome::Nothing,
    }
}

fn behind_from(text: &[u8]) -> Option<&[u8]> {
    const NUMBERS_LEN_MAX: usize = 48;
    let at = find(&text[..text.len().min(NUMBERS_LEN_MAX)], b" from ")?;
    Some(&text[at + 6..])
}

fn reject(time: Time, text: &[u8]) -> Outcome<'_> {
    match after_queue_id(text).and_then(|words| words.strip_prefix(b"reject: ")) {
        Some(rest) => reject::read(time, rest, Service::Smtp, reject::By::Postscreen),
        None => Outcome::Nothing,
    }
}

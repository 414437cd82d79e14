//! What postscreen tells of its clients, which it writes as `[address]:port`.

use fairban_types::{Event, EventKind, Service};

use super::{after_queue_id, peer, reject};
use crate::message::{Line, Told};
use crate::scan::{find, leading_number, needle};

/// Reads the words of postscreen.
pub(super) fn read<'a>(line: Line<'a>, text: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
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
        Some(b'P') => return pregreet(line, text, slot),
        Some(b'H') => return hangup(line, text, slot),
        Some(b'N') if text.starts_with(b"NOQUEUE: ") => return reject(line, text, slot),
        _ => {}
    }
    let Some((wording, kind)) = WORDINGS.iter().find(|(wording, _)| text.starts_with(wording)) else {
        return Told::Nothing;
    };
    let mut rest = &text[wording.len()..];
    if *kind == EventKind::DnsblListed {
        let (digits, _) = leading_number(rest);
        let Some(client) = rest[digits..].strip_prefix(b" for ") else { return Told::Nothing };
        rest = client;
    }
    tell(*kind, line, rest, slot)
}

fn tell<'a>(kind: EventKind, line: Line<'a>, client: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
    match peer::read(client) {
        Ok((client, _)) => line.tell(slot, kind, client, Service::Smtp),
        Err(defect) => Told::Defect(defect),
    }
}

/// `PREGREET 14 after 0.16 from [address]:port: EHLO x`; what the client said stands last.
fn pregreet<'a>(line: Line<'a>, text: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
    match text.strip_prefix(b"PREGREET ").and_then(behind_from) {
        Some(client) => tell(EventKind::SyntaxError, line, client, slot),
        None => Told::Nothing,
    }
}

/// `HANGUP after 0.2 from [address]:port in tests before SMTP handshake`.
fn hangup<'a>(line: Line<'a>, text: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
    match text.strip_prefix(b"HANGUP ").and_then(behind_from) {
        Some(client) => tell(EventKind::ConnectionAborted, line, client, slot),
        None => Told::Nothing,
    }
}

fn behind_from(text: &[u8]) -> Option<&[u8]> {
    const NUMBERS_LEN_MAX: usize = 48;
    let at = find(&text[..text.len().min(NUMBERS_LEN_MAX)], needle!(b" from "))?;
    Some(&text[at + 6..])
}

fn reject<'a>(line: Line<'a>, text: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
    match after_queue_id(text).and_then(|words| words.strip_prefix(b"reject: ")) {
        Some(rest) => reject::read(line, rest, Service::Smtp, reject::By::Postscreen, slot),
        None => Told::Nothing,
    }
}

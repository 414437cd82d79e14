//! What smtpd tells of its clients.

use std::net::IpAddr;

use fairban_types::{Event, EventKind, Service};

use super::{after_queue_id, peer, reject};
use crate::Defect;
use crate::message::{Line, Told};
use crate::scan::{find, leading_number, mentions, mentions_any, needle, split_once};

/// Reads the words of smtpd.
pub(super) fn read<'a>(line: Line<'a>, text: &'a [u8], service: Service, slot: &mut Option<Event<'a>>) -> Told {
    match text.first() {
        // By far the most lines: connect, disconnect.
        Some(b'c' | b'd') if text.starts_with(b"connect from ") || text.starts_with(b"disconnect from ") => {
            Told::Silent
        }
        Some(b'w') if text.starts_with(b"warning: ") => warning(line, &text[9..], service, slot),
        _ => match after_queue_id(text) {
            Some(words) => transaction(line, words, service, slot),
            None => session(line, text, service, slot),
        },
    }
}

/// What stands behind a queue id.
fn transaction<'a>(line: Line<'a>, words: &'a [u8], service: Service, slot: &mut Option<Event<'a>>) -> Told {
    if let Some(rest) = words.strip_prefix(b"client=") {
        return accepted(line, rest, service, slot);
    }
    if let Some(rest) = words.strip_prefix(b"reject: ") {
        return reject::read(line, rest, service, reject::By::Smtpd, slot);
    }
    if let Some(rest) = words.strip_prefix(b"milter-reject: ") {
        return reject::read(line, rest, service, reject::By::Milter, slot);
    }
    if let Some(rest) = words.strip_prefix(b"abort: TLS from ") {
        return simple(EventKind::ConnectionAborted, line, rest, service, slot);
    }
    session(line, words, service, slot)
}

/// `name[address], sasl_method=LOGIN, sasl_username=alice` at the beginning of a message.
fn accepted<'a>(line: Line<'a>, text: &'a [u8], service: Service, slot: &mut Option<Event<'a>>) -> Told {
    let (client, rest) = match peer::read(text) {
        Ok(read) => read,
        // Mail from a local program or through a proxy that did not tell its client.
        Err(_) => return Told::Nothing,
    };
    let Some((method, account)) = sasl(rest) else {
        return line.tell(slot, EventKind::RecipientAccepted, client, service);
    };
    let event = line.begin(slot, EventKind::LoginSucceeded, client, service);
    event.account = Some(line.field(account));
    event.method = Some(line.field(method));
    Told::Event
}

fn sasl(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = rest.strip_prefix(b", sasl_method=")?;
    let (method, account) = split_once(rest, needle!(b", sasl_username="))?;
    // What may follow is encoded and so cannot be part of a name by accident.
    let end = find(account, needle!(b", sasl_sender="))
        .or_else(|| find(account, needle!(b", orig_queue_id=")))
        .unwrap_or(account.len());
    Some((method, &account[..end]))
}

/// Lines that begin with what the client did: `lost connection after AUTH from name[address]`.
fn session<'a>(line: Line<'a>, text: &'a [u8], service: Service, slot: &mut Option<Event<'a>>) -> Told {
    const WORDINGS: [(&[u8], EventKind); 9] = [
        (b"lost connection after ", EventKind::ConnectionAborted),
        (b"timeout after ", EventKind::ConnectionAborted),
        (b"too many errors after ", EventKind::RateExceeded),
        (b"improper command pipelining after ", EventKind::SyntaxError),
        (b"non-SMTP command from ", EventKind::SyntaxError),
        (b"bare <LF> received after ", EventKind::SyntaxError),
        (b"SSL_accept error from ", EventKind::ConnectionAborted),
        (b"too many connections from ", EventKind::RateExceeded),
        (b"refused connect from ", EventKind::ClientRejected),
    ];
    let Some((wording, kind)) = WORDINGS.iter().find(|(wording, _)| text.starts_with(wording)) else {
        return Told::Nothing;
    };
    let rest = &text[wording.len()..];
    if wording.ends_with(b" from ") {
        return simple(*kind, line, rest, service, slot);
    }
    // Between stands the state: a command's name of Postfix's own, perhaps with a byte count.
    match state_and_client(rest) {
        Some((state, client)) => {
            let told = simple(*kind, line, client, service, slot);
            if let Some(event) = slot {
                event.reason = Some(line.field(state));
            }
            told
        }
        None => Told::Nothing,
    }
}

/// Splits `DATA (0 bytes) from client` at its first ` from `; what stands before it must look like Postfix's own.
fn state_and_client(text: &[u8]) -> Option<(&[u8], &[u8])> {
    const STATE_LEN_MAX: usize = 48;
    let at = find(&text[..text.len().min(STATE_LEN_MAX)], needle!(b" from "))?;
    Some((&text[..at], &text[at + 6..]))
}

fn simple<'a>(
    kind: EventKind,
    line: Line<'a>,
    client: &'a [u8],
    service: Service,
    slot: &mut Option<Event<'a>>,
) -> Told {
    match peer::read(client) {
        Ok((client, _)) => line.tell(slot, kind, client, service),
        Err(defect) => Told::Defect(defect),
    }
}

/// What stands behind `warning: `.
fn warning<'a>(line: Line<'a>, text: &'a [u8], service: Service, slot: &mut Option<Event<'a>>) -> Told {
    if let Ok((client, rest)) = peer::read(text)
        && let Some(rest) = rest.strip_prefix(b": SASL ")
    {
        return sasl_failure(line, client, service, rest, slot);
    }
    if text.starts_with(b"unknown[unknown]: SASL ") {
        return Told::Defect(Defect::Client);
    }
    if let Some(rest) = text.strip_prefix(b"non-SMTP command from ") {
        return simple(EventKind::SyntaxError, line, rest, service, slot);
    }
    if let Some(rest) = text.strip_prefix(b"Illegal address syntax from ") {
        return simple(EventKind::SyntaxError, line, rest, service, slot);
    }
    if let Some(client) = rate_limit(text) {
        return simple(EventKind::RateExceeded, line, client, service, slot);
    }
    match after_queue_id(text) {
        Some(rest) => bdat(line, rest, service, slot),
        None => Told::Nothing,
    }
}

/// The client of `Connection rate limit exceeded: 61 from name[address] for service smtp` and its kin.
fn rate_limit(text: &[u8]) -> Option<&[u8]> {
    const WORDING_LEN_MAX: usize = 64;
    let head = &text[..text.len().min(WORDING_LEN_MAX)];
    let at = find(head, needle!(b" limit exceeded: "))?;
    // Only words of Postfix's own stand before.
    head[..at].iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b' ').then_some(())?;
    let rest = &text[at + 17..];
    let (digits, _) = leading_number(rest);
    rest[digits..].strip_prefix(b" from ")
}

fn bdat<'a>(line: Line<'a>, text: &'a [u8], service: Service, slot: &mut Option<Event<'a>>) -> Told {
    if let Some(rest) = text.strip_prefix(b"malformed BDAT command syntax from ") {
        return simple(EventKind::SyntaxError, line, rest, service, slot);
    }
    if let Some(rest) = text.strip_prefix(b"BDAT request from ") {
        return simple(EventKind::MessageTooBig, line, rest, service, slot);
    }
    Told::Nothing
}

/// `LOGIN authentication failed: (reason unavailable), sasl_username=alice`.
fn sasl_failure<'a>(
    line: Line<'a>,
    client: IpAddr,
    service: Service,
    text: &'a [u8],
    slot: &mut Option<Event<'a>>,
) -> Told {
    const METHOD_LEN_MAX: usize = 100;
    let Some(end) = memchr::memchr(b' ', &text[..text.len().min(METHOD_LEN_MAX + 1)]) else { return Told::Nothing };
    let (method, rest) = (&text[..end], &text[end + 1..]);
    if rest.starts_with(b"authentication aborted") {
        let event = line.begin(slot, EventKind::ConnectionAborted, client, service);
        event.method = Some(line.field(method));
        return Told::Event;
    }
    let Some(rest) = rest.strip_prefix(b"authentication failed: ") else { return Told::Nothing };
    let (reason, account) = match split_once(rest, needle!(b", sasl_username=")) {
        Some((reason, account)) => (reason, Some(account)),
        None => (rest, None),
    };
    let Some(kind) = sasl_kind(reason) else { return Told::Nothing };
    let event = line.begin(slot, kind, client, service);
    event.method = Some(line.field(method));
    event.account = account.filter(|account| *account != b"(unavailable)").map(|bytes| line.field(bytes));
    event.reason = Some(reason).filter(|reason| *reason != b"(reason unavailable)").map(|bytes| line.field(bytes));
    Told::Event
}

/// What a reason says of the attempt; `None` where the server's own trouble refused it.
fn sasl_kind(reason: &[u8]) -> Option<EventKind> {
    if reason == b"(reason unavailable)" || reason == b"authentication failure" {
        return Some(EventKind::LoginFailed);
    }
    const SERVERS_TROUBLE: [&[u8]; 5] = [
        b"connection lost to authentication server",
        b"temporary",
        b"generic failure",
        b"no mechanism available",
        b"internal error",
    ];
    if mentions_any(reason, &SERVERS_TROUBLE) {
        return None;
    }
    if mentions_any(reason, &[b"user not found", b"unknown user"]) {
        return Some(EventKind::LoginUnknownAccount);
    }
    if mentions(reason, b"policy") || mentions(reason, b"been blocked") {
        return Some(EventKind::LoginRefused);
    }
    if mentions_any(reason, &[b"invalid authentication mechanism", b"bad protocol", b"another step is needed"]) {
        return Some(EventKind::SyntaxError);
    }
    Some(EventKind::LoginFailed)
}

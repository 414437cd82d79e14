//! The wordings of Exim's lines, by how they begin.

use fairban_types::{Event, EventKind, Service, Time};

use super::host::{self, Host};
use super::reject;
use crate::message::field;
use crate::scan::{find, mentions, mentions_any, needle, quoted_len, split_once};
use crate::{Defect, Outcome};

/// Reads the words of a line.
pub(super) fn read(time: Time, text: &[u8]) -> Outcome<'_> {
    match text.first() {
        Some(b'<') if text.starts_with(b"<= ") => return arrived(time, &text[3..]),
        // Deliveries, completions, queue runs.
        Some(b'=' | b'-' | b'*' | b'>' | b'<') => return Outcome::Nothing,
        Some(b'H') if text.starts_with(b"H=") => return reject::read(time, text),
        _ => {}
    }
    if let Some(outcome) = authenticator(time, text) {
        return outcome;
    }
    match wording(text) {
        Some((kind, Place::Start(rest))) => located(kind, time, host::read(rest), text),
        Some((kind, Place::Flagged(rest))) => located(kind, time, host::find_flagged(rest), text),
        None => Outcome::Nothing,
    }
}

fn located<'a>(kind: EventKind, time: Time, host: Result<Host<'a>, Defect>, text: &'a [u8]) -> Outcome<'a> {
    match host {
        Ok(host) => {
            let mut event = Event::new(kind, time, host.client, service(host.rest));
            event.helo = host.helo.map(field);
            event.reason = Some(field(text));
            Outcome::Event(event)
        }
        Err(defect) => Outcome::Defect(defect),
    }
}

/// The service by the port in ` I=[192.0.2.1]:587`, if it is logged.
pub(super) fn service(after_client: &[u8]) -> Service {
    let port = after_client
        .strip_prefix(b" I=")
        .and_then(crate::scan::bracketed_address)
        .and_then(|(_, rest)| rest.strip_prefix(b":"))
        .map(crate::scan::leading_number);
    match port {
        Some((_, 587 | 465)) => Service::Submission,
        _ => Service::Smtp,
    }
}

/// `<= sender H=… P=esmtpsa A=login:alice S=512 id=…`.
fn arrived(time: Time, text: &[u8]) -> Outcome<'_> {
    let quoted = quoted_len(text).unwrap_or(0);
    let Some(end) = memchr::memchr(b' ', &text[quoted..]) else { return Outcome::Nothing };
    let (sender, rest) = (&text[..quoted + end], &text[quoted + end + 1..]);
    if !rest.starts_with(b"H=") {
        // From a local program, or a bounce.
        return Outcome::Nothing;
    }
    let host = match host::read(rest) {
        Ok(host) => host,
        Err(defect) => return Outcome::Defect(defect),
    };
    // The client's text begins with the message id; what authenticated stands before it.
    let head = &host.rest[..find(host.rest, needle!(b" S=")).unwrap_or(host.rest.len())];
    let mut event = Event::new(EventKind::RecipientAccepted, time, host.client, service(host.rest));
    if let Some((method, account)) = authenticated(head) {
        event.kind = EventKind::LoginSucceeded;
        event.service = Service::Submission;
        event.method = Some(field(method));
        event.account = Some(field(account));
    }
    event.helo = host.helo.map(field);
    event.return_path = Some(field(if sender == b"<>" { b"" } else { sender }));
    Outcome::Event(event)
}

/// ` A=login:alice` or ` A=login:alice:sender`.
pub(super) fn authenticated(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = &head[find(head, needle!(b" A="))? + 3..];
    let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let colon = memchr::memchr(b':', &rest[..end])?;
    let account = &rest[colon + 1..end];
    let account = memchr::memchr(b':', account).map_or(account, |at| &account[..at]);
    (!account.is_empty()).then_some((&rest[..colon], account))
}

/// `login authenticator failed for (helo) [address]: 535 Incorrect authentication data (set_id=alice)`.
fn authenticator(time: Time, text: &[u8]) -> Option<Outcome<'_>> {
    const NAME_LEN_MAX: usize = 96;
    const WORDS: &[u8] = b" authenticator failed for ";
    let at = find(&text[..text.len().min(NAME_LEN_MAX)], needle!(WORDS))?;
    let name = &text[..at];
    // The authenticator's name is one word of the configuration.
    name.iter().all(|byte| byte.is_ascii_graphic()).then_some(())?;
    let host = match host::read(&text[at + WORDS.len()..]) {
        Ok(host) => host,
        Err(defect) => return Some(Outcome::Defect(defect)),
    };
    let (_, told) = split_once(host.rest, needle!(b": "))?;
    let kind = if told.starts_with(b"535 ") {
        EventKind::LoginFailed
    } else if told.starts_with(b"501 ") || told.starts_with(b"503 ") {
        EventKind::SyntaxError
    } else {
        return Some(Outcome::Nothing);
    };
    let (reason, account) = match split_once(told, needle!(b" (set_id=")) {
        Some((reason, account)) => (reason, Some(account.strip_suffix(b")").unwrap_or(account))),
        None => (told, None),
    };
    let mut event = Event::new(kind, time, host.client, service(host.rest));
    event.method = Some(field(name));
    event.account = account.filter(|account| !account.is_empty()).map(field);
    event.helo = host.helo.map(field);
    event.reason = Some(field(reason));
    Some(Outcome::Event(event))
}

/// Where in a line the client stands.
enum Place<'a> {
    /// At the beginning of this.
    Start(&'a [u8]),
    /// Behind an `H=` of this, which may hold a client's text before it.
    Flagged(&'a [u8]),
}

/// The kind of a line and the place of its client.
fn wording(text: &[u8]) -> Option<(EventKind, Place<'_>)> {
    const AT_START: [(&[u8], EventKind); 18] = [
        (b"rejected EHLO from ", EventKind::HeloRejected),
        (b"rejected HELO from ", EventKind::HeloRejected),
        (b"rejected MAIL from ", EventKind::SyntaxError),
        (b"rejected MAIL command ", EventKind::RateExceeded),
        (b"SMTP call from ", EventKind::RateExceeded),
        (b"refused connection from ", EventKind::ClientRejected),
        (b"temporarily refused connection from ", EventKind::RateExceeded),
        (b"unexpected disconnection while reading SMTP command from ", EventKind::ConnectionAborted),
        (b"no MAIL in SMTP connection from ", EventKind::ConnectionAborted),
        (b"no MAIL in TFO SMTP connection from ", EventKind::ConnectionAborted),
        (b"SMTP command timeout on connection from ", EventKind::ConnectionAborted),
        (b"SMTP command timeout on TLS connection from ", EventKind::ConnectionAborted),
        (b"SMTP data timeout (message abandoned) on connection from ", EventKind::ConnectionAborted),
        (b"TLS error on connection from ", EventKind::ConnectionAborted),
        (b"ridiculously long message header received from ", EventKind::ContentRejected),
        (b"overlong message header line received from ", EventKind::ContentRejected),
        (b"Error or EOF on input from ", EventKind::ConnectionAborted),
        (b"connection from ", EventKind::ClientRejected),
    ];
    if let Some((beginning, kind)) = AT_START.iter().find(|(beginning, _)| text.starts_with(beginning)) {
        let rest = &text[beginning.len()..];
        return Some((*kind, Place::Start(rest))).filter(|_| is_news(beginning, rest));
    }
    if let Some(rest) = text.strip_prefix(b"Connection from ") {
        let refused = find(&rest[..rest.len().min(300)], needle!(b" refused")).is_some();
        return refused.then_some((EventKind::RateExceeded, Place::Start(rest)));
    }
    flagged(text)
}

fn is_news(beginning: &[u8], rest: &[u8]) -> bool {
    match beginning {
        b"connection from " => mentions(rest, b" refused"),
        b"SMTP call from " => mentions(rest, b" dropped: too many "),
        _ => true,
    }
}

/// Lines that tell the client's own text before the client.
fn flagged(text: &[u8]) -> Option<(EventKind, Place<'_>)> {
    const SYNCHRONIZATION: &[u8] = b"SMTP protocol synchronization error ";
    if let Some(rest) = text.strip_prefix(SYNCHRONIZATION) {
        const GREETING: &[u8] = b"(input sent without waiting for greeting): rejected connection from ";
        return Some(match rest.strip_prefix(GREETING) {
            Some(client) => (EventKind::SyntaxError, Place::Start(client)),
            None => (EventKind::SyntaxError, Place::Flagged(rest)),
        });
    }
    const BEGINNINGS: [(&[u8], EventKind); 7] = [
        (b"SMTP syntax error in \"", EventKind::SyntaxError),
        (b"SMTP protocol error in \"", EventKind::SyntaxError),
        (b"too many recipients: ", EventKind::RateExceeded),
        (b"unqualified sender rejected: <", EventKind::SenderRejected),
        (b"unqualified recipient rejected: <", EventKind::RecipientRejected),
        (b"rejected MAIL FROM:<", EventKind::MessageTooBig),
        (b"rejected from <", EventKind::ContentRejected),
    ];
    let (beginning, kind) = BEGINNINGS.iter().find(|(beginning, _)| text.starts_with(beginning))?;
    let kind = match kind {
        EventKind::ContentRejected if mentions_any(text, &[b"message too big"]) => EventKind::MessageTooBig,
        kind => *kind,
    };
    Some((kind, Place::Flagged(&text[beginning.len()..])))
}

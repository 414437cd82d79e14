//! Stalwart's own log: `TIME LEVEL Description (event.name) key = value, …`.
//!
//! The keys of the connection come first and are the server's (`listenerId`, `localPort`, `remoteIp`, `remotePort`); a
//! quotation mark inside a client's text is not escaped, so nothing behind the first such text can be told apart. Where a
//! line has no connection (HTTP), `remoteIp` is the last key, and an address never ends a quoted text.

use std::net::IpAddr;

use fairban_types::{EventKind, Service, Time};

use super::{LEFT_MAX, clock, event, place, some};
use crate::Outcome;

/// A line in colours, as it goes to a terminal.
pub(super) fn coloured_line<'a>(line: &[u8]) -> Outcome<'a> {
    let mut plain = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memchr::memchr(0x1b, rest) {
        plain.extend_from_slice(&rest[..at]);
        let end = rest[at..].iter().take(12).position(|byte| *byte == b'm').map_or(at, |end| at + end);
        rest = &rest[end + 1..];
    }
    plain.extend_from_slice(rest);
    match clock::rfc3339(&plain).map(|(time, text)| read(text, Some(time))) {
        Some(Outcome::Event(event)) => Outcome::Event(event.into_owned()),
        Some(Outcome::Defect(defect)) => Outcome::Defect(defect),
        Some(Outcome::Nothing) | None => Outcome::Nothing,
    }
}

/// A line behind its time stamp; under syslog or journald it carries its own stamp once more.
pub(super) fn read(text: &[u8], time: Option<Time>) -> Outcome<'_> {
    let (time, text) = match clock::rfc3339(text) {
        Some((own, text)) => (Some(own), text),
        None => (time, text),
    };
    let level = memchr::memchr(b' ', &text[..text.len().min(6)]);
    let (Some(time), Some(level)) = (time, level) else {
        return Outcome::Nothing;
    };
    // Descriptions are the server's and have no parentheses.
    let Some((description, rest)) = place::split_first(&text[level + 1..], b" (").filter(|(said, _)| said.len() < 100)
    else {
        return Outcome::Nothing;
    };
    let Some((name, keys)) = place::split_first(rest, b") ") else {
        return Outcome::Nothing;
    };
    let Some(kind) = kind_of(name) else {
        return Outcome::Nothing;
    };
    let found = of_connection(keys).or_else(|| at_the_end(keys));
    let service = found.map_or(Service::Unknown, |found| found.1);
    event(kind, time, found.map(|found| found.0), service)
        .map(|mut event| {
            event.account = value(keys, b"accountName = \"").and_then(some);
            event.recipient = value(keys, b"to = \"").filter(|_| name.starts_with(b"smtp.")).and_then(some);
            event.reason = some(description);
            event
        })
        .into()
}

/// `listenerId = "imaps", localPort = 993, remoteIp = ADDRESS, …` with nothing in front of it.
fn of_connection(keys: &[u8]) -> Option<(IpAddr, Service)> {
    let mut rest = keys;
    let mut service = Service::Unknown;
    loop {
        if let Some(found) = rest.strip_prefix(b"remoteIp = ") {
            let (client, behind) = place::leading(found)?;
            return (behind.is_empty() || behind.starts_with(b", ")).then_some((client, service));
        }
        let (pair, behind) = place::split_first(rest, b", ")?;
        if let Some(listener) = pair.strip_prefix(b"listenerId = \"") {
            service = service_of(listener.strip_suffix(b"\"")?);
        } else if let Some(port) = pair.strip_prefix(b"localPort = ") {
            if service == Service::Unknown {
                service = service_of(port);
            }
        } else {
            return None;
        }
        rest = behind;
    }
}

/// `…, remoteIp = ADDRESS` at the end of the line.
fn at_the_end(keys: &[u8]) -> Option<(IpAddr, Service)> {
    let (left, address) = place::split_last(keys, b"remoteIp = ")?;
    let separated = left.is_empty() || left.ends_with(b", ");
    // Longer lines may have been cut inside a client's text.
    let client = place::address(address).filter(|_| separated && left.len() <= 2 * LEFT_MAX)?;
    Some((client, Service::Unknown))
}

/// The first text under that key.
fn value<'a>(keys: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = memchr::memmem::find_iter(keys, key).find(|at| *at == 0 || keys[..*at].ends_with(b", "))?;
    let text = &keys[at + key.len()..];
    let end = memchr::memmem::find(text, b"\", ").or_else(|| text.strip_suffix(b"\"").map(<[u8]>::len))?;
    Some(&text[..end])
}

fn kind_of(name: &[u8]) -> Option<EventKind> {
    Some(match name {
        b"auth.failed" => EventKind::LoginFailed,
        b"auth.success" => EventKind::LoginSucceeded,
        b"auth.too-many-attempts" => EventKind::RateExceeded,
        b"smtp.mailbox-does-not-exist" => EventKind::RecipientUnknown,
        b"smtp.relay-not-allowed" => EventKind::RelayDenied,
        b"smtp.invalid-command" | b"smtp.auth-exchange-too-long" => EventKind::SyntaxError,
        b"smtp.spf-ehlo-fail" | b"smtp.spf-from-fail" => EventKind::SpfFailed,
        b"smtp.message-too-large" => EventKind::MessageTooBig,
        b"smtp.too-many-invalid-rcpt"
        | b"smtp.too-many-messages"
        | b"smtp.too-many-recipients"
        | b"smtp.rate-limit-exceeded"
        | b"smtp.concurrency-limit-exceeded" => EventKind::RateExceeded,
        _ => return None,
    })
}

/// By the listener's name, which is free but names the protocol where nobody changed it, or by port.
fn service_of(listener: &[u8]) -> Service {
    let has = |part: &str| memchr::memmem::find(listener, part.as_bytes()).is_some();
    match listener {
        b"25" => Service::Smtp,
        b"465" | b"587" => Service::Submission,
        b"143" | b"993" => Service::Imap,
        b"110" | b"995" => Service::Pop3,
        b"4190" => Service::Sieve,
        b"80" | b"443" | b"8080" => Service::Webmail,
        b"lmtp" => Service::Lmtp,
        _ if has("imap") => Service::Imap,
        _ if has("pop3") => Service::Pop3,
        _ if has("sieve") => Service::Sieve,
        _ if has("submission") => Service::Submission,
        _ if has("smtp") => Service::Smtp,
        _ if has("http") => Service::Webmail,
        _ => Service::Unknown,
    }
}

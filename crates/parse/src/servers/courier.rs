//! Courier: `imapd`, `pop3d`, `courieresmtpd`, webmail.
//!
//! `LOGIN FAILED, user=…, ip=[…], port=[…]`: the user name stands in front of the address and may hold anything but
//! line ends, so the address is read from the end, where only the server writes. `error,relay=ADDRESS,…` begins with it.

use std::net::IpAddr;

use fairban_types::{EventKind, Service};

use super::{LEFT_MAX, event, place, some};
use crate::Outcome;
use crate::message::Message;

pub(super) fn read<'a>(message: &Message<'a>) -> Outcome<'a> {
    // Its logger writes the level itself where standard error is not piped through it.
    let text = message.text.strip_prefix(b"INFO: ").unwrap_or(message.text);
    if let Some(fields) = text.strip_prefix(b"LOGIN FAILED, ") {
        return login(message, EventKind::LoginFailed, fields);
    }
    if let Some(fields) = text.strip_prefix(b"LOGIN, ") {
        return login(message, EventKind::LoginSucceeded, fields);
    }
    match text.strip_prefix(b"error,relay=") {
        Some(fields) => smtp_error(message, fields),
        None => Outcome::Nothing,
    }
}

fn login<'a>(message: &Message<'a>, kind: EventKind, fields: &'a [u8]) -> Outcome<'a> {
    let found = place::split_last(fields, b", ip=[")
        .filter(|(left, _)| left.len() <= LEFT_MAX)
        .and_then(|(left, right)| Some((left, address_and_server_fields(right)?)));
    let outcome = event(kind, message.time, found.map(|(_, client)| client), service(message.program));
    let left = found.map_or(&[][..], |(left, _)| left);
    outcome
        .map(|mut event| {
            event.account = left.strip_prefix(b"user=").and_then(some);
            event.method = left.strip_prefix(b"method=").and_then(some);
            event
        })
        .into()
}

/// `ADDRESS]` followed by nothing but fields that the server fills: a port, a protocol, TLS.
fn address_and_server_fields(text: &[u8]) -> Option<IpAddr> {
    let end = memchr::memchr(b']', text)?;
    let fields = &text[end + 1..];
    let all_known = fields.is_empty()
        || fields.strip_prefix(b", ").is_some_and(|fields| {
            fields.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).all(|field| {
                [&b"port=["[..], b"protocol=", b"starttls=", b"stls="].iter().any(|name| field.starts_with(name))
            })
        });
    place::address(&text[..end]).filter(|_| all_known)
}

/// `ADDRESS,port=…,msg="535 …",cmd: …` or `ADDRESS,port=…,from=<…>,to=<…>: 513 …`, where addresses have no colons.
fn smtp_error<'a>(message: &Message<'a>, fields: &'a [u8]) -> Outcome<'a> {
    let Some((client, rest)) = place::leading(fields).filter(|(_, rest)| rest.starts_with(b",")) else {
        return Outcome::Defect(crate::Defect::Client);
    };
    let told = place::split_first(rest, b",msg=\"").and_then(|(_, right)| place::split_first(right, b"\",cmd: "));
    let (reason, command) = match told {
        Some((reason, command)) => (reason, command),
        None => match place::split_first(rest, b": ") {
            Some((_, reason)) => (reason, &b""[..]),
            None => return Outcome::Nothing,
        },
    };
    let Some(kind) = smtp_kind(reason, command) else {
        return Outcome::Nothing;
    };
    let mut event = fairban_types::Event::new(kind, message.time, client, service(message.program));
    event.reason = some(reason);
    if let Some((_, envelope)) = place::split_first(rest, b",from=") {
        let (from, to) = place::split_first(envelope, b",to=").unwrap_or((envelope, b""));
        event.return_path = Some(crate::message::field(place::without_angles(until_colon(from))));
        event.recipient = some(place::without_angles(until_colon(to)));
    }
    Outcome::Event(event)
}

fn until_colon(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(b':', text).unwrap_or(text.len())]
}

fn smtp_kind(reason: &[u8], command: &[u8]) -> Option<EventKind> {
    let starts = |start: &str| reason.starts_with(start.as_bytes());
    let command = command.get(..4).map(<[u8]>::to_ascii_uppercase);
    Some(match reason.get(..3)? {
        b"535" => EventKind::LoginFailed,
        b"513" => EventKind::RelayDenied,
        b"550" if starts("550 User unknown") => EventKind::RecipientUnknown,
        b"500" | b"501" | b"502" | b"503" | b"504" => EventKind::SyntaxError,
        b"523" | b"552" => EventKind::MessageTooBig,
        b"511" | b"517" => EventKind::SenderRejected,
        b"554" | b"550" if command.as_deref() == Some(b"MAIL") => EventKind::SenderRejected,
        b"550" => EventKind::RecipientRejected,
        _ => return None,
    })
}

fn service(program: &[u8]) -> Service {
    match program {
        b"esmtpd-ssl" | b"courieresmtpd-ssl" | b"esmtpd-msa" | b"courieresmtpd-msa" => Service::Submission,
        b"courieresmtpd" | b"esmtpd" => Service::Smtp,
        b"sqwebmaild" | b"sqwebmail" => Service::Webmail,
        _ if program.starts_with(b"pop3") || program.starts_with(b"courierpop3") => Service::Pop3,
        _ => Service::Imap,
    }
}

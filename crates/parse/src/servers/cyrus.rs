//! Cyrus IMAP: `imap`, `pop3`, `sieve`, `lmtp`.
//!
//! `badlogin: host [ADDRESS] mechanism …` and, since 3.13, `event=login.bad r.clienthost="host [ADDRESS]" …`: the
//! address stands in front of everything that the client typed. The host name comes from the DNS of the client's network;
//! it has no spaces and no brackets.

use fairban_types::{EventKind, Service};

use super::{event, place, some};
use crate::message::Message;
use crate::{Defect, Outcome};

pub(super) fn read<'a>(message: &Message<'a>) -> Outcome<'a> {
    let text = message.text;
    if let Some(rest) = text.strip_prefix(b"badlogin: ") {
        return bad_login(message, rest);
    }
    if let Some(rest) = text.strip_prefix(b"login: ") {
        return good_login(message, rest);
    }
    match text.strip_prefix(b"event=login.") {
        Some(rest) => logfmt(message, rest),
        None => Outcome::Nothing,
    }
}

/// `host [ADDRESS] plaintext alice SASL(-13): authentication failure: checkpass failed`, or with the mechanism of an
/// AUTHENTICATE, `host [ADDRESS] PLAIN [SASL(-13): authentication failure: …]`.
fn bad_login<'a>(message: &Message<'a>, rest: &'a [u8]) -> Outcome<'a> {
    let Some((client, rest)) = place::peer(rest) else {
        return Outcome::Defect(Defect::Client);
    };
    let (method, rest) = word(rest.trim_ascii_start());
    let (account, reason) = match memchr::memmem::find(rest, b"SASL(") {
        Some(at) => (rest[..at].trim_ascii_end(), &rest[at..]),
        None => (&b""[..], rest),
    };
    // The bracket in front of the SASL text, where there is no account.
    let account = account.strip_suffix(b"[").unwrap_or(account).trim_ascii();
    let kind = kind_of(reason);
    event(kind, message.time, Some(client), service(message.program))
        .map(|mut event| {
            event.account = some(account);
            event.method = some(method);
            event.reason = some(reason.strip_suffix(b"]").unwrap_or(reason));
            event
        })
        .into()
}

/// `host [ADDRESS] alice plaintext+TLS User logged in SESSIONID=<…>`
fn good_login<'a>(message: &Message<'a>, rest: &'a [u8]) -> Outcome<'a> {
    let Some((client, rest)) = place::peer(rest) else {
        return Outcome::Defect(Defect::Client);
    };
    let (account, rest) = word(rest.trim_ascii_start());
    let (method, _) = word(rest);
    event(EventKind::LoginSucceeded, message.time, Some(client), service(message.program))
        .map(|mut event| {
            event.account = some(account);
            event.method = some(method.strip_suffix(b"+TLS").unwrap_or(method));
            event
        })
        .into()
}

/// `bad r.clienthost="host [ADDRESS]" u.username=alice login.mech=plaintext error="…"`: quotes and backslashes inside a
/// quoted value are escaped, so a client cannot end one.
fn logfmt<'a>(message: &Message<'a>, rest: &'a [u8]) -> Outcome<'a> {
    let (kind, mut rest) = match (rest.strip_prefix(b"bad "), rest.strip_prefix(b"good ")) {
        (Some(rest), _) => (EventKind::LoginFailed, rest),
        (None, Some(rest)) => (EventKind::LoginSucceeded, rest),
        (None, None) => return Outcome::Nothing,
    };
    let (mut client, mut account, mut method, mut reason) = (None, None, None, None);
    while let Some((name, value, after)) = pair(rest) {
        match name {
            b"r.clienthost" if client.is_none() => client = Some(value),
            b"u.username" => account = some(value).filter(|_| value != b"~null~"),
            b"login.mech" | b"login.scheme" => method = some(value),
            b"error" => reason = Some(value),
            _ => {}
        }
        rest = after;
    }
    let client = client.and_then(place::peer).filter(|(_, rest)| rest.is_empty()).map(|(client, _)| client);
    let kind = if kind == EventKind::LoginFailed { kind_of(reason.unwrap_or(b"")) } else { kind };
    event(kind, message.time, client, service(message.program))
        .map(|mut event| {
            event.account = account;
            event.method = method;
            event.reason = reason.and_then(some);
            event
        })
        .into()
}

fn pair(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let (name, rest) = place::split_first(text, b"=")?;
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        let (value, rest) = word(rest);
        return Some((name, value, rest));
    };
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &quoted[at..])?;
        if quoted[at] == b'"' {
            return Some((name, &quoted[..at], &quoted[at + 1..]));
        }
        at = (at + 2).min(quoted.len());
    }
}

/// The words of the SASL library for an account that is not there: SASL_NOUSER is -20.
fn kind_of(reason: &[u8]) -> EventKind {
    let unknown = reason.starts_with(b"SASL(-20)") || reason.starts_with(b"user not found");
    if unknown { EventKind::LoginUnknownAccount } else { EventKind::LoginFailed }
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, b""),
    }
}

fn service(program: &[u8]) -> Service {
    let name = program.strip_prefix(b"cyrus/").unwrap_or(program);
    match name {
        b"imap" | b"imaps" | b"cyrus-imapd" => Service::Imap,
        b"pop3" | b"pop3s" => Service::Pop3,
        b"sieve" | b"timsieved" => Service::Sieve,
        b"lmtp" | b"lmtpunix" => Service::Lmtp,
        _ => Service::Unknown,
    }
}

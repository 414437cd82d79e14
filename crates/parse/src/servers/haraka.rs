//! Haraka: `[LEVEL] [CONNECTION] [plugin] words`.
//!
//! `connect ip=ADDRESS port=…` is the server's alone; every later line names the connection only, by a UUID of the
//! server's choice in front of all client text.

use fairban_types::{Event, EventKind, Service};

use super::sessions::{Server, Session, Sessions};
use super::{place, some};
use crate::Outcome;
use crate::message::{Message, field};

pub(super) fn read<'a>(message: &Message<'a>, sessions: &mut Sessions) -> Outcome<'a> {
    let Some((connection, plugin, words)) = parts(message.text) else {
        return Outcome::Nothing;
    };
    let Some(name) = uuid(connection) else {
        return Outcome::Nothing;
    };
    if plugin == b"core" {
        if let Some(rest) = words.strip_prefix(b"connect ip=") {
            let client = place::leading(rest).map(|(client, _)| client);
            *sessions.entry(Server::Haraka, name) = Session { client, ..Session::default() };
            return Outcome::Nothing;
        }
        if words.starts_with(b"disconnect ") {
            sessions.take(Server::Haraka, name);
            return Outcome::Nothing;
        }
    }
    match sessions.get(Server::Haraka, name) {
        Some(session) => of_connection(message, plugin, words, session),
        None => Outcome::Nothing,
    }
}

fn of_connection<'a>(message: &Message<'a>, plugin: &[u8], words: &'a [u8], session: &mut Session) -> Outcome<'a> {
    let Some(client) = session.client else {
        return Outcome::Nothing;
    };
    let at = |kind, service| Event::new(kind, message.time, client, service);
    if plugin.starts_with(b"auth/") || plugin.starts_with(b"auth-") {
        if let Some(rest) = words.strip_prefix(b"AUTH user=\"") {
            return told_by_name(rest, session, at(EventKind::LoginFailed, Service::Submission));
        }
        // Every password plugin says this, and only this, of a wrong password.
        let failed = words.starts_with(b"delaying for ") && words.ends_with(b" seconds");
        return match failed && !std::mem::take(&mut session.failure_told) {
            true => Outcome::Event(at(EventKind::LoginFailed, Service::Submission)),
            false => Outcome::Nothing,
        };
    }
    if plugin != b"core" {
        return Outcome::Nothing;
    }
    let (what, rest) = place::split_first(words, b" ").unwrap_or((words, b""));
    let Some((path, verdict)) = place::split_first(rest, b"> code=") else {
        return Outcome::Nothing;
    };
    if !verdict.starts_with(b"DENY") {
        return Outcome::Nothing;
    }
    let path = path.strip_prefix(b"<").unwrap_or(path);
    let reason = place::split_first(verdict, b"msg=\"")
        .map_or(&b""[..], |(_, said)| &said[..memchr::memchr(b'"', said).unwrap_or(said.len())]);
    let mut event = match what {
        b"recipient" => at(recipient_kind(verdict, reason), Service::Smtp),
        b"sender" => at(EventKind::SenderRejected, Service::Smtp),
        _ => return Outcome::Nothing,
    };
    match what {
        b"recipient" => event.recipient = some(path),
        _ => event.return_path = Some(field(path)),
    }
    event.reason = some(reason);
    Outcome::Event(event)
}

/// `AUTH user="alice" success=false` of the plugins that ask elsewhere; the delay line follows.
fn told_by_name<'a>(rest: &'a [u8], session: &mut Session, mut event: Event<'a>) -> Outcome<'a> {
    let Some((left, result)) = place::split_last(rest, b" success=") else {
        return Outcome::Nothing;
    };
    match result {
        b"true" => event.kind = EventKind::LoginSucceeded,
        b"false" => session.failure_told = true,
        _ => return Outcome::Nothing,
    }
    event.account = some(&left[..memchr::memchr(b'"', left).unwrap_or(left.len())]);
    Outcome::Event(event)
}

fn recipient_kind(verdict: &[u8], reason: &[u8]) -> EventKind {
    if reason.starts_with(b"I cannot deliver mail for") || reason.starts_with(b"relaying denied") {
        EventKind::RelayDenied
    } else if verdict.starts_with(b"DENYSOFT") {
        EventKind::RecipientRejected
    } else {
        EventKind::RecipientUnknown
    }
}

fn parts(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (level, rest) = place::split_first(text.strip_prefix(b"[")?, b"] [")?;
    let (connection, rest) = place::split_first(rest, b"] [")?;
    let (plugin, words) = place::split_first(rest, b"] ")?;
    level.iter().all(u8::is_ascii_uppercase).then_some((connection, plugin, words))
}

/// `1A2B…-…` with the number of the transaction behind a dot.
fn uuid(text: &[u8]) -> Option<u128> {
    let text = &text[..memchr::memchr(b'.', text).unwrap_or(text.len())];
    if text.len() != 36 {
        return None;
    }
    text.iter()
        .filter(|byte| **byte != b'-')
        .try_fold(0u128, |name, byte| Some(name << 4 | u128::from(char::from(*byte).to_digit(16)?)))
}

//! Roundcube: `userlogins.log`, `errors.log`, or syslog.
//!
//! The address is the web server's REMOTE_ADDR, between the user name and, in parentheses, forwarding headers: both are
//! the client's text. It must be the only one. Addresses in forwarding headers are never taken.

use std::net::IpAddr;

use fairban_types::{EventKind, Service, Time};

use super::{LEFT_MAX, event, place, some};
use crate::{Defect, Outcome};

pub(super) fn read(text: &[u8], time: Time) -> Outcome<'_> {
    // A short session name, the server's.
    let text = match text.strip_prefix(b"<") {
        Some(rest) => {
            place::split_first(rest, b"> ").filter(|(name, _)| name.len() <= 40).map_or(text, |(_, rest)| rest)
        }
        None => text,
    };
    if let Some(rest) = text.strip_prefix(b"Failed login for ") {
        return login(rest, time, EventKind::LoginFailed);
    }
    if let Some(rest) = text.strip_prefix(b"Successful login for ") {
        return login(rest, time, EventKind::LoginSucceeded);
    }
    match text.strip_prefix(b"IMAP Error: Login failed for ") {
        Some(rest) => imap_error(rest, time),
        None => Outcome::Nothing,
    }
}

/// `alice from ADDRESS in session 0123456789abcdef (error: 0)`, `alice (ID: 3) from ADDRESS (X-Forwarded-For: …) in …`
fn login(rest: &[u8], time: Time, kind: EventKind) -> Outcome<'_> {
    let follows = |right: &[u8]| right.starts_with(b" in session ") || is_forwarded(right) || right.is_empty();
    let Some(found) = place::only(rest, b" from ", LEFT_MAX, place::leading, follows) else {
        return Outcome::Defect(Defect::Client);
    };
    if is_proxy(found.client, found.right) {
        return Outcome::Nothing;
    }
    let id = place::split_last(found.left, b" (ID: ").filter(|_| kind == EventKind::LoginSucceeded);
    event(kind, time, Some(found.client), Service::Webmail)
        .map(|mut event| {
            event.account = some(id.map_or(found.left, |(account, _)| account));
            event
        })
        .into()
}

/// `alice against imap.example.test from ADDRESS. Words of the IMAP server in FILE on line … (POST /?_task=…)`
fn imap_error(rest: &[u8], time: Time) -> Outcome<'_> {
    let follows = |right: &[u8]| right.starts_with(b" ") || is_forwarded(right) || right.is_empty();
    // The full stop behind it belongs to the sentence.
    let read = |text| place::leading(text).or_else(|| before_full_stop(text));
    let Some(found) = place::only(rest, b" from ", LEFT_MAX, read, follows) else {
        return Outcome::Defect(Defect::Client);
    };
    if is_proxy(found.client, found.right) {
        return Outcome::Nothing;
    }
    let account = place::split_last(found.left, b" against ").map_or(found.left, |(account, _)| account);
    event(EventKind::LoginFailed, time, Some(found.client), Service::Webmail)
        .map(|mut event| {
            event.account = some(account);
            event
        })
        .into()
}

fn before_full_stop(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let end = memchr::memmem::find(&text[..text.len().min(64)], b". ")?;
    Some((place::address(&text[..end])?, &text[end + 1..]))
}

fn is_forwarded(right: &[u8]) -> bool {
    right.starts_with(b" (X-Forwarded-For: ") || right.starts_with(b" (X-Real-IP: ")
}

/// A private address that forwards is a proxy of the site. Whom it speaks for only the client's own text says.
fn is_proxy(client: IpAddr, right: &[u8]) -> bool {
    let inside = match client {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    };
    inside && is_forwarded(right)
}

//! Horde: syslog, or its own `horde.log`.
//!
//! `FAILED LOGIN for x to horde (ADDRESS) (forwarded for [y])`, earlier `FAILED LOGIN for x [ADDRESS] to Horde`: the user
//! name in front and the forwarding header behind are the client's text, so the address must be the only one there.

use std::net::IpAddr;

use fairban_types::{EventKind, Service, Time};

use super::{LEFT_MAX, event, place, some};
use crate::{Defect, Outcome};

/// `HORDE [error] [horde] ` or `ERR: HORDE [horde] ` behind the time stamp of its own log.
pub(super) fn own_log(text: &[u8]) -> Option<&[u8]> {
    let head = &text[..text.len().min(64)];
    let at = memchr::memmem::find(head, b"HORDE ")?;
    // In front of it there is nothing but a level.
    let level = &head[..at];
    (level.is_empty() || level.ends_with(b": ") && level.len() <= 10).then(|| &text[at..])
}

pub(super) fn read(text: &[u8], time: Time) -> Outcome<'_> {
    let mut text = text.strip_prefix(b"HORDE ").unwrap_or(text);
    // The level and the application, in brackets.
    for _ in 0..2 {
        if let Some((name, rest)) = text.strip_prefix(b"[").and_then(|rest| place::split_first(rest, b"] ")) {
            if name.len() > 16 {
                return Outcome::Nothing;
            }
            text = rest;
        }
    }
    if let Some(rest) = text.strip_prefix(b"FAILED LOGIN for ") {
        return login(rest, time, EventKind::LoginFailed);
    }
    match text.strip_prefix(b"Login success for ") {
        Some(rest) => login(rest, time, EventKind::LoginSucceeded),
        None => Outcome::Nothing,
    }
}

fn login(rest: &[u8], time: Time, kind: EventKind) -> Outcome<'_> {
    // Both wordings are looked for at once: a client that writes the other one into its name must not win.
    let Some(found) = place::only(rest, b" ", LEFT_MAX, |text| newer(text).or_else(|| older(text)), |_| true) else {
        return Outcome::Defect(Defect::Client);
    };
    let account = match place::split_last(found.left, b" to ") {
        Some((account, application)) if memchr::memchr(b' ', application).is_none() => account,
        _ => found.left,
    };
    event(kind, time, Some(found.client), Service::Webmail)
        .map(|mut event| {
            event.account = some(account);
            event
        })
        .into()
}

/// `(ADDRESS)` with nothing behind it that the server does not write.
fn newer(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let (client, rest) = place::leading(text.strip_prefix(b"(")?)?;
    let rest = rest.strip_prefix(b")")?;
    let ends = rest.is_empty() || rest.starts_with(b" (forwarded for [") || rest.starts_with(b" [pid ");
    ends.then_some((client, rest))
}

/// `[ADDRESS] to Horde`, also for its mail application.
fn older(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let (client, rest) = place::bracketed(text)?;
    let ends = [&b" to Horde"[..], b" to horde", b" to IMP", b" to imp", b" (forwarded for ["];
    ends.iter().any(|end| rest.starts_with(end)).then_some((client, rest))
}

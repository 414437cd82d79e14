//! SOGo: `sogo.log`.
//!
//! `SOGoRootPage Login from 'ADDRESS' for user 'x' might not have worked - …`. Behind a proxy the address is the
//! X-Forwarded-For list, whose last entry is what the nearest proxy saw; the entries before it, like the user name, are
//! the client's text. A line whose quoted parts cannot be told apart without doubt names nobody.

use std::net::IpAddr;

use fairban_types::{EventKind, Service, Time};

use super::{LEFT_MAX, event, place, some};
use crate::{Defect, Outcome};

/// `sogod [26818]: ` behind the time stamp of its own log; some builds put the node's name in front.
pub(super) fn own_log(text: &[u8]) -> Option<&[u8]> {
    let (head, rest) = place::split_first(&text[..text.len().min(96)], b"]: ")?;
    let named = head.starts_with(b"sogod [") || place::split_first(head, b" sogod [").is_some();
    named.then(|| &text[text.len().min(96) - rest.len()..])
}

pub(super) fn read(text: &[u8], time: Time) -> Outcome<'_> {
    let text = text.strip_prefix(b"SOGoRootPage ").unwrap_or(text);
    // Debug builds write `<0x0x5581[SOGoRootPage]> `.
    let text = match text.strip_prefix(b"<0x") {
        Some(rest) => place::split_first(rest, b"SOGoRootPage]> ")
            .filter(|(left, _)| left.len() < 40)
            .map_or(text, |(_, rest)| rest),
        None => text,
    };
    let (kind, rest, end) = if let Some(rest) = text.strip_prefix(b"Login from '") {
        (EventKind::LoginFailed, rest, &b"' might not have worked - password policy: "[..])
    } else if let Some(rest) = text.strip_prefix(b"successful login from '") {
        (EventKind::LoginSucceeded, rest, &b"' - expire = "[..])
    } else {
        return Outcome::Nothing;
    };
    let Some((quoted, _)) = place::split_last(rest, end).filter(|(quoted, _)| quoted.len() <= 2 * LEFT_MAX) else {
        return Outcome::Defect(Defect::Client);
    };
    let mut parts = memchr::memmem::find_iter(quoted, b"' for user '");
    let (Some(at), None) = (parts.next(), parts.next()) else {
        return Outcome::Defect(Defect::Client);
    };
    event(kind, time, nearest(&quoted[..at]), Service::Webmail)
        .map(|mut event| {
            event.account = some(&quoted[at + b"' for user '".len()..]);
            event
        })
        .into()
}

/// The last address of a list of addresses.
fn nearest(list: &[u8]) -> Option<IpAddr> {
    let last = list.rsplit(|byte| *byte == b',').next()?;
    place::address(last.trim_ascii())
}

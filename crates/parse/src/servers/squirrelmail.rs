//! SquirrelMail with the Squirrel Logger plugin.
//!
//! `Failed webmail login: by x (example.test) at ADDRESS on DATE: words` in syslog, and its own file as
//! `DATE [LOGIN_ERROR] x (example.test) from ADDRESS: words`. The user name stands in front, the server's words behind.

use fairban_types::{EventKind, Service, Time};

use super::{LEFT_MAX, clock, event, place, some};
use crate::{Defect, Outcome};

/// How its failed sign-ins begin in syslog, under whatever name.
pub(super) const MARK: &[u8] = b"Failed webmail login: by ";

const SUCCESS: &[u8] = b"Successful webmail login: by ";

pub(super) fn read(text: &[u8], time: Time) -> Outcome<'_> {
    let (kind, rest) = match (text.strip_prefix(MARK), text.strip_prefix(SUCCESS)) {
        (Some(rest), _) => (EventKind::LoginFailed, rest),
        (None, Some(rest)) => (EventKind::LoginSucceeded, rest),
        (None, None) => return Outcome::Nothing,
    };
    with_address(kind, time, rest, b") at ", b" on ")
}

/// A line of its own file, in the default date format.
pub(super) fn own_log(line: &[u8]) -> Outcome<'_> {
    let Some((time, rest)) = clock::month_day_year(line) else {
        return Outcome::Nothing;
    };
    let (kind, rest) = match rest.strip_prefix(b" [").and_then(|rest| place::split_first(rest, b"] ")) {
        Some((b"LOGIN_ERROR" | b"INVALID", rest)) => (EventKind::LoginFailed, rest),
        Some((b"LOGIN", rest)) => (EventKind::LoginSucceeded, rest),
        _ => return Outcome::Nothing,
    };
    with_address(kind, time, rest, b") from ", b": ")
}

fn with_address<'a>(kind: EventKind, time: Time, rest: &'a [u8], marker: &[u8], behind: &[u8]) -> Outcome<'a> {
    let read = |text: &'a [u8]| address_before(text, behind);
    let Some(found) = place::only(rest, marker, LEFT_MAX, read, |_| true) else {
        return Outcome::Defect(Defect::Client);
    };
    let (account, domain) = place::split_last(found.left, b" (").unwrap_or((found.left, b""));
    event(kind, time, Some(found.client), Service::Webmail)
        .map(|mut event| {
            event.account = some(account).filter(|_| account != b"N/A");
            event.reason = some(domain);
            event
        })
        .into()
}

/// An address up to the server's next words: an IPv6 address and a colon behind it would run together.
fn address_before<'a>(text: &'a [u8], behind: &[u8]) -> Option<(std::net::IpAddr, &'a [u8])> {
    let end = memchr::memmem::find(&text[..text.len().min(64)], behind)?;
    Some((place::address(&text[..end])?, &text[end..]))
}

//! Where in a line of `auth` the client stands.
//!
//! 2.2 and 2.3 write `driver(user,address[,master][,<session>]): words`, 2.4 writes
//! `(user,address[,sasl:mechanism][,master])[<pid>][<session>]: driver: words`. The user name may hold any of this, and
//! so may the words, where they tell a password that was given. So every place that has the form is looked at.

use std::net::IpAddr;

use crate::scan::leading_address;

/// A place of the form above.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) user: &'a [u8],
    pub(super) client: IpAddr,
    pub(super) method: Option<&'a [u8]>,
    pub(super) session: Option<&'a [u8]>,
    /// What follows the colon.
    pub(super) words: &'a [u8],
}

/// All places that have the form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    pub(super) first: Place<'a>,
    pub(super) last: Place<'a>,
    /// Whether all tell the same address.
    pub(super) agree: bool,
}

/// The places in what stands behind the opening parenthesis.
pub(super) fn all(text: &[u8]) -> Option<Places<'_>> {
    let mut places: Option<Places<'_>> = None;
    for comma in memchr::memchr_iter(b',', text) {
        let Some(place) = at(text, comma) else { continue };
        places = Some(match places {
            None => Places { first: place, last: place, agree: true },
            Some(before) => {
                Places { first: before.first, last: place, agree: before.agree && before.first.client == place.client }
            }
        });
    }
    places
}

/// The place whose address follows this comma.
fn at(text: &[u8], comma: usize) -> Option<Place<'_>> {
    let next = text.get(comma + 1)?;
    if !next.is_ascii_hexdigit() && *next != b':' {
        return None;
    }
    let (client, mut rest) = leading_address(&text[comma + 1..])?;
    let (mut method, mut session) = (None, None);
    if let Some(name) = rest.strip_prefix(b",sasl:") {
        let end = name.iter().position(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_'))?;
        method = Some(&name[..end]);
        rest = &name[end..];
    }
    rest = rest.strip_prefix(b",master").unwrap_or(rest);
    if let Some(inside) = rest.strip_prefix(b",") {
        let (name, after) = in_angles(inside)?;
        session = Some(name);
        rest = after;
    }
    rest = rest.strip_prefix(b")")?;
    // 2.4 puts a worker's process id and the session here.
    while let Some((name, after)) = in_angles(rest) {
        session = Some(name);
        rest = after;
    }
    let words = rest.strip_prefix(b": ")?;
    Some(Place { user: &text[..comma], client, method, session, words })
}

fn in_angles(text: &[u8]) -> Option<(&[u8], &[u8])> {
    const SESSION_LEN_MAX: usize = 128;
    let inner = text.strip_prefix(b"<")?;
    let end = inner.iter().take(SESSION_LEN_MAX).position(|byte| {
        !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'.' | b':')
    })?;
    (inner[end] == b'>').then_some((&inner[..end], &inner[end + 1..]))
}

//! `Disconnected: … (auth failed, 1 attempts in 2 secs): user=<alice>, method=PLAIN, rip=192.0.2.7, lip=…, session=<…>`.

use std::net::IpAddr;

use fairban_types::{Event, Service};

use super::{Programs, UNCUT_LEN_MAX, after_process_id, informative, verdict};
use crate::Defect;
use crate::message::{Line, Told};
use crate::scan::{find, find_each, leading_address, needle, rfind};

/// Reads the words of a login process.
pub(super) fn read<'a>(
    line: Line<'a>,
    words: &'a [u8],
    service: Service,
    programs: &mut Programs,
    slot: &mut Option<Event<'a>>,
) -> Told {
    let Some(words) = informative(after_process_id(words)) else { return Told::Nothing };
    if let Some(pairs) = words.strip_prefix(b"ID sent: ") {
        programs.note(pairs);
        return Told::Nothing;
    }
    let Some((told, fields)) = split(words) else { return Told::Nothing };
    let Some((kind, count)) = verdict::of_session(told) else { return Told::Nothing };
    let Some(fields) = Fields::read(fields) else { return Told::Defect(Defect::Client) };
    let event = line.begin(slot, kind, fields.client, service);
    event.count = count;
    event.account = fields.user.filter(|user| !user.is_empty()).map(|bytes| line.field(bytes));
    event.method = fields.method.map(|bytes| line.field(bytes));
    event.session = fields.session.map(|bytes| line.field(bytes));
    event.reason = Some(line.field(told));
    programs.complete(event);
    Told::Event
}

/// Splits at the colon before the first field. What stands before is Dovecot's own in every wording that
/// [`verdict::of_session`] knows.
fn split(words: &[u8]) -> Option<(&[u8], &[u8])> {
    // Most lines.
    if words.starts_with(b"Login: user=<") {
        return Some((&words[..5], &words[7..]));
    }
    let user = find(words, needle!(b": user=<"));
    let address = find(&words[..user.unwrap_or(words.len())], needle!(b": rip="));
    let at = address.or(user)?;
    Some((&words[..at], &words[at + 2..]))
}

pub(super) struct Fields<'a> {
    pub(super) client: IpAddr,
    user: Option<&'a [u8]>,
    method: Option<&'a [u8]>,
    pub(super) session: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// Reads `user=<…>, method=…, rip=…, lip=…, …, session=<…>`. User name and method are the client's text, and stand
    /// before `rip=` unless `login_log_format_elements` was changed.
    pub(super) fn read(fields: &'a [u8]) -> Option<Self> {
        if fields.len() > UNCUT_LEN_MAX {
            return None;
        }
        if let Some(plain) = Fields::plain(fields) {
            return Some(plain);
        }
        if let Some(rest) = fields.strip_prefix(b"rip=") {
            let (client, rest) = value(rest)?;
            let user = find(rest, needle!(b"user=<")).map(|at| &rest[at + 6..]);
            let user = user.and_then(|rest| Some(&rest[..memchr::memchr(b'>', rest)?]));
            return Some(Fields { client, user, method: None, session: None });
        }
        let (at, client, tail) = last_client(fields)?;
        let before = &fields[..at];
        let (user, method) = match before.strip_prefix(b"user=<") {
            Some(rest) => user_and_method(rest),
            None => (None, None),
        };
        Some(Fields { client, user, method, session: session(tail) })
    }

    /// The same of most lines, sooner: those in which `rip=` can be only in one place, since neither the user's name nor
    /// the method holds what ends it.
    fn plain(fields: &'a [u8]) -> Option<Self> {
        let text = fields.strip_prefix(b"user=<")?;
        let (user, text) = text.split_at(memchr::memchr2(b'>', b',', text)?);
        let text = text.strip_prefix(b">, method=")?;
        let (method, text) = text.split_at(memchr::memchr2(b'>', b',', text)?);
        let (client, tail) = value(text.strip_prefix(b", rip=")?)?;
        if memchr::memchr(b'r', tail).is_some() && find(tail, needle!(b", rip=")).is_some() {
            return None;
        }
        Some(Fields { client, user: Some(user), method: Some(method), session: session(tail) })
    }
}

/// An address that ends a field.
fn value(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let (client, rest) = leading_address(text)?;
    (rest.is_empty() || rest.starts_with(b", ")).then_some((client, rest))
}

/// The last `rip=`: its place, address and what follows. Where another tells another address, the last one is the true
/// one only if all fields behind the first are Dovecot's default ones; of others, a client may fill any.
fn last_client(fields: &[u8]) -> Option<(usize, IpAddr, &[u8])> {
    const NAME: &[u8] = b", rip=";
    let at = rfind(fields, needle!(NAME))?;
    let (client, tail) = value(&fields[at + NAME.len()..])?;
    let other = find_each(&fields[..at], needle!(NAME))
        .filter_map(|at| value(&fields[at + NAME.len()..]))
        .find(|(other, _)| *other != client);
    if let Some((_, behind)) = other {
        let between = &behind[..behind.len() - (fields.len() - at)];
        if !is_default(between) || !is_default(tail) {
            return None;
        }
    }
    Some((at, client, tail))
}

/// Whether every field is one that Dovecot writes by default.
fn is_default(tail: &[u8]) -> bool {
    const NAMES: [&[u8]; 10] =
        [b"method=", b"rip=", b"lip=", b"mpid=", b"session=<", b"lport=", b"rport=", b"pid=", b"secured", b"TLS"];
    let mut rest = tail;
    while let Some(field) = rest.strip_prefix(b", ") {
        if !NAMES.iter().any(|name| field.starts_with(name)) {
            return false;
        }
        let end = find(field, needle!(b", ")).unwrap_or(field.len());
        rest = &field[end..];
    }
    rest.is_empty()
}

/// `alice>, method=PLAIN` or `alice>`.
fn user_and_method(text: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    if let Some(at) = rfind(text, needle!(b">, method=")) {
        return (Some(&text[..at]), Some(&text[at + 10..]));
    }
    (text.strip_suffix(b">"), None)
}

fn session(tail: &[u8]) -> Option<&[u8]> {
    let at = rfind(tail, needle!(b", session=<"))?;
    let rest = &tail[at + 11..];
    Some(&rest[..memchr::memchr(b'>', rest)?])
}

//! `passwd-file(alice,192.0.2.7,<session>): Password mismatch (SHA1 of given password: 5baa61)`.

use std::borrow::Cow;

use fairban_types::{Event, Service, Witness};

use super::place::{self, Place, Places};
use super::{UNCUT_LEN_MAX, after_process_id, informative, verdict};
use crate::Defect;
use crate::message::{Line, Told};
use crate::scan::{find, leading_number, needle, split_once};

/// Reads the words of `auth` or `auth-worker`.
pub(super) fn read<'a>(line: Line<'a>, words: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
    let words = after_process_id(words);
    if words.starts_with(b"(") {
        return newer(line, &words[1..], slot);
    }
    match informative(words) {
        Some(words) => older(line, after_connection(words), slot),
        None => Told::Nothing,
    }
}

/// 2.3's workers begin with `conn unix:auth-worker (pid=1,uid=97): auth-worker<7>: `.
fn after_connection(words: &[u8]) -> &[u8] {
    const LEN_MAX: usize = 160;
    if !words.starts_with(b"conn ") {
        return words;
    }
    match find(&words[..words.len().min(LEN_MAX)], needle!(b"auth-worker<")) {
        Some(at) => {
            let rest = &words[at + 12..];
            let (digits, _) = leading_number(rest);
            rest[digits..].strip_prefix(b">: ").unwrap_or(words)
        }
        None => words,
    }
}

/// 2.2 and 2.3: the database's name stands first.
fn older<'a>(line: Line<'a>, words: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
    let Some((driver, rest)) = name(words, b'(') else { return Told::Nothing };
    let Some(places) = place::all(rest) else { return Told::Nothing };
    if places.agree {
        return tell(line, driver, &places.first, places.first.words, slot);
    }
    if is_final(driver, &places, words.len(), places.last.words) {
        return tell(line, driver, &places.last, places.last.words, slot);
    }
    disagreement(driver, places.first.words)
}

/// 2.4: the database's name stands behind the place.
fn newer<'a>(line: Line<'a>, rest: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
    let Some(places) = place::all(rest) else { return Told::Nothing };
    let read = |place: &Place<'_>| -> Option<(usize, usize)> {
        let words = informative(after_request(informative(place.words)?))?;
        let (driver, told) = name(words, b':')?;
        Some((driver.len(), told.strip_prefix(b" ")?.len()))
    };
    let split = |place: &Place<'_>| {
        let (driver_len, told_len) = read(place)?;
        let told_at = place.words.len() - told_len;
        let driver_at = told_at - 2 - driver_len;
        Some((driver_at..driver_at + driver_len, told_at))
    };
    if places.agree {
        let Some((driver, told)) = split(&places.first) else { return Told::Nothing };
        return tell(line, &places.first.words[driver], &places.first, &places.first.words[told..], slot);
    }
    if let Some((driver, told)) = split(&places.last) {
        let (driver, told) = (&places.last.words[driver], &places.last.words[told..]);
        if is_final(driver, &places, rest.len(), told) {
            return tell(line, driver, &places.last, told, slot);
        }
    }
    match split(&places.first) {
        Some((driver, told)) => disagreement(&places.first.words[driver], &places.first.words[told..]),
        None => Told::Nothing,
    }
}

/// A worker numbers its requests.
fn after_request(words: &[u8]) -> &[u8] {
    match words.strip_prefix(b"request [") {
        Some(rest) => {
            let (digits, _) = leading_number(rest);
            rest[digits..].strip_prefix(b"]: ").unwrap_or(words)
        }
        None => words,
    }
}

/// The databases whose messages hold no free text at their end.
const TERSE_DRIVERS: [&[u8]; 9] =
    [b"passwd-file", b"sql", b"ldap", b"passwd", b"shadow", b"pam", b"bsdauth", b"static", b"checkpassword"];

/// Whether the rightmost place is the true one, since nothing that a client gives can follow it: the words are a
/// database's own to the end, none of a password stands before them, and the line is too short to have been cut.
fn is_final(driver: &[u8], places: &Places<'_>, len: usize, told: &[u8]) -> bool {
    let is_fixed = matches!(told, b"Password mismatch" | b"password mismatch" | b"unknown user" | b"User unknown");
    let tells_password = find(places.first.words, needle!(b"given password: ")).is_some();
    is_fixed && !tells_password && len <= UNCUT_LEN_MAX && TERSE_DRIVERS.contains(&driver)
}

/// A database's or mechanism's name up to the byte that ends it.
fn name(words: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    const NAME_LEN_MAX: usize = 64;
    let at = words.iter().take(NAME_LEN_MAX).position(|byte| !IN_NAME[usize::from(*byte)])?;
    (at > 0 && words[at] == end).then_some((&words[..at], &words[at + 1..]))
}

/// The bytes that names of databases and mechanisms are written with.
const IN_NAME: [bool; 256] = crate::scan::table(b"-_.");

fn disagreement(driver: &[u8], words: &[u8]) -> Told {
    match verdict::of_attempt(driver, words) {
        Some(_) => Told::Defect(Defect::Client),
        None => Told::Nothing,
    }
}

fn tell<'a>(line: Line<'a>, driver: &'a [u8], place: &Place<'a>, told: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
    let Some(kind) = verdict::of_attempt(driver, told) else { return Told::Nothing };
    let event = line.begin(slot, kind, place.client, Service::Unknown);
    event.witness = Witness::Backend(line.field(driver));
    event.account = Some(place.user).filter(|user| *user != b"?" && !user.is_empty()).map(|bytes| line.field(bytes));
    event.session = place.session.map(|bytes| line.field(bytes));
    event.method = place.method.map(|bytes| line.field(bytes));
    event.digest = digest(line, told);
    event.reason = Some(line.field(without_password(told)));
    Told::Event
}

const GIVEN_PLAIN: &[u8] = b"(given password: ";

/// A digest of the password that was given, as far as the words tell it (`auth_verbose_passwords`).
fn digest<'a>(line: Line<'a>, told: &'a [u8]) -> Option<Cow<'a, str>> {
    if let Some((_, rest)) = split_once(told, needle!(b"(SHA1 of given password: ")) {
        let end = memchr::memchr(b')', rest)?;
        return Some(line.field(&rest[..end]));
    }
    let (_, rest) = split_once(told, needle!(GIVEN_PLAIN))?;
    let password = rest.strip_suffix(b")").unwrap_or(rest);
    Some(Cow::Owned(format!("{:06x}", short_digest(password))))
}

/// The password itself goes no further than this.
fn without_password(told: &[u8]) -> &[u8] {
    match find(told, needle!(GIVEN_PLAIN)) {
        Some(at) => told[..at].trim_ascii_end(),
        None => told,
    }
}

/// 24 bits of FNV-1a: enough to tell equal passwords of one account, too few to find the password by.
fn short_digest(password: &[u8]) -> u32 {
    let hash = password
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let [a, b, c, d, e, f, ..] = hash.to_le_bytes();
    u32::from_be_bytes([0, a ^ d, b ^ e, c ^ f])
}

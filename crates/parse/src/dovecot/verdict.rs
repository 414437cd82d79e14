//! What Dovecot's words say of a sign-in.

use fairban_types::EventKind;

use crate::scan::{Needle, find, leading_number, mentions, mentions_any, needle, rfind};

/// More attempts in one session than this are not believed.
const ATTEMPTS_MAX: u32 = 10_000;

/// What a login process tells of a session, and how many times.
pub(super) fn of_session(told: &[u8]) -> Option<(EventKind, u32)> {
    let kind = match told.first()? {
        b'L' if told == b"Login" || told == b"Logged in" => EventKind::LoginSucceeded,
        b'L' if told.starts_with(b"Login failed: ") => plaintext(told)?,
        b'S' if told.starts_with(b"Started proxying to ") => EventKind::LoginSucceeded,
        b'p' if told.starts_with(b"proxy(") => return proxied(told).map(|kind| (kind, 1)),
        b'M' if told.starts_with(b"Maximum number of connections from user+IP exceeded") => EventKind::RateExceeded,
        _ => return ended(told),
    };
    Some((kind, 1))
}

fn plaintext(told: &[u8]) -> Option<EventKind> {
    let refused: [&[u8]; 3] = [b"plaintext authentication", b"cleartext authentication", b"ssl required"];
    mentions_any(told, &refused).then_some(EventKind::PlaintextRefused)
}

/// 2.2: `proxy(alice): started proxying to 192.0.2.9:143`.
fn proxied(told: &[u8]) -> Option<EventKind> {
    let at = rfind(told, needle!(b"): "))?;
    told[at + 3..].starts_with(b"started proxying to ").then_some(EventKind::LoginSucceeded)
}

/// The end of a session without a sign-in.
fn ended(told: &[u8]) -> Option<(EventKind, u32)> {
    const BEGINNINGS: [&[u8]; 7] = [
        b"Disconnected",
        b"Login aborted",
        b"Aborted login",
        b"Connection closed",
        b"Too many",
        b"Inactivity",
        b"Auth",
    ];
    BEGINNINGS.iter().any(|beginning| told.starts_with(beginning)).then_some(())?;
    if let Some(at) = find(told, needle!(b"auth failed, ")).or_else(|| find(told, needle!(b"auth failed ("))) {
        let (digits, attempts) = leading_number(&told[at + 13..]);
        let attempts = if digits == 0 { 1 } else { attempts.clamp(1, ATTEMPTS_MAX) };
        return Some((EventKind::LoginFailed, attempts));
    }
    Some((ended_otherwise(told)?, 1))
}

fn ended_otherwise(told: &[u8]) -> Option<EventKind> {
    const WORDINGS: [(Needle<'_>, Option<EventKind>); 26] = [
        (needle!(b"tried to use disallowed plaintext auth"), Some(EventKind::PlaintextRefused)),
        (needle!(b"tried to use disallowed cleartext auth"), Some(EventKind::PlaintextRefused)),
        (needle!(b"tried to use unsupported auth mechanism"), Some(EventKind::SyntaxError)),
        (needle!(b"sent invalid base64"), Some(EventKind::SyntaxError)),
        (needle!(b"credentials contain control characters"), Some(EventKind::SyntaxError)),
        (needle!(b"Too many invalid commands"), Some(EventKind::SyntaxError)),
        (needle!(b"Too many bad commands"), Some(EventKind::SyntaxError)),
        (needle!(b"Too many invalid"), Some(EventKind::SyntaxError)),
        (needle!(b"authorization failed"), Some(EventKind::LoginRefused)),
        (needle!(b"user disabled"), Some(EventKind::LoginRefused)),
        (needle!(b"password expired"), Some(EventKind::LoginRefused)),
        (needle!(b"login disabled"), Some(EventKind::LoginRefused)),
        (needle!(b"anonymous logins disabled"), Some(EventKind::LoginRefused)),
        (needle!(b"proxy dest auth failed"), Some(EventKind::LoginFailed)),
        (needle!(b"proxy dest authentication failure"), Some(EventKind::LoginFailed)),
        (needle!(b"temporary"), None),
        (needle!(b"internal failure"), None),
        (needle!(b"auth process communication failure"), None),
        (needle!(b"shutting down"), None),
        (needle!(b"Shutting down"), None),
        (needle!(b"process_limit"), None),
        (needle!(b"proxy dest"), None),
        (needle!(b"connection limit reached"), Some(EventKind::RateExceeded)),
        (needle!(b"Connection queue full"), None),
        (needle!(b"Auth process"), None),
        (needle!(b"TLS initialization failed"), None),
    ];
    match WORDINGS.iter().find(|(wording, _)| find(told, *wording).is_some()) {
        Some((_, kind)) => *kind,
        None => Some(EventKind::ConnectionAborted),
    }
}

/// What `auth` tells of one attempt, by its password database and its words.
pub(super) fn of_attempt(driver: &[u8], told: &[u8]) -> Option<EventKind> {
    // Another database is asked next, and the outcome is its.
    if told.ends_with(b" - trying the next passdb") || told.ends_with(b" - trying the next userdb") {
        return None;
    }
    if driver == b"policy" {
        let refused = told.starts_with(b"Authentication failure due to policy server refusal");
        return refused.then_some(EventKind::LoginRefused);
    }
    let word = told.len().min(16);
    if told[..word].eq_ignore_ascii_case(&b"password mismatch"[..word]) && word == 16 {
        return Some(EventKind::LoginFailed);
    }
    if mentions(&told[..told.len().min(12)], b"unknown user") || told.starts_with(b"User unknown") {
        return Some(EventKind::LoginUnknownAccount);
    }
    by_wording(driver, told)
}

fn by_wording(driver: &[u8], told: &[u8]) -> Option<EventKind> {
    if let Some(why) = told.strip_prefix(b"pam_authenticate() failed: ") {
        return Some(match mentions(why, b"user not known") {
            true => EventKind::LoginUnknownAccount,
            false => EventKind::LoginFailed,
        });
    }
    const BEGINNINGS: [(&[u8], EventKind); 19] = [
        (b"pam_acct_mgmt() failed: ", EventKind::LoginRefused),
        (b"User found from deny passdb", EventKind::LoginRefused),
        (b"allow_nets check failed", EventKind::LoginRefused),
        (b"allow_real_nets check failed", EventKind::LoginRefused),
        (b"Login failed (status=", EventKind::LoginFailed),
        (b"invalid credentials", EventKind::LoginFailed),
        (b"Login attempt with empty password", EventKind::LoginFailed),
        (b"Attempted login with password having illegal chars", EventKind::LoginFailed),
        (b"Attempted master login with no master passdbs", EventKind::LoginFailed),
        (b"invalid password field", EventKind::LoginFailed),
        (b"nopassword given and password is not empty", EventKind::LoginFailed),
        (b"oauth2 failed: ", EventKind::LoginFailed),
        (b"user not authenticated", EventKind::LoginFailed),
        (b"Username ", EventKind::LoginFailed),
        (b"Empty username", EventKind::LoginFailed),
        (b"Invalid username", EventKind::LoginFailed),
        (b"invalid input", EventKind::SyntaxError),
        (b"Username+password combination too long", EventKind::SyntaxError),
        (b"Request timed out waiting for client", EventKind::ConnectionAborted),
    ];
    if let Some((_, kind)) = BEGINNINGS.iter().rev().find(|(beginning, _)| told.starts_with(beginning)) {
        return Some(*kind);
    }
    let remote_refused = driver == b"imap" && mentions_any(told, &[b"authenticationfailed", b"authentication failed"]);
    let bad_user = mentions_any(&told[..told.len().min(64)], &[b"username contains", b"username disallowed"]);
    (remote_refused || bad_user).then_some(EventKind::LoginFailed)
}

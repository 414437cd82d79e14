//! Dovecot 2.2, 2.3 and 2.4: the login processes of every protocol, and `auth` with every password database.
//!
//! A user name may hold anything here that `auth_username_chars` lets through, and a login process writes the name
//! even if it does not. So the client's address is looked for where only Dovecot writes: behind the last field that a
//! client fills.

mod auth;
mod login;
mod place;
mod programs;
mod verdict;

use fairban_types::{Event, Service};

use crate::message::{Line, Message, Told};
pub(crate) use programs::Programs;

/// Words no longer than this have not been cut on their way, as syslog may do from 1024 bytes on (RFC 3164, 4.1). Of a cut
/// line the end, where the client's address stands, may be a client's text.
const UNCUT_LEN_MAX: usize = 640;

/// A process of Dovecot and its words, which begin with `(` where it names a user in its prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process<'a> {
    pub(crate) role: Role,
    pub(crate) words: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Login(Service),
    Auth,
    Other,
}

/// The process that wrote a message: by syslog `dovecot: imap-login: …`, in Dovecot's own file `imap-login: Info: …`.
pub(crate) fn process<'a>(message: &Message<'a>) -> Option<Process<'a>> {
    if !message.program.starts_with(b"dovecot") {
        let role = role(message.program);
        return (role != Role::Other).then_some(Process { role, words: message.text });
    }
    const NAME_LEN_MAX: usize = 32;
    let text = message.text;
    let end = text.iter().take(NAME_LEN_MAX).position(|byte| matches!(byte, b':' | b'(' | b' ' | b'['));
    let Some(end) = end else { return Some(Process { role: Role::Other, words: b"" }) };
    let words = match &text[end..] {
        [b':', b' ', words @ ..] => words,
        words => words,
    };
    Some(Process { role: role(&text[..end]), words })
}

fn role(name: &[u8]) -> Role {
    match name {
        b"imap-login" | b"imap-urlauth-login" => Role::Login(Service::Imap),
        b"pop3-login" => Role::Login(Service::Pop3),
        b"submission-login" => Role::Login(Service::Submission),
        b"managesieve-login" | b"sieve-login" => Role::Login(Service::Sieve),
        b"auth" | b"auth-worker" => Role::Auth,
        _ => Role::Other,
    }
}

/// Reads the words of a process of Dovecot.
pub(crate) fn read<'a>(
    process: &Process<'a>,
    line: Line<'a>,
    programs: &mut Programs,
    slot: &mut Option<Event<'a>>,
) -> Told {
    match process.role {
        Role::Login(service) => login::read(line, process.words, service, programs, slot),
        Role::Auth => auth::read(line, process.words, slot),
        Role::Other => Told::Nothing,
    }
}

/// The words behind the process id and the level; `None` where the level says that they are no news of a client.
fn informative(words: &[u8]) -> Option<&[u8]> {
    let level: &[u8] = match words.first() {
        Some(b'I') => return Some(words.strip_prefix(b"Info: ").unwrap_or(words)),
        Some(b'D') => b"Debug: ",
        Some(b'E') => b"Error: ",
        Some(b'W') => b"Warning: ",
        Some(b'F') => b"Fatal: ",
        Some(b'P') => b"Panic: ",
        _ => return Some(words),
    };
    (!words.starts_with(level)).then_some(words)
}

/// Skips a process id in parentheses or angle brackets before the colon: `(123): `, `<123>: `.
fn after_process_id(words: &[u8]) -> &[u8] {
    let close = match words.first() {
        Some(b'(') => b')',
        Some(b'<') => b'>',
        _ => return words,
    };
    let (digits, _) = crate::scan::leading_number(&words[1..]);
    match &words[1 + digits..] {
        [end, b':', b' ', rest @ ..] if digits > 0 && *end == close => rest,
        _ => words,
    }
}

//! The programs that write nearly all lines of a mail log, known by the first bytes of their tag.
//!
//! What is read here could be read in general as well; it is the same, sooner. Most lines hold no event, and are
//! recognised as such here.

use fairban_types::Service;

use crate::dovecot::{Process, Role};
use crate::postfix::Daemon;

/// A program, and its words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program<'a> {
    Postfix(Daemon, &'a [u8]),
    Dovecot(Process<'a>),
    /// One that tells nothing of clients.
    Silent,
}

/// The program of a text that begins with a tag, if it is one of the most frequent ones.
#[inline(always)]
pub(crate) fn program(text: &[u8]) -> Option<Program<'_>> {
    if let Some(rest) = text.strip_prefix(b"dovecot: ") {
        return dovecot(rest);
    }
    let rest = text.strip_prefix(b"postfix/")?;
    let (daemon, rest) = if let Some(rest) = rest.strip_prefix(b"smtpd[") {
        (Daemon::Smtpd(Service::Smtp), rest)
    } else if let Some(rest) = rest.strip_prefix(b"submission/smtpd[") {
        (Daemon::Smtpd(Service::Submission), rest)
    } else if let Some(rest) = rest.strip_prefix(b"cleanup[") {
        (Daemon::Cleanup, rest)
    } else if let Some(rest) = rest.strip_prefix(b"qmgr[") {
        (Daemon::Queue, rest)
    } else {
        let rest = rest
            .strip_prefix(b"smtp[")
            .or_else(|| rest.strip_prefix(b"lmtp["))
            .or_else(|| rest.strip_prefix(b"local["))
            .or_else(|| rest.strip_prefix(b"anvil["))?;
        return behind_process_id(rest).map(|_| Program::Silent);
    };
    Some(Program::Postfix(daemon, behind_process_id(rest)?))
}

#[inline(always)]
fn dovecot(text: &[u8]) -> Option<Program<'_>> {
    let (role, words) = if let Some(words) = text.strip_prefix(b"imap-login: ") {
        (Role::Login(Service::Imap), words)
    } else if let Some(words) = text.strip_prefix(b"auth: ") {
        (Role::Auth, words)
    } else if let Some(words) = text.strip_prefix(b"pop3-login: ") {
        (Role::Login(Service::Pop3), words)
    } else {
        let is_silent = text.starts_with(b"imap(") || text.starts_with(b"lmtp(") || text.starts_with(b"pop3(");
        return is_silent.then_some(Program::Silent);
    };
    Some(Program::Dovecot(Process { role, words }))
}

/// What stands behind `123]: `. Words such as rsyslog's `message repeated 3 times` are read in general.
#[inline(always)]
fn behind_process_id(text: &[u8]) -> Option<&[u8]> {
    let digits = text.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    match text.get(digits..)? {
        [b']', b':', b' ', words @ ..] if words.first() != Some(&b'm') => Some(words),
        _ => None,
    }
}

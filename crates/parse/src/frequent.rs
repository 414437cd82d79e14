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
    // One choice by the first letter: a chain of questions is answered wrongly more often by the processor.
    let (daemon, rest) = match rest.first()? {
        b's' => {
            if let Some(rest) = rest.strip_prefix(b"smtpd[") {
                (Daemon::Smtpd(Service::Smtp), rest)
            } else if let Some(rest) = rest.strip_prefix(b"submission/smtpd[") {
                (Daemon::Smtpd(Service::Submission), rest)
            } else {
                (Daemon::Other, rest.strip_prefix(b"smtp[")?)
            }
        }
        b'c' => (Daemon::Cleanup, rest.strip_prefix(b"cleanup[")?),
        b'q' => (Daemon::Queue, rest.strip_prefix(b"qmgr[")?),
        b'l' => (Daemon::Other, rest.strip_prefix(b"lmtp[").or_else(|| rest.strip_prefix(b"local["))?),
        b'a' => (Daemon::Other, rest.strip_prefix(b"anvil[")?),
        _ => return None,
    };
    let words = behind_process_id(rest)?;
    Some(if daemon == Daemon::Other { Program::Silent } else { Program::Postfix(daemon, words) })
}

#[inline(always)]
fn dovecot(text: &[u8]) -> Option<Program<'_>> {
    let (role, words) = match text.first()? {
        b'i' => match text.strip_prefix(b"imap-login: ") {
            Some(words) => (Role::Login(Service::Imap), words),
            None => return text.starts_with(b"imap(").then_some(Program::Silent),
        },
        b'p' => match text.strip_prefix(b"pop3-login: ") {
            Some(words) => (Role::Login(Service::Pop3), words),
            None => return text.starts_with(b"pop3(").then_some(Program::Silent),
        },
        b'a' => (Role::Auth, text.strip_prefix(b"auth: ")?),
        b'l' => return text.starts_with(b"lmtp(").then_some(Program::Silent),
        _ => return None,
    };
    Some(Program::Dovecot(Process { role, words }))
}

/// What stands behind `123]: `. Words such as rsyslog's `message repeated 3 times` are read in general.
#[inline(always)]
fn behind_process_id(text: &[u8]) -> Option<&[u8]> {
    const DIGITS_MAX: usize = 10;
    let digits = crate::scan::leading_digits(text);
    match text.get(digits..)? {
        [b']', b':', b' ', words @ ..] if digits <= DIGITS_MAX && words.first() != Some(&b'm') => Some(words),
        _ => None,
    }
}

//! Postfix: smtpd on every port, postscreen, and what cleanup finds in messages.
//!
//! Postfix writes a client as `name[address]`, where the name has passed its own host name check and so holds no
//! bracket or blank. All that stands before it in the lines read here is Postfix's own, except in cleanup's. In every
//! line it replaces what is not printable by `?`.

mod cleanup;
mod peer;
mod postscreen;
mod queued;
mod reason;
mod reject;
mod smtpd;

use fairban_types::{Event, EventKind, Service};

use crate::message::{Line, Told};
use crate::scan::{Needle, find};

pub(crate) use queued::Queued;

/// A program of Postfix, as its syslog tag tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Daemon {
    /// Speaks with clients, on this service.
    Smtpd(Service),
    /// Speaks with clients before smtpd does.
    Postscreen,
    /// Takes messages in.
    Cleanup,
    /// Manages the queue.
    Queue,
    /// Tells nothing of clients.
    Other,
}

/// The daemon of a tag such as `postfix/submission/smtpd`; the first part is `syslog_name` and may be anything.
pub(crate) fn daemon(program: &[u8]) -> Option<Daemon> {
    // The names that nearly all lines have.
    match program {
        b"postfix/smtpd" => return Some(Daemon::Smtpd(Service::Smtp)),
        b"postfix/submission/smtpd" => return Some(Daemon::Smtpd(Service::Submission)),
        b"postfix/qmgr" => return Some(Daemon::Queue),
        b"postfix/smtp" | b"postfix/lmtp" => return Some(Daemon::Other),
        b"dovecot" => return None,
        _ => {}
    }
    let slash = memchr::memrchr(b'/', program)?;
    let (name, daemon) = (&program[..slash], &program[slash + 1..]);
    match daemon {
        b"smtpd" => Some(Daemon::Smtpd(service(name))),
        b"postscreen" => Some(Daemon::Postscreen),
        b"cleanup" => Some(Daemon::Cleanup),
        b"qmgr" | b"oqmgr" | b"nqmgr" => Some(Daemon::Queue),
        _ if name.starts_with(b"postfix") => Some(Daemon::Other),
        _ => None,
    }
}

/// The service that a `syslog_name` stands for: `postfix/submission`, `postfix-smtps`, `postfix/587` …
fn service(name: &[u8]) -> Service {
    if name == b"postfix" {
        return Service::Smtp;
    }
    let words: [&[u8]; 4] = [b"submission", b"smtps", b"587", b"465"];
    if words.iter().any(|word| find(name, Needle::new(word)).is_some()) { Service::Submission } else { Service::Smtp }
}

/// Reads a message of Postfix.
#[inline(always)]
pub(crate) fn read<'a>(
    daemon: Daemon,
    line: Line<'a>,
    text: &'a [u8],
    queued: &mut Queued,
    slot: &mut Option<Event<'a>>,
) -> Told {
    match daemon {
        Daemon::Smtpd(service) => {
            let told = smtpd::read(line, text, service, slot);
            if let Some(event) = slot
                && event.kind == EventKind::LoginSucceeded
            {
                queued.note(text, event);
            }
            told
        }
        Daemon::Queue => queued.read(line, text, slot),
        Daemon::Postscreen => postscreen::read(line, text, slot),
        Daemon::Cleanup => cleanup::read(line, text, slot),
        Daemon::Other => Told::Nothing,
    }
}

/// The bytes that queue ids are written with.
const IN_ID: [bool; 256] = crate::scan::table(b"");

/// The words behind `417AC98C152: ` or `NOQUEUE: `.
fn after_queue_id(text: &[u8]) -> Option<&[u8]> {
    const ID_LEN_MAX: usize = 24;
    let end = text.iter().take(ID_LEN_MAX).position(|byte| !IN_ID[usize::from(*byte)])?;
    if end == 0 {
        return None;
    }
    text[end..].strip_prefix(b": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_tell_the_service() {
        for (program, expected) in [
            ("postfix/smtpd", Some(Daemon::Smtpd(Service::Smtp))),
            ("postfix/submission/smtpd", Some(Daemon::Smtpd(Service::Submission))),
            ("postfix/smtps/smtpd", Some(Daemon::Smtpd(Service::Submission))),
            ("postfix/submissions/smtpd", Some(Daemon::Smtpd(Service::Submission))),
            ("postfix-in/smtpd", Some(Daemon::Smtpd(Service::Smtp))),
            ("postfix-in/postscreen", Some(Daemon::Postscreen)),
            ("mx/cleanup", Some(Daemon::Cleanup)),
            ("postfix/qmgr", Some(Daemon::Queue)),
            ("postfix/anvil", Some(Daemon::Other)),
            ("cyrus/imap", None),
            ("smtpd", None),
        ] {
            assert_eq!(daemon(program.as_bytes()), expected, "{program}");
        }
    }
}

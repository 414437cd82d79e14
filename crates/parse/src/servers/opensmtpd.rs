//! OpenSMTPD: `smtpd`.
//!
//! `SESSION smtp connected address=ADDRESS host=…` and, up to 6.3, `SESSION smtp event=… address=ADDRESS host=…` name the
//! client in front of everything it chose. Later lines of 6.4 and newer name the session only.

use std::net::IpAddr;

use fairban_types::{EventKind, Service};

use super::sessions::{Server, Session, Sessions, name_of};
use super::{place, some};
use crate::Outcome;
use crate::message::Message;

pub(super) fn read<'a>(message: &Message<'a>, sessions: &mut Sessions) -> Outcome<'a> {
    let Some((session, rest)) = message.text.split_at_checked(16) else {
        return Outcome::Nothing;
    };
    let Some(rest) = rest.strip_prefix(b" smtp ").filter(|_| session.iter().all(u8::is_ascii_hexdigit)) else {
        return Outcome::Nothing;
    };
    let Some(name) = name_of(session) else {
        return Outcome::Nothing;
    };
    let rest = rest.strip_prefix(b"event=").unwrap_or(rest);
    let (what, rest) = place::split_first(rest, b" ").unwrap_or((rest, b""));
    let (client, rest) = match rest.strip_prefix(b"address=") {
        Some(rest) => match client_of(rest) {
            Some((client, rest)) => (Some(client), rest),
            // Mail from this machine has the address `local`.
            None => return Outcome::Nothing,
        },
        None => (None, rest),
    };
    match what {
        b"connected" => {
            *sessions.entry(Server::OpenSmtpd, name) = Session { client, ..Session::default() };
            Outcome::Nothing
        }
        b"closed" | b"disconnected" => {
            sessions.take(Server::OpenSmtpd, name);
            Outcome::Nothing
        }
        b"authentication" | b"failed-command" | b"bad-input" => {
            let session = match client {
                Some(client) => {
                    let session = sessions.entry(Server::OpenSmtpd, name);
                    session.client = Some(client);
                    session
                }
                None => match sessions.get(Server::OpenSmtpd, name) {
                    Some(session) => session,
                    // It began before the first line that was read, or too long ago.
                    None => return Outcome::Nothing,
                },
            };
            session.client.map_or(Outcome::Nothing, |client| of_session(message, what, client, rest, session))
        }
        _ => Outcome::Nothing,
    }
}

/// `ADDRESS host=name `, with IPv6 in brackets.
fn client_of(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let (client, rest) = place::bracketed(text).or_else(|| place::leading(text))?;
    if rest.is_empty() {
        return Some((client, rest));
    }
    let rest = rest.strip_prefix(b" ")?;
    let host = rest.strip_prefix(b"host=").map_or(0, |_| memchr::memchr(b' ', rest).map_or(rest.len(), |end| end + 1));
    Some((client, &rest[host..]))
}

fn of_session<'a>(
    message: &Message<'a>,
    what: &[u8],
    client: IpAddr,
    rest: &'a [u8],
    session: &mut Session,
) -> Outcome<'a> {
    if what == b"authentication" {
        // White space in a user name is escaped, and the result is the server's word.
        let Some((account, result)) = rest.strip_prefix(b"user=").and_then(|rest| place::split_last(rest, b" result="))
        else {
            return Outcome::Nothing;
        };
        let kind = match result {
            b"ok" => EventKind::LoginSucceeded,
            b"permfail" => EventKind::LoginFailed,
            _ => return Outcome::Nothing,
        };
        session.failure_told = kind == EventKind::LoginFailed;
        let account = account.split(|byte| *byte == b' ').next().unwrap_or(b"");
        let mut event = fairban_types::Event::new(kind, message.time, client, Service::Submission);
        event.account = some(account);
        return Outcome::Event(event);
    }
    let command = rest.strip_prefix(b"command=\"").unwrap_or(b"");
    let Some((command, result)) = place::split_last(command, b"\" result=\"")
        .or_else(|| rest.strip_prefix(b"result=\"").map(|result| (&b""[..], result)))
    else {
        return Outcome::Nothing;
    };
    let result = result.strip_suffix(b"\"").unwrap_or(result);
    let Some(kind) = failed_command(command, result) else {
        return Outcome::Nothing;
    };
    if kind == EventKind::LoginFailed && std::mem::take(&mut session.failure_told) {
        return Outcome::Nothing;
    }
    let service = if kind == EventKind::LoginFailed { Service::Submission } else { Service::Smtp };
    let mut event = fairban_types::Event::new(kind, message.time, client, service);
    event.reason = some(result);
    if starts_ignoring_case(command, b"RCPT TO:") {
        event.recipient = some(place::without_angles(command[b"RCPT TO:".len()..].trim_ascii()));
    }
    Outcome::Event(event)
}

fn failed_command(command: &[u8], result: &[u8]) -> Option<EventKind> {
    let says = |words: &str| memchr::memmem::find(result, words.as_bytes()).is_some();
    Some(match result.get(..3)? {
        b"535" => EventKind::LoginFailed,
        b"538" | b"530" => return None,
        b"500" | b"501" | b"502" | b"503" | b"504" => EventKind::SyntaxError,
        b"552" => EventKind::MessageTooBig,
        b"550" | b"524" | b"554" if starts_ignoring_case(command, b"RCPT") => {
            if says("Invalid recipient") || says("ser unknown") {
                EventKind::RecipientUnknown
            } else {
                EventKind::RecipientRejected
            }
        }
        b"550" | b"524" | b"554" if starts_ignoring_case(command, b"MAIL") => EventKind::SenderRejected,
        b"550" | b"554" if starts_ignoring_case(command, b"HELO") || starts_ignoring_case(command, b"EHLO") => {
            EventKind::HeloRejected
        }
        b"421" if says("Too many") || says("too many") => EventKind::RateExceeded,
        _ => return None,
    })
}

fn starts_ignoring_case(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|text| text.eq_ignore_ascii_case(start))
}

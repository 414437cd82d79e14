//! Sendmail: `sm-mta`, `sendmail`.
//!
//! The client is `name [ADDRESS]` with a host name from DNS (and an RFC 1413 user), at the start of the words, or as the
//! last field `relay=…`, or between client text in `ruleset=…, arg1=…, relay=…, reject=…`, where it must be the only one.
//! `… User unknown` names no client: the `from=` line that ends the same queue id does.

use fairban_types::{Event, EventKind, Service};

use super::sessions::{Server, Sessions, name_of};
use super::{LEFT_MAX, event, place, some};
use crate::message::{Message, field};
use crate::{Defect, Outcome};

/// Sendmail cuts its own messages at 900 bytes and more; a line of the kinds read from the end is never so long unless
/// a client made it so.
const READ_FROM_END_MAX: usize = 600;

/// What Sendmail says behind `name [ADDRESS]`, and what it is.
const AFTER_PEER: [(&[u8], EventKind); 7] = [
    (b" did not issue MAIL/EXPN/VRFY/ETRN during connection to ", EventKind::ConnectionAborted),
    (b": possible SMTP attack: ", EventKind::RateExceeded),
    (b": Possible SMTP RCPT flood, ", EventKind::RateExceeded),
    (b": probable open proxy: ", EventKind::SyntaxError),
    (b": SMTP violation, ", EventKind::SyntaxError),
    (b": VRFY ", EventKind::RecipientRejected),
    (b": EXPN ", EventKind::RecipientRejected),
];

pub(super) fn read<'a>(message: &Message<'a>, sessions: &mut Sessions) -> Outcome<'a> {
    let (queue_id, text) = queue_id(message.text);
    match text.first() {
        Some(b'A') if text.starts_with(b"AUTH") => authentication(message, text),
        Some(b'r') if text.starts_with(b"ruleset=") => ruleset(message, text),
        Some(b'<') => unknown_user(queue_id, text, sessions),
        Some(b'f') if text.starts_with(b"from=") => end_of_envelope(message, queue_id, text, sessions),
        _ => connection(message, text),
    }
}

/// `15AB…01234: ` or `NOQUEUE: ` in front of the words.
fn queue_id(text: &[u8]) -> (&[u8], &[u8]) {
    let id = text.iter().take(20).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    match text[id..].strip_prefix(b": ") {
        Some(rest) if id > 0 => (&text[..id], rest),
        _ => (b"", text),
    }
}

fn authentication<'a>(message: &Message<'a>, text: &'a [u8]) -> Outcome<'a> {
    if let Some(rest) = text.strip_prefix(b"AUTH=server, relay=") {
        let found = place::peer(rest).map(|(client, rest)| (client, not_forged(rest)));
        let account = found.and_then(|(_, rest)| rest.strip_prefix(b", authid=")).unwrap_or(b"");
        // The method and strength behind the account are the server's.
        let (account, method) = place::split_last(account, b", mech=").unwrap_or((account, b""));
        return event(EventKind::LoginSucceeded, message.time, found.map(|(client, _)| client), Service::Smtp)
            .map(|mut event| {
                event.account = some(account);
                event.method = some(&method[..memchr::memchr(b',', method).unwrap_or(method.len())]);
                event
            })
            .into();
    }
    let Some(rest) = text.strip_prefix(b"AUTH failure (") else {
        return Outcome::Nothing;
    };
    let split = place::split_last(rest, b", relay=").filter(|_| rest.len() <= READ_FROM_END_MAX);
    let client = split.and_then(|(_, relay)| last_peer(relay));
    let left = split.map_or(&[][..], |(left, _)| left);
    let (said, account) = place::split_last(left, b", user=").unwrap_or((left, b""));
    let (method, reason) = place::split_first(said, b"): ").unwrap_or((b"", said));
    let unknown = reason.starts_with(b"user not found (-20)");
    let kind = if unknown { EventKind::LoginUnknownAccount } else { EventKind::LoginFailed };
    event(kind, message.time, client, Service::Smtp)
        .map(|mut event| {
            event.account = some(account);
            event.method = some(method);
            event.reason = some(reason);
            event
        })
        .into()
}

/// `ruleset=check_rcpt, arg1=<…>, relay=name [ADDRESS], reject=550 5.7.1 <…>... Relaying denied`
fn ruleset<'a>(message: &Message<'a>, text: &'a [u8]) -> Outcome<'a> {
    let follows = |right: &[u8]| not_forged(right).starts_with(b", ");
    let found = place::only(text, b", relay=", 2 * LEFT_MAX, place::peer, follows);
    let Some((_, said)) = place::split_last(text, b", reject=") else {
        return Outcome::Nothing;
    };
    let name = text[b"ruleset=".len()..].split(|byte| *byte == b',').next().unwrap_or(b"");
    // Behind the last `... ` only the server speaks.
    let reason = place::split_last(said, b"... ").map_or(said, |(_, reason)| reason);
    let argument = found.as_ref().and_then(|found| place::split_first(found.left, b", arg1=")).map(|(_, first)| first);
    event(ruleset_kind(name, reason), message.time, found.as_ref().map(|found| found.client), Service::Smtp)
        .map(|mut event| {
            match name {
                b"check_rcpt" => event.recipient = argument.map(place::without_angles).and_then(some),
                b"check_mail" => event.return_path = argument.map(|path| field(place::without_angles(path))),
                _ => {}
            }
            event.reason = some(reason);
            event
        })
        .into()
}

fn ruleset_kind(name: &[u8], reason: &[u8]) -> EventKind {
    let says = |words: &str| memchr::memmem::find(reason, words.as_bytes()).is_some();
    if says("rate limit exceeded") || says("Too many open connections") || says("Connection rate limit") {
        return EventKind::RateExceeded;
    }
    match name {
        b"check_rcpt" if reason.starts_with(b"Relaying denied") => EventKind::RelayDenied,
        b"check_rcpt" if reason.starts_with(b"User unknown") => EventKind::RecipientUnknown,
        b"check_rcpt" => EventKind::RecipientRejected,
        b"check_mail" => EventKind::SenderRejected,
        b"check_relay" if says("blackhole") || says("listed at") || says("rbl") || says("blocked using") => {
            EventKind::DnsblListed
        }
        b"check_relay" => EventKind::ClientRejected,
        b"check_data" | b"check_eom" => EventKind::ContentRejected,
        _ if name.first().is_some_and(u8::is_ascii_uppercase) => EventKind::ContentRejected,
        _ => EventKind::PolicyRejected,
    }
}

/// `<nobody@example.test>... User unknown`: kept until the queue id's last line names the client.
fn unknown_user<'a>(queue_id: &[u8], text: &[u8], sessions: &mut Sessions) -> Outcome<'a> {
    if let (Some(name), Some(recipient)) = (name_of(queue_id), text.strip_suffix(b"... User unknown")) {
        let session = sessions.entry(Server::Sendmail, name);
        session.unknown_recipients = session.unknown_recipients.saturating_add(1);
        session.recipient = Some(field(place::without_angles(recipient)).into());
    }
    Outcome::Nothing
}

/// `from=<…>, size=0, …, relay=name [ADDRESS]`, the last words on a queue id.
fn end_of_envelope<'a>(message: &Message<'a>, queue_id: &[u8], text: &'a [u8], sessions: &mut Sessions) -> Outcome<'a> {
    let Some(session) = name_of(queue_id).and_then(|name| sessions.take(Server::Sendmail, name)) else {
        return Outcome::Nothing;
    };
    let split = place::split_last(text, b", relay=").filter(|_| text.len() <= READ_FROM_END_MAX);
    let client = split.and_then(|(_, relay)| last_peer(relay));
    event(EventKind::RecipientUnknown, message.time, client, Service::Smtp)
        .map(|mut event| {
            event.count = session.unknown_recipients.max(1);
            event.recipient = session.recipient.map(|recipient| String::from(recipient).into());
            let path = text[b"from=".len()..].split(|byte| *byte == b',').next().unwrap_or(b"");
            event.return_path = Some(field(place::without_angles(path)));
            event
        })
        .into()
}

fn connection<'a>(message: &Message<'a>, text: &'a [u8]) -> Outcome<'a> {
    let at = |kind, client| Outcome::Event(Event::new(kind, message.time, client, Service::Smtp));
    if let Some(rest) = text.strip_prefix(b"lost input channel from ") {
        return place::peer(rest)
            .map_or(Outcome::Defect(Defect::Client), |(client, _)| at(EventKind::ConnectionAborted, client));
    }
    if let Some(rest) = text.strip_prefix(b"rejecting commands from ") {
        return place::peer(rest)
            .map_or(Outcome::Defect(Defect::Client), |(client, _)| at(EventKind::SyntaxError, client));
    }
    if let Some(rest) = text.strip_prefix(b"invalid domain name (") {
        return invalid_domain(message, rest);
    }
    let Some((client, rest)) = place::peer(text) else {
        return Outcome::Nothing;
    };
    let rest = not_forged(rest);
    match AFTER_PEER.iter().find(|(words, _)| rest.starts_with(words)) {
        // A VRFY that is answered is the administrator's choice.
        Some((_, EventKind::RecipientRejected)) if !rest.ends_with(b" [rejected]") => Outcome::Nothing,
        Some((_, kind)) => at(*kind, client),
        None => Outcome::Nothing,
    }
}

/// `invalid domain name (HELO) from name [ADDRESS]`, or `(too long)`.
fn invalid_domain<'a>(message: &Message<'a>, rest: &'a [u8]) -> Outcome<'a> {
    let split = place::split_last(rest, b") from ").filter(|(helo, _)| helo.len() <= LEFT_MAX);
    let client = split.and_then(|(_, peer)| last_peer(peer));
    event(EventKind::HeloRejected, message.time, client, Service::Smtp)
        .map(|mut event| {
            event.helo = split.and_then(|(helo, _)| some(helo));
            event
        })
        .into()
}

/// `name [ADDRESS]` with nothing behind it.
fn last_peer(text: &[u8]) -> Option<std::net::IpAddr> {
    place::peer(text).filter(|(_, rest)| not_forged(rest).is_empty()).map(|(client, _)| client)
}

fn not_forged(text: &[u8]) -> &[u8] {
    text.strip_prefix(b" (may be forged)").unwrap_or(text)
}

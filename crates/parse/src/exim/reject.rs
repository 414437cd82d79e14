//! `H=name (helo) [address] F=<…> rejected RCPT <…>: relay not permitted`.

use fairban_types::{Event, EventKind, Time};

use super::{host, lines};
use crate::Outcome;
use crate::message::field;
use crate::scan::{find, mentions_any, needle, path, split_once};

/// Reads a line that begins with its client.
pub(super) fn read(time: Time, text: &[u8]) -> Outcome<'_> {
    let Some(told) = told(text) else { return Outcome::Nothing };
    let host = match host::read(text) {
        Ok(host) => host,
        Err(defect) => return Outcome::Defect(defect),
    };
    let mut event = Event::new(told.kind, time, host.client, lines::service(host.rest));
    let mut behind = host.rest;
    if let Some((sender, rest)) = split_once(host.rest, needle!(b" F=<")).and_then(|(_, rest)| path(rest)) {
        event.return_path = Some(field(sender));
        behind = rest;
    }
    let behind = &behind[..find(behind, needle!(b"rejected ")).unwrap_or(0)];
    if let Some((method, account)) = lines::authenticated(behind) {
        event.method = Some(field(method));
        event.account = Some(field(account));
    }
    event.helo = host.helo.map(field);
    event.recipient = told.recipient.map(field);
    event.reason = Some(field(told.reason));
    Outcome::Event(event)
}

struct Told<'a> {
    kind: EventKind,
    recipient: Option<&'a [u8]>,
    reason: &'a [u8],
}

fn told(text: &[u8]) -> Option<Told<'_>> {
    if find(text, needle!(b" incomplete transaction (")).is_some() {
        return Some(Told { kind: EventKind::ConnectionAborted, recipient: None, reason: b"incomplete transaction" });
    }
    if let Some((_, rest)) = split_once(text, needle!(b" sender verify fail for <")) {
        let (_, rest) = path(rest)?;
        let reason = rest.strip_prefix(b": ").unwrap_or(rest);
        return Some(Told { kind: EventKind::SenderRejected, recipient: None, reason });
    }
    // The client's path may hold the words too, so they are looked for behind it.
    let from = match find(text, needle!(b" F=<")) {
        Some(at) => text.len() - path(&text[at + 4..])?.1.len(),
        None => 0,
    };
    let (_, rest) = split_once(&text[from..], needle!(b"rejected "))?;
    Some(refusal(rest))
}

/// What was refused, and why.
fn refusal(rest: &[u8]) -> Told<'_> {
    if let Some(inner) = rest.strip_prefix(b"RCPT ") {
        let (recipient, reason) = match inner.strip_prefix(b"<").and_then(path) {
            Some((recipient, rest)) => (recipient, rest),
            None => split_once(inner, needle!(b": ")).unwrap_or((inner, b"")),
        };
        let reason = reason.strip_prefix(b": ").unwrap_or(reason);
        return Told { kind: recipient_kind(reason), recipient: Some(recipient), reason };
    }
    let reason = split_once(rest, needle!(b": ")).map_or(rest, |(_, reason)| reason);
    let otherwise = match () {
        () if rest.starts_with(b"MAIL") => EventKind::SenderRejected,
        () if rest.starts_with(b"EHLO") || rest.starts_with(b"HELO") => EventKind::HeloRejected,
        () if rest.starts_with(b"connection") => EventKind::ClientRejected,
        () if rest.starts_with(b"VRFY") || rest.starts_with(b"EXPN") => EventKind::RecipientUnknown,
        () if rest.starts_with(b"AUTH") => EventKind::LoginRefused,
        () if rest.starts_with(b"after DATA") || rest.starts_with(b"during MIME") => content_kind(reason),
        () if rest.starts_with(b"after PRDR") || rest.starts_with(b"by non-SMTP") => content_kind(reason),
        () => EventKind::PolicyRejected,
    };
    let is_content = rest.starts_with(b"after ") || rest.starts_with(b"during ");
    let kind = if is_content { otherwise } else { list_or_policy(reason).unwrap_or(otherwise) };
    Told { kind, recipient: None, reason }
}

fn recipient_kind(reason: &[u8]) -> EventKind {
    if mentions_any(reason, &[b"relay not permitted", b"relaying denied", b"relay access denied", b"not a relay"]) {
        return EventKind::RelayDenied;
    }
    if reason.starts_with(b"Sender verify failed") || reason.starts_with(b"sender verify") {
        return EventKind::SenderRejected;
    }
    const UNKNOWN: [&[u8]; 9] = [
        b"unrouteable address",
        b"unrouteable domain",
        b"unknown user",
        b"user unknown",
        b"no such user",
        b"no such recipient",
        b"does not exist",
        b"recipient verify",
        b"response to \"rcpt to",
    ];
    if mentions_any(reason, &UNKNOWN) {
        return EventKind::RecipientUnknown;
    }
    list_or_policy(reason).unwrap_or(EventKind::RecipientRejected)
}

fn list_or_policy(reason: &[u8]) -> Option<EventKind> {
    const WORDINGS: [(&[&[u8]], EventKind); 7] = [
        (&[b"greylist", b"graylist"], EventKind::Greylisted),
        (
            &[b"is listed ", b"listed at ", b"listed in ", b"black list", b"blacklist", b"blocklist", b"dnsbl"],
            EventKind::DnsblListed,
        ),
        (&[b"spf", b"dmarc", b"dkim"], EventKind::SpfFailed),
        (&[b"rate limit", b"ratelimit", b"sending rate", b"too many"], EventKind::RateExceeded),
        (&[b"helo", b"ehlo"], EventKind::HeloRejected),
        (&[b"too big", b"size limit"], EventKind::MessageTooBig),
        (&[b"spam"], EventKind::Spam),
    ];
    WORDINGS.iter().find(|(words, _)| mentions_any(reason, words)).map(|(_, kind)| *kind)
}

fn content_kind(reason: &[u8]) -> EventKind {
    const WORDINGS: [(&[&[u8]], EventKind); 5] = [
        (&[b"malware", b"virus", b"infected"], EventKind::Virus),
        (&[b"attachment", b"file extension", b"banned file", b"blacklisted file"], EventKind::AttachmentBlocked),
        (&[b"message/partial"], EventKind::PartialMessage),
        (&[b"spam"], EventKind::Spam),
        (&[b"too big", b"size limit"], EventKind::MessageTooBig),
    ];
    let kind = WORDINGS.iter().find(|(words, _)| mentions_any(reason, words)).map(|(_, kind)| *kind);
    kind.or_else(|| list_or_policy(reason)).unwrap_or(EventKind::ContentRejected)
}

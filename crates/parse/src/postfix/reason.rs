//! What a refusal was for.

use fairban_types::EventKind;

use super::reject::By;
use crate::scan::{Needle, find, mentions, mentions_any, needle, path};

/// How many bytes of a reply its code, its status and the address that it names first take: `550 5.1.1 <…>`.
pub(super) fn subject_end(reply: &[u8]) -> usize {
    let start = after_status(reply);
    match reply[start..].strip_prefix(b"<").and_then(path) {
        Some((_, rest)) => reply.len() - rest.len(),
        None => start,
    }
}

/// The length of `550 5.1.1 ` or `550 `.
fn after_status(reply: &[u8]) -> usize {
    let Some(code) = reply.get(..4) else { return 0 };
    if !code[..3].iter().all(u8::is_ascii_digit) || code[3] != b' ' {
        return 0;
    }
    let rest = &reply[4..];
    let status = rest.iter().take(12).take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    if status >= 5 && rest.get(status) == Some(&b' ') { 4 + status + 1 } else { 4 }
}

/// The kind of a refusal, from the state of the session and the server's reply; `None` where the server itself had
/// trouble and the client did nothing.
pub(super) fn kind(state: &[u8], reply: &[u8], by: By) -> Option<EventKind> {
    let end = subject_end(reply);
    let status = &reply[..after_status(reply)];
    let words = reply[end..].strip_prefix(b": ").unwrap_or(&reply[end..]);
    if let Some(kind) = kind_by_wording(status, words) {
        return kind;
    }
    match by {
        By::Milter => Some(by_milter(state, words)),
        By::Postscreen if mentions(words, b"too many connections") => Some(EventKind::RateExceeded),
        By::Postscreen if status.starts_with(b"450 ") => Some(EventKind::Greylisted),
        By::Postscreen if mentions_any(words, &[b"all server ports busy", b"all screening ports busy"]) => None,
        By::Postscreen => Some(EventKind::ClientRejected),
        By::Smtpd => by_status(state, status, words),
    }
}

/// The wordings of Postfix's own restrictions. The inner `None`: no client's doing.
fn kind_by_wording(status: &[u8], words: &[u8]) -> Option<Option<EventKind>> {
    if words.starts_with(b"Relay access denied") {
        return Some(Some(EventKind::RelayDenied));
    }
    if let Some(why) = words.strip_prefix(b"Recipient address rejected: ") {
        return Some(Some(recipient(status, why)));
    }
    if let Some(why) = words.strip_prefix(b"Sender address rejected: ") {
        return Some(Some(policy(why).unwrap_or(EventKind::SenderRejected)));
    }
    if let Some(why) = words.strip_prefix(b"Helo command rejected: ") {
        return Some(Some(policy(why).unwrap_or(EventKind::HeloRejected)));
    }
    if let Some(at) = find(&words[..words.len().min(48)], needle!(b"Client host rejected: ")) {
        return Some(Some(policy(&words[at + 22..]).unwrap_or(EventKind::ClientRejected)));
    }
    if words.starts_with(b"Service unavailable; ") || find(words, needle!(b" blocked using ")).is_some() {
        return Some(Some(EventKind::DnsblListed));
    }
    if words.starts_with(b"Message size exceeds") || status.starts_with(b"552 5.3.4") {
        return Some(Some(EventKind::MessageTooBig));
    }
    const SERVERS_TROUBLE: [Needle<'_>; 6] = [
        needle!(b"Server configuration "),
        needle!(b"Temporary lookup failure"),
        needle!(b"Insufficient system storage"),
        needle!(b"Server local data error"),
        needle!(b"Queue file write error"),
        needle!(b"Internal error"),
    ];
    SERVERS_TROUBLE.iter().any(|trouble| find(words, *trouble).is_some()).then_some(None)
}

fn recipient(status: &[u8], why: &[u8]) -> EventKind {
    const UNKNOWN: [&[u8]; 9] = [
        b"user unknown",
        b"unknown user",
        b"undeliverable address",
        b"unverified address",
        b"no such user",
        b"no such recipient",
        b"does not exist",
        b"doesn't exist",
        b"mailbox not found",
    ];
    if mentions_any(why, &UNKNOWN) {
        return EventKind::RecipientUnknown;
    }
    if let Some(kind) = policy(why) {
        return kind;
    }
    if status.ends_with(b" 5.1.1 ") { EventKind::RecipientUnknown } else { EventKind::RecipientRejected }
}

/// What a policy service or an access table may say of any part of the envelope.
fn policy(why: &[u8]) -> Option<EventKind> {
    if why.starts_with(b"Access denied") || why.starts_with(b"Domain not found") {
        return None;
    }
    if mentions_any(why, &[b"greylist", b"graylist", b"greylisted"]) {
        return Some(EventKind::Greylisted);
    }
    if why.starts_with(b"Improper use of SMTP command pipelining") {
        return Some(EventKind::SyntaxError);
    }
    if mentions(why, b" blocked using ") || mentions(why, b"listed by ") {
        return Some(EventKind::DnsblListed);
    }
    if mentions_any(why, &[b"spf", b"dmarc", b"dkim"]) {
        return Some(EventKind::SpfFailed);
    }
    if mentions_any(why, &[b"rate limit", b"quota", b"limit exceeded", b"too many"]) {
        return Some(EventKind::RateExceeded);
    }
    None
}

fn by_milter(state: &[u8], words: &[u8]) -> EventKind {
    if mentions_any(words, &[b"virus", b"infected", b"malware"]) {
        return EventKind::Virus;
    }
    if let Some(kind) = policy(words) {
        return kind;
    }
    if mentions(words, b"spam") {
        return EventKind::Spam;
    }
    if mentions_any(words, &[b"attachment", b"banned"]) {
        return EventKind::AttachmentBlocked;
    }
    if state.starts_with(b"END-OF-") && mentions_any(words, &[b"content", b"message rejected"]) {
        return EventKind::ContentRejected;
    }
    EventKind::PolicyRejected
}

/// What the reply's code tells where its words are the administrator's or unknown.
fn by_status(state: &[u8], status: &[u8], words: &[u8]) -> Option<EventKind> {
    if let Some(kind) = policy(words) {
        return Some(kind);
    }
    if mentions_any(words, &[b"pipelining", b"protocol synchronization"]) {
        return Some(EventKind::SyntaxError);
    }
    Some(match status {
        b"452 4.5.3 " => EventKind::RateExceeded,
        b"451 4.3.5 " | b"451 4.3.0 " => return None,
        b"530 5.7.0 " => EventKind::ClientRejected,
        [b'5', b'0', b'0'..=b'4', ..] => EventKind::SyntaxError,
        _ if state.starts_with(b"END-OF-") || state == b"DATA" => EventKind::ContentRejected,
        _ => EventKind::PolicyRejected,
    })
}

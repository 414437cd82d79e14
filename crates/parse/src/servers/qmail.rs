//! qmail and its company: vpopmail's `vchkpw`, s/qmail, spamdyke, `rblsmtpd`.
//!
//! `vchkpw-smtp: password fail alice@example.test:ADDRESS` ends with the address, right behind what the client typed.
//! An IPv4 address cannot be mistaken there; an IPv6 one can, unless it is written in full. s/qmail and `rblsmtpd` name
//! the client first. spamdyke names it between client texts, where it must be the only one.

use std::net::IpAddr;

use fairban_types::{Event, EventKind, Service};

use super::{LEFT_MAX, event, place, some};
use crate::message::{Message, field};
use crate::{Defect, Outcome};

pub(super) fn read<'a>(message: &Message<'a>) -> Outcome<'a> {
    let (program, text) = inner_program(message);
    if program.starts_with(b"vchkpw") {
        return vchkpw(message, program, text);
    }
    match program {
        b"rblsmtpd" => rblsmtpd(message, text),
        b"spamdyke" => spamdyke(message, text),
        b"qmail-smtpd" | b"qmail-popup" | b"qmail-pop3d" => sqmail(message, program, text),
        _ => Outcome::Nothing,
    }
}

/// The program that speaks: vpopmail and splogger write `NAME: ` or `NAME[pid]: ` into the words.
fn inner_program<'a>(message: &Message<'a>) -> (&'a [u8], &'a [u8]) {
    let text = message.text;
    let name = text.iter().take(24).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
    let pid = text[name..].strip_prefix(b"[").map_or(0, |rest| {
        let digits = rest.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        if rest.get(digits) == Some(&b']') { digits + 2 } else { 0 }
    });
    match text[name + pid..].strip_prefix(b": ") {
        Some(rest) if name > 0 => (&text[..name], rest),
        _ => (message.program, text),
    }
}

/// What `vchkpw` says in front of the account, and what it is.
const VCHKPW: [(&[u8], EventKind); 13] = [
    (b"password fail ", EventKind::LoginFailed),
    (b"vpopmail user not found ", EventKind::LoginUnknownAccount),
    (b"system user not found ", EventKind::LoginUnknownAccount),
    (b"system user shadow entry not found ", EventKind::LoginUnknownAccount),
    (b"system password fail ", EventKind::LoginFailed),
    (b"invalid user/domain characters ", EventKind::LoginUnknownAccount),
    (b"null user name given ", EventKind::LoginUnknownAccount),
    (b"null password given ", EventKind::LoginFailed),
    (b"user has no password ", EventKind::LoginFailed),
    (b"pop access denied ", EventKind::LoginRefused),
    (b"smtp access denied ", EventKind::LoginRefused),
    (b"imap access denied ", EventKind::LoginRefused),
    (b"webmail access denied ", EventKind::LoginRefused),
];

fn vchkpw<'a>(message: &Message<'a>, program: &[u8], text: &'a [u8]) -> Outcome<'a> {
    let known = VCHKPW.iter().find_map(|(words, kind)| Some((*kind, text.strip_prefix(*words)?)));
    let (kind, rest) = match (known, text.strip_prefix(b"(")) {
        (Some((kind, rest)), _) => (kind, rest),
        (None, Some(rest)) => match place::split_first(rest, b") login success ") {
            Some((_, rest)) => (EventKind::LoginSucceeded, rest),
            None => return Outcome::Nothing,
        },
        (None, None) => match text.strip_prefix(b"system password login success ") {
            Some(rest) => (EventKind::LoginSucceeded, rest),
            None => return Outcome::Nothing,
        },
    };
    // Some administrators have the passwords logged. What is in there is not kept, nor the account that follows it,
    // since the client chooses where it seems to end.
    let with_password = rest.starts_with(b"(pass: '");
    let found = trailing(rest).filter(|(account, _)| account.len() <= LEFT_MAX);
    event(kind, message.time, found.map(|(_, client)| client), vchkpw_service(program))
        .map(|mut event| {
            event.account = found.filter(|_| !with_password).and_then(|(account, _)| some(account));
            event
        })
        .into()
}

/// The address behind the last colon, or behind the eighth last if it is IPv6 in full.
fn trailing(text: &[u8]) -> Option<(&[u8], IpAddr)> {
    let (account, last) = place::split_last(text, b":")?;
    if let Some(IpAddr::V4(client)) = place::address(last) {
        // An IPv4-mapped address.
        let account =
            account.strip_suffix(b"::ffff").map_or(account, |account| account.strip_suffix(b":").unwrap_or(account));
        return Some((account, IpAddr::V4(client)));
    }
    let colon = memchr::memrchr_iter(b':', text).nth(7)?;
    let full = &text[colon + 1..];
    let client = place::address(full).filter(|_| memchr::memmem::find(full, b"::").is_none())?;
    Some((&text[..colon], client))
}

fn vchkpw_service(program: &[u8]) -> Service {
    match program {
        b"vchkpw-smtp" | b"vchkpw-25" => Service::Smtp,
        b"vchkpw-smtps" | b"vchkpw-submission" | b"vchkpw-465" | b"vchkpw-587" => Service::Submission,
        b"vchkpw-imap" | b"vchkpw-imaps" => Service::Imap,
        b"vchkpw-webmail" => Service::Webmail,
        b"vchkpw-pop3" | b"vchkpw-pop3s" => Service::Pop3,
        _ => Service::Unknown,
    }
}

/// `ADDRESS pid 27730: 451 https://…`
fn rblsmtpd<'a>(message: &Message<'a>, text: &'a [u8]) -> Outcome<'a> {
    let Some((client, rest)) = place::leading(text) else {
        return Outcome::Nothing;
    };
    let Some((_, reason)) = rest.strip_prefix(b" pid ").and_then(|rest| place::split_first(rest, b": ")) else {
        return Outcome::Nothing;
    };
    let mut event = Event::new(EventKind::DnsblListed, message.time, client, Service::Smtp);
    event.reason = some(reason);
    Outcome::Event(event)
}

/// `pid 1234 Reject::AUTH::plain P:ESMTPSA S:ADDRESS:host H:helo F:path T:recipient ?~ 'account'`
fn sqmail<'a>(message: &Message<'a>, program: &[u8], text: &'a [u8]) -> Outcome<'a> {
    let Some((_, rest)) = text.strip_prefix(b"pid ").and_then(|rest| place::split_first(rest, b" ")) else {
        return Outcome::Nothing;
    };
    let (verdict, rest) = place::split_first(rest, b" ").unwrap_or((rest, b""));
    let Some(kind) = sqmail_kind(verdict) else {
        return Outcome::Nothing;
    };
    let Some((protocol, rest)) = rest.strip_prefix(b"P:").and_then(|rest| place::split_first(rest, b" S:")) else {
        return Outcome::Nothing;
    };
    // The host name behind it begins after the colon that ends the address.
    let address_end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let client = memchr::memrchr(b':', &rest[..address_end])
        .filter(|_| memchr::memchr(b' ', protocol).is_none())
        .and_then(|colon| place::address(&rest[..colon]));
    let service = match program {
        b"qmail-smtpd" if protocol.ends_with(b"A") => Service::Submission,
        b"qmail-smtpd" => Service::Smtp,
        _ => Service::Pop3,
    };
    let account = place::split_last(rest, b" ?~ '").and_then(|(_, account)| account.strip_suffix(b"'"));
    event(kind, message.time, client, service)
        .map(|mut event| {
            event.account = account.and_then(some);
            event.reason = some(verdict);
            event
        })
        .into()
}

fn sqmail_kind(verdict: &[u8]) -> Option<EventKind> {
    let starts = |words: &str| verdict.starts_with(words.as_bytes());
    Some(if starts("Reject::AUTH::missing") {
        return None;
    } else if starts("Reject::AUTH::") {
        EventKind::LoginFailed
    } else if starts("Accept::AUTH::") {
        EventKind::LoginSucceeded
    } else if starts("Reject::SNDR::Invalid_Relay") {
        EventKind::RelayDenied
    } else if starts("Reject::RCPT::") {
        EventKind::RecipientUnknown
    } else if starts("Reject::SNDR::") || starts("Reject::ORIG::") {
        EventKind::SenderRejected
    } else if starts("Reject::DATA::Virus") {
        EventKind::Virus
    } else if starts("Reject::DATA::Spam") {
        EventKind::Spam
    } else if starts("Reject::DATA::") {
        EventKind::ContentRejected
    } else if starts("Reject::SPF::") {
        EventKind::SpfFailed
    } else {
        return None;
    })
}

/// `DENIED_RDNS_MISSING from: … to: … origin_ip: ADDRESS origin_rdns: … auth: … encryption: …`
fn spamdyke<'a>(message: &Message<'a>, text: &'a [u8]) -> Outcome<'a> {
    let (verdict, rest) = place::split_first(text, b" ").unwrap_or((text, b""));
    let Some(kind) = spamdyke_kind(verdict) else {
        return Outcome::Nothing;
    };
    let follows = |right: &[u8]| right.starts_with(b" origin_rdns: ");
    let Some(found) = place::only(rest, b" origin_ip: ", 2 * LEFT_MAX, place::leading, follows) else {
        return Outcome::Defect(Defect::Client);
    };
    let mut event = Event::new(kind, message.time, found.client, Service::Smtp);
    let (from, to) = place::split_first(found.left, b" to: ").unwrap_or((found.left, b""));
    event.return_path = from.strip_prefix(b"from: ").filter(|from| *from != b"(unknown)").map(field);
    event.recipient = some(to).filter(|_| to != b"(unknown)");
    event.reason = some(verdict);
    Outcome::Event(event)
}

fn spamdyke_kind(verdict: &[u8]) -> Option<EventKind> {
    Some(match verdict {
        b"DENIED_RBL_MATCH" | b"DENIED_RHSBL_MATCH" => EventKind::DnsblListed,
        b"DENIED_GRAYLISTED" => EventKind::Greylisted,
        b"DENIED_RELAYING" => EventKind::RelayDenied,
        b"DENIED_INVALID_RECIPIENT" | b"DENIED_UNQUALIFIED_RECIPIENT" => EventKind::RecipientUnknown,
        b"DENIED_AUTH_REQUIRED" => EventKind::ClientRejected,
        b"DENIED_EARLYTALKER" => EventKind::SyntaxError,
        b"DENIED_TOO_MANY_RECIPIENTS" => EventKind::RateExceeded,
        b"DENIED_HEADER_BLACKLISTED" => EventKind::ContentRejected,
        b"FAILED_AUTH" => EventKind::LoginFailed,
        _ if verdict.starts_with(b"DENIED_SENDER") || verdict == b"DENIED_IDENTICAL_SENDER_RECIPIENT" => {
            EventKind::SenderRejected
        }
        _ if verdict.starts_with(b"DENIED_RECIPIENT") => EventKind::RecipientRejected,
        _ if verdict.starts_with(b"DENIED_RDNS")
            || verdict.starts_with(b"DENIED_IP_")
            || verdict.starts_with(b"DENIED_BLACKLIST") =>
        {
            EventKind::ClientRejected
        }
        _ => return None,
    })
}

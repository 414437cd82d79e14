//! What cleanup finds in the header and body of messages:
//! `4F…: reject: header Subject: … from name[address]; from=<…> to=<…> proto=ESMTP helo=<…>: 5.7.1 reason`.
//!
//! Here a client's text stands on both sides of its address: up to 200 bytes of the message before it, the envelope
//! behind it. Every place that could hold the address is looked at; when they do not agree, none is taken.

use std::net::IpAddr;

use fairban_types::{Event, EventKind, Service};

use super::{after_queue_id, peer, reject};
use crate::Defect;
use crate::message::{Line, Told};
use crate::scan::{find, find_each, mentions, mentions_any, needle};

/// Postfix writes this many bytes of the offending text at most.
const CONTENT_LEN_MAX: usize = 200;

/// Reads the words of cleanup.
pub(super) fn read<'a>(line: Line<'a>, text: &'a [u8], slot: &mut Option<Event<'a>>) -> Told {
    let Some(words) = after_queue_id(text) else { return Told::Nothing };
    if let Some(rest) = words.strip_prefix(b"milter-reject: ") {
        return reject::read(line, rest, Service::Smtp, reject::By::Milter, slot);
    }
    let Some(rest) = words
        .strip_prefix(b"reject: ")
        .or_else(|| words.strip_prefix(b"milter-header-reject: "))
        .or_else(|| words.strip_prefix(b"milter-body-reject: "))
    else {
        return Told::Nothing;
    };
    let Some(class) = ["header ", "body ", "mime-header ", "nested-header ", "content "]
        .into_iter()
        .find(|class| rest.starts_with(class.as_bytes()))
    else {
        return Told::Nothing;
    };
    match locate(&rest[class.len()..]) {
        Ok(Some((client, content, envelope))) => {
            let event = line.begin(slot, kind(content), client, Service::Smtp);
            reject::read_envelope(line, event, envelope);
            event.reason = Some(line.field(content));
            Told::Event
        }
        Ok(None) => Told::Nothing,
        Err(defect) => Told::Defect(defect),
    }
}

type Located<'a> = (IpAddr, &'a [u8], &'a [u8]);

/// Looks at every ` from X; ` that the offending text may end with. `None`: the message came from a local program.
fn locate(text: &[u8]) -> Result<Option<Located<'_>>, Defect> {
    const FROM: &[u8] = b" from ";
    let mut found: Option<Option<Located<'_>>> = None;
    // One text in UTF-8 may be cut inside of a character, which is then shown as up to four bytes more.
    let window = &text[..text.len().min(CONTENT_LEN_MAX + FROM.len() + 4)];
    for at in find_each(window, needle!(FROM)) {
        let rest = &text[at + FROM.len()..];
        let Some(candidate) = origin(rest) else { continue };
        let located = candidate.map(|(client, envelope)| (client, &text[..at], envelope));
        match &found {
            Some(before) if before.map(|(client, ..)| client) != located.map(|(client, ..)| client) => {
                return Err(Defect::Client);
            }
            Some(_) => {}
            None => found = Some(located),
        }
    }
    found.ok_or(Defect::Client)
}

/// An origin at the beginning: `Some(None)` for one that is not a client with an address.
fn origin(text: &[u8]) -> Option<Option<(IpAddr, &[u8])>> {
    const ORIGIN_LEN_MAX: usize = 320;
    let end = memchr::memchr2(b';', b' ', &text[..text.len().min(ORIGIN_LEN_MAX)])?;
    if text[end] != b';' {
        return None;
    }
    match peer::read(text) {
        Ok((client, rest)) => Some(Some((client, rest.strip_prefix(b"; ")?))),
        Err(_) => text[end..].starts_with(b"; from=<").then_some(None),
    }
}

fn kind(content: &[u8]) -> EventKind {
    if mentions(content, b"message/partial") {
        return EventKind::PartialMessage;
    }
    let names_file = mentions_any(content, &[b"name=", b"name*=", b"name*0"]);
    if names_file && mentions_any(content, &[b"content-type:", b"content-disposition:"]) {
        return EventKind::AttachmentBlocked;
    }
    if find(content, needle!(b"X-Spam")).is_some() { EventKind::Spam } else { EventKind::ContentRejected }
}

//! `reject: RCPT from name[address]: 554 5.7.1 <…>: Relay access denied; from=<…> to=<…> proto=ESMTP helo=<…>`.

use fairban_types::{Event, Service};

use super::{peer, reason};
use crate::message::{Line, Told};
use crate::scan::{find, needle, path};

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Postfix's own restrictions.
    Smtpd,
    /// A content filter.
    Milter,
    /// postscreen's tests.
    Postscreen,
}

/// The longest state before ` from `: `END-OF-MESSAGE`.
const STATE_LEN_MAX: usize = 32;

/// Reads what stands behind `reject: `.
pub(super) fn read<'a>(line: Line<'a>, text: &'a [u8], service: Service, by: By, slot: &mut Option<Event<'a>>) -> Told {
    let Some(at) = find(&text[..text.len().min(STATE_LEN_MAX)], needle!(b" from ")) else { return Told::Nothing };
    let (state, rest) = (&text[..at], &text[at + 6..]);
    let (client, rest) = match peer::read(rest) {
        Ok(read) => read,
        Err(defect) => return Told::Defect(defect),
    };
    let Some(reply) = rest.strip_prefix(b": ") else { return Told::Nothing };
    let (reply, envelope) = parts(reply);
    let Some(kind) = reason::kind(state, reply, by) else { return Told::Nothing };
    let event = line.begin(slot, kind, client, service);
    read_envelope(line, event, envelope);
    event.reason = Some(line.field(reply));
    Told::Event
}

/// The server's reply, and the envelope behind `; `. An address that the reply names first may hold anything.
fn parts(text: &[u8]) -> (&[u8], &[u8]) {
    let named = reason::subject_end(text);
    let mut from = named;
    while let Some(at) = find(&text[from..], needle!(b"; ")) {
        let envelope = &text[from + at + 2..];
        if [&b"from=<"[..], b"to=<", b"proto="].iter().any(|name| envelope.starts_with(name)) {
            return (&text[..from + at], envelope);
        }
        from += at + 2;
    }
    (text.strip_suffix(b";").unwrap_or(text), b"")
}

/// `from=<…> to=<…> proto=ESMTP helo=<…> sasl_method=… sasl_username=…`, each optional, in this order; postscreen puts
/// commas between.
pub(super) fn read_envelope<'a>(line: Line<'a>, event: &mut Event<'a>, mut text: &'a [u8]) {
    if let Some((inner, rest)) = text.strip_prefix(b"from=<").and_then(path) {
        event.return_path = Some(line.field(inner));
        text = next(rest);
    }
    if let Some((inner, rest)) = text.strip_prefix(b"to=<").and_then(path) {
        event.recipient = Some(line.field(inner));
        text = next(rest);
    }
    if let Some(rest) = text.strip_prefix(b"proto=") {
        text = memchr::memchr(b' ', rest).map_or(b"", |at| &rest[at + 1..]);
    }
    if let Some(rest) = text.strip_prefix(b"helo=<") {
        let end = find(rest, needle!(b"> sasl_"))
            .or_else(|| find(rest, needle!(b">: ")))
            .or_else(|| memchr::memrchr(b'>', rest));
        let end = end.unwrap_or(rest.len());
        event.helo = Some(line.field(&rest[..end]));
        text = next(rest.get(end + 1..).unwrap_or_default());
    }
    if let Some(rest) = text.strip_prefix(b"sasl_method=") {
        let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        event.method = Some(line.field(&rest[..end]));
        text = next(&rest[end..]);
    }
    if let Some(rest) = text.strip_prefix(b"sasl_username=") {
        let end = find(rest, needle!(b" sasl_sender=")).unwrap_or(rest.len());
        event.account = Some(line.field(&rest[..end]));
    }
}

fn next(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b",").unwrap_or(text);
    text.strip_prefix(b" ").unwrap_or(text)
}

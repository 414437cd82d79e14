//! Mail servers and webmails other than Postfix, Dovecot and Exim.
//!
//! Each has one file here, named after it, whose head says where in its lines the client's address stands and which
//! texts around it the client chooses.

mod clock;
mod courier;
mod cyrus;
mod haraka;
mod horde;
mod opensmtpd;
mod place;
mod qmail;
mod roundcube;
mod sendmail;
mod sessions;
mod sogo;
mod squirrelmail;
mod stalwart;

use std::borrow::Cow;
use std::net::IpAddr;

use fairban_types::{Event, EventKind, Service, Time};

use crate::message::{Message, field};
use crate::{Context, Defect, Outcome};

pub(crate) use sessions::Sessions;

/// Reads a syslog message of a program that none of the larger parsers owns. `sessions` are those of the same source.
pub(crate) fn by_program<'a>(message: &Message<'a>, sessions: &mut Sessions) -> Outcome<'a> {
    let program = message.program;
    match program.strip_prefix(b"cyrus/").unwrap_or(program) {
        b"" => unnamed(message, sessions),
        b"imapd" | b"imapd-ssl" | b"pop3d" | b"pop3d-ssl" | b"imaplogin" | b"pop3login" | b"courierpop3login"
        | b"courierpop3d" | b"courierimapd" | b"courieresmtpd" | b"courieresmtpd-ssl" | b"courieresmtpd-msa"
        | b"esmtpd" | b"esmtpd-ssl" | b"esmtpd-msa" | b"sqwebmaild" | b"sqwebmail" => courier::read(message),
        b"imap" | b"imaps" | b"pop3" | b"pop3s" | b"sieve" | b"timsieved" | b"lmtp" | b"lmtpunix" | b"nntp"
        | b"nntps" | b"cyrus-imapd" => cyrus::read(message),
        b"sendmail" | b"sm-mta" | b"sm-msp-queue" | b"sm-acceptingconnections" => sendmail::read(message, sessions),
        b"smtpd" => opensmtpd::read(message, sessions),
        b"vpopmail" | b"vchkpw" | b"qmail" | b"qmail-smtpd" | b"qmail-pop3d" | b"qmail-popup" | b"spamdyke"
        | b"rblsmtpd" | b"smtp" | b"pop3-login" => qmail::read(message),
        b"stalwart" | b"stalwart-mail" => stalwart::read(message.text, Some(message.time)),
        b"haraka" => haraka::read(message, sessions),
        // Roundcube's own logs on standard output have the log's name where a program's stands.
        b"roundcube" | b"userlogins" | b"errors" => roundcube::read(message.text, message.time),
        b"sogod" | b"sogo" => sogo::read(message.text, message.time),
        b"HORDE" | b"horde" => horde::read(message.text, message.time),
        // Horde's own log has the level where a program's name stands.
        b"ERR" | b"NOTICE" | b"WARN" if message.text.starts_with(b"HORDE ") => horde::read(message.text, message.time),
        other if other.starts_with(b"vchkpw-") => qmail::read(message),
        // SquirrelMail's logger writes under whatever name the web server runs PHP.
        _ if message.text.starts_with(squirrelmail::MARK) => squirrelmail::read(message.text, message.time),
        _ => Outcome::Nothing,
    }
}

/// A message without a program's name: `multilog` and standard output carry the name in the words, or nothing.
fn unnamed<'a>(message: &Message<'a>, sessions: &mut Sessions) -> Outcome<'a> {
    match message.text.first() {
        Some(b'[') => haraka::read(message, sessions),
        _ if message.text.starts_with(squirrelmail::MARK) => squirrelmail::read(message.text, message.time),
        _ => qmail::read(message),
    }
}

/// Reads a line of a log file in a server's own form, without a syslog prefix (Roundcube, Stalwart …). Any other line is
/// `Nothing` after a look at its first bytes.
pub(crate) fn by_line<'a>(line: &'a [u8], context: &Context, sessions: &mut Sessions) -> Outcome<'a> {
    match line.first() {
        Some(b'[') => bracketed_line(line, context, sessions),
        Some(0x1b) => stalwart::coloured_line(line),
        Some(b'0'..=b'9') => numbered_line(line, sessions),
        Some(b'A'..=b'S') => named_month_line(line, context),
        _ => Outcome::Nothing,
    }
}

fn bracketed_line<'a>(line: &'a [u8], context: &Context, sessions: &mut Sessions) -> Outcome<'a> {
    if let Some((time, text)) = clock::bracketed(line, &context.zone) {
        return match (time, roundcube::read(text, time.unwrap_or(context.reference))) {
            (None, Outcome::Event(_)) => Outcome::Defect(Defect::Time),
            (_, outcome) => outcome,
        };
    }
    haraka::read(&Message { time: context.reference, whole: None, program: b"haraka", text: line }, sessions)
}

fn numbered_line<'a>(line: &'a [u8], sessions: &mut Sessions) -> Outcome<'a> {
    if let Some((time, text)) = clock::rfc3339(line) {
        return match text.first() {
            Some(b'[') => haraka::read(&Message { time, whole: None, program: b"haraka", text }, sessions),
            Some(b'E' | b'N' | b'W' | b'I' | b'D' | b'T') => match horde::own_log(text) {
                Some(text) => horde::read(text, time),
                None => stalwart::read(text, Some(time)),
            },
            _ => Outcome::Nothing,
        };
    }
    squirrelmail::own_log(line)
}

fn named_month_line<'a>(line: &'a [u8], context: &Context) -> Outcome<'a> {
    let Some((time, text)) = clock::yearless(line, context) else {
        return Outcome::Nothing;
    };
    let outcome = match (sogo::own_log(text), horde::own_log(text)) {
        (Some(text), _) => sogo::read(text, time.unwrap_or(context.reference)),
        (None, Some(text)) => horde::read(text, time.unwrap_or(context.reference)),
        (None, None) => Outcome::Nothing,
    };
    match (time, outcome) {
        (None, Outcome::Event(_)) => Outcome::Defect(Defect::Time),
        (_, outcome) => outcome,
    }
}

/// The longest text of a client that may stand in front of the place of its address. Servers and syslog cut long lines,
/// and a client must not choose what the cut end says.
const LEFT_MAX: usize = 320;

/// An event of a client, or the defect that there is no address where the client's belongs.
fn event<'a>(kind: EventKind, time: Time, client: Option<IpAddr>, service: Service) -> Result<Event<'a>, Defect> {
    client.map(|client| Event::new(kind, time, client, service)).ok_or(Defect::Client)
}

/// A field as text, if there is any.
fn some(bytes: &[u8]) -> Option<Cow<'_, str>> {
    (!bytes.is_empty()).then(|| field(bytes))
}

impl<'a> From<Result<Event<'a>, Defect>> for Outcome<'a> {
    fn from(result: Result<Event<'a>, Defect>) -> Self {
        match result {
            Ok(event) => Outcome::Event(event),
            Err(defect) => Outcome::Defect(defect),
        }
    }
}

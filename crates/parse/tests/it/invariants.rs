//! What must hold of every outcome, whatever the bytes are. The fuzz targets run these functions, too.

use std::net::IpAddr;
use std::sync::Arc;

use fairban_parse::{Context, Formats, Outcome, Parser};
use fairban_types::{CustomFormat, Event, EventKind, Service, Witness};
use jiff::tz::TimeZone;

/// A kept field is at most 320 bytes of the line; each byte that is not UTF-8 becomes three.
const FIELD_BYTES_MAX: usize = 3 * 320;

const POSTFIX: [&str; 5] = [
    "Nov 21 19:12:05 mx1 postfix/smtpd[1]: ",
    "2026-11-21T19:12:05.000001+01:00 mx1 postfix/submission/smtpd[1]: ",
    "Nov 21 19:12:05 mx1 postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: ",
    "Nov 21 19:12:05 mx1 postfix/postscreen[1]: ",
    "Nov 21 19:12:05 mx1 postfix/cleanup[1]: ",
];

const DOVECOT: [&str; 5] = [
    "Nov 21 19:12:05 mx1 dovecot: imap-login: ",
    "Nov 21 19:12:05 mx1 dovecot: auth: ",
    "Nov 21 19:12:05 pop3-login: Info: ",
    "Nov 21 19:12:05 auth: Info: passwd-file(",
    "Nov 21 19:12:05 mx1 dovecot: imap-login: Disconnected: Connection closed (auth failed, ",
];

const EXIM: [&str; 4] = [
    "2026-11-21 19:12:05 ",
    "2026-11-21 19:12:05 H=",
    "2026-11-21 19:12:05 login authenticator failed for ",
    "Nov 21 19:12:05 mx1 exim[1]: ",
];

const SERVERS: [&str; 20] = [
    "Nov 21 19:12:05 mx1 imapd: LOGIN FAILED, user=",
    "Nov 21 19:12:05 mx1 courieresmtpd: error,relay=",
    "Nov 21 19:12:05 mx1 cyrus/imap[1]: badlogin: ",
    "Nov 21 19:12:05 mx1 cyrus/imap[1]: event=login.bad ",
    "Nov 21 19:12:05 mx1 sm-mta[1]: 5ALJC5aa000001: ",
    "Nov 21 19:12:05 mx1 sm-mta[1]: 5ALJC5aa000001: ruleset=check_rcpt, arg1=",
    "Nov 21 19:12:05 mx1 smtpd[1]: 3aa2b1f0c4d5e6f7 smtp ",
    "Nov 21 19:12:05 mx1 smtpd[1]: 3aa2b1f0c4d5e6f7 smtp connected address=",
    "Nov 21 19:12:05 mx1 vpopmail[1]: vchkpw-smtp: password fail ",
    "Nov 21 19:12:05 mx1 spamdyke[1]: DENIED_RBL_MATCH from: ",
    "Nov 21 19:12:05 mx1 qmail-smtpd: pid 1 Reject::AUTH::plain P:ESMTPA S:",
    "2026-11-21T19:12:05Z INFO Authentication failed (auth.failed) ",
    "Nov 21 19:12:05 mx1 haraka[1]: [NOTICE] [8E0E1B3C-6D1A-4A4E-9B5D-0123456789AB] [core] ",
    "Nov 21 19:12:05 mx1 haraka[1]: [NOTICE] [8E0E1B3C-6D1A-4A4E-9B5D-0123456789AB] [auth/x] ",
    "Nov 21 19:12:05 mx1 roundcube: Failed login for ",
    "[21-Nov-2026 19:12:05 +0000]: IMAP Error: Login failed for ",
    "Nov 21 19:12:05 sogod [1]: SOGoRootPage Login from '",
    "11/21/2026 19:12:05 [LOGIN_ERROR] ",
    "Nov 21 19:12:05 mx1 apache2: Failed webmail login: by ",
    "Nov 21 19:12:05 mx1 HORDE: FAILED LOGIN for ",
];

fn context() -> Context {
    Context { reference: "2026-11-21T19:12:10Z".parse().expect("a time"), year: None, zone: TimeZone::UTC }
}

/// Any bytes as the lines of one source.
pub(crate) fn line(data: &[u8]) {
    source(data, Parser::new(), Parser::new());
    let behind_header = [b"Nov 21 19:12:05 mx1 ", data].concat();
    source(&behind_header, Parser::new(), Parser::new());
}

/// Lines that begin as Postfix's do.
pub(crate) fn postfix(data: &[u8]) {
    behind(&POSTFIX, data);
}

/// Lines that begin as Dovecot's do.
pub(crate) fn dovecot(data: &[u8]) {
    behind(&DOVECOT, data);
}

/// Lines that begin as Exim's do.
pub(crate) fn exim(data: &[u8]) {
    behind(&EXIM, data);
}

/// Lines that begin as those of the other servers do.
pub(crate) fn servers(data: &[u8]) {
    behind(&SERVERS, data);
}

/// Any bytes in front of words that hold an event.
pub(crate) fn prefix(data: &[u8]) {
    let words = b" postfix/smtpd[1]: warning: unknown[192.0.2.7]: SASL LOGIN authentication failed: x";
    source(&[data, words].concat(), Parser::new(), Parser::new());
}

/// A pattern and lines, with a NUL between; a pattern that is refused reads nothing.
pub(crate) fn custom(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let pattern = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let format = CustomFormat {
        name: "fuzzed".to_owned(),
        program: None,
        pattern,
        kind: EventKind::LoginFailed,
        service: Service::Imap,
        examples: Vec::new(),
    };
    let Ok(formats) = Formats::compile(&[format]) else { return };
    let formats = Arc::new(formats);
    let lines = parts.next().unwrap_or_default();
    source(lines, Parser::new().with_formats(Arc::clone(&formats)), Parser::new().with_formats(formats));
}

/// The first byte chooses how every line begins.
fn behind(beginnings: &[&str], data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let beginning = beginnings[usize::from(*choice) % beginnings.len()].as_bytes();
    let lines: Vec<Vec<u8>> = data.split(|byte| *byte == b'\n').map(|line| [beginning, line].concat()).collect();
    source(&lines.join(&b'\n'), Parser::new(), Parser::new());
}

/// Reads the lines twice and checks each outcome.
fn source(lines: &[u8], mut parser: Parser, mut again: Parser) {
    let context = context();
    let mut end = 0;
    for line in lines.split(|byte| *byte == b'\n') {
        end += line.len() + 1;
        let outcome = parser.parse(line, &context);
        assert_eq!(outcome, again.parse(line, &context), "the same lines have the same outcomes");
        if let Outcome::Event(event) = &outcome {
            assert!(!line.is_empty(), "an empty line tells nothing");
            // An earlier line of the source may have named the client.
            let so_far = &lines[..(end - 1).min(lines.len())];
            assert!(stands_in(so_far, event.client), "{} is in none of the lines", event.client);
            check_bounds(event);
        }
    }
}

fn check_bounds(event: &Event<'_>) {
    assert!(event.count > 0);
    let driver = match &event.witness {
        Witness::Backend(driver) => Some(driver),
        Witness::Frontend | Witness::Report => None,
    };
    let fields = [
        event.account.as_ref(),
        event.digest.as_ref(),
        event.session.as_ref(),
        event.helo.as_ref(),
        event.return_path.as_ref(),
        event.recipient.as_ref(),
        event.program.as_ref(),
        event.method.as_ref(),
        event.reason.as_ref(),
        driver,
    ];
    for field in fields.into_iter().flatten() {
        assert!(field.len() <= FIELD_BYTES_MAX, "a field of {} bytes", field.len());
    }
}

/// Whether some part of the text is that address.
fn stands_in(text: &[u8], client: IpAddr) -> bool {
    let plain = client.to_string();
    if text.windows(plain.len()).any(|window| window == plain.as_bytes()) {
        return true;
    }
    let of_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    (0..text.len()).filter(|start| of_address(&text[*start])).any(|start| {
        let run = text[start..].iter().take(45).take_while(|byte| of_address(byte)).count();
        (2..=run).any(|len| {
            let part = std::str::from_utf8(&text[start..start + len]).ok().and_then(|part| part.parse::<IpAddr>().ok());
            part.is_some_and(|part| part.to_canonical() == client.to_canonical())
        })
    })
}

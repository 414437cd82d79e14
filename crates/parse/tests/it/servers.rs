//! The servers other than Postfix, Dovecot and Exim: line and outcome, two by two, read by one parser per corpus.

use std::fmt::Write as _;

use fairban_parse::{Context, Outcome, Parser};
use fairban_types::Event;
use jiff::tz::TimeZone;

const STAMPED: &str = "2026-11-21T19:12:05Z";

fn context() -> Context {
    Context { reference: "2026-11-21T19:12:10Z".parse().expect("a time"), year: None, zone: TimeZone::UTC }
}

fn shown(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Event(event) => shown_event(event),
        Outcome::Nothing => "-".to_owned(),
        Outcome::Defect(_) => "!".to_owned(),
    }
}

fn shown_event(event: &Event<'_>) -> String {
    let mut text = format!("{} {} {}", event.kind, event.client, event.service);
    let fields = [
        ("account", &event.account),
        ("recipient", &event.recipient),
        ("path", &event.return_path),
        ("method", &event.method),
    ];
    for (name, field) in fields {
        if let Some(field) = field {
            write!(text, " {name}={field}").expect("a string takes all");
        }
    }
    if event.count > 1 {
        write!(text, " count={}", event.count).expect("a string takes all");
    }
    text
}

/// Runs a corpus and gives its number of lines.
fn check(name: &str, corpus: &str) -> usize {
    // One parser for lines with a syslog header, and one for files in the server's own form: a source has one of both.
    let mut parsers = [Parser::new(), Parser::new()];
    let mut lines = corpus.lines().filter(|line| !line.starts_with('#'));
    let mut wrong = String::new();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let expected = lines.next().and_then(|line| line.strip_prefix("= ")).expect("every line has an outcome");
        let is_syslog = line.starts_with("Nov");
        let outcome = parsers[usize::from(is_syslog)].parse(line.as_bytes(), &context());
        let found = shown(&outcome);
        if found != expected {
            writeln!(wrong, "{line}\n  expected {expected}\n  found    {found}").expect("a string takes all");
        }
        if let Outcome::Event(event) = outcome {
            assert_eq!(event.time.to_string(), STAMPED, "{line}");
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{name}:\n{wrong}");
    count
}

macro_rules! corpora {
    ($($server:ident),*) => {
        [$((stringify!($server), include_str!(concat!("../corpus/", stringify!($server), ".txt")))),*]
    };
}

#[test]
fn every_server_is_read() {
    let corpora =
        corpora!(courier, cyrus, sendmail, opensmtpd, qmail, stalwart, haraka, roundcube, sogo, squirrelmail, horde);
    for (name, corpus) in corpora {
        assert!(check(name, corpus) >= 8, "{name} has too few lines");
    }
}

#[test]
fn forged_lines_blame_nobody_else() {
    let corpus = include_str!("../corpus/servers-forged.txt");
    assert!(check("servers-forged", corpus) >= 33);
}

/// How a line begins up to the client's text, and an end that the client would like it to have.
const CUT: [(&str, &str); 14] = [
    ("imapd: LOGIN FAILED, user=", ", ip=[203.0.113.66]"),
    ("pop3d: LOGIN FAILED, method=", ", ip=[203.0.113.66], port=[1]"),
    ("sm-mta[1]: 5A: AUTH failure (", "): x, relay=[203.0.113.66]"),
    ("sm-mta[1]: 5A: ruleset=check_rcpt, arg1=<", ", relay=[203.0.113.66], reject=550 x... Relaying denied"),
    ("sm-mta[1]: 5A: invalid domain name (", ") from x [203.0.113.66]"),
    ("vpopmail[1]: vchkpw-smtp: password fail ", ":203.0.113.66"),
    ("spamdyke[1]: DENIED_RBL_MATCH from: ", " to: x origin_ip: 203.0.113.66 origin_rdns: x"),
    ("stalwart[1]: INFO Authentication failed (auth.failed) accountName = \"", "\", remoteIp = 203.0.113.66"),
    ("roundcube: Failed login for ", " from 203.0.113.66 in session x (error: 0)"),
    ("roundcube: IMAP Error: Login failed for ", " against x from 203.0.113.66. x"),
    ("sogod[1]: SOGoRootPage Login from '", ",203.0.113.66' for user 'x' might not have worked - password policy: 0"),
    ("apache2: Failed webmail login: by ", " (x) at 203.0.113.66 on 11/21/2026"),
    ("HORDE: FAILED LOGIN for ", " to horde (203.0.113.66)"),
    ("HORDE: FAILED LOGIN for ", " [203.0.113.66] to Horde"),
];

/// Courier's logger cuts lines at 511 bytes, others at 1024 and more: a client that fills the line chooses its end.
#[test]
fn lines_cut_behind_a_clients_text_blame_nobody() {
    for (head, tail) in CUT {
        let cut_at = if tail.contains("ip=[") { 511 } else { 1000 };
        let filling = "a".repeat(cut_at - head.len() - tail.len());
        let line = format!("Nov 21 19:12:05 mx1 {head}{filling}{tail}");
        assert!(!matches!(Parser::new().parse(line.as_bytes(), &context()), Outcome::Event(_)), "{line}");
    }
}

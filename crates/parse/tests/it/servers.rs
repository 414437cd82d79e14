//! The servers other than Postfix, Dovecot and Exim: line and outcome, two by two, read by one parser per corpus.

use std::fmt::Write as _;

use fairban_parse::{Context, Outcome, Parser};
use fairban_types::Event;
use jiff::tz::TimeZone;

const STAMPED: &str = "2026-11-21T19:12:05Z";

fn context() -> Context {
    Context { reference: "2026-11-21T19:12:10Z".parse().unwrap(), year: None, zone: TimeZone::UTC }
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
            write!(text, " {name}={field}").unwrap();
        }
    }
    if event.count > 1 {
        write!(text, " count={}", event.count).unwrap();
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
            writeln!(wrong, "{line}\n  expected {expected}\n  found    {found}").unwrap();
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
    let corpora = corpora!(
        courier, cyrus, sendmail, opensmtpd, qmail, stalwart, haraka, roundcube, sogo, squirrelmail, horde
    );
    for (name, corpus) in corpora {
        assert!(check(name, corpus) >= 8, "{name} has too few lines");
    }
}

#[test]
fn forged_lines_blame_nobody_else() {
    let corpus = include_str!("../corpus/servers-forged.txt");
    assert!(check("servers-forged", corpus) >= 33);
    let mut parsers = [Parser::new(), Parser::new()];
    for line in corpus.lines().filter(|line| !line.starts_with(['#', '='])) {
        // Whatever else is done to the line: cut anywhere, it blames nobody else either.
        for end in 0..=line.len() {
            let cut = &line.as_bytes()[..end];
            if let Outcome::Event(event) = parsers[usize::from(line.starts_with("Nov"))].parse(cut, &context()) {
                assert_ne!(event.client.to_string(), "203.0.113.66", "{}", String::from_utf8_lossy(cut));
            }
        }
    }
}

//! Formats of the operator's own: what is refused, and what is read.

use std::sync::Arc;

use fairban_parse::{Context, Formats, Outcome, Parser};
use fairban_types::{CustomFormat, EventKind, Service};
use jiff::tz::TimeZone;

fn format(pattern: &str) -> CustomFormat {
    CustomFormat {
        name: "mine".to_owned(),
        program: Some("mymail".to_owned()),
        pattern: pattern.to_owned(),
        kind: EventKind::LoginFailed,
        service: Service::Imap,
        examples: vec![
            ("bad login by 192.0.2.7 as alice".to_owned(), "192.0.2.7".parse().expect("an address")),
            (
                "Nov 21 19:12:05 mx1 mymail[3]: bad login by 192.0.2.7 as alice".to_owned(),
                "192.0.2.7".parse().expect("an address"),
            ),
        ],
    }
}

fn refusal(pattern: &str) -> Option<String> {
    Formats::compile(&[format(pattern)]).err().map(|error| error.to_string())
}

#[test]
fn dangerous_patterns_are_refused_with_advice() {
    for (pattern, part) in [
        ("^bad login as .* by (?<client>\\S+)", "anchor the pattern at its other end"),
        ("^bad login as \\S+ by (?<client>\\S+)", "'"),
        ("^as [a-z]{1,20} by (?<client>\\S+)", "text that a client may choose"),
        ("^as (?:\\w|-)* by (?<client>\\S+)", "text that a client may choose"),
        ("^as (?<account>[^ ]+) by (?<client>\\S+)", "text that a client may choose"),
        ("^as \\w\\w\\w by (?<client>\\S+)", "text that a client may choose"),
        ("by (?<client>\\S+) as .*$", "text that a client may choose"),
        ("by (?<client>\\S+)", "anchored at neither end"),
        ("(?m)^by (?<client>\\S+)", "anchored at neither end"),
        ("^by (\\S+)", "no group for the address"),
        ("^by (?<client>\\S+) (?<user>\\S+)", "no field 'user'"),
        ("^(?:by (?<client>\\S+)|nobody)", "write one format for each wording"),
        ("^by (?<client>\\S+", "not a regular expression"),
        ("^by (?<client>\\w{1000}{1000})", "too large"),
    ] {
        let said = refusal(pattern).unwrap_or_else(|| panic!("{pattern} was taken"));
        assert!(said.starts_with("format 'mine': ") && said.contains(part), "{pattern}: {said}");
        assert!(!said.contains('\n'), "{said}");
    }
    assert!(refusal(&format!("^{}(?<client>\\S+)", "a".repeat(3000))).unwrap().contains("too large"));
}

#[test]
fn safe_patterns_are_taken() {
    for pattern in [
        "^bad login by (?<client>\\S+) as (?<account>.*)$",
        "^(?:bad|wrong) login, session [0-9a-f]+,\\s+by (?<client>\\S+)",
        "^\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d (?<client>[0-9A-Fa-f:.]+) ",
        "as (?<account>.*) by (?<client>[0-9A-Fa-f:.]+)$",
        "^as .* by (?<client>[0-9A-Fa-f:.]+)(?: port \\d+)?$",
    ] {
        assert_eq!(refusal(pattern), None, "{pattern}");
    }
}

#[test]
fn lines_are_read_and_examples_run() {
    let formats = Formats::compile(&[format("^bad login by (?<client>\\S+) as (?<account>.*)$")]).unwrap();
    let results = formats.run_examples();
    assert_eq!(results.len(), 2);
    assert!(results.iter().all(fairban_parse::ExampleResult::is_good), "{results:?}");

    let mut parser = Parser::new().with_formats(Arc::new(formats));
    let context = Context { reference: "2026-11-21T19:12:10Z".parse().unwrap(), year: None, zone: TimeZone::UTC };
    for (line, expected) in [
        ("Nov 21 19:12:05 mx1 mymail[3]: bad login by 192.0.2.7 as x by 203.0.113.66", Some("192.0.2.7")),
        ("Nov 21 19:12:05 mx1 mymail[3]: bad login by ::ffff:192.0.2.7 as x", Some("192.0.2.7")),
        ("Nov 21 19:12:05 mx1 mymail[3]: bad login by 192.0.2.7x as y", None),
        ("Nov 21 19:12:05 mx1 other[3]: bad login by 192.0.2.7 as x", None),
        ("Nov 21 19:12:05 mx1 mymail[3]: x bad login by 192.0.2.7 as x", None),
    ] {
        let found = match parser.parse(line.as_bytes(), &context) {
            Outcome::Event(event) => Some(event.client.to_string()),
            _ => None,
        };
        assert_eq!(found.as_deref(), expected, "{line}");
    }
}

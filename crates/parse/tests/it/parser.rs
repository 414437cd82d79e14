use std::fs;
use std::path::Path;
use std::sync::Arc;

use fairban_parse::{Counts, Formats, Outcome, Parser};
use fairban_types::{CustomFormat, EventKind, Service};

use crate::show::{context, show};

#[test]
fn own_formats_come_first() {
    let format = CustomFormat {
        name: "app".to_owned(),
        program: Some("app".to_owned()),
        pattern: "^bad login from (?<client>[0-9a-f.:]+) ".to_owned(),
        kind: EventKind::LoginFailed,
        service: Service::Webmail,
        examples: Vec::new(),
    };
    let formats = Arc::new(Formats::compile(&[format]).expect("a good format"));
    let mut parser = Parser::new().with_formats(formats);
    let outcome = parser.parse(b"Nov 21 19:12:05 mail app[1]: bad login from 192.0.2.7 of bob", &context());
    assert_eq!(show(&outcome), "login_failed 192.0.2.7 webmail");
    let outcome = parser.parse(b"Nov 21 19:12:05 mail other[1]: bad login from 192.0.2.7 of bob", &context());
    assert_eq!(outcome, Outcome::Nothing);
}

#[test]
fn a_repeated_line_has_its_own_time() {
    let mut parser = Parser::new();
    parser.parse(b"Nov 21 19:12:05 mail postfix/smtpd[1]: lost connection after AUTH from a[192.0.2.7]", &context());
    for _ in 0..2 {
        match parser.parse(b"Nov 21 19:12:35 mail last message repeated 4 times", &context()) {
            Outcome::Event(event) => {
                assert_eq!((event.count, event.time.to_string()), (4, "2026-11-21T19:12:35Z".to_owned()));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_line_end_is_no_part_of_the_line() {
    let line = b"Nov 21 19:12:05 mail postfix/smtpd[1]: warning: a[192.0.2.7]: SASL LOGIN authentication failed: x, sasl_username=bob\r\n";
    match Parser::new().parse(line, &context()) {
        Outcome::Event(event) => assert_eq!(event.account.as_deref(), Some("bob")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_is_read_as_its_lines_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut text = String::from("Nov 21 19:12:35 mail last message repeated 4 times\n");
    for file in fs::read_dir(folder).expect("the corpus can be listed") {
        text += &fs::read_to_string(file.expect("a file of the corpus").path()).expect("text");
        text += "Nov 21 19:12:35 mail last message repeated 4 times\r\n";
    }
    // Fields are cut inside of characters, too.
    text += &format!("Nov 21 19:12:05 mx dovecot: imap-login: Login: user=<{}>, rip=192.0.2.7", "ä€😀".repeat(90));
    let first = "Nov 21 19:12:05 mail postfix/smtpd[1]: lost connection after AUTH from a[192.0.2.7]";
    let (mut one_by_one, mut at_once) = (Parser::new(), Parser::new());
    for parser in [&mut one_by_one, &mut at_once] {
        assert!(matches!(parser.parse(first.as_bytes(), &context()), Outcome::Event(_)));
    }
    let mut events = Vec::new();
    let counts = at_once.parse_text(&text, &context(), &mut events);
    let (mut expected, mut defects) = (Vec::new(), 0);
    for line in text.lines() {
        match one_by_one.parse(line.as_bytes(), &context()) {
            Outcome::Event(event) => expected.push(event),
            Outcome::Nothing => {}
            Outcome::Defect(_) => defects += 1,
        }
    }
    assert_eq!(events, expected);
    assert!(events.len() > 300 && events[0].count == 4, "{}", events.len());
    assert_eq!(counts, Counts { lines: text.lines().count() as u64, defects });
}

#[test]
fn a_message_is_told_once_with_its_recipients() {
    let mut parser = Parser::new();
    for (line, expected) in [
        ("qmgr[9]: 417AC98C152: from=<alice@example.test>, size=439, nrcpt=2 (queue active)", "nothing"),
        (
            "submission/smtpd[1]: 417AC98C152: client=a[192.0.2.7], sasl_method=LOGIN, sasl_username=alice",
            "login_succeeded 192.0.2.7 submission account=\"alice\" method=\"LOGIN\"",
        ),
        ("smtpd[1]: 5D0A098C153: client=a[192.0.2.9]", "recipient_accepted 192.0.2.9 smtp"),
        ("qmgr[9]: 5D0A098C153: from=<x@remote.test>, size=439, nrcpt=1 (queue active)", "nothing"),
        ("qmgr[9]: 417AC98C152: removed", "nothing"),
        (
            "qmgr[9]: 417AC98C152: from=<\">, size=1, nrcpt=9\"@example.test>, size=439, nrcpt=2 (queue active)",
            "message_sent 192.0.2.7 submission x2 account=\"alice\" session=\"417AC98C152\" from=\"\\\">, size=1, nrcpt=9\\\"@example.test\"",
        ),
        ("qmgr[9]: 417AC98C152: from=<alice@example.test>, size=439, nrcpt=2 (queue active)", "nothing"),
    ] {
        let line = format!("Nov 21 19:12:05 mail postfix/{line}");
        assert_eq!(show(&parser.parse(line.as_bytes(), &context())), expected, "{line}");
    }
}

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fairban_parse::{Counts, Findings, Formats, Found, Outcome, Parser};
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

/// Lines of every server, those that refer to lines before them, and some that are not sound.
fn whole_corpus() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("the corpus can be listed").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let again = "Nov 21 19:12:35 mail last message repeated 4 times\r\n";
    let mut text = format!("{again}not stamped\n{again}");
    for file in files {
        text += &fs::read_to_string(file).expect("text");
        text += again;
        text += again;
    }
    for line in [
        "submission/smtpd[1]: 417AC98C152: client=a[192.0.2.7], sasl_method=LOGIN, sasl_username=alice",
        "qmgr[9]: 417AC98C152: from=<alice@example.test>, size=439, nrcpt=2 (queue active)",
        "smtpd[1]: lost connection after AUTH from a[192.0.2.7]",
    ] {
        text += &format!("Nov 21 19:12:05 mail postfix/{line}\n{again}");
    }
    // Fields are cut inside of characters, too.
    text += &format!("Nov 21 19:12:05 mx dovecot: imap-login: Login: user=<{}>, rip=192.0.2.7\n", "ä€😀".repeat(90));
    let mut text = text.into_bytes();
    text.extend_from_slice(b"Nov 21 19:12:05 mx dovecot: imap-login: Login: user=<\xff>, rip=192.0.2.7");
    text
}

#[test]
fn pieces_read_ahead_are_settled_as_their_lines_are() {
    let corpus = whole_corpus();
    let lines: Vec<&[u8]> = corpus.split_inclusive(|byte| *byte == b'\n').collect();
    let (mut expected, mut expected_counts) = (Vec::new(), Counts::default());
    let mut one_by_one = Parser::new();
    for line in &lines {
        expected_counts.lines += 1;
        match one_by_one.parse(line, &context()) {
            Outcome::Event(event) => expected.push(event),
            Outcome::Nothing => {}
            Outcome::Defect(_) => expected_counts.defects += 1,
        }
    }
    assert!(expected.len() > 300 && expected_counts.defects > 0, "{}", expected.len());
    for lines_each in [1, 2, 3, 7, 64, lines.len()] {
        let mut parser = Parser::new();
        let mut readers = [parser.ahead(), parser.ahead()];
        let (mut events, mut counts) = (Vec::new(), Counts::default());
        for (number, piece) in lines.chunks(lines_each).enumerate() {
            let piece = piece.concat().leak();
            let mut findings = Findings::default();
            let read = readers[number % 3 % 2].read(piece, &context(), &mut findings, |_| {});
            counts.lines += read.lines;
            counts.defects += read.defects;
            for found in findings.in_turn() {
                let outcome = match found {
                    Found::Event(event) => Outcome::Event(event.clone()),
                    Found::SignIn(event) => {
                        parser.complete(event);
                        Outcome::Event(event.clone())
                    }
                    Found::Message(id, event) => match parser.complete_message(id, event) {
                        true => Outcome::Event(event.clone()),
                        false => Outcome::Nothing,
                    },
                    Found::Later(later) => parser.settle(later, &context()),
                };
                match outcome {
                    Outcome::Event(event) => events.push(event),
                    Outcome::Nothing => {}
                    Outcome::Defect(_) => counts.defects += 1,
                }
            }
        }
        assert_eq!(counts, expected_counts, "{lines_each} lines a piece");
        assert!(events == expected, "{lines_each} lines a piece");
    }
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

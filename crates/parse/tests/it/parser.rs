use std::sync::Arc;

use fairban_parse::{Formats, Outcome, Parser};
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

//! What is said to what, protocol by protocol.

use std::fmt::Write as _;

use super::dialogue::{Dialogue, Next, Reason};
use super::port::Port;

const WHY: &str = "You are blocked (reference 28T5-CY4T)";

fn why() -> Reason {
    vec![WHY.to_owned()]
}

fn dialogue(port: u16, has_certificate: bool) -> Dialogue {
    Dialogue::new(Port::of(port).unwrap(), "mail.example.test".into(), has_certificate)
}

/// Lines of the client and of ours in turn; `=` before what came of it.
fn transcript(port: u16, has_certificate: bool, lines: &[&str]) -> String {
    let mut dialogue = dialogue(port, has_certificate);
    let mut shown = String::new();
    let mut tell = |next: Next, out: &mut Vec<u8>| {
        let text = String::from_utf8(std::mem::take(out)).unwrap();
        assert!(text.is_empty() || text.ends_with("\r\n"));
        for line in text.replace(WHY, "WHY").lines() {
            writeln!(shown, "{line}").unwrap();
        }
        if next != Next::Listen {
            writeln!(shown, "= {next:?}").unwrap();
        }
        next
    };
    let mut out = Vec::new();
    let next = dialogue.greet(&why, &mut out);
    if tell(next, &mut out) == Next::End {
        return shown;
    }
    for line in lines {
        let next = dialogue.hear(format!("{line}\r\n").as_bytes(), &why, &mut out);
        match tell(next, &mut out) {
            Next::Listen => {}
            Next::StartTls => {
                let next = dialogue.secured(&why, &mut out);
                tell(next, &mut out);
            }
            Next::End => return shown,
        }
    }
    shown
}

fn check(port: u16, has_certificate: bool, lines: &[&str], expected: &[&str]) {
    let shown = transcript(port, has_certificate, lines);
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected, "port {port}: {lines:?}");
}

#[test]
fn other_servers_are_told_at_once() {
    check(25, true, &[], &["421 4.7.0 WHY", "= End"]);
}

#[test]
fn submission_is_refused_when_it_signs_in() {
    let hello = [
        "220 mail.example.test ESMTP",
        "250-mail.example.test",
        "250-STARTTLS",
        "250-AUTH PLAIN LOGIN",
        "250-ENHANCEDSTATUSCODES",
        "250 8BITMIME",
    ];
    let later = ["250-mail.example.test", "250-AUTH PLAIN LOGIN", "250-ENHANCEDSTATUSCODES", "250 8BITMIME"];
    let told = "454 4.7.0 WHY";
    let then = |more: &[&'static str]| [&hello[..], more].concat();
    check(
        587,
        true,
        &["EHLO x", "STARTTLS", "EHLO x", "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "QUIT"],
        &then(&[&["220 2.0.0 Begin TLS", "= StartTls"], &later[..], &[told, "221 2.0.0 Bye", "= End"]].concat()),
    );
    // Program after program tries the next way; the last that it hears is the reason again.
    check(
        587,
        true,
        &["EHLO x", "AUTH PLAIN", "auth login", "AUTH CRAM-MD5", "AUTH PLAIN", "never heard"],
        &then(&[told, told, told, told, "= End"]),
    );
    for line in ["MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>", "DATA", "BDAT 5 LAST"] {
        check(465, true, &[line], &["220 mail.example.test ESMTP", "421 4.7.0 WHY", "= End"]);
    }
    check(
        2525,
        false,
        &["HELO x", "STARTTLS", "NOOP", "RSET", "VRFY alice", "GET / HTTP/1.1", "", "\u{0}\u{ff}"],
        &[
            "220 mail.example.test ESMTP",
            "250 mail.example.test",
            "502 5.5.1 Not available",
            "250 2.0.0 OK",
            "250 2.0.0 OK",
            "502 5.5.1 Not available",
            "500 5.5.2 Unknown command",
            "500 5.5.2 Unknown command",
            "500 5.5.2 Unknown command",
        ],
    );
}

#[test]
fn imap_is_refused_when_it_signs_in() {
    let ready = "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID STARTTLS AUTH=PLAIN AUTH=LOGIN] Ready";
    let secret = "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN] Ready";
    let told = ["a NO [ALERT] WHY", "* BYE WHY", "= End"];
    for line in [
        "a LOGIN alice secret",
        "a login \"alice\" \"se\\\"cret\"",
        "a LOGIN {5}",
        "a LOGIN {5+}",
        "a AUTHENTICATE PLAIN",
        "a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==",
        "a authenticate LOGIN",
        "a ID (\"name\" {3}",
    ] {
        check(143, true, &[line], &[&[ready], &told[..]].concat());
        check(993, true, &[line], &[&[secret], &told[..]].concat());
    }
    check(
        143,
        true,
        &[
            "1 CAPABILITY",
            "2 ID NIL",
            "3 NOOP",
            "4 STARTTLS",
            "5 CAPABILITY",
            "6 STARTTLS",
            "7 SELECT INBOX",
            "",
            "8 LOGOUT",
        ],
        &[
            ready,
            "* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID STARTTLS AUTH=PLAIN AUTH=LOGIN",
            "1 OK Done",
            "* ID NIL",
            "2 OK Done",
            "3 OK Done",
            "4 OK Begin TLS",
            "= StartTls",
            "* CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN AUTH=LOGIN",
            "5 OK Done",
            "6 BAD Not available before login",
            "7 BAD Not available before login",
            "* BAD No tag",
            "* BYE Bye",
            "8 OK Done",
            "= End",
        ],
    );
}

#[test]
fn pop3_is_refused_when_it_signs_in() {
    let told = "-ERR [SYS/TEMP] WHY";
    for line in ["USER alice", "PASS secret", "APOP alice 00", "AUTH PLAIN", "auth login AAAA"] {
        check(110, true, &[line, "QUIT"], &["+OK Ready", told, "+OK Bye", "= End"]);
    }
    check(
        110,
        true,
        &["CAPA", "STLS", "CAPA", "AUTH", "STAT", "USER a", "USER a", "PASS b", "PASS b", "never heard"],
        &[
            "+OK Ready",
            "+OK",
            "USER",
            "SASL PLAIN LOGIN",
            "STLS",
            "RESP-CODES",
            "AUTH-RESP-CODE",
            ".",
            "+OK Begin TLS",
            "= StartTls",
            "+OK",
            "USER",
            "SASL PLAIN LOGIN",
            "RESP-CODES",
            "AUTH-RESP-CODE",
            ".",
            "+OK",
            "PLAIN",
            "LOGIN",
            ".",
            "-ERR Not available before login",
            told,
            told,
            told,
            told,
            "= End",
        ],
    );
}

#[test]
fn manage_sieve_is_refused_when_it_signs_in() {
    let ready = ["\"IMPLEMENTATION\" \"Mail\"", "\"SIEVE\" \"\"", "\"SASL\" \"PLAIN LOGIN\""];
    let rest = ["\"VERSION\" \"1.0\"", "OK"];
    let told = ["NO (TRYLATER) \"WHY\"", "BYE (TRYLATER) \"WHY\"", "= End"];
    let open = [&ready[..], &["\"STARTTLS\""], &rest[..]].concat();
    let secret = [&ready[..], &rest[..]].concat();
    for line in ["AUTHENTICATE \"PLAIN\"", "AUTHENTICATE \"PLAIN\" {4+}", "PUTSCRIPT \"a\" {9+}"] {
        check(4190, true, &[line], &[&open[..], &told[..]].concat());
    }
    check(
        4190,
        true,
        &["STARTTLS", "NOOP", "LISTSCRIPTS", "LOGOUT"],
        &[&open[..], &["OK", "= StartTls"], &secret, &["OK", "NO \"Not available before login\"", "OK", "= End"]]
            .concat(),
    );
}

#[test]
fn several_languages_are_told_in_one_answer() {
    let why = || vec!["Blocked \"for now\"".to_owned(), "Gesperrt für jetzt".to_owned()];
    for (port, line, told) in [
        (25, "", "421-4.7.0 Blocked \"for now\"\r\n421 4.7.0 Gesperrt fuer jetzt\r\n"),
        (587, "AUTH PLAIN", "454-4.7.0 Blocked \"for now\"\r\n454 4.7.0 Gesperrt fuer jetzt\r\n"),
        (
            143,
            "a LOGIN b c",
            "* NO [ALERT] Gesperrt fuer jetzt\r\na NO [ALERT] Blocked \"for now\"\r\n* BYE Blocked \"for now\"\r\n",
        ),
        (110, "USER a", "-ERR [SYS/TEMP] Blocked \"for now\" / Gesperrt fuer jetzt\r\n"),
        (
            4190,
            "AUTHENTICATE \"PLAIN\"",
            "NO (TRYLATER) \"Blocked \\\"for now\\\" / Gesperrt für jetzt\"\r\n\
             BYE (TRYLATER) \"Blocked \\\"for now\\\" / Gesperrt für jetzt\"\r\n",
        ),
    ] {
        let (mut dialogue, mut out) = (dialogue(port, false), Vec::new());
        if dialogue.greet(&why, &mut out) == Next::Listen {
            out.clear();
            dialogue.hear(format!("{line}\r\n").as_bytes(), &why, &mut out);
        }
        assert_eq!(String::from_utf8(out).unwrap(), told, "port {port}");
    }
    let long = vec!["x".repeat(400), "y".repeat(200)];
    let (mut dialogue, mut out) = (dialogue(110, false), Vec::new());
    dialogue.hear(b"USER a\r\n", &|| long.clone(), &mut out);
    assert!(out.len() <= 512 && !out.contains(&b'y'), "what does not fit is left out whole");
}

#[test]
fn every_account_and_password_has_the_same_answer() {
    for (port, forms) in [
        (587, &["AUTH PLAIN {}\r\n", "MAIL FROM:<{}>\r\n"][..]),
        (143, &["a LOGIN {} {}\r\n", "a AUTHENTICATE PLAIN {}\r\n", "a LOGIN {5+}\r\n{} {}\r\n"]),
        (110, &["USER {}\r\nPASS {}\r\n", "APOP {} {}\r\n"]),
        (4190, &["AUTHENTICATE \"PLAIN\" \"{}\"\r\n"]),
    ] {
        for form in forms {
            let answer = |who: &str| {
                let (mut dialogue, mut out) = (dialogue(port, true), Vec::new());
                let next = dialogue.hear(form.replace("{}", who).as_bytes(), &why, &mut out);
                (next, out)
            };
            let one = answer("alice");
            for who in ["bob", "root@example.test", "AGFsaWNlAHNlY3JldA==", "\u{e4}", &"x".repeat(2000)] {
                assert_eq!(answer(who), one, "{form}");
            }
        }
    }
}

#[test]
fn what_came_with_the_word_for_tls_is_not_heard() {
    for (port, line) in [(587, "STARTTLS"), (143, "a STARTTLS"), (110, "STLS"), (4190, "STARTTLS")] {
        let (mut dialogue, mut out) = (dialogue(port, true), Vec::new());
        assert_eq!(dialogue.hear(format!("{line}\r\nNOOP\r\n").as_bytes(), &why, &mut out), Next::End, "{port}");
        assert!(!dialogue.has_told());
    }
}

#[test]
fn nothing_of_a_password_stays() {
    for (port, line) in [
        (587, "AUTH PLAIN hunter2-hunter2"),
        (143, "a LOGIN alice hunter2-hunter2"),
        (110, "PASS hunter2-hunter2"),
        (4190, "AUTHENTICATE \"PLAIN\" \"hunter2-hunter2\""),
    ] {
        let (mut dialogue, mut out) = (dialogue(port, true), Vec::new());
        dialogue.hear(line.as_bytes(), &why, &mut out);
        assert!(out.is_empty() && !dialogue.is_between_lines(), "in the middle of the line");
        assert!(!format!("{dialogue:?}").contains("hunter"));
        dialogue.hear(b"\r\n", &why, &mut out);
        assert!(dialogue.has_told() && dialogue.is_between_lines());
        assert!(!String::from_utf8_lossy(&out).contains("hunter"));
    }
}

#[test]
fn answers_are_bounded_whatever_is_said() {
    let why = || vec!["x".repeat(380), "y".repeat(380)];
    for port in Port::ALL {
        for line in ["EHLO x\r\n", "a CAPABILITY\r\n", "CAPA\r\n", "CAPABILITY\r\n", "a NOOP\r\n", "\n", "AUTH x\r\n"] {
            let (mut dialogue, mut out) = (dialogue(port.number, true), Vec::new());
            let mut next = dialogue.greet(&why, &mut out);
            for _ in 0..1000 {
                next = dialogue.hear(line.as_bytes(), &why, &mut out);
            }
            assert_eq!(next, Next::End, "{port:?} {line}");
            assert!(out.len() < 8 * 1024, "{port:?} {line}: {}", out.len());
        }
    }
}

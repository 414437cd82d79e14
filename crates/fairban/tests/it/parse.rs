//! `fairban parse`: the form that scripts rely on.

use serde_json::json;

use crate::node::fairban;

const LOG: &str = "\
2026-11-21T19:12:05+00:00 mx dovecot: auth: passwd-file(alice,192.0.2.7,<s1>): Password mismatch (SHA1 of given password: 0585)
2026-11-21T19:12:06+00:00 mx dovecot: master: Dovecot v2.3 starting up
2026-11-21T19:12:07+00:00 mx postfix/smtpd[20616]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 <someone@remote.test>: Relay access denied; from=<x@evil.test> to=<someone@remote.test> proto=ESMTP helo=<client.example.net>
";

#[test]
fn one_object_for_each_line() {
    let said = fairban(&["parse", "--json", "-"], LOG.as_bytes());
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let lines = said.json();
    let first = &lines[0];
    for (key, value) in [
        ("line", json!(1)),
        ("kind", json!("login_failed")),
        ("time", json!("2026-11-21T19:12:05Z")),
        ("client", json!("192.0.2.7")),
        ("account", json!("alice")),
        ("digest", json!("0585")),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert!(first["service"].is_string() && first["detail"].is_object());
    assert_eq!(lines[1], json!({"line": 2, "kind": null}));
    assert_eq!(lines[2]["kind"], "relay_denied");
    assert_eq!(lines[2]["service"], "smtp");
    assert_eq!(lines[2]["detail"]["helo"], "client.example.net");
    assert_eq!(lines[2]["detail"]["return_path"], "x@evil.test");
    assert_eq!(lines[2]["detail"]["recipient"], "someone@remote.test");
    assert_eq!(lines.len(), 3);
}

#[test]
fn the_year_of_dates_without_one_can_be_told() {
    let line = "Feb 29 19:12:05 mx dovecot: auth: passwd-file(alice,192.0.2.7): unknown user\n";
    let said = fairban(&["parse", "--json", "--year", "2024", "--zone", "Europe/Berlin", "-"], line.as_bytes());
    assert_eq!(said.json()[0]["time"], "2024-02-29T18:12:05Z");
}

#[test]
fn people_see_lines_by_number_and_a_sum() {
    let said = fairban(&["parse", "--events", "-"], LOG.as_bytes());
    assert_eq!(said.out.lines().count(), 2, "{}", said.out);
    assert!(said.out.starts_with("      1  2026-11-21 19:12:05  login_failed "), "{}", said.out);
    assert_eq!(said.err, "3 lines: 2 with an event, 1 without, 0 broken\n");
}

#[test]
fn an_empty_log_and_a_missing_newline_are_no_trouble() {
    assert_eq!(fairban(&["parse", "--json", "-"], b"").out, "");
    assert_eq!(fairban(&["parse", "--json", "-"], LOG.trim_end().as_bytes()).json().len(), 3);
}

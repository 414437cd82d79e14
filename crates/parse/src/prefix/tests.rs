use jiff::tz::TimeZone;

use super::*;

fn context() -> Context {
    Context {
        reference: "2026-11-21T20:00:00Z".parse().unwrap(),
        year: None,
        zone: TimeZone::fixed(jiff::tz::offset(1)),
    }
}

fn shown(split: Result<Split<'_>, Defect>) -> String {
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match split {
        Ok(Split::Tagged { time, program, text }) => format!("{time} {} | {}", show(program), show(text)),
        Ok(Split::Spaced { time, text }) => format!("{time} spaced | {}", show(text)),
        Ok(Split::Bare { time, text }) => format!("{time} bare | {}", show(text)),
        Ok(Split::LastRepeated { time, count }) => format!("{time} last x{count}"),
        Ok(Split::Continuation) => "continuation".to_owned(),
        Err(defect) => defect.to_string(),
    }
}

#[test]
fn every_form_of_prefix() {
    for (line, expected) in [
        ("Nov 21 19:12:05 mail postfix/smtpd[1]: x", "2026-11-21T18:12:05Z postfix/smtpd | x"),
        ("<22>Nov 21 19:12:05 mail postfix/smtpd[1]: x", "2026-11-21T18:12:05Z postfix/smtpd | x"),
        ("Nov  1 19:12:05 mail dovecot: auth: x", "2026-11-01T18:12:05Z dovecot | auth: x"),
        ("Nov 1 19:12:05 mail dovecot: auth: x", "2026-11-01T18:12:05Z dovecot | auth: x"),
        ("Nov 21 19:12:05 postfix/smtpd[1]: x", "2026-11-21T18:12:05Z postfix/smtpd | x"),
        ("Nov 21 19:12:05 imap-login: Info: x", "2026-11-21T18:12:05Z imap-login | Info: x"),
        ("Nov 21 19:12:05 auth(a b)<s>: Info: x", "2026-11-21T18:12:05Z auth | (a b)<s>: Info: x"),
        ("Nov 22 20:59:59 mail a: x", "2026-11-22T19:59:59Z a | x"),
        ("Nov 22 21:01:00 mail a: x", "2025-11-22T20:01:00Z a | x"),
        ("Dec 31 23:59:60 mail a: x", "2025-12-31T23:00:00Z a | x"),
        ("Feb 29 00:00:00 mail a: x", "2024-02-28T23:00:00Z a | x"),
        ("Nov 31 00:00:00 mail a: x", "the time stamp cannot be a time"),
        ("Nov 21 19:61:00 mail a: x", "the time stamp cannot be a time"),
        ("Nov 21 19:12:61 mail a: x", "the time stamp cannot be a time"),
        ("2026-11-21T19:12:05.123456+00:00 mail postfix/smtpd[1]: x", "2026-11-21T19:12:05.123Z postfix/smtpd | x"),
        ("2026-11-21T19:12:05Z mail a[1]: x", "2026-11-21T19:12:05Z a | x"),
        ("2026-11-21T19:12:05-0730 mail a[1]: x", "2026-11-22T02:42:05Z a | x"),
        ("2026-11-21T19:12:05 mail a[1]: x", "2026-11-21T18:12:05Z a | x"),
        ("2026-11-31T19:12:05Z mail a[1]: x", "the time stamp cannot be a time"),
        ("2026-11-21 19:12:05 [77] x", "2026-11-21T18:12:05Z spaced | [77] x"),
        ("2026-11-21 19:12:05.250 +0000 x", "2026-11-21T19:12:05.25Z spaced | x"),
        ("Sat 2026-11-21 19:12:05 UTC mail a[1]: x", "2026-11-21T19:12:05Z a | x"),
        ("Sat 2026-11-21 19:12:05 CET mail a[1]: x", "2026-11-21T18:12:05Z a | x"),
        ("<34>1 2026-11-21T19:12:05.003Z mail postfix/smtpd 7 - - x", "2026-11-21T19:12:05.003Z postfix/smtpd | x"),
        ("<34>1 - mail postfix/smtpd 7 - - x", "2026-11-21T20:00:00Z postfix/smtpd | x"),
        ("@400000006920b8ff1dcd6500 tcpserver: x", "2025-11-21T19:09:41.5Z tcpserver | x"),
        ("1795288325.5 mail a[1]: x", "2026-11-21T19:12:05.5Z a | x"),
        ("[   12.345678] kernel: x", "2026-11-21T20:00:00Z kernel | x"),
        ("postfix/smtpd[1]: x", "2026-11-21T20:00:00Z postfix/smtpd | x"),
        ("what is this", "2026-11-21T20:00:00Z bare | what is this"),
        ("Nov 21 19:12:05 mail last message repeated 3 times", "2026-11-21T18:12:05Z last x3"),
        ("2026-11-21T19:12:05Z INFO Something id = 1", "2026-11-21T19:12:05Z bare | INFO Something id = 1"),
        ("Nov 21 19:12:05", "2026-11-21T18:12:05Z bare | "),
    ] {
        assert_eq!(shown(Prefixes::default().split(line.as_bytes(), &context())), expected, "{line}");
    }
}

#[test]
fn remembered_minutes_give_the_same_times() {
    let mut prefixes = Prefixes::default();
    for line in [
        "Nov 21 19:12:05 mail a: x",
        "Nov 21 19:12:59 mail a: x",
        "Nov 21 19:12:05.250 mail a: x",
        "Nov 21 19:13:00 mail a: x",
        "2026-11-21T19:12:05 mail a: x",
        "2026-11-21T19:12:06 mail a: x",
        "2026-11-21T19:12:06Z mail a: x",
        "2026-11-21 19:12:06 x",
        "2026-11-21 19:12:07 +0300 x",
    ] {
        let fresh = shown(Prefixes::default().split(line.as_bytes(), &context()));
        assert_eq!(shown(prefixes.split(line.as_bytes(), &context())), fresh, "{line}");
    }
    let later = Context { reference: "2027-11-21T20:00:00Z".parse().unwrap(), ..context() };
    prefixes.split(b"Nov 21 19:12:05 mail a: x", &context()).unwrap();
    let split = prefixes.split(b"Nov 21 19:12:05 mail a: x", &later);
    assert_eq!(shown(split), "2027-11-21T18:12:05Z a | x");
}

#[test]
fn a_line_without_a_stamp_continues_a_stamped_one() {
    let mut prefixes = Prefixes::default();
    prefixes.split(b"Nov 21 19:12:05 mail a: x", &context()).unwrap();
    let forged = b"postfix/smtpd[1]: warning: x[192.0.2.7]: SASL LOGIN authentication failed: y";
    assert!(matches!(prefixes.split(forged, &context()), Ok(Split::Continuation)));
}

#[test]
fn a_given_year_counts() {
    let context = Context { year: Some(2019), ..context() };
    let split = Prefixes::default().split(b"Nov 21 19:12:05 mail a: x", &context).map(|split| shown(Ok(split)));
    assert_eq!(split, Ok("2019-11-21T18:12:05Z a | x".to_owned()));
}

use fairban_types::Service;

use super::*;

fn head(stamp: Stamp) -> Head<'static> {
    Head { at: "2026-11-05T19:12:05.25Z".parse().unwrap(), host: "mx1", stamp }
}

fn written(write: impl FnOnce(&mut String)) -> String {
    let mut out = String::new();
    write(&mut out);
    assert_eq!(out.matches('\n').count(), 1);
    out.trim_end().to_owned()
}

const ISO: Stamp = Stamp::Iso { offset_secs: 3600 };

#[test]
fn stamps() {
    let smtpd = Smtpd { submission: true, pid: 7, name: "unknown", client: "192.0.2.7".parse().unwrap() };
    assert_eq!(
        written(|out| connected(out, head(Stamp::Rfc3164), smtpd)),
        "Nov  5 19:12:05 mx1 postfix/submission/smtpd[7]: connect from unknown[192.0.2.7]"
    );
    assert_eq!(
        written(|out| postfix_sasl_failed(out, head(ISO), smtpd, "LOGIN", Some("alice"))),
        "2026-11-05T20:12:05.250000+01:00 mx1 postfix/submission/smtpd[7]: warning: unknown[192.0.2.7]: SASL LOGIN \
         authentication failed: (reason unavailable), sasl_username=alice"
    );
}

#[test]
fn dovecot_lines() {
    let client = "192.0.2.7".parse().unwrap();
    let failed = |driver, session, digest| {
        written(|out| {
            let failure = AuthFailure::Mismatch;
            dovecot_auth_failed(out, head(Stamp::Rfc3164), driver, failure, ("alice", client), session, digest);
        })
    };
    assert_eq!(
        failed(Driver::PasswdFile, Some("PM56GM5g+tIKYwAC"), Some("7c4a8d")),
        "Nov  5 19:12:05 mx1 dovecot: auth: passwd-file(alice,192.0.2.7,<PM56GM5g+tIKYwAC>): Password mismatch \
         (SHA1 of given password: 7c4a8d)"
    );
    assert_eq!(
        failed(Driver::Ldap, None, None),
        "Nov  5 19:12:05 mx1 dovecot: auth: ldap(alice,192.0.2.7): Password mismatch"
    );
    assert_eq!(
        written(|out| {
            dovecot_disconnected_auth_failed(
                out,
                head(Stamp::Rfc3164),
                Service::Pop3,
                ("a\nlice", client),
                (3, 9),
                "s",
            );
        }),
        "Nov  5 19:12:05 mx1 dovecot: pop3-login: Disconnected: Connection closed (auth failed, 3 attempts in 9 secs): \
         user=<a?lice>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, TLS, session=<s>"
    );
}

#[test]
fn rejects() {
    let smtpd = Smtpd { submission: false, pid: 20616, name: "unknown", client: "192.0.2.7".parse().unwrap() };
    let mail = Mail { from: "x@evil.test", to: "someone@remote.test", helo: "client.example.net" };
    assert_eq!(
        written(|out| relay_denied(out, head(Stamp::Rfc3164), smtpd, mail)),
        "Nov  5 19:12:05 mx1 postfix/smtpd[20616]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 \
         <someone@remote.test>: Relay access denied; from=<x@evil.test> to=<someone@remote.test> proto=ESMTP \
         helo=<client.example.net>"
    );
}

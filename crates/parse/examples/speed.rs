//! Measures how long a line takes: `cargo run --release -p fairban-parse --example speed [FILE]`. Without a file, a mixed
//! log of 200,000 lines is made up.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::time::Instant;

use fairban_parse::{Context, Outcome, Parser};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let log = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => mixed(200_000).into_bytes(),
    };
    let context = Context { reference: "2026-11-21T23:59:59Z".parse()?, year: None, zone: jiff::tz::TimeZone::UTC };
    for _ in 0..5 {
        let mut parser = Parser::new();
        let (mut lines, mut events) = (0_u32, 0_u32);
        let begin = Instant::now();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &log) {
            lines += 1;
            events += u32::from(matches!(parser.parse(&log[start..end], &context), Outcome::Event(_)));
            start = end + 1;
        }
        let nanos = begin.elapsed().as_secs_f64() * 1e9 / f64::from(lines.max(1));
        println!("{lines} lines, {events} events, {nanos:.0} ns a line, {} bytes", log.len());
    }
    Ok(())
}

/// What a busy server writes: mostly no events.
fn mixed(lines: u32) -> String {
    const LINES: [&str; 16] = [
        "postfix/smtpd[2066]: connect from unknown[192.0.2.#]",
        "postfix/smtpd[2066]: warning: unknown[192.0.2.#]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=info@example.test",
        "postfix/smtpd[2066]: disconnect from unknown[192.0.2.#] ehlo=1 auth=0/1 quit=1 commands=2/3",
        "postfix/smtpd[2066]: NOQUEUE: reject: RCPT from unknown[192.0.2.#]: 554 5.7.1 <someone@remote.test>: Relay access denied; from=<x@evil.test> to=<someone@remote.test> proto=ESMTP helo=<client.example.net>",
        "postfix/qmgr[205]: 417AC98C152: from=<alice@example.test>, size=439, nrcpt=2 (queue active)",
        "postfix/cleanup[2058]: 417AC98C152: message-id=<20261121191200.020574@vm>",
        "dovecot: imap-login: Login: user=<alice@example.test>, method=PLAIN, rip=192.0.2.#, lip=192.0.2.1, mpid=19357, TLS, session=<TZ16GM5g9tIKYwAC>",
        "dovecot: imap(alice@example.test)<19357><TZ16GM5g9tIKYwAC>: Disconnected: Logged out in=12 out=477 deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=0 body_bytes=0",
        "dovecot: auth: passwd-file(bob@example.test,192.0.2.#,<PM56GM5g+tIKYwAC>): Password mismatch",
        "dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<bob@example.test>, method=PLAIN, rip=192.0.2.#, lip=192.0.2.1, session=<PM56GM5g+tIKYwAC>",
        "postfix/smtp[2086]: 417AC98C152: to=<someone@remote.test>, relay=mx.remote.test[198.51.100.9]:25, delay=0.9, delays=0.1/0/0.4/0.4, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4F)",
        "postfix/smtpd[2066]: 417AC98C152: client=host.example.net[192.0.2.#], sasl_method=PLAIN, sasl_username=alice@example.test",
        "postfix/smtpd[2066]: lost connection after AUTH from unknown[192.0.2.#]",
        "postfix/smtpd[2066]: NOQUEUE: reject: RCPT from unknown[192.0.2.#]: 550 5.1.1 <nobody@example.test>: Recipient address rejected: User unknown in local recipient table; from=<x@evil.test> to=<nobody@example.test> proto=ESMTP helo=<client.example.net>",
        "CRON[77]: (root) CMD (command -v debian-sa1 > /dev/null && debian-sa1 1 1)",
        "dovecot: pop3(carol@example.test)<1935><UZ16GM5g9tIKYwAC>: Disconnected: Logged out top=0/0, retr=0/0, del=0/11, size=123456",
    ];
    let mut log = String::new();
    for line in 0..lines {
        let second = u64::from(line) * 86_000 / u64::from(lines);
        let words =
            LINES[(line as usize * 7 + line as usize / 16) % LINES.len()].replace('#', &(line % 250).to_string());
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        log.push_str(&format!("Nov 21 {hour:02}:{minute:02}:{second:02} mail {words}\n"));
    }
    log
}

//! A log as a busy mail server writes it: mostly mail that goes well, some of it not.

use std::fmt::Write as _;

/// A line of the log; `@N` is a number, `@A` a client's address, `@U` an account, `@Q` a queue id.
const LINES: [&str; 24] = [
    "mx postfix/smtpd[@N]: connect from mail@N.example.org[@A]",
    "mx postfix/smtpd[@N]: @Q: client=mail@N.example.org[@A]",
    "mx postfix/cleanup[@N]: @Q: message-id=<@Q.@N@@example.org>",
    "mx postfix/qmgr[@N]: @Q: from=<@U@@example.org>, size=@N, nrcpt=1 (queue active)",
    "mx postfix/lmtp[@N]: @Q: to=<@U@@example.test>, relay=mx[private/dovecot-lmtp], delay=0.31, delays=0.24/0.01/0.01/0.05, dsn=2.0.0, status=sent (250 2.0.0 <@U@@example.test> @Q Saved)",
    "mx postfix/qmgr[@N]: @Q: removed",
    "mx postfix/smtpd[@N]: disconnect from mail@N.example.org[@A] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7",
    "mx dovecot: imap-login: Login: user=<@U>, method=PLAIN, rip=@A, lip=203.0.113.1, mpid=@N, TLS, session=<@Q@N>",
    "mx dovecot: imap(@U)<@N><@Q@N>: Disconnected: Logged out in=@N out=@N deleted=0 expunged=0 trashed=0 hdr_count=0 hdr_bytes=0 body_count=0 body_bytes=0",
    "mx dovecot: imap(@U)<@N><@Q@N>: Disconnected: Connection closed (IDLE running for 0.001 + waiting input for 28.301 secs, 2 B in + 10+10 B out, state=wait-input) in=@N out=@N deleted=0 expunged=0 trashed=0 hdr_count=1 hdr_bytes=@N body_count=0 body_bytes=0",
    "mx dovecot: lmtp(@U)<@N><@Q@N>: msgid=<@Q.@N@@example.org>: saved mail to INBOX",
    "mx dovecot: pop3-login: Login: user=<@U>, method=PLAIN, rip=@A, lip=203.0.113.1, mpid=@N, TLS, session=<@Q@N>",
    "mx dovecot: pop3(@U)<@N><@Q@N>: Disconnected: Logged out top=0/0, retr=0/0, del=0/@N, size=@N",
    "mx postfix/submission/smtpd[@N]: connect from unknown[@A]",
    "mx postfix/submission/smtpd[@N]: @Q: client=unknown[@A], sasl_method=PLAIN, sasl_username=@U",
    "mx postfix/smtp[@N]: @Q: to=<@U@@remote.test>, relay=mx.remote.test[198.51.100.25]:25, delay=1.2, delays=0.1/0/0.6/0.5, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as @Q)",
    "mx postfix/anvil[@N]: statistics: max connection rate 2/60s for (smtp:@A) at Nov 12 10:11:12",
    "mx dovecot: auth: passwd-file(@U,@A,<@Q@N>): Password mismatch (SHA1 of given password: @Q)",
    "mx dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): user=<@U>, method=PLAIN, rip=@A, lip=203.0.113.1, TLS, session=<@Q@N>",
    "mx postfix/submission/smtpd[@N]: warning: unknown[@A]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=@U",
    "mx postfix/smtpd[@N]: NOQUEUE: reject: RCPT from unknown[@A]: 554 5.7.1 <@U@@remote.test>: Relay access denied; from=<x@@evil.test> to=<@U@@remote.test> proto=ESMTP helo=<client@N.example.net>",
    "mx postfix/smtpd[@N]: NOQUEUE: reject: RCPT from unknown[@A]: 550 5.1.1 <@U@N@@example.test>: Recipient address rejected: User unknown in local recipient table; from=<a@@b.test> to=<@U@N@@example.test> proto=ESMTP helo=<mail@N.example.org>",
    "mx postfix/smtpd[@N]: lost connection after AUTH from unknown[@A]",
    "mx postfix/smtpd[@N]: warning: hostname host@N.example.net does not resolve to address @A: Name or service not known",
];

/// The chance generator's state: the same log every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        // Knuth's MMIX constants; the upper bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The log, this many lines of it.
pub(super) fn write(lines: usize) -> String {
    let mut chance = Chance(1);
    let mut log = String::with_capacity(lines * 170);
    for number in 0..lines {
        // A day in all.
        let second = number as u64 * 86_400 / lines as u64;
        let _ = write!(log, "Nov 12 {:02}:{:02}:{:02} ", second / 3600, second / 60 % 60, second % 60);
        let line = LINES[chance.below(LINES.len() as u64) as usize];
        fill(&mut log, line, &mut chance);
        log.push('\n');
    }
    log
}

fn fill(log: &mut String, line: &str, chance: &mut Chance) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('@') {
        log.push_str(before);
        let mut letters = after.chars();
        let _ = match letters.next() {
            Some('N') => write!(log, "{}", 100 + chance.below(60_000)),
            Some('A') => write!(log, "198.{}.{}.{}", 18 + chance.below(2), chance.below(256), 1 + chance.below(250)),
            Some('U') => write!(log, "user{:03}", chance.below(500)),
            Some('Q') => write!(log, "{:08X}", chance.below(1 << 31)),
            _ => write!(log, "@"),
        };
        rest = letters.as_str();
    }
    log.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::write;

    #[test]
    fn is_what_was_asked_for() {
        let log = write(1000);
        assert_eq!(log.lines().count(), 1000);
        assert_eq!(log, write(1000));
        assert!(log.contains("user") && !log.contains("@U") && !log.contains("@@"));
    }
}

//! Short stories with a known cause, as the log of a real server tells them: what a diagnosis must make of each. Some
//! could have more than one cause, and nothing in the log tells which; of those it must say so.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use fairban_types::{Diagnosis, Service, Time};

use crate::write::{
    AuthFailure, Driver, Head, Mail, Smtpd, Stamp, dovecot_auth_failed, dovecot_login, postfix_sasl_failed,
    relay_denied, unknown_recipient,
};

/// A story, and its cause.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is about.
    pub name: &'static str,
    /// What really lies behind it; unknown, if the log cannot tell.
    pub cause: Diagnosis,
    /// Whose story it is.
    pub client: IpAddr,
    /// The log.
    pub log: String,
    /// When it ends.
    pub end: Time,
}

const START: Time = Time::from_secs(1_793_577_600);
const DAY: u64 = 86_400;
/// Where people are at home.
const HOME: [u8; 4] = [198, 51, 100, 7];
/// Where attackers are.
const AWAY: [u8; 4] = [203, 0, 113, 77];

/// Writes a story.
struct Story {
    log: String,
    at: Time,
    client: IpAddr,
    lines: u32,
}

impl Story {
    fn of(client: [u8; 4]) -> Self {
        Story { log: String::new(), at: START, client: client.into(), lines: 0 }
    }

    fn wait(&mut self, secs: u64) -> &mut Self {
        self.at = self.at.after(Duration::from_secs(secs));
        self
    }

    fn head(&mut self) -> Head<'static> {
        self.lines += 1;
        Head { at: self.at, host: "mail", stamp: Stamp::Iso { offset_secs: 0 } }
    }

    fn smtpd(&self, submission: bool) -> Smtpd<'static> {
        Smtpd { submission, pid: 20_616 + self.lines, name: "unknown", client: self.client }
    }

    fn good(&mut self, service: Service, account: &str) -> &mut Self {
        let (head, session) = (self.head(), format!("s{}", self.lines));
        dovecot_login(&mut self.log, head, service, (account, self.client), &session);
        self
    }

    /// Days of mail as usual.
    fn used_here(&mut self, accounts: &[&str]) -> &mut Self {
        for _ in 0..3 {
            for account in accounts {
                self.good(Service::Imap, account).wait(DAY / accounts.len() as u64);
            }
        }
        self
    }

    /// A wrong password, as Dovecot's auth process tells it.
    fn wrong(&mut self, account: &str, digest: Option<&str>) -> &mut Self {
        self.failed(AuthFailure::Mismatch, account, digest)
    }

    fn failed(&mut self, failure: AuthFailure, account: &str, digest: Option<&str>) -> &mut Self {
        let (head, session) = (self.head(), format!("s{}", self.lines));
        let who = (account, self.client);
        dovecot_auth_failed(&mut self.log, head, Driver::PasswdFile, failure, who, Some(&session), digest);
        self
    }

    /// A wrong password at SMTP AUTH, where nobody tells which one.
    fn wrong_smtp(&mut self, account: Option<&str>) -> &mut Self {
        let (head, smtpd) = (self.head(), self.smtpd(true));
        postfix_sasl_failed(&mut self.log, head, smtpd, "PLAIN", account);
        self
    }

    fn relay(&mut self, to: &str) -> &mut Self {
        let (head, smtpd) = (self.head(), self.smtpd(false));
        let mail = Mail { from: "spam@evil.test", to, helo: "scanner.evil.test" };
        relay_denied(&mut self.log, head, smtpd, mail);
        self
    }

    fn stranger(&mut self, to: &str) -> &mut Self {
        let (head, smtpd) = (self.head(), self.smtpd(false));
        let mail = Mail { from: "list@evil.test", to, helo: "mail.evil.test" };
        unknown_recipient(&mut self.log, head, smtpd, mail);
        self
    }

    /// A line of one of Postfix's programs in words of its own.
    fn says(&mut self, program: &str, words: &str) -> &mut Self {
        let stamp = jiff::Timestamp::from_millisecond(self.at.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        self.lines += 1;
        let pid = 20_616 + self.lines;
        let words = words.replace("CLIENT", &format!("unknown[{}]", self.client));
        let _ = writeln!(self.log, "{stamp} mail postfix/{program}[{pid}]: {words}");
        self
    }

    /// A message that a filter judged spam.
    fn spam(&mut self, from: &str, helo: &str) -> &mut Self {
        let words = format!(
            "4FABC: milter-reject: END-OF-MESSAGE from CLIENT: 5.7.1 Spam message rejected; from=<{from}> \
             to=<alice@example.test> proto=ESMTP helo=<{helo}>"
        );
        self.says("cleanup", &words)
    }

    fn ends(&mut self, name: &'static str, cause: Diagnosis) -> Scenario {
        Scenario { name, cause, client: self.client, log: std::mem::take(&mut self.log), end: self.at }
    }
}

/// Every scenario.
pub fn scenarios() -> Vec<Scenario> {
    [devices(), guessers(), mail(), ambiguous()].concat()
}

fn devices() -> Vec<Scenario> {
    use Diagnosis::{FrequentPolling, StalePassword};
    let mut phone = Story::of(HOME);
    phone.used_here(&["alice@example.test"]);
    for _ in 0..40 {
        phone.wait(300).wrong("alice@example.test", Some("1a2b3c"));
    }
    let mut laptop = Story::of(HOME);
    laptop.used_here(&["bob@example.test"]);
    for n in 0..30 {
        laptop.wait(59 + n % 3).wrong_smtp(Some("bob@example.test"));
    }
    let mut tablet = Story::of(HOME);
    tablet.used_here(&["carol@example.test", "bob@example.test"]);
    for n in 0..60 {
        tablet.wait(60).wrong("carol@example.test", None);
        if n % 5 == 2 {
            tablet.wait(7).wrong_smtp(Some("carol@example.test"));
            tablet.at = tablet.at.before(Duration::from_secs(7));
        }
    }
    let mut roaming = Story::of(HOME);
    roaming.used_here(&["dave@example.test"]).wait(3600);
    roaming.client = [192, 0, 2, 99].into();
    for _ in 0..9 {
        roaming.wait(900).wrong("dave@example.test", Some("77aa00"));
    }
    let mut printer = Story::of(HOME);
    for _ in 0..60 {
        printer.wait(60).good(Service::Pop3, "scanner@example.test");
    }
    vec![
        phone.ends("a phone with last year's password", StalePassword),
        laptop.ends("a laptop that sends through Postfix every minute", StalePassword),
        tablet.ends("a tablet that reads and sends", StalePassword),
        roaming.ends("a phone with an old password on the road", StalePassword),
        printer.ends("a scanner that looks for mail every minute", FrequentPolling),
    ]
}

fn guessers() -> Vec<Scenario> {
    use Diagnosis::{CredentialStuffing, PasswordGuessing, PasswordSpraying};
    let mut fast = Story::of(AWAY);
    for n in 0..60 {
        fast.wait(1 + n % 3).wrong("alice@example.test", None);
    }
    let mut slow = Story::of(AWAY);
    for n in 0..30 {
        slow.wait(360).wrong("alice@example.test", Some(&format!("{n:06x}")));
    }
    let mut at_home = Story::of(HOME);
    at_home.used_here(&["alice@example.test"]);
    for n in 0..25 {
        at_home.wait(2 + n % 4).wrong("boss@example.test", Some(&format!("{n:06x}")));
    }
    let mut spray = Story::of(AWAY);
    for n in 0..30 {
        spray.wait(20).wrong(&format!("user{n}@example.test"), Some("5ba000"));
    }
    let mut stuffing = Story::of(AWAY);
    for n in 0..30u32 {
        let failure = if n % 3 == 0 { AuthFailure::Mismatch } else { AuthFailure::UnknownUser };
        stuffing.wait(4).failed(failure, &format!("leaked{n}@example.test"), Some(&format!("{:06x}", n * 7919)));
    }
    vec![
        fast.ends("a guesser in a hurry", PasswordGuessing),
        slow.ends("a guesser with patience", PasswordGuessing),
        at_home.ends("a guesser in an office", PasswordGuessing),
        spray.ends("one password for everybody", PasswordSpraying),
        stuffing.ends("names and passwords from a leak", CredentialStuffing),
    ]
}

fn mail() -> Vec<Scenario> {
    use Diagnosis::{AddressHarvesting, Malware, ProtocolAbuse, RelayProbing, SpamRun};
    let mut relay = Story::of(AWAY);
    for n in 0..12 {
        relay.wait(3).relay(&format!("victim{n}@elsewhere.test"));
    }
    let mut harvest = Story::of(AWAY);
    for n in 0..40 {
        harvest.wait(2).stranger(&format!("name{n}@example.test"));
    }
    let mut spam = Story::of(AWAY);
    for _ in 0..20 {
        spam.wait(9).spam("offers@shop.evil.test", "mail.shop.evil.test");
    }
    let mut malware = Story::of(HOME);
    malware.used_here(&["erin@example.test"]);
    for n in 0..20 {
        malware.wait(6).spam(&format!("x{n}@random{n}.test"), &format!("PC{}", n * 37 % 11));
    }
    let mut abuse = Story::of(AWAY);
    for n in 0..14 {
        let words = [
            "improper command pipelining after EHLO from CLIENT: QUIT\\r\\n",
            "warning: non-SMTP command from CLIENT: GET / HTTP/1.1",
        ];
        abuse.wait(3).says("smtpd", words[n % 2]);
    }
    vec![
        relay.ends("somebody who looks for an open relay", RelayProbing),
        harvest.ends("somebody who tries which addresses exist", AddressHarvesting),
        spam.ends("a run of spam", SpamRun),
        malware.ends("an infected computer at somebody's home", Malware),
        abuse.ends("a scanner that speaks no SMTP", ProtocolAbuse),
    ]
}

fn ambiguous() -> Vec<Scenario> {
    use Diagnosis::Unknown;
    let mut silence = Story::of(HOME);
    silence.used_here(&["alice@example.test"]);
    silence.wait(30).wrong("alice@example.test", None).wait(8).wrong("alice@example.test", None).wait(7200);
    let mut two = Story::of(AWAY);
    two.wrong("alice@example.test", Some("1a2b3c")).wait(600).wrong("alice@example.test", Some("1a2b3d"));
    let mut each = Story::of(AWAY);
    each.wrong("alice@example.test", None).wait(40).wrong("bob@example.test", None);
    let mut mixture = Story::of(AWAY);
    for n in 0..4 {
        mixture.wait(5).relay(&format!("victim{n}@elsewhere.test"));
        mixture.wait(5).wrong(&format!("user{n}@example.test"), None);
        mixture.wait(5).stranger(&format!("name{n}@example.test"));
    }
    let mut hotel = Story::of(HOME);
    hotel.used_here(&["frank@example.test"]);
    hotel.client = [192, 0, 2, 44].into();
    for secs in [70, 900, 45, 2500, 310] {
        hotel.wait(secs).wrong("frank@example.test", None);
    }
    vec![
        silence.ends("two mistakes, then silence", Unknown),
        two.ends("one account, two passwords", Unknown),
        each.ends("one mistake each of two accounts", Unknown),
        mixture.ends("a bit of everything", Unknown),
        hotel.ends("a traveller, or somebody who knows the name", Unknown),
    ]
}

//! An account that suddenly sends far more than ever is stopped from sending; one that always sends much is not.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use fairban_types::Time;

use super::witness::events;
use super::{SOON, Test};
use crate::lab::Lab;
use crate::lab::client::Way;
use crate::lab::guard::Setup;
use crate::lab::smtp::{HELO, is_yes};
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("a_sudden_flood_is_stopped_and_released", flood).with(|| Setup {
            history: modest_months,
            notices: true,
            ..Setup::asking()
        }),
        Test::new("a_mailing_list_goes_on", mailing_list).with(|| Setup { history: list_weeks, ..Setup::asking() }),
    ]
}

const HOME: &str = "203.0.113.30";
const HOUR: Duration = Duration::from_secs(3600);

/// A log of Postfix's that ends now.
struct Log {
    text: String,
    now: Time,
    messages: u32,
}

impl Log {
    fn new() -> Log {
        Log { text: String::new(), now: SystemTime::now().into(), messages: 0 }
    }

    /// A message of the account's, so long ago.
    fn message(&mut self, ago: Duration, account: &str, recipients: u32) {
        self.messages += 1;
        let time = self.now.before(ago);
        let id = format!("{:010X}", 0x4B00_0000 + u64::from(self.messages));
        let mut line = |program: &str, words: &str| {
            let _ = writeln!(self.text, "{time} mail postfix/{program}[{}]: {id}: {words}", 4000 + self.messages % 50);
        };
        line("submission/smtpd", &format!("client=unknown[{HOME}], sasl_method=PLAIN, sasl_username={account}"));
        line("cleanup", &format!("message-id=<{id}@client.example.net>"));
        line("qmgr", &format!("from=<{account}@example.test>, size=2048, nrcpt={recipients} (queue active)"));
        line("qmgr", "removed");
    }

    /// The whole, with a last line that tells when it has been read.
    fn end(mut self) -> String {
        let _ = writeln!(
            self.text,
            "{} mail postfix/smtpd[4051]: NOQUEUE: reject: RCPT from unknown[{LAST}]: 554 5.7.1 <x@remote.test>: Relay \
             access denied; from=<x@sender.test> to=<x@remote.test> proto=ESMTP helo=<{HELO}>",
            self.now
        );
        self.text
    }
}

/// The client of the last line.
const LAST: &str = "198.51.100.99";

/// Three months of twenty a day.
fn modest_months() -> String {
    let mut log = Log::new();
    for day in (1..=90).rev() {
        for message in (0..20).rev() {
            log.message(day * 24 * HOUR + message * HOUR / 2, "user01", 1);
        }
    }
    log.end()
}

/// Three weeks of 3,000 an hour.
fn list_weeks() -> String {
    let mut log = Log::new();
    for hour in (1..=21 * 24).rev() {
        for message in (0..60).rev() {
            log.message(hour * HOUR + message * HOUR / 60, "lists", 50);
        }
    }
    log.end()
}

fn until_read(lab: &Lab) -> Result<()> {
    wait_for("the history to be read", Duration::from_secs(60), || {
        Ok((!events(lab, LAST, "relay_denied")?.is_empty()).then_some(()))
    })
}

/// Sends so many messages of fifty recipients; returns how many recipients were accepted.
fn send(lab: &Lab, from: &str, account: &str, messages: u32) -> Result<u32> {
    const RECIPIENTS: u32 = 50;
    let mut session = lab.smtp(from, 587, HELO)?;
    let answer = session.sign_in(account, &format!("right-{account}"))?;
    ensure!(is_yes(&answer), "{account} cannot sign in: {answer}");
    let mut accepted = 0;
    for message in 0..messages {
        session.mail(&format!("{account}@example.test"))?;
        let before = accepted;
        for recipient in 0..RECIPIENTS {
            let answer = session.recipient(&format!("r{message}-{recipient}@remote.test"))?;
            if is_yes(&answer) {
                accepted += 1;
            } else if answer.starts_with("421") {
                // Postfix has had enough of refusals.
                return Ok(accepted);
            }
        }
        if accepted > before {
            session.message("Subject: Hello")?;
        } else {
            session.reset()?;
        }
    }
    Ok(accepted)
}

fn flood(lab: &mut Lab) -> Result<()> {
    const THIEF: &str = "198.51.100.66";
    let lab = &*lab;
    until_read(lab)?;
    ensure!(lab.fairban.blocked()?.is_empty(), "blocked for three modest months: {:?}", lab.fairban.blocked()?);
    let accepted = send(lab, THIEF, "user01", 100)?;
    ensure!((20..400).contains(&accepted), "{accepted} of 5,000 recipients were accepted");

    wait_for("the send block to be listed", SOON, || {
        let entries = lab.fairban.list(&["send-block", "list"])?;
        Ok(entries.iter().any(|entry| entry.to_string().contains("user01")).then_some(()))
    })?;
    let mut session = lab.smtp(HOME, 587, HELO)?;
    let answer = session.sign_in("user01", "right-user01")?;
    ensure!(answer.starts_with("535 ") && !answer.contains("block"), "AUTH is answered with {answer}");
    for way in [Way::Imap, Way::Pop3] {
        ensure!(lab.sign_in(HOME, way, "user01")?.is_yes(), "user01 cannot read mail by {way:?}");
    }
    ensure!(send(lab, HOME, "user02", 1)? == 50, "another account cannot send");

    for reader in ["user01", "dave"] {
        until_written_to(lab, reader)?;
    }

    lab.fairban.tell(&["send-block", "remove", "account=user01"])?;
    let accepted = send(lab, HOME, "user01", 1)?;
    ensure!(accepted == 50, "after the release {accepted} of 50 recipients are accepted");
    Ok(())
}

/// Waits until Postfix has taken a notice to somebody here.
pub(super) fn until_written_to(lab: &Lab, reader: &str) -> Result<()> {
    let to = format!("to=<{reader}@example.test>");
    wait_for(&format!("a notice to {reader}"), SOON, || {
        let log = lab.mail_log()?;
        let notices: Vec<&str> = log.lines().filter(|line| line.contains("from=<fairban@example.test>")).collect();
        let ids = notices.iter().filter_map(|line| line.split(": ").nth(1));
        let mut taken = ids.filter(|id| log.lines().any(|line| line.contains(id) && line.contains(&to)));
        Ok(taken.next().map(drop))
    })
}

fn mailing_list(lab: &mut Lab) -> Result<()> {
    let lab = &*lab;
    until_read(lab)?;
    let accepted = send(lab, HOME, "lists", 60)?;
    ensure!(accepted == 3000, "{accepted} of 3,000 recipients were accepted");
    ensure!(lab.fairban.blocked()?.is_empty(), "blocked: {:?}", lab.fairban.blocked()?);
    Ok(())
}

//! Who is blocked is told why by the explainer, in the mail program; all else goes on as if it were not there.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::witness::beside_a_user;
use super::{SOON, Test, reaches_all, until_blocked};
use crate::lab::client::{self, Way};
use crate::lab::guard::{EXPLAINER, Setup};
use crate::lab::{Lab, tls};
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("the_blocked_are_explained_why_on_every_port", on_every_port).with(Setup::explaining),
        Test::new("who_hammers_the_explainer_is_explained_then_dropped", then_dropped).with(Setup::explaining),
    ]
}

const V4: &str = "192.0.2.7";
const V6: &str = "2001:db8:1::7";
const BYSTANDER: &str = "198.51.100.8";
/// What a program has told the server when it is refused; nobody may read it there.
const PASSWORD: &str = "right-secret";

/// How TLS begins.
#[derive(Clone, Copy, Debug)]
enum Tls {
    Never,
    /// By STARTTLS, in this protocol.
    Later(&'static str),
    AtOnce,
}

/// What a mail program does at a port, and how the answer begins in which it hears the reason.
struct Visit {
    port: u16,
    tls: Tls,
    says: &'static str,
    answer: &'static str,
}

const SMTP: &str = "EHLO client.example.net\r\nAUTH PLAIN AGJvYgByaWdodC1zZWNyZXQ=\r\nQUIT\r\n";
const SMTP_IN_TLS: &str = "EHLO client.example.net\nAUTH PLAIN AGJvYgByaWdodC1zZWNyZXQ=\nQUIT\n";
const IMAP: &str = "a LOGIN bob right-secret\r\nb LOGOUT\r\n";
const IMAP_IN_TLS: &str = "a LOGIN bob right-secret\nb LOGOUT\n";
const POP3: &str = "USER bob\r\nPASS right-secret\r\nQUIT\r\n";
const POP3_IN_TLS: &str = "USER bob\nPASS right-secret\nQUIT\n";
const SIEVE: &str = "AUTHENTICATE \"PLAIN\" \"AGJvYgByaWdodC1zZWNyZXQ=\"\r\nLOGOUT\r\n";
const SIEVE_IN_TLS: &str = "AUTHENTICATE \"PLAIN\" \"AGJvYgByaWdodC1zZWNyZXQ=\"\nLOGOUT\n";

#[rustfmt::skip]
const VISITS: [Visit; 12] = [
    Visit { port: 25, tls: Tls::Never, says: "", answer: "421-4.7.0 " },
    Visit { port: 587, tls: Tls::Never, says: SMTP, answer: "454-4.7.0 " },
    Visit { port: 587, tls: Tls::Later("smtp"), says: SMTP_IN_TLS, answer: "454-4.7.0 " },
    Visit { port: 465, tls: Tls::AtOnce, says: SMTP_IN_TLS, answer: "454-4.7.0 " },
    Visit { port: 143, tls: Tls::Never, says: IMAP, answer: "a NO [ALERT] " },
    Visit { port: 143, tls: Tls::Later("imap"), says: IMAP_IN_TLS, answer: "a NO [ALERT] " },
    Visit { port: 993, tls: Tls::AtOnce, says: IMAP_IN_TLS, answer: "a NO [ALERT] " },
    Visit { port: 110, tls: Tls::Never, says: POP3, answer: "-ERR [SYS/TEMP] " },
    Visit { port: 110, tls: Tls::Later("pop3"), says: POP3_IN_TLS, answer: "-ERR [SYS/TEMP] " },
    Visit { port: 995, tls: Tls::AtOnce, says: POP3_IN_TLS, answer: "-ERR [SYS/TEMP] " },
    Visit { port: 4190, tls: Tls::Never, says: SIEVE, answer: "NO (TRYLATER) " },
    Visit { port: 4190, tls: Tls::Later("sieve"), says: SIEVE_IN_TLS, answer: "NO (TRYLATER) " },
];

/// Five different wrong passwords; returns the code of the block.
pub(super) fn offend(lab: &Lab, from: &str, subject: &str) -> Result<String> {
    for number in 1..=5 {
        let answer = lab.attempt(from, Way::Imap, "bob", &format!("wrong-{number}"))?;
        ensure!(answer.is_no() || number == 5, "offence {number} was answered with {answer:?}");
    }
    until_blocked(lab, subject)?;
    let blocks = lab.fairban.list(&["blocks"])?;
    let block = blocks.iter().find(|block| block["subject"] == subject);
    let code = block.and_then(|block| block["code"].as_str());
    let code = code.with_context(|| format!("no code of {subject} in {blocks:?}"))?.to_owned();
    wait_for(&format!("{from} to be told why"), SOON, || {
        Ok(client::exchange(&lab.net, from, 25, "").is_ok_and(|heard| heard.contains(&code)).then_some(()))
    })?;
    Ok(code)
}

fn on_every_port(lab: &mut Lab) -> Result<()> {
    let lab = &*lab;
    beside_a_user(lab, BYSTANDER, "alice", || {
        for (from, subject) in [(V4, V4), (V6, "2001:db8:1::/64")] {
            let code = offend(lab, from, subject)?;
            for visit in &VISITS {
                told(lab, from, visit, &code)?;
            }
            ensure!(lab.is_dropped(from, EXPLAINER)?, "{from} gets to the explainer without a redirect");
        }
        Ok(())
    })?;
    reaches_all(lab, BYSTANDER)?;
    ensure!(lab.is_dropped(BYSTANDER, EXPLAINER)?, "a client that is not blocked gets to the explainer");
    let blocked = lab.fairban.blocked()?;
    ensure!(blocked.len() == 2, "more than the offenders are blocked: {blocked:?}");
    ensure!(!lab.fairban.log().contains(PASSWORD), "a password is in Fairban's log");
    let status = lab.fairban.tell(&["status"])?;
    ensure!(status.contains("told why"), "the status does not tell of the explainer: {status}");
    for (from, subject) in [(V4, V4), (V6, "2001:db8:1::/64")] {
        lab.fairban.tell(&["unblock", subject])?;
        wait_for(&format!("{from} to get in after the release"), Duration::from_secs(1), || {
            Ok(lab.sign_in(from, Way::Imap, "bob")?.is_yes().then_some(()))
        })?;
        reaches_all(lab, from)?;
    }
    Ok(())
}

/// Fails unless the program is answered with the reason.
fn told(lab: &Lab, from: &str, visit: &Visit, code: &str) -> Result<()> {
    let Visit { port, tls, says, answer } = *visit;
    let heard = match tls {
        Tls::Never => client::exchange(&lab.net, from, port, says),
        Tls::Later(protocol) => tls::exchange(&lab.net, from, port, Some(protocol), says),
        Tls::AtOnce => tls::exchange(&lab.net, from, port, None, says),
    };
    let heard = heard.with_context(|| format!("{from} at port {port}, TLS {tls:?}"))?;
    let is_told = heard.lines().any(|line| line.starts_with(answer) && line.contains("blocked temporarily"));
    ensure!(
        is_told && heard.contains(&format!("reference {code}")) && heard.contains("too many wrong passwords"),
        "{from} at port {port}, TLS {tls:?}, is not told why: {heard}"
    );
    ensure!(!heard.contains(PASSWORD), "the password is said back at port {port}: {heard}");
    Ok(())
}

/// So many connections a minute are explained; the clock gives a few more while they are made.
const EXPLAINED: usize = 30;
const TRIES_MAX: usize = 300;

fn then_dropped(lab: &mut Lab) -> Result<()> {
    const OTHER: &str = "203.0.113.9";
    let lab = &*lab;
    offend(lab, V4, V4)?;
    let code = offend(lab, OTHER, OTHER)?;
    let mut connected = 0;
    // The first ones were spent on being told.
    while connected < TRIES_MAX && !lab.is_dropped(V4, 143)? {
        connected += 1;
    }
    ensure!(connected < TRIES_MAX, "{connected} connections in a row were explained");
    ensure!(connected >= EXPLAINED / 2, "dropped after {connected} connections");
    let visit = &VISITS[4];
    told(lab, OTHER, visit, &code)?;
    reaches_all(lab, BYSTANDER)
}

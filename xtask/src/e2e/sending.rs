//! Send blocks: nothing to be seen until AUTH and RCPT, and nobody else touched.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Test;
use crate::lab::Lab;
use crate::lab::client::Way;
use crate::lab::guard::Setup;
use crate::lab::smtp::{HELO, Session, is_yes};
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("send_block_of_an_address", address).with(Setup::asking),
        Test::new("send_block_of_a_domain", domain).with(Setup::asking),
        Test::new("send_block_of_a_helo_name", helo).with(Setup::asking),
        Test::new("send_block_one_way", one_way).with(Setup::asking),
        Test::new("send_block_of_an_address_with_exim", address).with(Setup::exim_asking),
        Test::new("send_block_of_a_domain_with_exim", domain).with(Setup::exim_asking),
        Test::new("send_block_of_a_helo_name_with_exim", helo).with(Setup::exim_asking),
    ]
}

/// Where people sign in, and where other servers (and some people) come.
const SUBMISSION: u16 = 587;
const SMTP: u16 = 25;
const PORTS: [u16; 2] = [SUBMISSION, SMTP];
const HOME: &str = "192.0.2.20";
const ELSEWHERE: &str = "198.51.100.20";

/// All that a client is told up to the end of a sign-in.
fn transcript(lab: &Lab, port: u16, helo: &str, account: &str, password: &str) -> Result<String> {
    let mut session = lab.smtp(HOME, port, helo)?;
    let answer = session.sign_in(account, password)?;
    Ok(format!("{}\n{answer}", session.hello()))
}

fn right(account: &str) -> String {
    format!("right-{account}")
}

/// The answer to a recipient in a message with this return-path.
fn asked(session: &mut Session, return_path: &str, recipient: &str) -> Result<String> {
    session.mail(return_path)?;
    let answer = session.recipient(recipient)?;
    session.reset()?;
    Ok(answer)
}

/// A client that signed in, and one that did not, each with what it may send to.
fn both(lab: &Lab, helo: &str) -> Result<[(Session, &'static str); 2]> {
    Ok([
        (signed_in(lab, "carol", helo)?, "someone@remote.test"),
        (lab.smtp(ELSEWHERE, SMTP, helo)?, "alice@example.test"),
    ])
}

fn signed_in(lab: &Lab, account: &str, helo: &str) -> Result<Session> {
    let mut session = lab.smtp(HOME, SUBMISSION, helo)?;
    let answer = session.sign_in(account, &right(account))?;
    ensure!(is_yes(&answer), "{account} cannot sign in: {answer}");
    Ok(session)
}

/// Fails unless mail with these return-paths is refused, or is not, at RCPT; signed in and not.
fn refuses(lab: &Lab, helo: &str, return_paths: &[&str], is_refused: bool) -> Result<()> {
    for (mut session, recipient) in both(lab, helo)? {
        for return_path in return_paths {
            let answer = asked(&mut session, return_path, recipient)?;
            let is_expected = if is_refused { answer.starts_with("5") } else { is_yes(&answer) };
            ensure!(is_expected, "<{return_path}> to {recipient}, HELO {helo}: {answer}");
            ensure!(!answer.to_lowercase().contains("block"), "this tells what to work around: {answer}");
            ensure!(answer.matches("rejected").count() < 2, "Postfix says that itself: {answer}");
        }
    }
    Ok(())
}

/// Fails unless the account can sign in on both ports.
fn lets_in(lab: &Lab, account: &str, helo: &str) -> Result<()> {
    for port in PORTS {
        let words = transcript(lab, port, helo, account, &right(account))?;
        ensure!(words.contains("\n235 "), "{account} cannot sign in on port {port}: {words}");
    }
    Ok(())
}

fn wrong_password_words(lab: &Lab, account: &str, helo: &str) -> Result<Vec<String>> {
    PORTS.iter().map(|port| transcript(lab, *port, helo, account, "wrong")).collect()
}

fn right_password_words(lab: &Lab, account: &str, helo: &str) -> Result<Vec<String>> {
    PORTS.iter().map(|port| transcript(lab, *port, helo, account, &right(account))).collect()
}

/// Fails unless a right password is answered exactly as these wrong ones were.
fn fails_like(lab: &Lab, account: &str, helo: &str, wrong: &[String]) -> Result<()> {
    let words = right_password_words(lab, account, helo)?;
    ensure!(words == wrong, "a wrong password is answered with {wrong:#?}, and a blocked sender with {words:#?}");
    Ok(())
}

/// Removes the block, and fails unless the check passes within the second that the design promises.
fn remove(lab: &Lab, sender: &str, mut check: impl FnMut() -> Result<bool>) -> Result<()> {
    ensure!(!check()?, "{sender} can send before the block is removed");
    lab.fairban.tell(&["send-block", "remove", sender])?;
    wait_for(&format!("{sender} to send again"), Duration::from_secs(1), || Ok(check()?.then_some(())))
}

fn senders(lab: &Lab) -> Result<Vec<String>> {
    let listed = lab.fairban.list(&["send-block", "list"])?;
    Ok(listed.iter().map(|entry| entry.to_string()).collect())
}

fn address(lab: &mut Lab) -> Result<()> {
    const BOB: &str = "bob@example.test";
    const HIS: [&str; 4] = [BOB, "BOB@Example.TEST", "bob+news@example.test", "\"bob\"@example.test"];
    const OTHERS: [&str; 5] =
        ["carol@example.test", "bobby@example.test", "bob@other.test", "bob@sub.example.test", ""];
    let lab = &*lab;
    let wrong = wrong_password_words(lab, "bob", HELO)?;
    lets_in(lab, "bob", HELO)?;
    refuses(lab, HELO, &HIS, false)?;

    lab.fairban.tell(&["send-block", "add", BOB, "--for", "30m", "--reason", "a test"])?;
    ensure!(senders(lab)?.iter().any(|entry| entry.contains(BOB) && entry.contains("a test")), "it is not listed");
    fails_like(lab, "bob", HELO, &wrong)?;
    refuses(lab, HELO, &HIS, true)?;
    refuses(lab, HELO, &["@relay.test:bob@example.test"], true)?;
    lets_in(lab, "carol", HELO)?;
    refuses(lab, HELO, &OTHERS, false)?;
    from_header_passes(lab, BOB)?;
    ensure!(lab.sign_in(HOME, Way::Imap, "bob")?.is_yes(), "bob cannot read his mail");

    remove(lab, BOB, || {
        let mut session = lab.smtp(ELSEWHERE, SMTP, HELO)?;
        Ok(is_yes(&asked(&mut session, BOB, "alice@example.test")?))
    })?;
    lets_in(lab, "bob", HELO)?;
    refuses(lab, HELO, &HIS, false)?;
    ensure!(senders(lab)?.is_empty(), "it is still listed");
    ensure!(lab.fairban.blocked()?.is_empty(), "refused senders are blocked: {:?}", lab.fairban.blocked()?);
    Ok(())
}

/// Matched is the return-path, never the From header.
fn from_header_passes(lab: &Lab, blocked: &str) -> Result<()> {
    for (mut session, recipient) in both(lab, HELO)? {
        session.mail("carol@example.test")?;
        let answer = session.recipient(recipient)?;
        ensure!(is_yes(&answer), "carol to {recipient}: {answer}");
        let answer = session.message(&format!("From: {blocked}\r\nSubject: A test"))?;
        ensure!(is_yes(&answer), "a From header of a blocked address: {answer}");
    }
    Ok(())
}

fn domain(lab: &mut Lab) -> Result<()> {
    const WITHIN: [&str; 2] = ["x@news.example.test", "Y@Deep.News.EXAMPLE.test"];
    const OTHERS: [&str; 4] = ["x@badexample.test", "x@example.test.evil.test", "erin@other.test", ""];
    let lab = &*lab;
    let wrong = wrong_password_words(lab, "bob", HELO)?;
    // The session that signed in stays, as a spammer's would.
    let mut early = signed_in(lab, "bob", HELO)?;
    lab.fairban.tell(&["send-block", "add", "@.example.test"])?;
    fails_like(lab, "bob", HELO, &wrong)?;
    lets_in(lab, "erin@other.test", HELO)?;
    ensure!(lab.sign_in(HOME, Way::Imap, "bob")?.is_yes(), "bob cannot read his mail");
    let answer = asked(&mut early, "bob@example.test", "someone@remote.test")?;
    ensure!(answer.starts_with('5'), "a session from before the block goes on sending: {answer}");
    let mut erin = signed_in(lab, "erin@other.test", HELO)?;
    let mut stranger = lab.smtp(ELSEWHERE, SMTP, HELO)?;
    let mut outcome = |return_path: &str| -> Result<[bool; 2]> {
        Ok([
            is_yes(&asked(&mut erin, return_path, "someone@remote.test")?),
            is_yes(&asked(&mut stranger, return_path, "alice@example.test")?),
        ])
    };
    for return_path in WITHIN.into_iter().chain(["bob@example.test"]) {
        ensure!(outcome(return_path)? == [false; 2], "<{return_path}> can send");
    }
    for return_path in OTHERS {
        ensure!(outcome(return_path)? == [true; 2], "<{return_path}> cannot send");
    }
    remove(lab, "@.example.test", || Ok(outcome(WITHIN[0])? == [true; 2]))?;
    lets_in(lab, "bob", HELO)?;

    lab.fairban.tell(&["send-block", "add", "@example.test"])?;
    ensure!(outcome("bob@example.test")? == [false; 2], "the domain can send");
    ensure!(outcome(WITHIN[0])? == [true; 2], "a subdomain was not meant");
    remove(lab, "@example.test", || Ok(outcome("bob@example.test")? == [true; 2]))
}

fn helo(lab: &mut Lab) -> Result<()> {
    const EVIL: &str = "mail.evil.test";
    const ANY: [&str; 3] = ["carol@example.test", "someone@sender.test", ""];
    let lab = &*lab;
    let wrong = wrong_password_words(lab, "bob", EVIL)?;
    lets_in(lab, "bob", EVIL)?;
    refuses(lab, EVIL, &ANY, false)?;
    lab.fairban.tell(&["send-block", "add", "helo=mail.evil.test"])?;
    // Dovecot checks Postfix's passwords and is not told the HELO name; Exim tells it.
    if lab.mta() == "exim" {
        fails_like(lab, "bob", EVIL, &wrong)?;
        let mut stranger = lab.smtp(ELSEWHERE, SMTP, EVIL)?;
        for return_path in ANY {
            let answer = asked(&mut stranger, return_path, "alice@example.test")?;
            ensure!(answer.starts_with('5'), "<{return_path}> can send: {answer}");
        }
    } else {
        refuses(lab, EVIL, &ANY, true)?;
        refuses(lab, "Mail.EVIL.test", &ANY, true)?;
    }
    let mut old = lab.smtp(ELSEWHERE, SMTP, HELO)?;
    ensure!(is_yes(&old.command("HELO mail.evil.test")?), "HELO is refused");
    let answer = asked(&mut old, "someone@sender.test", "alice@example.test")?;
    ensure!(answer.starts_with('5'), "HELO instead of EHLO can send: {answer}");
    refuses(lab, HELO, &ANY, false)?;
    refuses(lab, "not.mail.evil.test", &ANY, false)?;
    lets_in(lab, "bob", HELO)?;
    remove(lab, "helo=mail.evil.test", || {
        let mut session = lab.smtp(ELSEWHERE, SMTP, EVIL)?;
        Ok(is_yes(&asked(&mut session, "someone@sender.test", "alice@example.test")?))
    })?;
    lets_in(lab, "bob", EVIL)
}

fn one_way(lab: &mut Lab) -> Result<()> {
    const CAROL: &str = "carol@example.test";
    let lab = &*lab;
    let [(mut inside, remote), (mut outside, local)] = both(lab, HELO)?;
    let mut ways = |direction: &str| -> Result<[bool; 2]> {
        lab.fairban.tell(&["send-block", "add", CAROL, "--direction", direction])?;
        let outcome = [is_yes(&asked(&mut inside, CAROL, remote)?), is_yes(&asked(&mut outside, CAROL, local)?)];
        Ok(outcome)
    };
    ensure!(ways("inbound")? == [true, false], "inbound is not who did not sign in");
    lets_in(lab, "carol", HELO)?;
    lab.fairban.tell(&["send-block", "remove", CAROL])?;
    let wrong = wrong_password_words(lab, "carol", HELO)?;
    ensure!(ways("outbound")? == [false, true], "outbound is not who signed in");
    fails_like(lab, "carol", HELO, &wrong)?;
    lab.fairban.tell(&["send-block", "remove", CAROL])?;

    // An account is what signed in, whatever the return-path.
    lab.fairban.tell(&["send-block", "add", "account=carol"])?;
    let answer = asked(&mut inside, "someone@example.test", remote)?;
    ensure!(answer.starts_with('5'), "the account can send: {answer}");
    let answer = asked(&mut outside, CAROL, local)?;
    ensure!(is_yes(&answer), "who did not sign in is no account: {answer}");
    lets_in(lab, "bob", HELO)
}

//! Dovecot asks before each sign-in: who is refused is told why, and who belongs there gets in.

use anyhow::{Context as _, Result, ensure};

use super::witness::{beside_a_user, by_clients, events, until_recorded};
use super::{SOON, Test, reaches_all, until_blocked};
use crate::lab::Lab;
use crate::lab::client::{Answer, Way};
use crate::lab::guard::Setup;
use crate::lab::net::in_network;
use crate::lab::smtp::HELO;
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("the_blocked_are_told_why_and_the_familiar_get_in", told_why).with(Setup::asking),
        Test::new("a_phone_with_500_old_passwords_leaves_its_office_alone", stale_phone).with(Setup::asking),
        Test::new("a_guesser_in_an_office_is_stopped_at_the_fifth", guesser).with(Setup::asking),
        Test::new("a_sign_in_told_live_and_by_the_log_is_one_event", one_event).with(Setup::asking),
        Test::new("a_botnet_of_2000_networks_raises_the_guard", botnet).with(Setup::asking),
    ]
}

const OFFICE: &str = "203.0.113.10";
const INSIDE: [Way; 3] = [Way::Imap, Way::Pop3, Way::Submission];

fn mailboxes() -> impl Iterator<Item = String> {
    (1..=10).map(|number| format!("user{number:02}"))
}

fn open_office(lab: &Lab) -> Result<()> {
    for account in mailboxes() {
        let answer = lab.sign_in(OFFICE, Way::Imap, &account)?;
        ensure!(answer.is_yes(), "{account} cannot sign in: {answer:?}");
    }
    Ok(())
}

/// Fails unless the answer refuses the sign-in as a wrong password is refused.
fn is_wrong_password(answer: &Answer) -> Result<()> {
    match answer {
        Answer::No(text) if text.contains("AUTHENTICATIONFAILED") => Ok(()),
        other => anyhow::bail!("not the answer to a wrong password: {other:?}"),
    }
}

/// Five different passwords, each answered as wrong.
fn guess(lab: &Lab, account: &str) -> Result<()> {
    for number in 1..=5 {
        ensure!(lab.fairban.blocked()?.is_empty(), "blocked before guess {number}");
        is_wrong_password(&lab.attempt(OFFICE, Way::Imap, account, &format!("guess-{number}"))?)?;
        until_recorded(lab, OFFICE, number)?;
    }
    until_blocked(lab, OFFICE)
}

fn code(lab: &Lab, subject: &str) -> Result<String> {
    let blocks = lab.fairban.list(&["blocks"])?;
    let block = blocks.iter().find(|block| block["subject"] == subject);
    let code = block.and_then(|block| block["code"].as_str());
    Ok(code.with_context(|| format!("no code of {subject} in {blocks:?}"))?.to_owned())
}

fn told_why(lab: &mut Lab) -> Result<()> {
    ensure!(lab.sign_in(OFFICE, Way::Imap, "user01")?.is_yes(), "user01 cannot sign in");
    guess(lab, "bob")?;
    let code = code(lab, OFFICE)?;
    for way in INSIDE {
        let answer = lab.sign_in(OFFICE, way, "bob")?;
        let Answer::No(text) = &answer else { anyhow::bail!("bob at a blocked address by {way:?}: {answer:?}") };
        ensure!(text.contains("blocked temporarily"), "{way:?} does not say that there is a block: {text}");
        ensure!(text.contains(&code), "{way:?} does not tell the code {code}: {text}");
        ensure!(way != Way::Imap || text.contains("[ALERT]"), "mail programs will not show this: {text}");
        let familiar = lab.sign_in(OFFICE, way, "user01")?;
        ensure!(familiar.is_yes(), "user01 belongs there, and is answered by {way:?} with {familiar:?}");
    }
    reaches_all(lab, OFFICE)?;
    ensure!(lab.sign_in("192.0.2.9", Way::Imap, "bob")?.is_yes(), "bob cannot sign in at home");
    lab.fairban.tell(&["unblock", OFFICE])?;
    wait_for("bob to get in after the release", std::time::Duration::from_secs(1), || {
        Ok(lab.sign_in(OFFICE, Way::Imap, "bob")?.is_yes().then_some(()))
    })
}

fn stale_phone(lab: &mut Lab) -> Result<()> {
    open_office(lab)?;
    let lab = &*lab;
    beside_a_user(lab, OFFICE, "user01", || {
        by_clients(20, 500, |_| is_wrong_password(&lab.attempt(OFFICE, Way::Imap, "user03", "last-years-password")?))
    })?;
    until_recorded(lab, OFFICE, 500)?;
    ensure!(lab.fairban.blocked()?.is_empty(), "blocked: {:?}", lab.fairban.blocked()?);
    open_office(lab)?;
    reaches_all(lab, OFFICE)
}

fn guesser(lab: &mut Lab) -> Result<()> {
    open_office(lab)?;
    let lab = &*lab;
    beside_a_user(lab, OFFICE, "user02", || guess(lab, "alice"))?;
    let answer = lab.sign_in(OFFICE, Way::Imap, "alice")?;
    ensure!(matches!(&answer, Answer::No(text) if text.contains("[ALERT]")), "the guesser goes on: {answer:?}");
    let guesses = lab.dovecot_log()?.matches("Password mismatch").count();
    ensure!(guesses == 5, "{guesses} guesses reached the password check");
    open_office(lab)?;
    reaches_all(lab, OFFICE)
}

fn one_event(lab: &mut Lab) -> Result<()> {
    const CLIENT: &str = "192.0.2.30";
    for way in INSIDE {
        ensure!(lab.sign_in(CLIENT, way, "carol")?.is_yes(), "carol cannot sign in");
        ensure!(lab.attempt(CLIENT, way, "carol", "wrong")?.is_no(), "a wrong password is taken");
    }
    // What only the logs tell, and tell after all that.
    const LATER: &str = "192.0.2.31";
    drop(lab.idle(LATER)?);
    lab.attempt(LATER, Way::Recipient, "nobody@example.test", "")?;
    for kind in ["connection_aborted", "recipient_unknown"] {
        wait_for(&format!("{kind} of {LATER}"), SOON, || Ok((!events(lab, LATER, kind)?.is_empty()).then_some(())))?;
    }
    for (kind, tries) in
        [("login_succeeded", INSIDE.len()), ("login_failed", INSIDE.len()), ("login_", 2 * INSIDE.len())]
    {
        let found = events(lab, CLIENT, kind)?;
        ensure!(found.len() == tries, "{tries} × {kind} became {}: {found:#?}", found.len());
    }
    Ok(())
}

fn botnet(lab: &mut Lab) -> Result<()> {
    const NETWORKS: u32 = 2000;
    /// Those that raise the guard.
    const FIRST: u32 = 20;
    const HOME: &str = "203.0.113.20";
    ensure!(lab.sign_in(HOME, Way::Imap, "alice")?.is_yes(), "the owner cannot sign in");
    let lab = &*lab;
    let guess = |number: u32| -> Result<()> {
        let from = in_network(number).to_string();
        let answer = lab.attempt(&from, Way::Imap, "alice", &format!("guess-{number}"))?;
        ensure!(!answer.is_yes(), "guess {number}: {answer:?}");
        Ok(())
    };
    beside_a_user(lab, HOME, "alice", || {
        by_clients(5, FIRST, guess)?;
        wait_for("a guard of alice", SOON, || Ok(lab.fairban.blocked()?.contains("alice").then_some(())))?;
        by_clients(40, NETWORKS - FIRST, |number| guess(FIRST + number))
    })?;
    let guesses = lab.dovecot_log()?.matches("Password mismatch").count();
    ensure!(guesses < 30, "{guesses} guesses of {NETWORKS} reached the password check");
    ensure!(lab.fairban.blocked()?.contains("alice"), "the guard is down");
    // Submission asks Dovecot too: the guard is not of IMAP alone.
    let mut session = lab.smtp(&in_network(NETWORKS + 1).to_string(), 587, HELO)?;
    let answer = session.sign_in("alice", "right-alice")?;
    ensure!(answer.starts_with("535 "), "an unfamiliar network gets in under the guard: {answer}");
    Ok(())
}

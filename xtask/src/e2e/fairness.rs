//! An old password on a phone harms nobody; a guesser in the same office is still found.

use anyhow::{Result, ensure};

use super::witness::{at_once, until_recorded};
use super::{Test, reaches_all, until_blocked};
use crate::lab::Lab;
use crate::lab::client::Way;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("a_stale_phone_never_blocks_its_office", stale_phone),
        Test::new("a_guesser_in_an_office_is_found", guesser_in_office),
        Test::new("typing_mistakes_then_success_are_forgiven", typing_mistakes),
    ]
}

const OFFICE: &str = "203.0.113.10";

fn open_office(lab: &Lab) -> Result<()> {
    for number in 1..=10 {
        let account = format!("user{number:02}");
        ensure!(lab.sign_in(OFFICE, Way::Imap, &account)?.is_yes(), "{account} cannot sign in");
    }
    Ok(())
}

fn stale_phone(lab: &mut Lab) -> Result<()> {
    open_office(lab)?;
    let lab = &*lab;
    at_once(200, |round| {
        let answer = lab.attempt(OFFICE, Way::Imap, "user03", "last-years-password")?;
        ensure!(answer.is_no(), "try {round} of the phone: {answer:?}");
        Ok(())
    })?;
    until_recorded(lab, OFFICE, 200)?;
    ensure!(lab.fairban.blocked()?.is_empty(), "the office is blocked: {:?}", lab.fairban.blocked()?);
    reaches_all(lab, OFFICE)?;
    open_office(lab)
}

/// Where nobody asks before a sign-in, a block hits the whole office: it must be certain.
fn guesser_in_office(lab: &mut Lab) -> Result<()> {
    open_office(lab)?;
    for number in 1..=10 {
        let answer = lab.attempt(OFFICE, Way::Imap, "alice", &format!("wrong-{number}"))?;
        ensure!(answer.is_no(), "guess {number}: {answer:?}");
    }
    until_recorded(lab, OFFICE, 10)?;
    ensure!(lab.fairban.blocked()?.is_empty(), "ten mistakes block an office of ten mailboxes");
    for number in 11..=150 {
        if !lab.attempt(OFFICE, Way::Imap, "alice", &format!("wrong-{number}"))?.is_no() {
            break;
        }
    }
    until_blocked(lab, OFFICE)
}

fn typing_mistakes(lab: &mut Lab) -> Result<()> {
    for round in 0..5 {
        for mistake in 0..3 {
            lab.attempt("192.0.2.9", Way::Imap, "carol", &format!("rigth-carol-{round}-{mistake}"))?;
        }
        ensure!(lab.sign_in("192.0.2.9", Way::Imap, "carol")?.is_yes(), "carol cannot sign in in round {round}");
    }
    until_recorded(lab, "192.0.2.9", 15)?;
    ensure!(lab.fairban.blocked()?.is_empty(), "carol is blocked for typing badly");
    reaches_all(lab, "192.0.2.9")
}

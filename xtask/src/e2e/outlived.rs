//! The mail server outlives Fairban: sign-ins and mail go on while it is killed, started, and stands still.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};

use super::Test;
use crate::lab::Lab;
use crate::lab::client::{Try, Way, attempt};
use crate::lab::guard::{Asking, Setup};
use crate::lab::net::Net;
use crate::lab::smtp::{HELO, Session, is_yes};
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("mail_goes_on_without_fairban", killed).with(Setup::asking),
        Test::new("mail_goes_on_without_fairban_on_a_unix_socket", killed)
            .with(|| Setup { asking: Asking::Unix, ..Setup::asking() }),
        Test::new("mail_goes_on_without_fairban_with_exim", killed).with(Setup::exim_asking),
        Test::new("mail_goes_on_while_fairban_stands_still", frozen).with(Setup::asking),
        Test::new("mail_goes_on_while_fairban_stands_still_with_exim", frozen).with(Setup::exim_asking),
    ]
}

/// As long as a round may take while nobody answers: each question of it waits for its time-out.
const ROUND: Duration = Duration::from_secs(60);

/// What a mail server is there for.
fn round(net: &Net) -> Result<()> {
    let from = "203.0.113.40";
    for way in [Way::Imap, Way::Pop3] {
        let right = Try { way, name: "dave".to_owned(), password: "right-dave".to_owned() };
        let answer = attempt(net, from.parse()?, &right)?;
        ensure!(answer.is_yes(), "a sign-in by {way:?}: {answer:?}");
    }
    let mut inside = Session::open(net, from, 587, HELO)?;
    let answer = inside.sign_in("dave", "right-dave")?;
    ensure!(is_yes(&answer), "a sign-in to send: {answer}");
    deliver(&mut inside, "dave@example.test", "someone@remote.test")?;
    let mut outside = Session::open(net, "198.51.100.40", 25, HELO)?;
    deliver(&mut outside, "someone@remote.test", "dave@example.test")
}

fn deliver(session: &mut Session, from: &str, to: &str) -> Result<()> {
    session.mail(from)?;
    let answer = session.recipient(to)?;
    ensure!(is_yes(&answer), "recipient {to}: {answer}");
    let answer = session.message("Subject: A test")?;
    ensure!(is_yes(&answer), "the message to {to}: {answer}");
    Ok(())
}

/// Does the work while mail goes through; `work` gets a way to wait for so many more rounds.
fn beside_mail(net: &Net, work: impl FnOnce(&dyn Fn(u32) -> Result<()>) -> Result<()>) -> Result<()> {
    let rounds = AtomicU32::new(0);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let traffic = scope.spawn(|| -> Result<()> {
            while !over.load(Ordering::Acquire) {
                round(net)?;
                rounds.fetch_add(1, Ordering::AcqRel);
            }
            Ok(())
        });
        let more = |count: u32| {
            let wanted = rounds.load(Ordering::Acquire) + count;
            wait_for("mail to go through", ROUND, || {
                Ok((traffic.is_finished() || rounds.load(Ordering::Acquire) >= wanted).then_some(()))
            })
        };
        let outcome = work(&more);
        over.store(true, Ordering::Release);
        traffic.join().map_err(|_| anyhow!("the thread of mail panicked"))??;
        outcome
    })
}

fn killed(lab: &mut Lab) -> Result<()> {
    let Lab { fairban, net, .. } = lab;
    let net = &*net;
    beside_mail(net, |more| {
        // At whatever point of its work it happens to be.
        for _ in 0..2 {
            more(2)?;
            fairban.kill()?;
            // The one under way, and one that meets nobody at all.
            more(2)?;
            fairban.start(net)?;
        }
        more(2)
    })?;
    // It is asked again.
    lab.fairban.tell(&["send-block", "add", "dave@example.test"])?;
    let mut session = lab.smtp("198.51.100.40", 25, HELO)?;
    session.mail("dave@example.test")?;
    let answer = session.recipient("alice@example.test")?;
    ensure!(answer.starts_with('5'), "Fairban is not asked after its restart: {answer}");
    Ok(())
}

fn frozen(lab: &mut Lab) -> Result<()> {
    let Lab { fairban, net, .. } = lab;
    beside_mail(net, |more| {
        more(1)?;
        fairban.freeze(true)?;
        let outcome = more(1);
        fairban.freeze(false)?;
        outcome?;
        more(3)
    })
}

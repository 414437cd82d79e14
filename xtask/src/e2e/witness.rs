//! What tests observe beside the attack: another client at work, and the events that Fairban has recorded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use serde_json::Value;

use super::SOON;
use crate::lab::Lab;
use crate::lab::client::{Try, Way, attempt};
use crate::lab::net::Net;
use crate::process::wait_for;

/// Does the work while another client goes on signing in; fails if any of its sign-ins fails.
pub(super) fn beside_a_user<T>(lab: &Lab, from: &str, account: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let user = scope.spawn(|| -> Result<u32> {
            let mut signed_in = 0;
            // At least one after the work, so that its consequences are met.
            loop {
                let last = over.load(Ordering::Acquire);
                for way in [Way::Imap, Way::Submission] {
                    let answer = lab.sign_in(from, way, account)?;
                    ensure!(answer.is_yes(), "{account} at {from} did nothing wrong, and got {answer:?}");
                    signed_in += 1;
                }
                if last {
                    return Ok(signed_in);
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        let outcome = work();
        over.store(true, Ordering::Release);
        user.join().map_err(|_| anyhow!("the user's thread panicked"))??;
        outcome
    })
}

/// The recorded events of a kind whose name begins so, from the client.
pub(super) fn events(lab: &Lab, client: &str, kind: &str) -> Result<Vec<Value>> {
    let mut events = lab.fairban.list(&["events", client, "--limit", "100000"])?;
    events.retain(|event| {
        event["client"].as_str() == Some(client) && event["kind"].as_str().is_some_and(|name| name.starts_with(kind))
    });
    Ok(events)
}

/// Waits until Fairban has recorded this many bad sign-ins of the client.
pub(super) fn until_recorded(lab: &Lab, client: &str, count: usize) -> Result<()> {
    wait_for(&format!("{count} bad sign-ins of {client} in the event log"), SOON, || {
        Ok((bad_sign_ins(lab, client)?.len() >= count).then_some(()))
    })
}

/// The accounts of all bad sign-ins of the client, sorted, as often as they are recorded.
pub(super) fn bad_sign_ins(lab: &Lab, client: &str) -> Result<Vec<String>> {
    let mut accounts: Vec<String> = events(lab, client, "login_")?
        .iter()
        .filter(|event| matches!(event["kind"].as_str(), Some("login_failed" | "login_unknown_account")))
        .map(|event| event["account"].as_str().unwrap_or("?").to_owned())
        .collect();
    accounts.sort();
    Ok(accounts)
}

/// Attackers with networks of their own, each making fewer tries than would block it.
const ATTACKERS: u32 = 30;
const TRIES: u32 = 3;

fn attacker(number: u32) -> String {
    format!("198.18.{number}.7")
}

/// Every try names an account of its own, so that the event log tells which were lost or doubled.
fn account(attacker: u32, number: u32) -> String {
    format!("guess-{attacker}-{number}")
}

/// An attack that goes on for a while and blocks nobody.
pub(super) fn many_attackers(net: &Net) -> Result<()> {
    let guess = |who: u32, number: u32| -> Result<()> {
        let guess = Try { way: Way::Imap, name: account(who, number), password: format!("wrong-{number}") };
        let answer = attempt(net, attacker(who).parse()?, &guess)?;
        ensure!(answer.is_no(), "attacker {who} got {answer:?}");
        Ok(())
    };
    at_once(ATTACKERS, |who| (1..=TRIES).try_for_each(|number| guess(who, number)))
}

/// Does the work for each number from 1, several at a time: Dovecot says no twice a second.
pub(super) fn at_once(count: u32, work: impl Fn(u32) -> Result<()> + Sync) -> Result<()> {
    const CLIENTS: u32 = 5;
    by_clients(CLIENTS, count, work)
}

/// The same by so many clients.
pub(super) fn by_clients(clients: u32, count: u32, work: impl Fn(u32) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (1..=clients)
            .map(|first| scope.spawn(move || (first..=count).step_by(clients as usize).try_for_each(work)))
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
    })
}

/// Fails unless the event log holds every try of [`many_attackers`] exactly once.
pub(super) fn each_try_is_recorded_once(lab: &Lab) -> Result<()> {
    for who in 1..=ATTACKERS {
        let mut expected: Vec<String> = (1..=TRIES).map(|number| account(who, number)).collect();
        expected.sort();
        let client = attacker(who);
        until_recorded(lab, &client, expected.len())?;
        let found = bad_sign_ins(lab, &client)?;
        ensure!(found == expected, "{client} tried {expected:?}, recorded are {found:?}");
    }
    Ok(())
}

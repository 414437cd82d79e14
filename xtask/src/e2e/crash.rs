//! Fairban is killed in the middle of an attack, and starts again as if nothing had happened.

use std::collections::BTreeSet;
use std::thread;

use anyhow::{Result, anyhow, ensure};

use super::witness::{bad_sign_ins, each_try_is_recorded_once, many_attackers};
use super::{SOON, Test, until_blocked, until_dropped};
use crate::lab::Lab;
use crate::lab::client::Way;
use crate::lab::guard::in_kernel;
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("kill_and_restart_during_an_attack", kill_during_attack),
        Test::new("kill_and_restart_keeps_every_block", keeps_blocks),
        Test::new("clean_stop_and_restart_keeps_every_block", clean_restart),
    ]
}

fn kill_during_attack(lab: &mut Lab) -> Result<()> {
    for number in 1..=5 {
        lab.attempt("192.0.2.7", Way::Imap, "bob", &format!("wrong-{number}"))?;
    }
    until_blocked(lab, "192.0.2.7")?;
    until_dropped(lab, "192.0.2.7")?;

    let Lab { fairban, net, .. } = lab;
    let net = &*net;
    thread::scope(|scope| -> Result<()> {
        let attack = scope.spawn(|| many_attackers(net));
        // Three times, at whatever point of its work it happens to be.
        for portion in 1..=3 {
            wait_for("some of the attack to be recorded", SOON, || {
                let events = fairban.list(&["events", "--limit", "100000"])?;
                Ok((attack.is_finished() || events.len() >= portion * 20).then_some(()))
            })?;
            fairban.kill()?;
            fairban.start(net)?;
        }
        attack.join().map_err(|_| anyhow!("the attackers' thread panicked"))?
    })?;

    each_try_is_recorded_once(lab)?;
    let found = bad_sign_ins(lab, "192.0.2.7")?;
    ensure!(found.len() == 5, "five tries before the kill are now {}", found.len());
    ensure!(lab.is_dropped("192.0.2.7", 25)?, "the block from before the kill is gone from the kernel");
    Ok(())
}

/// Blocks of every sort, and what the kernel has of them.
fn various_blocks(lab: &Lab) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    for number in 1..=5 {
        lab.attempt("192.0.2.7", Way::Imap, "bob", &format!("wrong-{number}"))?;
        lab.attempt("2001:db8:1::7", Way::Imap, "carol", &format!("wrong-{number}"))?;
    }
    lab.fairban.tell(&["block", "203.0.113.7", "--for", "10m"])?;
    lab.fairban.tell(&["block", "203.0.113.8", "--permanent"])?;
    lab.fairban.tell(&["block", "198.51.100.0/24", "--for", "10m"])?;
    lab.fairban.tell(&["never", "add", "198.51.100.16/28"])?;
    lab.fairban.tell(&["block", "203.0.113.9", "--for", "10m"])?;
    lab.fairban.tell(&["unblock", "203.0.113.9"])?;
    for client in ["192.0.2.7", "2001:db8:1::7", "203.0.113.7", "203.0.113.8", "198.51.100.7"] {
        until_dropped(lab, client)?;
    }
    Ok((lab.fairban.blocked()?, in_kernel(&lab.net)?))
}

fn same_as_before(lab: &Lab, blocks: &BTreeSet<String>, kernel: &BTreeSet<String>) -> Result<()> {
    let now = lab.fairban.blocked()?;
    ensure!(now == *blocks, "blocked before: {blocks:?}; now: {now:?}");
    wait_for("the kernel to hold what it held", SOON, || Ok((in_kernel(&lab.net)? == *kernel).then_some(())))?;
    for client in ["192.0.2.7", "2001:db8:1::7", "203.0.113.7", "203.0.113.8", "198.51.100.7"] {
        ensure!(lab.is_dropped(client, 143)?, "{client} is not dropped any more");
    }
    for client in ["203.0.113.9", "198.51.100.17", "192.0.2.8"] {
        ensure!(!lab.is_dropped(client, 143)?, "{client} is dropped, and was not before");
    }
    Ok(())
}

fn keeps_blocks(lab: &mut Lab) -> Result<()> {
    let (blocks, kernel) = various_blocks(lab)?;
    lab.fairban.kill()?;
    ensure!(lab.is_dropped("192.0.2.7", 143)?, "a dead Fairban lets the blocked client in");
    lab.fairban.start(&lab.net)?;
    same_as_before(lab, &blocks, &kernel)
}

fn clean_restart(lab: &mut Lab) -> Result<()> {
    let (blocks, kernel) = various_blocks(lab)?;
    lab.fairban.stop()?;
    lab.fairban.start(&lab.net)?;
    same_as_before(lab, &blocks, &kernel)
}

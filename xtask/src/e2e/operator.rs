//! What an administrator does: asks why, releases, blocks for a while, names who must never be blocked.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::witness::until_recorded;
use super::{SOON, Test, reaches_all, reaches_none, until_blocked, until_dropped};
use crate::lab::Lab;
use crate::lab::client::Way;
use crate::lab::guard::{Setup, in_kernel, tables};
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("why_shows_the_five_events", why),
        Test::new("unblock_lets_in_within_a_second", |lab| unblock(lab, "192.0.2.7", "192.0.2.7")),
        Test::new("unblock_lets_in_over_ipv6", |lab| unblock(lab, "2001:db8:1::7", "2001:db8:1::/64")),
        Test::new("a_ten_second_block_ends_by_itself", short_block),
        Test::new("never_block_wins", never_block_wins)
            .with(|| Setup { never: vec!["192.0.2.0/28", "2001:db8:1::/64"], ..Setup::default() }),
        Test::new("never_add_lifts_a_block_at_once", never_add),
        Test::new("a_network_block_has_holes", holes),
        Test::new("nothing_is_left_in_the_kernel_after_unblocking", nothing_left),
        Test::new("flush_takes_everything_out_of_the_kernel", flush),
    ]
}

const OFFENDER: &str = "192.0.2.7";

/// So many wrong passwords, different for each word.
fn guess(lab: &Lab, from: &str, word: &str, times: u32) -> Result<()> {
    for number in 1..=times {
        lab.attempt(from, Way::Imap, "bob", &format!("{word}-{number}"))?;
    }
    Ok(())
}

fn why(lab: &mut Lab) -> Result<()> {
    guess(lab, OFFENDER, "wrong", 5)?;
    until_blocked(lab, OFFENDER)?;
    let receipt = lab.fairban.list(&["why", OFFENDER])?;
    let standing = receipt.iter().find_map(|answer| answer["standing"].get(0));
    let events = standing.and_then(|decision| decision["events"].as_array()).cloned().unwrap_or_default();
    let counted: Vec<_> = events.iter().filter(|event| event["points"].as_u64().unwrap_or(0) > 0).collect();
    ensure!(counted.len() == 5, "the receipt holds {} counted events, not five: {receipt:?}", counted.len());
    for event in counted {
        ensure!(event["client"] == OFFENDER && event["account"] == "bob", "not what the client did: {event}");
    }
    let spoken = lab.fairban.tell(&["why", OFFENDER])?;
    ensure!(spoken.contains(OFFENDER) && spoken.matches("bob").count() >= 5, "support cannot read this out:\n{spoken}");
    Ok(())
}

fn unblock(lab: &mut Lab, offender: &str, subject: &str) -> Result<()> {
    guess(lab, offender, "wrong", 5)?;
    until_blocked(lab, subject)?;
    until_dropped(lab, offender)?;
    lab.fairban.tell(&["unblock", offender])?;
    // A promise of the design, so the second is the limit of the wait and no measurement.
    wait_for(&format!("{offender} to get in"), Duration::from_secs(1), || {
        Ok((!lab.is_dropped(offender, 143)?).then_some(()))
    })?;
    // Released means that the events behind it are forgotten: four more are four, not nine.
    guess(lab, offender, "again", 4)?;
    until_recorded(lab, offender, 9)?;
    reaches_all(lab, offender)?;
    ensure!(lab.sign_in(offender, Way::Imap, "bob")?.is_yes(), "the released client cannot sign in");
    Ok(())
}

fn short_block(lab: &mut Lab) -> Result<()> {
    lab.fairban.tell(&["block", OFFENDER, "--for", "10s", "--reason", "a test"])?;
    let start = Instant::now();
    reaches_none(lab, OFFENDER)?;
    ensure!(lab.fairban.blocked()?.contains(OFFENDER), "the manual block is not listed");
    wait_for(
        "the block's end",
        Duration::from_secs(10) + SOON,
        || Ok((!lab.is_dropped(OFFENDER, 143)?).then_some(())),
    )?;
    ensure!(start.elapsed() >= Duration::from_secs(9), "the block ended early");
    wait_for("the block to leave the list", SOON, || Ok(lab.fairban.blocked()?.is_empty().then_some(())))
}

fn never_block_wins(lab: &mut Lab) -> Result<()> {
    for address in [OFFENDER, "2001:db8:1::7"] {
        guess(lab, address, "wrong", 12)?;
        for number in 1..=12 {
            lab.attempt(address, Way::Relay, &format!("someone{number}@remote.test"), "")?;
            lab.attempt(address, Way::Recipient, &format!("nobody{number}@example.test"), "")?;
        }
        until_recorded(lab, address, 12)?;
        lab.fairban.ask(&["block", address])?;
        reaches_all(lab, address)?;
    }
    // A block around it leaves it alone.
    lab.fairban.tell(&["block", "192.0.2.0/24", "--for", "5m"])?;
    until_dropped(lab, "192.0.2.77")?;
    reaches_all(lab, OFFENDER)
}

fn never_add(lab: &mut Lab) -> Result<()> {
    guess(lab, OFFENDER, "wrong", 5)?;
    until_blocked(lab, OFFENDER)?;
    until_dropped(lab, OFFENDER)?;
    lab.fairban.tell(&["never", "add", OFFENDER])?;
    wait_for("the block to be lifted", Duration::from_secs(1), || Ok((!lab.is_dropped(OFFENDER, 143)?).then_some(())))?;
    ensure!(lab.fairban.blocked()?.is_empty(), "the block is still listed");
    guess(lab, OFFENDER, "again", 10)?;
    until_recorded(lab, OFFENDER, 15)?;
    reaches_all(lab, OFFENDER)?;
    lab.fairban.tell(&["never", "remove", OFFENDER])?;
    guess(lab, OFFENDER, "once-more", 5)?;
    until_dropped(lab, OFFENDER)
}

fn holes(lab: &mut Lab) -> Result<()> {
    lab.fairban.tell(&["block", "198.51.100.0/24", "--for", "5m"])?;
    until_dropped(lab, "198.51.100.7")?;
    lab.fairban.tell(&["never", "add", "198.51.100.32/28"])?;
    wait_for("the hole", Duration::from_secs(1), || Ok((!lab.is_dropped("198.51.100.33", 143)?).then_some(())))?;
    reaches_all(lab, "198.51.100.47")?;
    reaches_none(lab, "198.51.100.31")?;
    reaches_none(lab, "198.51.100.48")
}

fn nothing_left(lab: &mut Lab) -> Result<()> {
    let before = in_kernel(&lab.net)?;
    for subject in [OFFENDER, "198.51.100.0/24", "2001:db8:1::7", "2001:db8:5::/48"] {
        lab.fairban.tell(&["block", subject, "--for", "5m"])?;
    }
    wait_for("four blocks in the kernel", SOON, || Ok((in_kernel(&lab.net)?.len() >= before.len() + 4).then_some(())))?;
    for subject in lab.fairban.blocked()? {
        lab.fairban.tell(&["unblock", &subject])?;
    }
    wait_for("the kernel to be as before", SOON, || Ok((in_kernel(&lab.net)? == before).then_some(())))
}

fn flush(lab: &mut Lab) -> Result<()> {
    let before = tables(&lab.net)?;
    ensure!(!before.trim().is_empty(), "Fairban has made nothing in the kernel");
    guess(lab, OFFENDER, "wrong", 5)?;
    until_dropped(lab, OFFENDER)?;
    lab.fairban.stop()?;
    lab.fairban.flush(&lab.net)?;
    let after = tables(&lab.net)?;
    ensure!(after.trim().is_empty(), "left in the kernel: {after}");
    reaches_all(lab, OFFENDER)
}

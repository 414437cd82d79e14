//! Logs that rotate, configuration that changes, and a kernel that refuses.

use std::thread;

use anyhow::{Result, anyhow, ensure};

use super::witness::{bad_sign_ins, each_try_is_recorded_once, events, many_attackers, until_recorded};
use super::{SOON, Test, reaches_all, until_blocked, until_dropped};
use crate::lab::Lab;
use crate::lab::client::Way;
use crate::lab::guard::{Setup, empty_kernel, in_kernel};
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("rotation_by_rename_loses_nothing", rename),
        Test::new("rotation_of_postfix_log_loses_nothing", rename_postfix),
        Test::new("rotation_under_load_loses_and_doubles_nothing", rename_under_load),
        Test::new("rotation_by_truncation_loses_nothing", truncate),
        Test::new("reload_takes_a_good_file", good_reload),
        Test::new("reload_keeps_the_old_file_if_the_new_is_bad", bad_reload),
        Test::new("a_kernel_emptied_by_others_is_mended", mended),
        Test::new("without_net_admin_it_observes", observes)
            .with(|| Setup { may_change_kernel: false, ..Setup::default() }),
    ]
}

fn guess(lab: &Lab, from: &str, numbers: std::ops::RangeInclusive<u32>) -> Result<()> {
    for number in numbers {
        lab.attempt(from, Way::Imap, &format!("guess-{number}"), "wrong")?;
    }
    Ok(())
}

fn exactly_five(lab: &Lab, client: &str) -> Result<()> {
    until_blocked(lab, client)?;
    let found = bad_sign_ins(lab, client)?;
    ensure!(found == ["guess-1", "guess-2", "guess-3", "guess-4", "guess-5"], "recorded: {found:?}");
    Ok(())
}

fn rename(lab: &mut Lab) -> Result<()> {
    guess(lab, "192.0.2.7", 1..=2)?;
    lab.rotate_dovecot_log()?;
    guess(lab, "192.0.2.7", 3..=5)?;
    exactly_five(lab, "192.0.2.7")
}

fn rename_postfix(lab: &mut Lab) -> Result<()> {
    let relay = |numbers: std::ops::RangeInclusive<u32>| -> Result<()> {
        for number in numbers {
            lab.attempt("192.0.2.7", Way::Relay, &format!("someone{number}@remote.test"), "")?;
        }
        Ok(())
    };
    relay(1..=2)?;
    lab.rotate_postfix_log()?;
    relay(3..=5)?;
    until_blocked(lab, "192.0.2.7")?;
    let found = events(lab, "192.0.2.7", "relay_denied")?.len();
    ensure!(found == 5, "{found} relay attempts are recorded, not five");
    Ok(())
}

fn rename_under_load(lab: &mut Lab) -> Result<()> {
    let lab = &*lab;
    thread::scope(|scope| -> Result<()> {
        let attack = scope.spawn(|| many_attackers(&lab.net));
        for portion in 1..=3 {
            wait_for("some of the attack to be recorded", SOON, || {
                let events = lab.fairban.list(&["events", "--limit", "100000"])?;
                Ok((attack.is_finished() || events.len() >= portion * 20).then_some(()))
            })?;
            lab.rotate_dovecot_log()?;
        }
        attack.join().map_err(|_| anyhow!("the attackers' thread panicked"))?
    })?;
    each_try_is_recorded_once(lab)
}

fn truncate(lab: &mut Lab) -> Result<()> {
    guess(lab, "192.0.2.7", 1..=2)?;
    until_recorded(lab, "192.0.2.7", 2)?;
    lab.empty_dovecot_log()?;
    guess(lab, "192.0.2.7", 3..=5)?;
    exactly_five(lab, "192.0.2.7")
}

fn good_reload(lab: &mut Lab) -> Result<()> {
    guess(lab, "192.0.2.7", 1..=4)?;
    until_recorded(lab, "192.0.2.7", 4)?;
    let config = lab.fairban.config_text().replace("never = []", "never = [\"192.0.2.9\"]");
    lab.fairban.write_config(&config)?;
    lab.fairban.reload()?;
    wait_for("the new file to be in force", SOON, || Ok(lab.fairban.log().contains("in force").then_some(())))?;
    // What was counted before still counts.
    guess(lab, "192.0.2.7", 5..=5)?;
    until_blocked(lab, "192.0.2.7")?;
    guess(lab, "192.0.2.9", 1..=8)?;
    until_recorded(lab, "192.0.2.9", 8)?;
    reaches_all(lab, "192.0.2.9")
}

fn bad_reload(lab: &mut Lab) -> Result<()> {
    guess(lab, "192.0.2.7", 1..=4)?;
    until_recorded(lab, "192.0.2.7", 4)?;
    let config = lab.fairban.config_text();
    lab.fairban.write_config(&config.replace("[node]", "[nodes]"))?;
    lab.fairban.reload()?;
    wait_for("Fairban to complain about the key 'nodes'", SOON, || {
        let log = lab.fairban.log();
        Ok((log.contains("nodes") && log.contains("fairban.toml")).then_some(()))
    })?;
    guess(lab, "192.0.2.7", 5..=5)?;
    until_blocked(lab, "192.0.2.7")?;
    until_dropped(lab, "192.0.2.7")
}

fn observes(lab: &mut Lab) -> Result<()> {
    let log = lab.fairban.log();
    ensure!(log.contains("CAP_NET_ADMIN") && log.contains("observe"), "it does not say that it only observes:\n{log}");
    guess(lab, "192.0.2.7", 1..=5)?;
    until_blocked(lab, "192.0.2.7")?;
    reaches_all(lab, "192.0.2.7")
}

fn mended(lab: &mut Lab) -> Result<()> {
    guess(lab, "192.0.2.7", 1..=5)?;
    until_dropped(lab, "192.0.2.7")?;
    let before = in_kernel(&lab.net)?;
    empty_kernel(&lab.net)?;
    wait_for("the kernel to be mended", SOON * 2, || Ok((in_kernel(&lab.net)? == before).then_some(())))?;
    until_dropped(lab, "192.0.2.7")
}

//! Mail servers with one memory. Here with real Postfix and Dovecot on each; what goes wrong is tried without them, in
//! `faults`.

mod agree;
mod faults;
mod terms;

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{SOON, Test, until_blocked, until_dropped};
use crate::lab::Lab;
use crate::lab::browser::{Browser, Window};
use crate::lab::client::Way;
use crate::lab::guard::{PORTAL, Setup};
use crate::lab::valkey::{Kind, Valkey};
use crate::process::wait_for;
use agree::{Member, until_agreed};

pub(super) fn tests() -> Vec<Test> {
    let mut tests = vec![
        Test::new("three_nodes_block_and_release_as_one", as_one),
        Test::new("the_portal_of_one_node_lets_out_on_all", lets_out).with(Setup::portal),
        Test::new("the_portal_lets_out_on_all_over_a_cluster", lets_out_over_a_cluster).with(Setup::portal),
    ];
    tests.extend(faults::tests());
    tests.extend(terms::tests());
    tests
}

const OFFENDER: &str = "192.0.2.7";
const NAMES: [&str; 3] = ["mx1", "mx2", "mx3"];

/// Has the lab's Fairban join.
fn join(lab: &mut Lab, name: &str, valkey: &Valkey) -> Result<()> {
    valkey.backbone.plug(&lab.net)?;
    lab.fairban.stop()?;
    let config = lab.fairban.config_text().replace("name = \"lab\"", &format!("name = \"{name}\""));
    lab.fairban.write_config(&format!("{config}\n[fleet]\n{}", valkey.toml(name)))?;
    lab.fairban.start(&lab.net)?;
    wait_for(&format!("{name} to be in step"), SOON, || {
        Ok((lab.fairban.ask(&["fleet", "status"])?.status == 0).then_some(()))
    })
}

/// Two more labs like the one that the test was given, all of one fleet.
fn fleet(first: &mut Lab, valkey: &Valkey, setup: fn() -> Setup) -> Result<[Lab; 2]> {
    let setup = || Setup { program: first.fairban.program().to_owned(), ..setup() };
    let mut others = [Lab::start(setup())?, Lab::start(setup())?];
    join(first, NAMES[0], valkey)?;
    for (lab, name) in others.iter_mut().zip(&NAMES[1..]) {
        join(lab, name, valkey)?;
    }
    Ok(others)
}

fn members<'l>(labs: &[&'l Lab]) -> Vec<Member<'l>> {
    labs.iter().zip(NAMES).map(|(lab, name)| Member { fairban: &lab.fairban, net: &lab.net, name }).collect()
}

/// Each node's mail server is tried with two wrong passwords, which is too few for any of them.
fn guess_on_each(labs: &[&Lab], from: &str, account: &str) -> Result<()> {
    for (lab, name) in labs.iter().zip(NAMES) {
        for number in 1..=2 {
            lab.attempt(from, Way::Imap, account, &format!("{name}-{number}"))?;
        }
    }
    labs.iter().try_for_each(|lab| until_blocked(lab, from))
}

fn as_one(lab: &mut Lab) -> Result<()> {
    let valkey = Valkey::start(Kind::One)?;
    let others = fleet(lab, &valkey, Setup::default)?;
    let labs = [&*lab, &others[0], &others[1]];
    guess_on_each(&labs, OFFENDER, "bob")?;
    labs.iter().try_for_each(|lab| until_dropped(lab, OFFENDER))?;
    until_agreed(&valkey, &members(&labs), &[OFFENDER])?;
    let receipt = labs[2].fairban.tell(&["why", OFFENDER])?;
    ensure!(receipt.matches("bob").count() >= 5, "the receipt does not tell what other nodes saw:\n{receipt}");
    let told = labs[1].fairban.tell(&["unblock", OFFENDER])?;
    ensure!(NAMES.iter().all(|name| told.contains(name)), "the release does not name all nodes: {told}");
    for lab in labs {
        // A promise of the design, so the second is the limit of the wait and no measurement.
        wait_for("the client to get in again", Duration::from_secs(1), || {
            Ok((!lab.is_dropped(OFFENDER, 143)?).then_some(()))
        })?;
        ensure!(lab.sign_in(OFFENDER, Way::Imap, "bob")?.is_yes(), "the released client cannot sign in");
    }
    until_agreed(&valkey, &members(&labs), &[])?;
    let never = labs[0].fairban.tell(&["never", "add", "198.51.100.0/24"])?;
    ensure!(NAMES.iter().all(|name| never.contains(name)), "the entry is not on all nodes: {never}");
    ensure!(labs[2].fairban.ask(&["block", "198.51.100.7"])?.status == 1, "never-block does not hold on every node");
    Ok(())
}

fn lets_out(lab: &mut Lab) -> Result<()> {
    lets_out_over(lab, Kind::One)
}

fn lets_out_over_a_cluster(lab: &mut Lab) -> Result<()> {
    lets_out_over(lab, Kind::Cluster)
}

/// A blocked person signs in at the portal of one node, and gets in on all of them within a second.
fn lets_out_over(lab: &mut Lab, kind: Kind) -> Result<()> {
    const OFFICE: &str = "203.0.113.10";
    let valkey = Valkey::start(kind)?;
    let others = fleet(lab, &valkey, Setup::portal)?;
    let labs = [&*lab, &others[0], &others[1]];
    guess_on_each(&labs, OFFICE, "alice")?;
    until_agreed(&valkey, &members(&labs), &[OFFICE])?;
    let lab = labs[0];
    lab.net.speak_as(OFFICE)?;
    let mut browser = Browser::start(&lab.net, Window::PHONE)?;
    browser.open(PORTAL)?;
    browser.fill("Mail address", "alice@example.test")?;
    browser.fill("Password of the mailbox", "right-alice@example.test")?;
    browser.click("Sign in and check")?;
    browser.expect("fleet-portal", &["There was a block. It is lifted.", "mx1", "mx2", "mx3"])?;
    for lab in labs {
        wait_for("alice to get in on every node", Duration::from_secs(1), || {
            Ok(lab.sign_in(OFFICE, Way::Imap, "alice")?.is_yes().then_some(()))
        })?;
        ensure!(lab.fairban.blocked()?.is_empty(), "a node still lists the block");
    }
    until_agreed(&valkey, &members(&labs), &[])
}

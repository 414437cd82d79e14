//! Three mail servers with one memory: real Postfix, Dovecot and kernel sets on each, and one redis-server.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{SOON, Test, until_blocked, until_dropped};
use crate::lab::Lab;
use crate::lab::browser::{Browser, Window};
use crate::lab::client::Way;
use crate::lab::guard::{PORTAL, Setup, in_kernel};
use crate::process::{Daemon, wait_for};

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("three_nodes_block_and_release_as_one", as_one),
        Test::new("a_fleet_outlives_its_server", outlives),
        Test::new("the_portal_of_one_node_lets_out_on_all", lets_out).with(Setup::portal),
    ]
}

const OFFENDER: &str = "192.0.2.7";
const NAMES: [&str; 3] = ["mx1", "mx2", "mx3"];

/// The server that all nodes share: reached through a file, since each node has a network of its own.
struct Valkey {
    dir: TempDir,
    daemon: Option<Daemon>,
}

impl Valkey {
    fn start() -> Result<Valkey> {
        let mut valkey = Valkey { dir: tempfile::tempdir()?, daemon: None };
        valkey.begin()?;
        Ok(valkey)
    }

    fn socket(&self) -> String {
        self.dir.path().join("valkey.sock").display().to_string()
    }

    fn begin(&mut self) -> Result<()> {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--unixsocket", &self.socket(), "--save", "", "--appendonly", "no", "--dir"]);
        command.arg(self.dir.path());
        let log = self.dir.path().join("valkey.out");
        self.daemon = Some(Daemon::start("redis-server", &mut command, &log)?);
        wait_for("redis-server to answer", SOON, || {
            Ok(std::os::unix::net::UnixStream::connect(self.socket()).is_ok().then_some(()))
        })
    }

    fn kill(&mut self) -> Result<()> {
        self.daemon.take().context("redis-server does not run")?.kill()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.daemon.as_ref().context("redis-server does not run")?.signal(signal)
    }
}

/// Has the lab's Fairban join.
fn join(lab: &mut Lab, name: &str, valkey: &Valkey) -> Result<()> {
    lab.fairban.stop()?;
    let config = lab.fairban.config_text().replace("name = \"lab\"", &format!("name = \"{name}\""));
    lab.fairban.write_config(&format!("{config}\n[fleet]\nurl = \"redis+unix://{}\"\n", valkey.socket()))?;
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

fn guess(lab: &Lab, from: &str, word: &str, times: u32) -> Result<()> {
    for number in 1..=times {
        lab.attempt(from, Way::Imap, "bob", &format!("{word}-{number}"))?;
    }
    Ok(())
}

/// Waits until every node has the same in force, in the list and in the kernel.
fn until_all_have(labs: &[&Lab], subjects: &[&str]) -> Result<()> {
    let wanted: BTreeSet<String> = subjects.iter().map(|subject| (*subject).to_owned()).collect();
    for lab in labs {
        wait_for(&format!("{wanted:?} to be in force on {}", lab.net.name()), SOON * 3, || {
            let listed: BTreeSet<String> = lab.fairban.blocked()?.into_iter().collect();
            Ok((listed == wanted).then_some(()))
        })?;
    }
    // Each machine has addresses of its own on the never-block list.
    let blocked = |lab: &&Lab| Ok(in_kernel(&lab.net)?.into_iter().filter(|one| !is_own(one)).collect());
    let kernels: Vec<BTreeSet<String>> = labs.iter().map(blocked).collect::<Result<_>>()?;
    ensure!(kernels.iter().all(|kernel| *kernel == wanted), "the kernels have {kernels:?} and not {wanted:?}");
    Ok(())
}

fn is_own(element: &str) -> bool {
    ["10.99.", "127.", "::1", "fd99:", "fe80:"].iter().any(|prefix| element.starts_with(prefix))
}

fn as_one(lab: &mut Lab) -> Result<()> {
    let valkey = Valkey::start()?;
    let others = fleet(lab, &valkey, Setup::default)?;
    let labs = [&*lab, &others[0], &others[1]];
    for (lab, name) in labs.iter().zip(NAMES) {
        guess(lab, OFFENDER, name, 2)?;
    }
    for lab in labs {
        until_blocked(lab, OFFENDER)?;
        until_dropped(lab, OFFENDER)?;
    }
    until_all_have(&labs, &[OFFENDER])?;
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
    until_all_have(&labs, &[])?;
    let never = labs[0].fairban.tell(&["never", "add", "198.51.100.0/24"])?;
    ensure!(NAMES.iter().all(|name| never.contains(name)), "the entry is not on all nodes: {never}");
    ensure!(labs[2].fairban.ask(&["block", "198.51.100.7"])?.status == 1, "never-block does not hold on every node");
    Ok(())
}

fn outlives(lab: &mut Lab) -> Result<()> {
    let mut valkey = Valkey::start()?;
    let mut others = fleet(lab, &valkey, Setup::default)?;
    let block = |lab: &Lab, subject: &str| lab.fairban.tell(&["block", subject, "--for", "1h"]).map(drop);
    block(lab, "192.0.2.7")?;
    block(&others[0], "192.0.2.8")?;
    until_all_have(&[lab, &others[0], &others[1]], &["192.0.2.7", "192.0.2.8"])?;

    // Killed, and begun again with nothing; meanwhile everybody goes on, and says what is not reached.
    valkey.kill()?;
    block(lab, "192.0.2.9")?;
    let told = others[0].fairban.tell(&["unblock", "192.0.2.7"])?;
    ensure!(told.contains("NOT YET"), "the release does not say that nobody was reached: {told}");
    guess(&others[1], "192.0.2.10", "wrong", 5)?;
    until_dropped(&others[1], "192.0.2.10")?;
    valkey.begin()?;
    let left = ["192.0.2.10", "192.0.2.8", "192.0.2.9"];
    until_all_have(&[lab, &others[0], &others[1]], &left)?;

    // It stands still; decisions are made as before.
    valkey.signal(Signal::SIGSTOP)?;
    block(lab, "192.0.2.11")?;
    block(&others[1], "192.0.2.12")?;
    lab.fairban.tell(&["unblock", "192.0.2.8"])?;
    wait_for("the node to say that it is alone", SOON, || {
        Ok((lab.fairban.ask(&["fleet", "status"])?.status == 1).then_some(()))
    })?;
    valkey.signal(Signal::SIGCONT)?;
    let left = ["192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.9"];
    until_all_have(&[lab, &others[0], &others[1]], &left)?;

    // A node is killed, misses a release and a block, and comes back.
    others[1].fairban.kill()?;
    let told = lab.fairban.tell(&["unblock", "192.0.2.12"])?;
    ensure!(told.contains("mx2"), "the release names nobody: {told}");
    block(&others[0], "192.0.2.13")?;
    let back = &mut others[1];
    back.fairban.start(&back.net)?;
    let left = ["192.0.2.10", "192.0.2.11", "192.0.2.13", "192.0.2.9"];
    until_all_have(&[lab, &others[0], &others[1]], &left)
}

/// A blocked person signs in at the portal of one node, and gets in on all of them within a second.
fn lets_out(lab: &mut Lab) -> Result<()> {
    const OFFICE: &str = "203.0.113.10";
    let valkey = Valkey::start()?;
    let others = fleet(lab, &valkey, Setup::portal)?;
    let labs = [&*lab, &others[0], &others[1]];
    for (lab, name) in labs.iter().zip(NAMES) {
        for number in 1..=2 {
            lab.attempt(OFFICE, Way::Imap, "alice", &format!("{name}-{number}"))?;
        }
    }
    for lab in labs {
        until_blocked(lab, OFFICE)?;
    }
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
    Ok(())
}

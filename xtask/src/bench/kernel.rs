//! From a line in a log to a packet that is dropped, with many blocks standing.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use fairban_types::Time;

use crate::lab::guard::{Fairban, Setup, in_kernel};
use crate::lab::net::{Net, SERVER_V4};
use crate::process::wait_for;

/// A probe that is not answered in this time is dropped: the wire is a piece of memory.
pub(super) const DROPPED_AFTER: Duration = Duration::from_millis(15);

/// Fills the kernel through the whole pipeline, then measures single lines; then a restart.
pub(super) fn measure(program: &Path, quick: bool) -> Result<()> {
    let (standing, samples) = if quick { (5_000, 30) } else { (100_000, 300) };
    let net = Net::new()?;
    let dir = tempfile::Builder::new().prefix(net.name()).tempdir()?;
    for name in ["dovecot.log", "mail.log"] {
        fs::write(dir.path().join(name), "")?;
    }
    // Something that answers, so that silence can only come from the kernel.
    let listener = net.on_server(|| Ok(TcpListener::bind((SERVER_V4, 143))?))?;
    thread::spawn(move || listener.incoming().for_each(drop));
    let setup = Setup { program: program.to_owned(), ..Setup::default() };
    let mut fairban = Fairban::new(dir.path(), setup)?;
    fairban.start(&net)?;
    let mut log = File::options().append(true).open(dir.path().join("mail.log"))?;

    let start = Instant::now();
    log.write_all(many_failures(0..standing).as_bytes()).context("cannot write the log")?;
    let kernel = until_standing(&net, standing)?;
    println!("{} blocks out of {} lines, in the kernel after {:.2} s", kernel.len(), standing * 5, seconds(start));

    let mut times = (0..samples).map(|number| line_to_drop(&net, &mut log, number)).collect::<Result<Vec<_>>>()?;
    times.sort();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1)).copied().unwrap_or_default();
    println!(
        "line written to packet dropped, {} blocks standing, {samples} times: median {:.1} ms, 99 % {:.1} ms, longest {:.1} ms",
        kernel.len(),
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3,
        at(100).as_secs_f64() * 1e3,
    );

    let before = in_kernel(&net)?;
    fairban.stop()?;
    let start = Instant::now();
    fairban.start(&net)?;
    wait_for("all blocks to be back", Duration::from_secs(60), || Ok((in_kernel(&net)? == before).then_some(())))?;
    println!(
        "{} blocks in the kernel {:.2} s after a restart (reading them back included)",
        before.len(),
        seconds(start)
    );
    fairban.stop()
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

pub(super) fn failure(client: &str, number: usize) -> String {
    crate::lab::node::failure(Time::from(SystemTime::now()), client, number)
}

/// Five failures of each of so many addresses, no two in one network, so that nothing widens.
pub(super) fn many_failures(addresses: std::ops::Range<usize>) -> String {
    let mut lines = String::new();
    for address in addresses {
        let client = format!("{}.{}.{}.7", 20 + address / 65_536, address / 256 % 256, address % 256);
        (0..5).for_each(|number| lines.push_str(&failure(&client, number)));
    }
    lines
}

pub(super) fn until_standing(net: &Net, count: usize) -> Result<BTreeSet<String>> {
    wait_for(&format!("{count} blocks in the kernel"), Duration::from_secs(600), || {
        let found = in_kernel(net)?;
        Ok((found.len() >= count).then_some(found))
    })
}

fn line_to_drop(net: &Net, log: &mut File, number: usize) -> Result<Duration> {
    let client: IpAddr = format!("198.{}.{}.7", 18 + number / 256, number % 256).parse()?;
    let before: String = (0..4).map(|line| failure(&client.to_string(), line)).collect();
    log.write_all(before.as_bytes())?;
    let fifth = failure(&client.to_string(), 4);
    ensure!(net.connect(client, 143, Duration::from_secs(1))?.is_ok(), "{client} is dropped after four failures");
    log.write_all(fifth.as_bytes())?;
    let start = Instant::now();
    loop {
        let asked = start.elapsed();
        if net.connect(client, 143, DROPPED_AFTER)?.is_err() {
            return Ok(asked);
        }
        ensure!(asked < Duration::from_secs(5), "{client} is not dropped after five failures");
    }
}

//! From a line in the log of one node to a packet that another node drops. What the server counts in a second, and what a
//! decision costs, is measured by the crate: `cargo bench -p fairban-fleet`.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::kernel::{DROPPED_AFTER, failure, many_failures, until_standing};
use crate::lab::node::{IMAP, Node, Wanted};
use crate::lab::valkey::{Kind, Valkey};
use crate::process::find;

/// Blocks that are begun at once: more would wait for their turn at the receiving node's limits.
const LIMIT: &str = "blocks_per_minute = 100000\n";

/// Two nodes and one redis-server on this machine; with few blocks standing, and with many.
pub(super) fn measure(program: &Path, quick: bool) -> Result<()> {
    if find("redis-server").is_none() {
        println!("no redis-server here (apt-get install redis-server): the fleet is not measured");
        return Ok(());
    }
    let valkey = Valkey::start(Kind::One)?;
    let wanted = Wanted { fleet: LIMIT, ..Wanted::default() };
    let mut one = Node::start(&valkey, program, "mx1", wanted)?;
    let two = Node::start(&valkey, program, "mx2", wanted)?;
    let (standing, samples) = if quick { (2_000, 30) } else { (100_000, 250) };
    let mut first = 0;
    propagate(&mut one, &two, first..first + samples)?;
    first += samples;
    let start = Instant::now();
    one.write(&many_failures(0..standing))?;
    let kernel = until_standing(&two.net, standing)?;
    println!(
        "{} blocks of one node in the kernel of another {:.2} s after their lines",
        kernel.len(),
        start.elapsed().as_secs_f64()
    );
    let memory = valkey.ask(0, &["INFO", "memory"])?;
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap_or("?");
    println!(
        "the server holds {} bytes with {} facts",
        used.trim(),
        valkey.ask(0, &["HLEN", "fairban:{all}:ranks"])?.trim()
    );
    propagate(&mut one, &two, first..first + samples)
}

fn propagate(one: &mut Node, two: &Node, numbers: std::ops::Range<usize>) -> Result<()> {
    let standing = two.fairban.list(&["status"])?.first().and_then(|status| status["standing"].as_u64()).unwrap_or(0);
    let mut times = numbers.map(|number| line_to_drop(one, two, number)).collect::<Result<Vec<_>>>()?;
    times.sort();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1)).copied().unwrap_or_default();
    println!(
        "line written on one node to packet dropped on another, {standing} blocks standing, {} times: median {:.1} ms, \
         99 % {:.1} ms, longest {:.1} ms",
        times.len(),
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3,
        at(100).as_secs_f64() * 1e3,
    );
    Ok(())
}

fn line_to_drop(one: &mut Node, other: &Node, number: usize) -> Result<Duration> {
    let client: IpAddr = format!("198.{}.{}.7", 18 + number / 256, number % 256).parse()?;
    let before: String = (0..4).map(|line| failure(&client.to_string(), line)).collect();
    one.write(&before)?;
    ensure!(
        other.net.connect(client, IMAP, Duration::from_secs(1))?.is_ok(),
        "{client} is dropped after four failures"
    );
    one.write(&failure(&client.to_string(), 4))?;
    let start = Instant::now();
    loop {
        let asked = start.elapsed();
        if other.net.connect(client, IMAP, DROPPED_AFTER)?.is_err() {
            return Ok(asked);
        }
        ensure!(asked < Duration::from_secs(5), "{client} is not dropped on the other node");
    }
}

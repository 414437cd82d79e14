//! What can happen to a fleet, with real servers and real kernel sets. After each fault nodes, kernels and Valkey agree,
//! and nothing that was reported is lost. `FAIRBAN_FLEET_PAUSE=30` has Valkey stand still for so many seconds; without it
//! just until all nodes have noticed.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::signal::Signal;

use super::NAMES;
use super::agree::{Member, blocks, until_agreed, until_agreed_by};
use crate::e2e::{SOON, Test};
use crate::lab::backbone::{SHARED, cut_off};
use crate::lab::node::{Node, Wanted};
use crate::lab::valkey::{Kind, Valkey};
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::alone("a_fleet_outlives_a_valkey_that_lost_everything", |program| with(program, Kind::One, lost)),
        Test::alone("a_fleet_outlives_a_valkey_that_stands_still", |program| with(program, Kind::One, stands_still)),
        Test::alone("both_sides_of_a_cut_agree_afterwards", |program| with(program, Kind::One, cut)),
        Test::alone("a_killed_node_catches_up_with_a_trimmed_stream", |program| with(program, Kind::One, trimmed)),
        Test::alone("decisions_told_again_in_any_order_change_nothing", |program| with(program, Kind::One, told_again)),
        Test::alone("clocks_five_seconds_apart_do_not_matter", clocks),
        Test::alone("a_lagging_replica_takes_over", |program| with(program, Kind::Watched, fails_over)),
    ]
}

/// Three nodes in step.
pub(super) fn with(program: &Path, kind: Kind, run: fn(&mut Valkey, &mut [Node]) -> Result<()>) -> Result<()> {
    with_nodes(program, kind, [Wanted::default(); 3], run)
}

pub(super) fn with_nodes(
    program: &Path,
    kind: Kind,
    wanted: [Wanted<'_>; 3],
    run: fn(&mut Valkey, &mut [Node]) -> Result<()>,
) -> Result<()> {
    let mut valkey = Valkey::start(kind)?;
    let start = |(name, wanted): (&&str, Wanted<'_>)| Node::start(&valkey, program, name, wanted);
    let mut nodes = NAMES.iter().zip(wanted).map(start).collect::<Result<Vec<_>>>()?;
    run(&mut valkey, &mut nodes).map_err(|error| anyhow!("{error:#}\n{}", last_words(&nodes)))
}

fn last_words(nodes: &[Node]) -> String {
    let tail = |node: &Node| {
        let log = node.fairban.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("--- end of the log of {}\n{}\n", node.name, lines[lines.len().saturating_sub(12)..].join("\n"))
    };
    nodes.iter().map(tail).collect()
}

pub(super) fn all(nodes: &[Node]) -> Vec<Member<'_>> {
    nodes.iter().map(Member::from).collect()
}

pub(super) fn block(node: &Node, subject: &str) -> Result<()> {
    node.fairban.tell(&["block", subject, "--for", "1h"]).map(drop)
}

/// What the node says of it.
pub(super) fn release(node: &Node, subject: &str) -> Result<String> {
    node.fairban.tell(&["unblock", subject])
}

/// A client is blocked by the node's own rules, and dropped by its kernel.
pub(super) fn offend(node: &mut Node, client: &str) -> Result<()> {
    node.fail(client, 5)?;
    let name = node.name.clone();
    wait_for(&format!("{name} to drop {client}"), SOON, || Ok(node.is_dropped(client)?.then_some(())))
}

fn lost(valkey: &mut Valkey, nodes: &mut [Node]) -> Result<()> {
    block(&nodes[0], "192.0.2.7")?;
    block(&nodes[1], "192.0.2.8")?;
    block(&nodes[1], "198.51.100.9")?;
    until_agreed(valkey, &all(nodes), &["192.0.2.7", "192.0.2.8", "198.51.100.9"])?;
    valkey.kill(0)?;
    // Everybody goes on alone, and says what is not reached.
    block(&nodes[0], "192.0.2.9")?;
    let told = release(&nodes[1], "192.0.2.7")?;
    ensure!(told.contains("NOT YET"), "the release does not say that nobody was reached: {told}");
    nodes[2].fairban.tell(&["never", "add", "198.51.100.0/24"])?;
    offend(&mut nodes[2], "192.0.2.10")?;
    valkey.begin(0)?;
    until_agreed(valkey, &all(nodes), &["192.0.2.10", "192.0.2.8", "192.0.2.9"])?;
    ensure!(nodes[0].fairban.ask(&["block", "198.51.100.7"])?.status == 1, "the never-block entry was lost");
    Ok(())
}

fn stands_still(valkey: &mut Valkey, nodes: &mut [Node]) -> Result<()> {
    block(&nodes[0], "192.0.2.8")?;
    until_agreed(valkey, &all(nodes), &["192.0.2.8"])?;
    valkey.signal(0, Signal::SIGSTOP)?;
    let start = Instant::now();
    block(&nodes[0], "192.0.2.11")?;
    block(&nodes[2], "192.0.2.12")?;
    release(&nodes[1], "192.0.2.8")?;
    nodes.iter().try_for_each(Node::until_alone)?;
    offend(&mut nodes[1], "192.0.2.13")?;
    let pause = std::env::var("FAIRBAN_FLEET_PAUSE").ok().and_then(|secs| secs.parse().ok()).map(Duration::from_secs);
    thread::sleep(pause.unwrap_or_default().saturating_sub(start.elapsed()));
    println!("Valkey stood still for {:.1} s", start.elapsed().as_secs_f32());
    valkey.signal(0, Signal::SIGCONT)?;
    until_agreed(valkey, &all(nodes), &["192.0.2.11", "192.0.2.12", "192.0.2.13"])
}

fn cut(valkey: &mut Valkey, nodes: &mut [Node]) -> Result<()> {
    for (node, subject) in [(0, "192.0.2.1"), (1, "192.0.2.2"), (2, "192.0.2.3"), (2, "192.0.2.4")] {
        block(&nodes[node], subject)?;
    }
    until_agreed(valkey, &all(nodes), &["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"])?;
    cut_off(&nodes[2].net, true)?;
    nodes[2].until_alone()?;
    // Each side releases what the other one still has; one blocks again what it has released.
    release(&nodes[0], "192.0.2.1")?;
    release(&nodes[2], "192.0.2.2")?;
    release(&nodes[0], "192.0.2.3")?;
    block(&nodes[0], "192.0.2.3")?;
    block(&nodes[1], "192.0.2.5")?;
    block(&nodes[2], "192.0.2.6")?;
    // Both find the same offender; and one releases what the other has just blocked, without knowing of it.
    offend(&mut nodes[0], "192.0.2.20")?;
    offend(&mut nodes[2], "192.0.2.20")?;
    block(&nodes[0], "192.0.2.21")?;
    nodes[2].fairban.ask(&["unblock", "192.0.2.21"])?;
    cut_off(&nodes[2].net, false)?;
    until_agreed(valkey, &all(nodes), &["192.0.2.20", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"])?;
    let offence = blocks(&nodes[1].fairban)?.get("192.0.2.20").map(|(_, offence)| *offence);
    ensure!(offence == Some(1), "found twice, it is offence {offence:?} and not the first");
    Ok(())
}

fn trimmed(valkey: &mut Valkey, nodes: &mut [Node]) -> Result<()> {
    block(&nodes[0], "192.0.2.1")?;
    block(&nodes[2], "192.0.2.2")?;
    until_agreed(valkey, &all(nodes), &["192.0.2.1", "192.0.2.2"])?;
    nodes[2].fairban.kill()?;
    release(&nodes[0], "192.0.2.1")?;
    release(&nodes[1], "192.0.2.2")?;
    block(&nodes[1], "192.0.2.3")?;
    nodes[0].fairban.tell(&["never", "add", "198.51.100.0/24"])?;
    valkey.ask(0, &["XTRIM", "fairban:{all}:stream", "MAXLEN", "0"])?;
    block(&nodes[0], "192.0.2.4")?;
    nodes[2].begin()?;
    until_agreed(valkey, &all(nodes), &["192.0.2.3", "192.0.2.4"])?;
    ensure!(nodes[2].fairban.ask(&["block", "198.51.100.7"])?.status == 1, "it missed the never-block entry");
    Ok(())
}

fn told_again(valkey: &mut Valkey, nodes: &mut [Node]) -> Result<()> {
    block(&nodes[0], "192.0.2.1")?;
    block(&nodes[1], "192.0.2.2")?;
    offend(&mut nodes[2], "192.0.2.3")?;
    until_agreed(valkey, &all(nodes), &["192.0.2.1", "192.0.2.2", "192.0.2.3"])?;
    release(&nodes[1], "192.0.2.1")?;
    release(&nodes[0], "192.0.2.2")?;
    block(&nodes[1], "192.0.2.2")?;
    until_agreed(valkey, &all(nodes), &["192.0.2.2", "192.0.2.3"])?;
    let before = nodes.iter().map(done).collect::<Result<Vec<_>>>()?;
    // Every entry again, the last one first, and each of them twice.
    let stream = valkey.ask(0, &["XRANGE", "fairban:{all}:stream", "-", "+"])?;
    let lines: Vec<&str> = stream.lines().collect();
    let entries: Vec<&[&str]> = lines.chunks_exact(5).collect();
    ensure!(entries.len() >= 6, "the stream is too short: {stream}");
    for entry in entries.iter().rev().flat_map(|entry| [entry, entry]) {
        let [_, e, ends, v, fact] = entry else { anyhow::bail!("no entry: {entry:?}") };
        ensure!((*e, *v) == ("e", "v"), "no entry: {entry:?}");
        valkey.ask(0, &["XADD", "fairban:{all}:stream", "*", "e", ends, "v", fact])?;
    }
    // What comes behind the copies shows that they have been read.
    block(&nodes[0], "192.0.2.4")?;
    until_agreed(valkey, &all(nodes), &["192.0.2.2", "192.0.2.3", "192.0.2.4"])?;
    for (node, (blocks, releases)) in nodes.iter().zip(before) {
        let now = done(node)?;
        ensure!(now == (blocks + 1, releases), "{} did something again: {now:?}", node.name);
    }
    Ok(())
}

/// How many blocks and releases a node has carried out since it was started.
fn done(node: &Node) -> Result<(u64, u64)> {
    let status: serde_json::Value = serde_json::from_str(&node.fairban.tell(&["status", "--json"])?)?;
    let count = |name: &str| status["counts"][name].as_u64().with_context(|| format!("no {name} in {status}"));
    Ok((count("blocks")?, count("releases")?))
}

fn clocks(program: &Path) -> Result<()> {
    let wanted = [3, 0, -2].map(|clock_ahead_secs| Wanted { clock_ahead_secs, ..Wanted::default() });
    with_nodes(program, Kind::One, wanted, |valkey, nodes| {
        let (fast, slow) = (0, 2);
        // Known of, each decision wins over the one before, whoever's clock is ahead.
        let steps = [(fast, true), (slow, false), (slow, true), (fast, false), (fast, true), (slow, false)];
        for (number, (node, is_block)) in steps.into_iter().enumerate() {
            let left: &[&str] = if is_block { &["192.0.2.1"] } else { &[] };
            if is_block {
                block(&nodes[node], "192.0.2.1")?;
            } else {
                release(&nodes[node], "192.0.2.1")?;
            }
            until_agreed(valkey, &all(nodes), left).with_context(|| format!("after decision {number}"))?;
        }
        // Not known of, the release wins, though by their own clocks it is the older one.
        cut_off(&nodes[slow].net, true)?;
        nodes[slow].until_alone()?;
        block(&nodes[fast], "192.0.2.2")?;
        nodes[slow].fairban.ask(&["unblock", "192.0.2.2"])?;
        cut_off(&nodes[slow].net, false)?;
        nodes[slow].until_in_step()?;
        until_agreed(valkey, &all(nodes), &[])?;
        // Failures add up.
        for node in nodes.iter_mut() {
            node.fail("192.0.2.3", 2)?;
        }
        until_agreed(valkey, &all(nodes), &["192.0.2.3"])?;
        for (node, ahead) in nodes.iter().zip([3000, 0, -2000i64]) {
            let status = node.fairban.tell(&["fleet", "status", "--json"])?;
            let status: serde_json::Value = serde_json::from_str(&status)?;
            let measured = status["clock_ahead_ms"].as_i64().context("no clock_ahead_ms")?;
            ensure!((measured - ahead).abs() < 500, "{} measures {measured} ms and not {ahead}", node.name);
        }
        Ok(())
    })
}

fn fails_over(valkey: &mut Valkey, nodes: &mut [Node]) -> Result<()> {
    block(&nodes[0], "192.0.2.1")?;
    block(&nodes[1], "192.0.2.2")?;
    until_agreed(valkey, &all(nodes), &["192.0.2.1", "192.0.2.2"])?;
    wait_for("the replica to have the same", SOON, || {
        Ok((valkey.facts(1)?.len() == valkey.facts(0)?.len()).then_some(()))
    })?;
    // From here on the replica hears nothing.
    valkey.backbone.part(SHARED[0], SHARED[1], true)?;
    release(&nodes[1], "192.0.2.1")?;
    block(&nodes[0], "192.0.2.3")?;
    offend(&mut nodes[2], "192.0.2.4")?;
    until_agreed(valkey, &all(nodes), &["192.0.2.2", "192.0.2.3", "192.0.2.4"])?;
    ensure!(valkey.facts(1)?.len() == 2, "the replica does not lag: this test tries nothing");
    valkey.kill(0)?;
    block(&nodes[1], "192.0.2.5")?;
    valkey.until_promoted()?;
    until_agreed_by(valkey, 1, &all(nodes), &["192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"])
}

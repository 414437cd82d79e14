//! How many requests a second both services answer with 1,000,000 blocks standing, beside bare servers that always say
//! the same, on the same runtime. `cargo xtask bench` runs this; `--quick` measures less, `dovecot` or `postfix` one of
//! both.
//!
//! Server and clients share the machine's cores, as a mail server and Fairban do. Runs of all take turns, so that what
//! else the machine does hits all alike; medians are shown, and the median of the ratios of neighbours.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement says what it found, or that it cannot")]

mod bare;
mod clients;
mod crowd;
mod judge;

use std::net::SocketAddr;
use std::sync::Arc;

use clients::{Measured, Protocol};
use crowd::Crowd;
use fairban_protocols::{AuthPolicy, Judge, Limits, Listen, PolicyService, Running, auth_policy, policy_service};
use tokio::runtime::Runtime;

const BLOCKS: u64 = 1_000_000;

fn main() {
    let is_named = |name: &str| std::env::args().skip(1).any(|argument| argument == name);
    let (runs, requests) = if is_named("--quick") { (5, 20_000) } else { (15, 60_000) };
    crowd::allow_many_files();
    let judge: Arc<dyn Judge> = Arc::new(judge::filled(BLOCKS));
    println!("{BLOCKS} blocks standing; {runs} runs of {requests} requests each, in turns");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for (protocol, without) in [(Protocol::AuthPolicy, "postfix"), (Protocol::PolicyService, "dovecot")] {
        if !is_named(without) {
            let (ours, bare) = servers(&runtime, protocol, judge.clone());
            compare(protocol, &ours, bare, runs, requests);
        }
    }
}

fn servers(runtime: &Runtime, protocol: Protocol, judge: Arc<dyn Judge>) -> (Running, SocketAddr) {
    let limits = Limits { connections_max: 2 * crowd::PEERS, ..Limits::default() };
    let nowhere: SocketAddr = ([127, 0, 0, 1], 0).into();
    match protocol {
        Protocol::AuthPolicy => {
            let settings = AuthPolicy { limits, ..AuthPolicy::new(nowhere) };
            (runtime.block_on(auth_policy(settings, judge)).unwrap(), bare::http(runtime))
        }
        Protocol::PolicyService => {
            let settings = PolicyService { limits, ..PolicyService::new(Listen::Tcp(nowhere)) };
            (runtime.block_on(policy_service(settings, judge)).unwrap(), bare::lines(runtime))
        }
    }
}

/// One round: the bare server, ours, and ours while a crowd holds connections to it.
struct Round {
    bare: Measured,
    ours: Measured,
    crowded: Measured,
}

fn compare(protocol: Protocol, running: &Running, bare: SocketAddr, runs: usize, requests: usize) {
    let ours = running.local_addr().unwrap();
    let measure = |address| clients::measure(protocol, address, requests);
    // Once each to warm up.
    for address in [ours, bare] {
        measure(address);
    }
    let round = |_| {
        let (bare, ours_alone) = (measure(bare), measure(ours));
        let crowd = Crowd::gather(running, protocol);
        let crowded = measure(ours);
        crowd.leave(running);
        Round { bare, ours: ours_alone, crowded }
    };
    let rounds: Vec<Round> = (0..runs).map(round).collect();
    println!("{protocol}:");
    show("fairban", rounds.iter().map(|round| round.ours));
    show("bare server", rounds.iter().map(|round| round.bare));
    show(&format!("fairban, {} idle and dribbling peers", crowd::PEERS), rounds.iter().map(|round| round.crowded));
    let ratio = |of: fn(&Round) -> f64| median(rounds.iter().map(of));
    println!(
        "  ratio to the bare server: {:.2} by the clock, {:.2} by all processor time, {:.2} by the server's (bar: 0.80)",
        ratio(|round| round.ours.per_second / round.bare.per_second),
        ratio(|round| round.bare.cpu_micros / round.ours.cpu_micros),
        ratio(|round| round.bare.server_micros / round.ours.server_micros),
    );
    println!(
        "  with the peers, the p99 is {:.2} of that without",
        ratio(|round| round.crowded.p99_micros / round.ours.p99_micros)
    );
}

fn show(name: &str, runs: impl Iterator<Item = Measured> + Clone) {
    println!(
        "  {name:<40} {:>8.0} requests/s, processor {:>4.1} µs, the server's {:>4.1} µs, p50 {:>5.0} µs, p99 {:>5.0} µs",
        median(runs.clone().map(|run| run.per_second)),
        median(runs.clone().map(|run| run.cpu_micros)),
        median(runs.clone().map(|run| run.server_micros)),
        median(runs.clone().map(|run| run.p50_micros)),
        median(runs.map(|run| run.p99_micros)),
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

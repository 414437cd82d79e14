//! What one server counts in a second, beside a bare INCR of the same client in pipelines of the same length; how many
//! decisions go from one node to another, and what they take at the server; and what a decision costs this node while the
//! server is there, stands still, and is gone.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/it/server.rs"]
#[allow(dead_code, unreachable_pub)]
mod server;

use std::time::{Duration, Instant};

use fairban_fleet::{Change, Failure, Fleet, Settings, State, Trust};
use fairban_types::{
    Action, Code, Decision, Diagnosis, Effect, Event, EventKind, Evidence, Origin, Service, Subject, Time, single,
};
use nix::sys::signal::Signal;
use server::Server;

const COUNTS: u32 = 100_000;
const ADDRESSES: u32 = 20_000;
const PIPELINE: usize = 256;
const DECISIONS: u32 = 2_000;
const TOLD: u32 = 20_000;

fn now() -> Time {
    Time::from(std::time::SystemTime::now())
}

fn failure(number: u32) -> Failure {
    let client = std::net::IpAddr::from((0x0a00_0000 + number % ADDRESSES).to_be_bytes());
    let event = Event::new(EventKind::RelayDenied, now(), client, Service::Smtp);
    Failure { event, home: single(client), neighbourhood: None }
}

async fn incr(url: &str) -> f64 {
    let client = redis::Client::open(url.replace("redis+unix", "unix")).unwrap();
    let mut link = client.get_multiplexed_async_connection().await.unwrap();
    let start = Instant::now();
    for batch in 0..COUNTS as usize / PIPELINE {
        let mut pipeline = redis::pipe();
        for place in 0..PIPELINE {
            pipeline.cmd("INCR").arg(format!("bench:{}", (batch * PIPELINE + place) as u32 % ADDRESSES));
        }
        let _: Vec<i64> = pipeline.query_async(&mut link).await.unwrap();
    }
    f64::from(COUNTS) / start.elapsed().as_secs_f64()
}

async fn until(fleet: &Fleet, state: State) {
    while fleet.status().state != state {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn counting(fleet: &Fleet) -> f64 {
    let before = fleet.status().counted;
    let start = Instant::now();
    for number in 0..COUNTS {
        // The queue is bounded: who counts faster than the server does would lose counts.
        while u64::from(number) > fleet.status().counted - before + 8_000 {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        fleet.count(failure(number));
    }
    while fleet.status().counted - before < u64::from(COUNTS) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    f64::from(COUNTS) / start.elapsed().as_secs_f64()
}

/// A block with the evidence that most blocks have.
fn decision(number: u32) -> Decision {
    let address = std::net::IpAddr::from((0x0b00_0000 + number).to_be_bytes());
    let evidence = Evidence { points: 50, seen: 1, first: None, event: failure(number).event };
    Decision {
        code: Code::new(u64::from(number)),
        time: now(),
        action: Action::Block,
        subject: Subject::address(address),
        origin: Origin::Rule("login".to_owned()),
        reason: "5 failures in 20 minutes".to_owned(),
        score: 250,
        threshold: 250,
        until: Some(now().after(Duration::from_secs(3600))),
        effect: Effect::Drop,
        diagnosis: Diagnosis::PasswordGuessing,
        offence: 1,
        spares_familiar: true,
        in_kernel: true,
        holes: Vec::new(),
        events: vec![evidence; 5],
    }
}

/// How many decisions of one node another one takes in a second.
async fn telling(one: &Fleet, other: &Fleet) -> f64 {
    let start = Instant::now();
    (0..TOLD).for_each(|number| one.decided(&decision(0x10_0000 + number)));
    let mut taken = 0;
    while taken < TOLD as usize {
        other.changed().await;
        taken += other.take().iter().filter(|change| matches!(change, Change::Block { .. })).count();
        other.carried_out();
    }
    f64::from(TOLD) / start.elapsed().as_secs_f64()
}

fn bytes_used(server: &Server) -> f64 {
    let info = server.ask(&["INFO", "memory"]);
    info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok()).unwrap()
}

/// The median and the slowest but one of a hundred.
fn deciding(fleet: &Fleet, first: u32) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..DECISIONS)
        .map(|number| {
            let decision = decision(first + number);
            let start = Instant::now();
            fleet.decided(&decision);
            start.elapsed()
        })
        .collect();
    times.sort();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // Whoever runs all benchmarks may pass options that are for others.
    let Some(mut server) = Server::start(&[]) else { return };
    let trust = Trust { blocks_per_minute: usize::MAX, ..Trust::default() };
    let settings = |name: &str| Settings { trust: trust.clone(), ..Settings::new(&server.url(), name) };
    let (fleet, _heard) = Fleet::start(settings("bench"), &[]).unwrap();
    let (other, _heard_too) = Fleet::start(settings("other"), &[]).unwrap();
    until(&fleet, State::Connected).await;
    until(&other, State::Connected).await;
    let (bare, counted) = (incr(&server.url()).await, counting(&fleet).await);
    println!("bare INCR, {PIPELINE} in a pipeline: {bare:.0} a second");
    println!("shared counting, one window each: {counted:.0} a second ({:.2} of the bare INCR)", counted / bare);
    let before = bytes_used(&server);
    let told = telling(&fleet, &other).await;
    let each = (bytes_used(&server) - before) / f64::from(TOLD);
    println!("decisions from one node to another: {told:.0} a second, {each:.0} bytes each at the server");
    other.stop().await;
    println!("a decision here, server there:   {:?}", deciding(&fleet, 0));
    server.signal(Signal::SIGSTOP);
    until(&fleet, State::Alone).await;
    println!("a decision here, server still:   {:?}", deciding(&fleet, 10_000));
    server.signal(Signal::SIGCONT);
    server.end();
    println!("a decision here, server gone:    {:?}", deciding(&fleet, 20_000));
}

//! Five million attacking addresses under the default memory limit: the process stays under it, and live blocks stand.
//! A test binary of its own, since it looks at the memory of the whole process.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{IpAddr, Ipv4Addr};

use fairban_config::Config;
use fairban_engine::Engine;
use fairban_types::{Event, EventKind, Service, SignIn, Time, Verdict};

const ATTACKERS: u32 = 5_000_000;
const BLOCKED: u32 = 1000;

/// The most memory that this process ever had, in bytes.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn five_million_attackers_fit_into_the_default_limit() {
    let policy = Config::builtin().policy;
    let limit = policy.memory_bytes_max;
    let mut engine = Engine::new(policy);
    let mut out = Vec::new();
    let start = Time::from_secs(1_800_000_000);
    // Spread, so that no two are neighbours: an odd number goes through all 2³² addresses.
    let attacker = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761).wrapping_add(0x0100_0000)));
    for n in 0..BLOCKED {
        for digest in 0..5 {
            let event = Event::new(EventKind::LoginFailed, start, attacker(n), Service::Imap);
            let event = event.account(format!("victim{n}@example.test")).digest(digest.to_string());
            engine.step(start, &event, &mut out);
        }
        out.clear();
    }
    assert_eq!(engine.standing_len(), BLOCKED as usize);
    for n in BLOCKED..ATTACKERS {
        let now = Time::from_millis(start.millis() + i64::from(n) / 10);
        let event = Event::new(EventKind::LoginFailed, now, attacker(n), Service::Imap);
        let event = event.account(format!("user{}@example.test", n % 1_000_003)).digest("5baa61");
        engine.step(now, &event, &mut out);
        out.clear();
    }
    let peak = peak_bytes();
    println!(
        "{ATTACKERS} attackers: {} tracked, engine {} MiB, process {} MiB at most, limit {} MiB",
        engine.tracked_len(),
        engine.bytes() >> 20,
        peak >> 20,
        limit >> 20
    );
    assert!(peak < limit, "{peak} of {limit}");
    let now = Time::from_millis(start.millis() + i64::from(ATTACKERS) / 10);
    for n in 0..BLOCKED {
        let question = SignIn { client: attacker(n), account: None, service: Service::Imap };
        assert_ne!(engine.verdict(now, &question), Verdict::Allow, "{}", attacker(n));
    }
}

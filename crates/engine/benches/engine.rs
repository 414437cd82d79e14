//! What a step and a verdict cost, with few and with very many blocks standing.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark is not documented and may panic")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use fairban_config::Config;
use fairban_engine::Engine;
use fairban_types::{Event, EventKind, Mailing, Service, SignIn, Subject, Time, network_of, single};

const NOW: Time = Time::from_secs(1_800_000_000);

fn engine() -> Engine {
    let mut policy = Config::builtin().policy;
    policy.mail_servers_ask = true;
    policy.memory_bytes_max = 4 << 30;
    Engine::new(policy)
}

/// Spreads numbers over all addresses, the same way each time.
fn scattered(n: u64) -> u64 {
    n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn address(n: u64) -> IpAddr {
    let bits = scattered(n);
    if n.is_multiple_of(4) {
        IpAddr::V6(Ipv6Addr::from_bits(u128::from(bits) << 64 | u128::from(scattered(bits)) | 0x2000 << 112))
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
    }
}

fn filled(addresses: u64, networks: u64) -> Engine {
    let mut engine = engine();
    let mut out = Vec::new();
    let mut block = |net| {
        let until = Some(NOW.after(Duration::from_secs(3600)));
        let _ = engine.block(NOW, Subject::Network(net), until, "bench", "", &mut out);
        out.clear();
    };
    (0..addresses).for_each(|n| block(single(address(n))));
    (0..networks).for_each(|n| block(network_of(address(n << 32), 16 + (n % 13) as u8, 40 + (n % 24) as u8)));
    engine
}

fn verdicts(c: &mut Criterion) {
    let mut group = c.benchmark_group("verdict");
    for (addresses, networks) in [(1_000, 100), (1_000_000, 100_000)] {
        let engine = filled(addresses, networks);
        let name = format!("{addresses} addresses, {networks} networks");
        for (who, start) in [("blocked", 0), ("unknown", 1 << 40)] {
            let mut n = start;
            group.bench_function(BenchmarkId::new(who, &name), |b| {
                b.iter(|| {
                    n = start + (scattered(n) % addresses);
                    engine.verdict(
                        NOW,
                        &SignIn {
                            client: black_box(address(n)),
                            account: Some("alice@example.test"),
                            service: Service::Imap,
                        },
                    )
                });
            });
        }
    }
    group.finish();
}

fn sendings(c: &mut Criterion) {
    let mut group = c.benchmark_group("may_send");
    for blocks in [0u64, 10_000] {
        let mut engine = engine();
        for n in 0..blocks {
            let subject: Subject = format!("send:user{n}@d{n}.example.test").parse().unwrap();
            let _ = engine.block(NOW, subject, None, "bench", "", &mut Vec::new());
        }
        let question = Mailing {
            client: address(1),
            account: Some("alice@example.test"),
            helo: "laptop.example.test",
            return_path: Some("alice+news@mail.example.test"),
        };
        group.bench_function(BenchmarkId::new("free", blocks), |b| {
            b.iter(|| engine.may_send(NOW, black_box(&question)));
        });
    }
    group.finish();
}

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    for (name, kind) in [("failure", EventKind::LoginFailed), ("success", EventKind::LoginSucceeded)] {
        let mut engine = engine();
        let mut n = 0;
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    n += 1;
                    let client = address(n % 100_000);
                    Event::new(kind, NOW, client, Service::Imap).account(format!("user{}", n % 5000))
                },
                |event| engine.step(NOW, &event, &mut Vec::new()),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = verdicts, sendings, steps
}
criterion_main!(benches);

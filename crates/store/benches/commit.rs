//! How many events a second the store makes durable, in batches of 1000: `cargo bench -p fairban-store`.
//!
//! The worst case for the indexes: every event has an address and every second one an account of its own.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use fairban_store::{Batch, EventFilter, Outcome, Store, StoredEvent};
use fairban_types::{
    Action, Code, Decision, Diagnosis, Effect, Event, EventKind, Evidence, Origin, Service, Subject, Time,
};

const BATCH: u64 = 1000;

fn event(number: u64, node: &Arc<str>) -> StoredEvent {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let client = Ipv4Addr::from((scattered >> 32) as u32);
    let kind = EventKind::ALL[(number % 5) as usize];
    let time = Time::from_secs(1_800_000_000 + (number / 500) as i64);
    let mut event = Event::new(kind, time, client.into(), Service::Imap);
    event.session = Some(format!("{scattered:016x}").into());
    event.method = Some("PLAIN".into());
    if number.is_multiple_of(2) {
        event = event.account(format!("user{}@example.test", scattered % 1_000_000)).digest("0585");
    }
    StoredEvent { node: node.clone(), outcome: Outcome::Counted, event }
}

#[allow(clippy::disallowed_methods)]
fn main() {
    let events: u64 = std::env::var("EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let node: Arc<str> = "mx1".into();
    let mut batch = Batch::default();
    let (mut spent, mut slowest) = (0.0, 0.0_f64);
    for first in (0..events).step_by(BATCH as usize) {
        batch.clear();
        (first..first + BATCH).for_each(|number| batch.event(event(number, &node)));
        batch.cursors.push(("/var/log/mail.log".to_owned(), first.to_string()));
        let start = Instant::now();
        store.commit(&batch).unwrap();
        let took = start.elapsed().as_secs_f64();
        spent += took;
        slowest = slowest.max(took);
    }
    println!(
        "{events} events in {spent:.2} s: {:.0} events/s; slowest commit {:.1} ms",
        events as f64 / spent,
        slowest * 1e3
    );
    println!("{} bytes per event", store.info().unwrap().bytes / events);
    let start = Instant::now();
    let filter = EventFilter { client: Some("203.0.113.0/24".parse().unwrap()), ..EventFilter::default() };
    let found = store.events(&filter, 100, None).unwrap().len();
    println!("{found} events of a /24 found in {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    let (start, mut recalled) = (Instant::now(), 0);
    store.recall(Time::MIN, |_| recalled += 1).unwrap();
    println!("{recalled} recalled: {:.0} per second", f64::from(recalled) / start.elapsed().as_secs_f64());
    blocks(&mut store);
}

/// 100,000 blocks, each with five events behind it, made and read back as after a restart.
fn blocks(store: &mut Store) {
    let node: Arc<str> = "mx1".into();
    let mut batch = Batch::default();
    let start = Instant::now();
    for number in 0..100_000 {
        let StoredEvent { event, .. } = event(number, &node);
        let events = (0..5).map(|_| Evidence { points: 50, seen: 1, first: None, event: event.clone() }).collect();
        batch.decision(Decision {
            code: Code::new(number),
            time: event.time,
            action: Action::Block,
            subject: Subject::address(event.client),
            origin: Origin::Rule("login".to_owned()),
            reason: "login_failed 50: 250 points within 20m block the address".to_owned(),
            score: 250,
            threshold: 250,
            until: Some(event.time.after(std::time::Duration::from_secs(86_400))),
            effect: Effect::Drop,
            diagnosis: Diagnosis::PasswordGuessing,
            offence: 1,
            spares_familiar: true,
            in_kernel: true,
            holes: Vec::new(),
            events,
        });
        if batch.happenings.len() == 100 {
            store.commit(&batch).unwrap();
            batch.clear();
        }
    }
    println!("100000 blocks made in {:.2} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let standing = store.standing(Time::from_secs(1_800_000_300)).unwrap().len();
    println!("{standing} standing read in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
}

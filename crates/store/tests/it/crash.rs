//! `kill -9` at any instant: what was acknowledged is there, once, and the cursor tells exactly what is there.
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use fairban_store::{Batch, EventFilter, Store};

use crate::model::{event, stored};

const FOLDER: &str = "FAIRBAN_CRASH_FOLDER";
const KILLS: u32 = 25;

/// How many events the batch of a number holds.
fn size(batch: u64) -> u64 {
    batch * 7 % 41 + 1
}

/// The other process: commits batch after batch and says so, until it is killed.
#[test]
#[ignore = "started by the test below"]
fn writer() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let mut store = Store::open(Path::new(&folder)).unwrap();
    let mut number: u64 = store.cursor("source").unwrap().map_or(0, |cursor| cursor.parse().unwrap());
    let mut out = std::io::stdout();
    loop {
        number += 1;
        let mut batch = Batch::default();
        for _ in 0..size(number) {
            let mut event = event(0, "192.0.2.7");
            event.session = Some(number.to_string().into());
            batch.event(stored(event));
        }
        batch.cursors.push(("source".to_owned(), number.to_string()));
        store.commit(&batch).unwrap();
        writeln!(out, "\ndone {number}").unwrap();
        out.flush().unwrap();
    }
}

/// Lets the writer run until `acknowledged` batches and a moment more, kills it, and returns the last batch it told of.
fn run_and_kill(folder: &Path, acknowledged: u32, moment: u32) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::writer", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut last = 0;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: &str| line.strip_prefix("done ").and_then(|number| number.parse::<u64>().ok());
    let told = lines.by_ref().map_while(Result::ok).filter_map(|line| number(&line));
    last = told.take(acknowledged as usize).last().unwrap_or(last);
    (0..moment).for_each(|step| {
        std::hint::black_box(step);
    });
    child.kill().unwrap();
    child.wait().unwrap();
    lines.map_while(Result::ok).filter_map(|line| number(&line)).last().unwrap_or(last)
}

#[test]
fn a_killed_store_has_each_acknowledged_batch_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut seed: u32 = 0x2545_f491;
    for kill in 0..KILLS {
        // xorshift
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        let told = run_and_kill(folder.path(), seed % 60, seed % 3_000_000);

        let store = Store::open(folder.path()).unwrap();
        let cursor: u64 = store.cursor("source").unwrap().map_or(0, |cursor| cursor.parse().unwrap());
        assert!(cursor >= told, "kill {kill}: batch {told} was acknowledged, {cursor} is there");
        let mut counts = vec![0; usize::try_from(cursor).unwrap() + 1];
        let events = store.events(&EventFilter::default(), usize::MAX, None).unwrap();
        for logged in &events {
            counts[logged.stored.event.session.as_ref().unwrap().parse::<usize>().unwrap()] += 1;
        }
        for (batch, count) in (1..).zip(&counts[1..]) {
            assert_eq!(*count, size(batch), "kill {kill}: batch {batch} of {cursor}");
        }
        assert!(events.iter().rev().map(|logged| logged.seq).eq(1..=events.len() as i64), "kill {kill}");
    }
}

//! Single properties of file tailing.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fairban_sources::{Cursor, Health, SourceError, SourceSpec, Start, State, Tuning, probe};
use tempfile::TempDir;

use crate::receiver::{Receiver, brisk};

fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mail.log");
    (dir, path)
}

fn add(path: &Path, text: impl AsRef<[u8]>) -> File {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
    file
}

fn rotated(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

fn is_reading(health: &Health) -> bool {
    health.state() == State::Reading
}

#[tokio::test]
async fn begins_where_it_is_told() {
    for (start, expected) in [
        (Start::Beginning, vec!["one", "two", "three four", "five"]),
        // The line that is being written belongs to what comes.
        (Start::End, vec!["three four", "five"]),
    ] {
        let (_dir, path) = folder();
        add(&path, "one\ntwo\nthree");
        let mut receiver = Receiver::file(&path, start);
        receiver.until(is_reading).await;
        add(&path, " four\nfive\nsix");
        assert_eq!(receiver.lines(expected.len()).await, expected);
        assert!(receiver.health.last_line().is_some());
        receiver.stop().await;
    }
}

#[tokio::test]
async fn a_late_file_in_a_late_folder_is_read_whole() {
    let (dir, _) = folder();
    let path = dir.path().join("late/mail.log");
    let mut receiver = Receiver::file(&path, Start::End);
    receiver.until(|health| health.state() == State::WaitingForFile).await;
    fs::create_dir(path.parent().unwrap()).unwrap();
    add(&path, "one\n");
    assert_eq!(receiver.lines(1).await, ["one"]);
    receiver.stop().await;
}

#[tokio::test]
async fn a_line_waits_for_its_newline_until_its_file_is_rotated() {
    let (_dir, path) = folder();
    add(&path, "one\ntw");
    // Long enough that the next line comes first, on any machine.
    let tuning = Tuning { rotated_idle: Duration::from_secs(3), ..brisk() };
    let mut receiver = Receiver::start(SourceSpec::File(path.clone()), Start::Beginning, tuning, 4);
    assert_eq!(receiver.lines(1).await, ["one"]);
    let place = |cursor: &Option<Cursor>| match cursor {
        Some(Cursor::File(files)) => files.iter().map(|file| file.offset).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(place(&receiver.cursor), [4]);
    fs::rename(&path, rotated(&path, ".1")).unwrap();
    add(&path, "three\n");
    assert_eq!(receiver.lines(1).await, ["three"]);
    assert_eq!(place(&receiver.cursor), [4, 6], "the rotated file may still be written to");
    assert_eq!(receiver.lines(1).await, ["tw"]);
    add(&path, "four\n");
    receiver.lines(1).await;
    assert_eq!(place(&receiver.cursor), [11]);
    receiver.stop().await;
}

#[tokio::test]
async fn long_lines_are_cut_and_counted() {
    let (_dir, path) = folder();
    let long = "x".repeat(3 << 20);
    add(&path, format!("one\n{long}\ntwo\n"));
    let mut receiver = Receiver::file(&path, Start::Beginning);
    let lines = receiver.lines(3).await;
    let lengths: Vec<usize> = lines.iter().map(String::len).collect();
    assert_eq!(lengths, [3, 1 << 20, 3]);
    receiver.until(|health| health.cut_lines() == 1 && health.skipped_bytes() == 2 << 20).await;
    receiver.stop().await;
}

#[tokio::test]
async fn a_truncated_half_line_is_dropped() {
    let (_dir, path) = folder();
    let file = add(&path, "one\nlogin from 192.0.2.7");
    let mut receiver = Receiver::file(&path, Start::Beginning);
    assert_eq!(receiver.lines(1).await, ["one"]);
    file.set_len(0).unwrap();
    receiver.until(|health| health.skipped_bytes() > 0).await;
    add(&path, "two\n");
    assert_eq!(receiver.lines(1).await, ["two"]);
    receiver.stop().await;
}

/// Nobody receives: the source must not read on, and go on when someone does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_receiver_slows_the_source() {
    let (_dir, path) = folder();
    let text: String = (0..100_000).map(|number| format!("this is line {number}\n")).collect();
    add(&path, &text);
    let mut receiver = Receiver::start(SourceSpec::File(path.clone()), Start::Beginning, brisk(), 2);
    receiver.until(|health| health.lines() == 2048).await;
    // The channel is full now; had it read on, it would have counted.
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert_eq!(receiver.health.lines(), 2048);
    }
    let lines = receiver.lines(100_000).await;
    assert!(lines.iter().map(String::as_str).eq(text.lines()));
    receiver.stop().await;
}

#[tokio::test]
async fn stops_while_the_receiver_is_full() {
    let (_dir, path) = folder();
    add(&path, "x\n".repeat(10_000));
    let receiver = Receiver::start(SourceSpec::File(path), Start::Beginning, brisk(), 1);
    receiver.until(|health| health.lines() == 1024).await;
    receiver.stop().await;
}

/// What is done to the log while the source is down, and what must come afterwards.
struct Absence {
    name: &'static str,
    change: fn(&Path),
    expected: &'static [&'static str],
}

const ABSENCES: &[Absence] = &[
    Absence { name: "nothing", change: |_| {}, expected: &["three", "end"] },
    Absence {
        name: "renamed",
        change: |path| {
            fs::rename(path, rotated(path, ".1")).unwrap();
            add(path, "four\n");
        },
        expected: &["three", "four", "end"],
    },
    Absence {
        name: "renamed twice, with others there",
        change: |path| {
            fs::write(rotated(path, ".7"), b"\x1f\x8b compressed\n").unwrap();
            fs::rename(path, rotated(path, "-20261120")).unwrap();
            add(path, "four\n");
            fs::rename(path, rotated(path, "-20261121")).unwrap();
            add(path, "five\n");
        },
        expected: &["three", "four", "five", "end"],
    },
    Absence {
        name: "renamed and nothing new yet",
        change: |path| fs::rename(path, rotated(path, ".1")).unwrap(),
        expected: &["three", "end"],
    },
    Absence {
        name: "copied and truncated",
        change: |path| {
            fs::copy(path, rotated(path, ".1")).unwrap();
            OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
            add(path, "four, which makes it longer than it was before\n");
        },
        expected: &["three", "four, which makes it longer than it was before", "end"],
    },
    Absence {
        name: "truncated and longer",
        change: |path| {
            OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
            add(path, "four, which makes it longer than it was before\n");
        },
        expected: &["four, which makes it longer than it was before", "end"],
    },
    Absence {
        name: "removed and created again",
        change: |path| {
            fs::remove_file(path).unwrap();
            add(path, "four, which may get the same inode\n");
        },
        expected: &["four, which may get the same inode", "end"],
    },
    Absence {
        name: "moved to another file system (other inode, same content)",
        change: |path| {
            let content = fs::read(path).unwrap();
            let other = rotated(path, ".tmp");
            fs::write(&other, content).unwrap();
            fs::rename(other, path).unwrap();
        },
        expected: &["three", "end"],
    },
];

#[tokio::test]
async fn goes_on_at_the_cursor_whatever_happened_meanwhile() {
    for Absence { name, change, expected } in ABSENCES {
        let (_dir, path) = folder();
        let old = rotated(&path, ".5");
        fs::write(&old, "old and done with\n").unwrap();
        let born = |path: &Path| fs::metadata(path).unwrap().created().unwrap();
        // File times tick coarsely, and no two generations of a log are born in one tick.
        while !path.exists() || born(&path) == born(&old) {
            let _ = fs::remove_file(&path);
            add(&path, "one\ntwo\n");
        }
        let mut receiver = Receiver::file(&path, Start::Beginning);
        assert_eq!(receiver.lines(2).await, ["one", "two"]);
        let cursor = receiver.stop().await.unwrap();
        add(&path, "three\n");
        change(&path);
        // As the store keeps it.
        let cursor: Cursor = serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap();
        let mut receiver = Receiver::file(&path, Start::Cursor(cursor));
        let mut lines = receiver.lines(expected.len() - 1).await;
        add(&path, "end\n");
        lines.extend(receiver.lines(1).await);
        assert_eq!(lines, *expected, "{name}");
        receiver.stop().await;
    }
}

#[tokio::test]
async fn copies_and_compressed_files_are_not_read_again() {
    let (_dir, path) = folder();
    add(&path, "one\n");
    let mut receiver = Receiver::file(&path, Start::Beginning);
    receiver.lines(1).await;
    fs::copy(&path, rotated(&path, ".3")).unwrap();
    fs::write(rotated(&path, ".2"), b"\x1f\x8b\x08 not text\n").unwrap();
    fs::rename(&path, rotated(&path, ".1")).unwrap();
    add(&path, "two\n");
    assert_eq!(receiver.lines(1).await, ["two"]);
    add(&path, "three\n");
    assert_eq!(receiver.lines(1).await, ["three"]);
    assert_eq!(receiver.health.lines(), 3);
    receiver.stop().await;
}

#[tokio::test]
async fn a_copy_in_place_of_the_file_is_not_read_again() {
    let (_dir, path) = folder();
    add(&path, "one\ntwo\n");
    let mut receiver = Receiver::file(&path, Start::Beginning);
    receiver.lines(2).await;
    let copy = rotated(&path, ".tmp");
    fs::copy(&path, &copy).unwrap();
    add(&copy, "three\n");
    fs::rename(&copy, &path).unwrap();
    assert_eq!(receiver.lines(1).await, ["three"]);
    receiver.stop().await;
}

#[tokio::test]
async fn several_files_go_into_one_channel() {
    let (dir, _) = folder();
    let (tx, mut batches) = tokio::sync::mpsc::channel(1);
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    for number in 0..5 {
        let path = dir.path().join(format!("log{number}"));
        add(&path, format!("{number}\n"));
        fairban_sources::spawn(SourceSpec::File(path), Start::Beginning, tx.clone(), stopped.clone());
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        let batch = batches.recv().await.unwrap();
        assert!(batch.source.ends_with(std::str::from_utf8(batch.lines().next().unwrap()).unwrap()));
        seen.push(batch.source);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[test]
fn probing_says_what_to_do() {
    let (dir, path) = folder();
    let missing = probe(&SourceSpec::File(path.clone())).unwrap_err();
    assert!(matches!(missing, SourceError::Missing { .. }) && missing.to_string().contains("check the path"));
    let wrong = probe(&SourceSpec::File(dir.path().to_owned())).unwrap_err();
    assert!(matches!(wrong, SourceError::NotAFile { .. }), "{wrong}");
    add(&path, "");
    assert!(probe(&SourceSpec::File(path)).is_ok());
}

/// Not a test: prints how long a line takes from write to batch. `cargo test -p fairban-sources latency -- --ignored
/// --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, asserts nothing"]
async fn latency() {
    let (_dir, path) = folder();
    let mut file = add(&path, "");
    let mut receiver = Receiver::start(SourceSpec::File(path), Start::Beginning, Tuning::default(), 4);
    receiver.until(is_reading).await;
    let mut micros = Vec::new();
    for _ in 0..2000 {
        let began = std::time::Instant::now();
        file.write_all(b"one line of ordinary length, as a mail server writes it\n").unwrap();
        receiver.batch().await;
        micros.push(began.elapsed().as_micros());
    }
    micros.sort_unstable();
    println!("p50 {} µs, p99 {} µs, max {} µs", micros[1000], micros[1980], micros[1999]);
    receiver.stop().await;
}

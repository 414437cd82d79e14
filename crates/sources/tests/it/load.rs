//! Rotation of every kind while a writer writes as fast as it can: every line once.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fairban_sources::{SourceSpec, Start};

use crate::receiver::{DEADLINE, Receiver, Tally, brisk, numbered};

const LINES: u64 = 200_000;
const ROTATIONS: u64 = 25;
const PER_ROTATION: u64 = LINES / (ROTATIONS + 1) + 1;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rotation {
    /// `mv log log.1`, and so on; the writer goes on in the old file for a while, then in a new one.
    Rename,
    /// `mv log log-N`, the new file appears at once.
    DatedRename,
    /// `cp log log.1; : > log`, the writer keeps its file open for appending.
    CopyTruncate,
    /// The same, but the writer goes on at its old place and leaves a hole.
    CopyTruncateWithHole,
    /// `: > log`, after everything was read.
    Truncate,
    /// `rm log`, after everything was written, and a new one.
    Recreate,
    /// The path is a link that is switched over.
    SwitchLink,
}

struct Writer {
    rotation: Rotation,
    path: PathBuf,
    file: File,
    generation: u64,
    received: Arc<AtomicU64>,
}

impl Writer {
    fn begin(path: &Path, rotation: Rotation, received: Arc<AtomicU64>) -> JoinHandle<()> {
        let path = path.to_owned();
        thread::spawn(move || {
            let file = Writer::first(&path, rotation);
            let mut writer = Writer { rotation, path, file, generation: 0, received };
            for number in 0..LINES {
                if number > 0 && number % PER_ROTATION == 0 {
                    writer.rotate(number);
                }
                writer.file.write_all(numbered(number).as_bytes()).unwrap();
                // The old file is still written to after it was renamed.
                if rotation == Rotation::Rename && number > PER_ROTATION && number % PER_ROTATION == 50 {
                    writer.file = append(&writer.path);
                }
            }
        })
    }

    fn first(path: &Path, rotation: Rotation) -> File {
        match rotation {
            Rotation::CopyTruncateWithHole => File::create(path).unwrap(),
            Rotation::SwitchLink => switch(path, 0),
            _ => append(path),
        }
    }

    fn rotate(&mut self, written: u64) {
        self.generation += 1;
        let path = self.path.clone();
        match self.rotation {
            Rotation::Rename => {
                // What is dropped must have been seen before.
                self.wait_for(written.saturating_sub(6 * PER_ROTATION));
                shift(&path);
                fs::rename(&path, sibling(&path, ".1")).unwrap();
            }
            Rotation::DatedRename => {
                fs::rename(&path, sibling(&path, &format!("-202611{:02}", self.generation))).unwrap();
                self.file = append(&path);
            }
            Rotation::CopyTruncate | Rotation::CopyTruncateWithHole => {
                // At least one line of this generation must have been read, as is documented.
                self.wait_for(written - PER_ROTATION + 1);
                shift(&path);
                fs::copy(&path, sibling(&path, ".1")).unwrap();
                OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
            }
            Rotation::Truncate => {
                self.wait_for(written);
                self.file.set_len(0).unwrap();
            }
            Rotation::Recreate => {
                // A file that was never seen is gone without a trace.
                self.wait_for(written - PER_ROTATION + 1);
                fs::remove_file(&path).unwrap();
                self.file = append(&path);
            }
            Rotation::SwitchLink => {
                self.wait_for(written - PER_ROTATION + 1);
                self.file = switch(&path, self.generation);
            }
        }
    }

    fn wait_for(&self, count: u64) {
        let began = Instant::now();
        while self.received.load(Ordering::Acquire) < count {
            assert!(began.elapsed() < DEADLINE, "only {} of {count} came", self.received.load(Ordering::Acquire));
            thread::sleep(Duration::from_micros(200));
        }
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

fn sibling(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

/// Moves the rotated files up, dropping the oldest, whose inode may then come back.
fn shift(path: &Path) {
    const KEPT: u32 = 8;
    for number in (1..KEPT).rev() {
        let from = sibling(path, &format!(".{number}"));
        if from.exists() {
            fs::rename(from, sibling(path, &format!(".{}", number + 1))).unwrap();
        }
    }
}

fn switch(path: &Path, generation: u64) -> File {
    let target = path.with_file_name(format!("real{generation}"));
    let file = append(&target);
    let link = path.with_file_name("link");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    fs::rename(&link, path).unwrap();
    file
}

async fn receive(receiver: &mut Receiver, tally: &mut Tally, received: &AtomicU64, until: u64) {
    while (tally.distinct() as u64) < until {
        let batch = receiver.batch().await;
        tally.count(&batch);
        assert!(batch.len() <= 1024 && batch.bytes.len() < 260 * 1024);
        received.store(tally.distinct() as u64, Ordering::Release);
    }
}

async fn every_line_once(rotation: Rotation, poll_only: bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mail.log");
    let received = Arc::new(AtomicU64::new(0));
    let tuning = fairban_sources::Tuning { poll_only, ..brisk() };
    let mut receiver = Receiver::start(SourceSpec::File(path.clone()), Start::Beginning, tuning, 4);
    receiver.until(|health| health.state() == fairban_sources::State::WaitingForFile).await;
    let writer = Writer::begin(&path, rotation, received.clone());
    let mut tally = Tally::default();
    receive(&mut receiver, &mut tally, &received, LINES).await;
    writer.join().unwrap();
    // What was doubled would come before a line that is written now.
    append_last(&path);
    receive(&mut receiver, &mut tally, &received, LINES + 1).await;
    tally.assert_exact(LINES + 1);
    assert_eq!(receiver.health.lines(), LINES + 1);
    receiver.stop().await;
}

fn append_last(path: &Path) {
    append(path).write_all(numbered(LINES).as_bytes()).unwrap();
}

macro_rules! rotations {
    ($($name:ident: $rotation:ident, $poll:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            every_line_once(Rotation::$rotation, $poll).await;
        }
    )*};
}

rotations! {
    rename_while_the_old_file_is_written_to: Rename, false;
    rename_to_a_date: DatedRename, false;
    rename_without_notices: Rename, true;
    copy_and_truncate: CopyTruncate, false;
    copy_and_truncate_with_holes: CopyTruncateWithHole, false;
    truncation_in_place: Truncate, false;
    truncation_without_notices: Truncate, true;
    removal_and_recreation: Recreate, false;
    switched_link: SwitchLink, false;
}

/// The source is stopped again and again, and started at the last cursor that was received, while the log rotates.
async fn every_line_once_over_restarts(rotation: Rotation) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mail.log");
    let received = Arc::new(AtomicU64::new(0));
    append(&path);
    let mut start = Start::Beginning;
    let mut tally = Tally::default();
    let writer = Writer::begin(&path, rotation, received.clone());
    for restart in 1..=40 {
        let mut receiver = Receiver::file(&path, start);
        receive(&mut receiver, &mut tally, &received, LINES * restart / 41).await;
        start = Start::Cursor(receiver.stop().await.unwrap());
    }
    let mut receiver = Receiver::file(&path, start);
    receive(&mut receiver, &mut tally, &received, LINES).await;
    writer.join().unwrap();
    append_last(&path);
    receive(&mut receiver, &mut tally, &received, LINES + 1).await;
    tally.assert_exact(LINES + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_while_renamed() {
    every_line_once_over_restarts(Rotation::DatedRename).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_while_copied_and_truncated() {
    every_line_once_over_restarts(Rotation::CopyTruncate).await;
}

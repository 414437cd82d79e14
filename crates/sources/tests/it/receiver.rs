//! What stands in for the daemon: starts a source, receives, and remembers the last cursor.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fairban_sources::{Batch, Cursor, Health, SourceError, SourceSpec, Start, Tuning, spawn_tuned};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nothing here takes that long; a test that waits so long has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Receiver {
    batches: mpsc::Receiver<Batch>,
    stop: watch::Sender<bool>,
    pub(crate) health: Arc<Health>,
    pub(crate) task: JoinHandle<Result<(), SourceError>>,
    pub(crate) cursor: Option<Cursor>,
}

/// Limits that let tests end soon.
pub(crate) fn brisk() -> Tuning {
    Tuning {
        rotated_idle: Duration::from_millis(500),
        heartbeat: Duration::from_millis(100),
        poll: Duration::from_millis(20),
        journalctl_pause: Duration::from_millis(1),
        ..Tuning::default()
    }
}

impl Receiver {
    pub(crate) fn start(spec: SourceSpec, start: Start, tuning: Tuning, room: usize) -> Self {
        let (tx, batches) = mpsc::channel(room);
        let (stop, stopped) = watch::channel(false);
        let running = spawn_tuned(spec, start, tx, stopped, tuning);
        Receiver { batches, stop, health: running.health, task: running.task, cursor: None }
    }

    pub(crate) fn file(path: &Path, start: Start) -> Self {
        Receiver::start(SourceSpec::File(path.to_owned()), start, brisk(), 4)
    }

    pub(crate) async fn batch(&mut self) -> Batch {
        let batch = timeout(DEADLINE, self.batches.recv()).await.expect("a batch in time").expect("a source at work");
        if batch.cursor.is_some() {
            self.cursor.clone_from(&batch.cursor);
        }
        batch
    }

    pub(crate) async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < count {
            lines.extend(self.batch().await.lines().map(|line| String::from_utf8_lossy(line).into_owned()));
        }
        lines
    }

    /// Waits for a condition that the source brings about.
    pub(crate) async fn until(&self, condition: impl Fn(&Health) -> bool) {
        let wait = async {
            while !condition(&self.health) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(DEADLINE, wait).await.expect("the condition in time");
    }

    pub(crate) async fn stop(mut self) -> Option<Cursor> {
        self.stop.send_replace(true);
        // Room for what is on its way; not received, so not committed.
        self.batches.close();
        timeout(DEADLINE, self.task).await.expect("an end in time").unwrap().unwrap();
        self.cursor
    }
}

/// Numbered lines, and how often each was seen.
#[derive(Default)]
pub(crate) struct Tally {
    seen: BTreeMap<u64, u32>,
    pub(crate) strange: Vec<String>,
}

impl Tally {
    pub(crate) fn count(&mut self, batch: &Batch) {
        for line in batch.lines() {
            match number(line) {
                Some(number) => *self.seen.entry(number).or_default() += 1,
                None => self.strange.push(String::from_utf8_lossy(line).chars().take(100).collect()),
            }
        }
    }

    pub(crate) fn distinct(&self) -> usize {
        self.seen.len()
    }

    /// Every number below `count` exactly once, and nothing else.
    pub(crate) fn assert_exact(&self, count: u64) {
        let missing: Vec<u64> = (0..count).filter(|number| !self.seen.contains_key(number)).collect();
        let doubled: Vec<u64> = self.seen.iter().filter(|(_, times)| **times > 1).map(|(number, _)| *number).collect();
        let first = |numbers: &[u64]| numbers.iter().take(3).copied().collect::<Vec<_>>();
        assert_eq!(
            (missing.len(), first(&missing), doubled.len(), first(&doubled), &self.strange[..]),
            (0, vec![], 0, vec![], &[][..]),
            "missing, doubled, strange"
        );
        assert_eq!(self.seen.len() as u64, count);
    }
}

/// `line 17 …` is 17.
fn number(line: &[u8]) -> Option<u64> {
    let rest = std::str::from_utf8(line).ok()?.strip_prefix("line ")?;
    let (number, rest) = rest.split_once(' ')?;
    let number = number.parse().ok()?;
    (rest == padding(number)).then_some(number)
}

/// Lines are of different lengths, as in life.
fn padding(number: u64) -> String {
    "x".repeat(20 + usize::try_from(number % 130).unwrap())
}

pub(crate) fn numbered(number: u64) -> String {
    format!("line {number} {}\n", padding(number))
}

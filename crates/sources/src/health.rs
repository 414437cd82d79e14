use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use fairban_types::Time;

/// What a source is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not begun yet.
    Starting,
    /// The file is not there yet.
    WaitingForFile,
    /// At work.
    Reading,
    /// In trouble, and trying again; with what is wrong and what to do.
    Failing(String),
    /// Ended.
    Stopped,
}

/// How a source is doing; readable at any time.
#[derive(Debug)]
pub struct Health {
    lines: AtomicU64,
    bytes: AtomicU64,
    cut_lines: AtomicU64,
    skipped_bytes: AtomicU64,
    refused: AtomicU64,
    last_line: AtomicI64,
    state: Mutex<State>,
}

impl Health {
    pub(crate) fn new() -> Self {
        Health {
            lines: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            cut_lines: AtomicU64::new(0),
            skipped_bytes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            last_line: AtomicI64::new(i64::MIN),
            state: Mutex::new(State::Starting),
        }
    }

    /// Lines handed over.
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Bytes handed over, newlines included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Lines that were too long and lost their end.
    pub fn cut_lines(&self) -> u64 {
        self.cut_lines.load(Ordering::Relaxed)
    }

    /// Bytes not handed over: ends of lines too long, NULs of sparse files, lines cut off by a truncation.
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes.load(Ordering::Relaxed)
    }

    /// Senders turned away: too many at once, or broken framing.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// When the last line was handed over.
    pub fn last_line(&self) -> Option<Time> {
        match self.last_line.load(Ordering::Relaxed) {
            i64::MIN => None,
            millis => Some(Time::from_millis(millis)),
        }
    }

    /// What the source is doing.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the state; tells whether it is another one than before.
    pub(crate) fn set_state(&self, state: State) -> bool {
        let mut now = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let other = *now != state;
        *now = state;
        other
    }

    pub(crate) fn handed_over(&self, lines: usize, bytes: usize, at: Time) {
        self.lines.fetch_add(lines as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_line.store(at.millis(), Ordering::Relaxed);
    }

    pub(crate) fn cut(&self, lines: u64, bytes: u64) {
        self.cut_lines.fetch_add(lines, Ordering::Relaxed);
        self.skipped_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

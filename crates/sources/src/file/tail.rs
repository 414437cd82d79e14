use std::collections::VecDeque;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use fairban_types::Time;
use tracing::{info, warn};

use super::anchor::Anchor;
use super::siblings::{Sibling, open_log, siblings};
use super::tracked::{Identity, Outcome, Tracked, age};
use super::watch::Watcher;
use crate::batch::Gathered;
use crate::{Cursor, FilePosition, Health, SourceError, Start, State, Tuning};

/// Rotated files that are kept open at once.
const ROTATED_MAX: usize = 64;
/// File times come from a clock that ticks more coarsely.
const CLOCK_SLACK: Duration = Duration::from_millis(20);
/// Bytes of one read.
const SCRATCH_BYTES: usize = 128 * 1024;

/// Lines, and what goes with them.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) gathered: Gathered,
    pub(crate) reference: Option<Time>,
    pub(crate) cursor: Cursor,
}

/// A log under its path, with those of its rotated files that are still of interest.
#[derive(Debug)]
pub(crate) struct Tail {
    path: PathBuf,
    tuning: Tuning,
    health: Arc<Health>,
    watcher: Watcher,
    /// Where to begin; taken when the file is first there, or known not to be.
    start: Option<Start>,
    current: Option<Tracked>,
    /// Rotated files, oldest first.
    rotated: VecDeque<Tracked>,
    /// Rotated files that were closed: not to be taken for new ones.
    closed: VecDeque<Identity>,
    /// Rotated files born since then and never seen were rotated twice between two looks.
    horizon: SystemTime,
    /// Whether to look for such.
    is_search_due: bool,
    scratch: Vec<u8>,
}

impl Tail {
    pub(crate) fn new(path: PathBuf, start: Start, tuning: Tuning, health: Arc<Health>, watcher: Watcher) -> Self {
        Tail {
            path,
            tuning,
            health,
            watcher,
            start: Some(start),
            current: None,
            rotated: VecDeque::new(),
            closed: VecDeque::new(),
            horizon: SystemTime::now(),
            is_search_due: false,
            scratch: vec![0; SCRATCH_BYTES],
        }
    }

    /// Looks at what became of the path, and reads on; `None` when there is nothing to read for now.
    pub(crate) fn step(&mut self) -> Option<Chunk> {
        self.look();
        if self.is_search_due {
            self.search_missed();
        }
        let chunk = self.read_rotated().or_else(|| self.read_current());
        self.count_losses();
        chunk
    }

    /// Whether the system reports changes of this file.
    pub(crate) fn is_watched(&self) -> bool {
        self.watcher.is_reliable()
    }

    fn look(&mut self) {
        let state = match std::fs::metadata(&self.path) {
            Ok(meta) => match self.meet(&meta) {
                Ok(()) => State::Reading,
                Err(error) => State::Failing(error.to_string()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.miss();
                State::WaitingForFile
            }
            Err(error) => State::Failing(SourceError::file(&self.path, error).to_string()),
        };
        self.watcher.watch_folders(&self.path);
        if self.health.set_state(state.clone()) {
            match state {
                State::Failing(error) => warn!(path = %self.path.display(), error, "cannot read log, trying again"),
                State::WaitingForFile => info!(path = %self.path.display(), "waiting for log to appear"),
                _ => {}
            }
        }
    }

    /// There is a file under the path.
    fn meet(&mut self, meta: &Metadata) -> Result<(), SourceError> {
        if self.current.as_ref().is_some_and(|current| current.id == Identity::of(meta)) {
            return Ok(());
        }
        let path = self.path.clone();
        let failed = |error| SourceError::file(&path, error);
        let file = open_log(&self.path).map_err(failed)?;
        // Another file may have got the name meanwhile.
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(SourceError::NotAFile { path: self.path.clone() });
        }
        let id = Identity::of(&meta);
        if self.current.as_ref().is_some_and(|current| current.id == id) {
            return Ok(());
        }
        let known = self.rotated.iter().position(|rotated| rotated.id == id).and_then(|at| self.rotated.remove(at));
        let begun = self.begin(known, file, &meta).map_err(failed);
        self.adopt(begun?, &meta);
        Ok(())
    }

    /// Opens the file that is under the path, at the place where to begin.
    fn begin(&mut self, known: Option<Tracked>, file: std::fs::File, meta: &Metadata) -> io::Result<Tracked> {
        match (known, self.start.clone()) {
            (Some(known), _) => Ok(known),
            (None, Some(Start::End)) => Tracked::at_end(file, &self.tuning),
            (None, Some(Start::Cursor(cursor))) => {
                // Nothing was begun before; this may be a second try.
                self.rotated.clear();
                let offset = self.resume(&cursor, Some((&file, meta)));
                Tracked::new(file, offset, &self.tuning)
            }
            (None, Some(Start::Beginning)) => Tracked::new(file, 0, &self.tuning),
            (None, None) => {
                // An editor, or `sed -i`, puts a copy in the place of the file.
                let copied = self.current.as_ref().filter(|current| current.is_continued_in(&file));
                let offset = copied.map_or(0, |current| current.position().offset);
                Tracked::new(file, offset, &self.tuning)
            }
        }
    }

    fn adopt(&mut self, mut next: Tracked, meta: &Metadata) {
        next.watch = self.watcher.watch_file(next.file());
        let is_first = self.start.take().is_some();
        if let Some(previous) = self.current.replace(next) {
            self.rotated.push_back(previous);
        }
        if !is_first {
            self.is_search_due = true;
        } else if !self.is_search_due {
            // Whatever has a rotated name now is older than what is read, unless a cursor has something to say.
            self.horizon = age(meta);
        }
    }

    /// There is no file under the path.
    fn miss(&mut self) {
        match self.start.take() {
            Some(Start::Cursor(cursor)) => {
                self.resume(&cursor, None);
            }
            // What appears from now on is new.
            Some(Start::End | Start::Beginning) => self.horizon = SystemTime::now() - CLOCK_SLACK,
            None => {}
        }
        if let Some(previous) = self.current.take() {
            self.rotated.push_back(previous);
            self.is_search_due = true;
        }
    }

    /// Finds the files of a cursor; returns the offset in the file that is under the path now.
    fn resume(&mut self, cursor: &Cursor, present: Option<(&std::fs::File, &Metadata)>) -> u64 {
        let Cursor::File(positions) = cursor else { return 0 };
        let mut candidates = siblings(&self.path);
        let mut offset = 0;
        for (at, position) in positions.iter().enumerate() {
            let is_last = at + 1 == positions.len();
            if offset == 0 && present.is_some_and(|(file, meta)| fits(position, file, meta)) {
                offset = position.offset;
                self.horizon = present.map_or(self.horizon, |(_, meta)| age(meta));
                continue;
            }
            match find(position, &mut candidates) {
                Some(found) => self.resume_rotated(found, position, is_last),
                None => warn!(
                    path = %self.path.display(), offset = position.offset,
                    "the file that was read last is not here any more: its last lines may be lost"
                ),
            }
        }
        offset
    }

    fn resume_rotated(&mut self, found: Sibling, position: &FilePosition, is_last: bool) {
        info!(path = %found.path.display(), offset = position.offset, "finishing a log that was rotated meanwhile");
        let born = age(&found.meta);
        self.keep(found, position.offset);
        if is_last {
            self.horizon = born;
            self.is_search_due = true;
        }
    }

    fn keep(&mut self, sibling: Sibling, offset: u64) {
        match Tracked::new(sibling.file, offset, &self.tuning) {
            Ok(mut tracked) => {
                tracked.watch = self.watcher.watch_file(tracked.file());
                self.rotated.push_back(tracked);
            }
            Err(error) => warn!(path = %sibling.path.display(), %error, "cannot read rotated log"),
        }
    }

    /// Finds rotated files that never were under the path when it was looked at. Repeated until the folder is quiet,
    /// because a listing made during renames may leave files out.
    fn search_missed(&mut self) {
        let mut missed = siblings(&self.path);
        missed.retain(|sibling| {
            let id = Identity::of(&sibling.meta);
            let mut tracked = self.rotated.iter().chain(&self.current);
            age(&sibling.meta) >= self.horizon
                && !self.closed.contains(&id)
                // A copy (of a copy-truncate, or made by hand) would tell everything twice.
                && !tracked.any(|tracked| tracked.id == id || tracked.begins_like(&sibling.head))
        });
        missed.sort_by_key(|sibling| age(&sibling.meta));
        for sibling in missed {
            info!(path = %sibling.path.display(), "log was rotated again before it was seen, reading it now");
            self.keep(sibling, 0);
        }
        if self.watcher.is_folder_quiet(&self.path) {
            self.is_search_due = false;
            if let Some(meta) = self.current.as_ref().and_then(|current| current.file().metadata().ok()) {
                self.horizon = self.horizon.max(age(&meta));
            }
        }
    }

    fn read_rotated(&mut self) -> Option<Chunk> {
        let mut at = 0;
        while let Some(rotated) = self.rotated.get_mut(at) {
            let mut gathered = Gathered::default();
            let is_over = match rotated.read(&mut self.scratch, &mut gathered) {
                Ok(Outcome::Lines) => false,
                Ok(Outcome::End) => {
                    let idle_since = *rotated.idle_since.get_or_insert_with(Instant::now);
                    idle_since.elapsed() >= self.tuning.rotated_idle
                }
                // Overwritten or emptied by whoever disposes of it.
                Ok(Outcome::Changed) => true,
                Err(error) => {
                    warn!(path = %self.path.display(), %error, "cannot read rotated log any further");
                    true
                }
            };
            let reference = rotated.modified();
            if is_over || (gathered.is_empty() && self.rotated.len() > ROTATED_MAX) {
                self.close(at, &mut gathered);
            } else {
                at += 1;
            }
            if !gathered.is_empty() {
                return Some(Chunk { gathered, reference, cursor: self.cursor() });
            }
        }
        None
    }

    fn close(&mut self, at: usize, gathered: &mut Gathered) {
        let Some(mut rotated) = self.rotated.remove(at) else { return };
        rotated.finish(gathered);
        let (cut, skipped) = rotated.losses();
        self.health.cut(cut, skipped);
        self.watcher.unwatch(rotated.watch.take());
        self.closed.push_back(rotated.id);
        if self.closed.len() > ROTATED_MAX {
            self.closed.pop_front();
        }
    }

    fn read_current(&mut self) -> Option<Chunk> {
        let mut gathered = Gathered::default();
        match self.current.as_mut()?.read(&mut self.scratch, &mut gathered) {
            Ok(Outcome::Lines) => {
                let reference = self.current.as_ref().and_then(Tracked::modified);
                Some(Chunk { gathered, reference, cursor: self.cursor() })
            }
            Ok(Outcome::End) => None,
            Ok(Outcome::Changed) => {
                self.begin_anew();
                self.read_rotated().or_else(|| self.read_current_again())
            }
            Err(error) => {
                self.reopen(error);
                None
            }
        }
    }

    /// Once only: a file that is truncated again and again must not hold up the caller.
    fn read_current_again(&mut self) -> Option<Chunk> {
        let mut gathered = Gathered::default();
        self.current.as_mut()?.read(&mut self.scratch, &mut gathered).ok()?;
        let reference = self.current.as_ref().and_then(Tracked::modified);
        (!gathered.is_empty()).then(|| Chunk { gathered, reference, cursor: self.cursor() })
    }

    /// The file was truncated. If it was copied before, what was not read yet is in the copy.
    fn begin_anew(&mut self) {
        let Some(current) = self.current.as_mut() else { return };
        let position = current.position();
        current.restart();
        info!(path = %self.path.display(), offset = position.offset, "log was truncated, reading from its beginning");
        let mut candidates = siblings(&self.path);
        candidates.retain(|sibling| self.rotated.iter().all(|rotated| rotated.id != Identity::of(&sibling.meta)));
        if position.offset > 0
            && let Some(copy) = find(&position, &mut candidates)
        {
            self.horizon = age(&copy.meta);
            self.is_search_due = true;
            self.keep(copy, position.offset);
        }
    }

    /// Gives up the open file, as network file systems may demand, and goes on at its place in whatever is there.
    fn reopen(&mut self, error: io::Error) {
        let error = SourceError::file(&self.path, error).to_string();
        warn!(path = %self.path.display(), error, "reading failed, opening the log again");
        let cursor = self.cursor();
        self.rotated.clear();
        if let Some(current) = self.current.take() {
            self.watcher.unwatch(current.watch);
        }
        self.start = Some(Start::Cursor(cursor));
        self.health.set_state(State::Failing(error));
    }

    fn cursor(&self) -> Cursor {
        Cursor::File(self.rotated.iter().chain(&self.current).map(Tracked::position).collect())
    }

    fn count_losses(&mut self) {
        for tracked in self.rotated.iter_mut().chain(&mut self.current) {
            let (cut, skipped) = tracked.losses();
            self.health.cut(cut, skipped);
        }
    }
}

/// Whether the position lies in this file.
fn fits(position: &FilePosition, file: &std::fs::File, meta: &Metadata) -> bool {
    let is_same = meta.ino() == position.inode && meta.dev() == position.device;
    // Device numbers change when a machine starts anew, so content counts for more; but no content says nothing.
    match position.offset {
        0 => is_same,
        offset => Anchor::at(file, offset).is_ok_and(|anchor| anchor.fingerprint() == position.fingerprint),
    }
}

/// Takes the candidate in which the position lies; rather the very same file than a copy.
fn find(position: &FilePosition, candidates: &mut Vec<Sibling>) -> Option<Sibling> {
    let fitting = |sibling: &Sibling| fits(position, &sibling.file, &sibling.meta);
    let same = candidates.iter().position(|sibling| sibling.meta.ino() == position.inode && fitting(sibling));
    let at = same.or_else(|| candidates.iter().position(fitting))?;
    Some(candidates.swap_remove(at))
}

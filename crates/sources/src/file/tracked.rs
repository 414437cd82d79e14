use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Instant, SystemTime};

use fairban_types::Time;
use inotify::WatchDescriptor;
use memchr::memrchr;
use nix::unistd::{Whence, lseek};

use super::anchor::Anchor;
use crate::batch::Gathered;
use crate::splitter::Splitter;
use crate::{FilePosition, Tuning};

/// Which file it is, whatever its name. The time of birth tells it from a later file with the same inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    born: SystemTime,
}

impl Identity {
    pub(crate) fn of(meta: &Metadata) -> Self {
        let born = meta.created().unwrap_or(SystemTime::UNIX_EPOCH);
        Identity { device: meta.dev(), inode: meta.ino(), born }
    }
}

/// What orders the generations of a log: the time of birth, or where that is not recorded, of the last change.
pub(crate) fn age(meta: &Metadata) -> SystemTime {
    match meta.created() {
        Ok(born) if born > SystemTime::UNIX_EPOCH => born,
        _ => meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
    }
}

/// What reading has come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There are lines.
    Lines,
    /// The end of the file, for now.
    End,
    /// The content before is not what was read: truncated or overwritten.
    Changed,
}

/// An open file that is being read.
#[derive(Debug)]
pub(crate) struct Tracked {
    file: File,
    pub(crate) id: Identity,
    splitter: Splitter,
    /// The place up to which lines are complete.
    committed: Anchor,
    /// The place up to which bytes were read.
    read: Anchor,
    pub(crate) watch: Option<WatchDescriptor>,
    /// Since when nothing more came.
    pub(crate) idle_since: Option<Instant>,
}

impl Tracked {
    /// Begins at a place.
    pub(crate) fn new(file: File, offset: u64, tuning: &Tuning) -> io::Result<Self> {
        let id = Identity::of(&file.metadata()?);
        let anchor = Anchor::at(&file, offset)?;
        Ok(Tracked {
            file,
            id,
            splitter: Splitter::new(tuning),
            committed: anchor.clone(),
            read: anchor,
            watch: None,
            idle_since: None,
        })
    }

    /// Begins with the line that is at the end or still being written.
    pub(crate) fn at_end(file: File, tuning: &Tuning) -> io::Result<Self> {
        let offset = last_line_start(&file, tuning.line_bytes_max as u64)?;
        Tracked::new(file, offset, tuning)
    }

    /// Reads lines until a batch is full or the end is reached.
    pub(crate) fn read(&mut self, scratch: &mut [u8], gathered: &mut Gathered) -> io::Result<Outcome> {
        loop {
            let count = match self.file.read_at(scratch, self.read.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            // Only after the read does this tell that what was read is the continuation of what was read before. What is
            // gathered already was shown to be good in the round before.
            if !self.read.holds(&self.file)? {
                return Ok(if gathered.is_empty() { Outcome::Changed } else { Outcome::Lines });
            }
            let bytes = scratch.get(..count).unwrap_or_default();
            self.take(bytes, gathered);
            if self.splitter.is_full(gathered) {
                break;
            }
            if count < scratch.len() {
                break;
            }
            self.jump_hole(bytes);
        }
        if gathered.is_empty() {
            return Ok(Outcome::End);
        }
        self.idle_since = None;
        Ok(Outcome::Lines)
    }

    fn take(&mut self, bytes: &[u8], gathered: &mut Gathered) {
        let taken = self.splitter.take(bytes, gathered);
        let taken = bytes.get(..taken).unwrap_or_default();
        match memrchr(b'\n', taken) {
            Some(newline) => {
                let (lines, rest) = taken.split_at(newline + 1);
                self.read.advance(lines);
                self.committed = self.read.clone();
                self.read.advance(rest);
            }
            None => self.read.advance(taken),
        }
        if !taken.is_empty() {
            self.idle_since = None;
        }
    }

    /// A sparse file may hold more NULs than can be read in a reasonable time.
    fn jump_hole(&mut self, bytes: &[u8]) {
        if bytes.iter().any(|byte| *byte != 0) {
            return;
        }
        let Ok(here) = i64::try_from(self.read.offset) else { return };
        if let Ok(data) = lseek(&self.file, here, Whence::SeekData)
            && let Ok(hole) = u64::try_from(data - here)
        {
            self.splitter.skip(hole);
            self.read.advance_nuls(hole);
        }
    }

    /// Takes what has no newline as a last line.
    pub(crate) fn finish(&mut self, gathered: &mut Gathered) {
        self.splitter.finish(gathered);
        self.committed = self.read.clone();
    }

    /// Begins anew: the content was replaced.
    pub(crate) fn restart(&mut self) {
        self.splitter.discard();
        self.committed = Anchor::default();
        self.read = Anchor::default();
    }

    /// The place to go on at.
    pub(crate) fn position(&self) -> FilePosition {
        FilePosition {
            device: self.id.device,
            inode: self.id.inode,
            offset: self.committed.offset,
            fingerprint: self.committed.fingerprint(),
        }
    }

    /// Whether content that begins with these bytes is a copy of this file's.
    pub(crate) fn begins_like(&self, head: &[u8]) -> bool {
        if self.read.offset > 0 {
            return self.read.begins_like(head);
        }
        let mut unread = Anchor::default();
        unread.advance(&super::anchor::head(&self.file).unwrap_or_default());
        unread.begins_like(head)
    }

    /// Whether another file begins with all that was read from this one.
    pub(crate) fn is_continued_in(&self, other: &File) -> bool {
        self.committed.offset > 0 && self.committed.holds(other).unwrap_or(false)
    }

    /// When the file was changed last.
    pub(crate) fn modified(&self) -> Option<Time> {
        self.file.metadata().and_then(|meta| meta.modified()).ok().map(Time::from)
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Lines cut and bytes skipped since last asked.
    pub(crate) fn losses(&mut self) -> (u64, u64) {
        self.splitter.losses()
    }
}

/// Where the last line begins that has no newline yet; the end if there is none.
fn last_line_start(file: &File, line_bytes_max: u64) -> io::Result<u64> {
    let end = file.metadata()?.len();
    let mut block = vec![0; 4096];
    let mut place = end;
    while place > 0 && end - place < line_bytes_max {
        let start = place.saturating_sub(block.len() as u64);
        let part = &mut block[..usize::try_from(place - start).unwrap_or(4096)];
        file.read_exact_at(part, start)?;
        if let Some(newline) = memrchr(b'\n', part) {
            return Ok(start + newline as u64 + 1);
        }
        place = start;
    }
    Ok(if place == 0 { 0 } else { end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_where_the_last_line_begins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let long = "x".repeat(5000);
        for (content, start) in
            [("", 0), ("a\n", 2), ("a\nb", 2), ("ab", 0), (&format!("a\n{long}"), 2), (&format!("{long}\n"), 5001)]
        {
            std::fs::write(&path, content).unwrap();
            assert_eq!(last_line_start(&File::open(&path).unwrap(), 1 << 20).unwrap(), start, "{content:.9}");
        }
    }

    #[test]
    fn a_hole_is_jumped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let writer = File::create(&path).unwrap();
        let hole = 1_u64 << 40;
        writer.write_all_at(b"after the hole\n", hole).unwrap();
        let mut tracked = Tracked::new(File::open(&path).unwrap(), 0, &Tuning::default()).unwrap();
        let mut gathered = Gathered::default();
        let mut scratch = vec![0; 4096];
        assert_eq!(tracked.read(&mut scratch, &mut gathered).unwrap(), Outcome::Lines);
        assert_eq!(gathered.bytes, b"after the hole\n");
        assert_eq!(tracked.position().offset, hole + 15);
        assert_eq!(tracked.losses(), (0, hole));
    }
}

use std::sync::Arc;

use fairban_types::Time;

use crate::Cursor;

/// Some whole lines of one source, in the order of the source.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The source's name.
    pub source: Arc<str>,
    /// The lines, each followed by a newline.
    pub bytes: Vec<u8>,
    /// Where each line ends in `bytes`: the place of its newline.
    pub ends: Vec<u32>,
    /// When the lines came, or the file's time of last change: what a date without a year is near to.
    pub reference: Time,
    /// Where to go on after this batch; `None` where the source cannot go back (syslog, standard input). To be committed
    /// with what the batch led to.
    pub cursor: Option<Cursor>,
}

impl Batch {
    /// The lines without their newlines.
    pub fn lines(&self) -> Lines<'_> {
        Lines { bytes: &self.bytes, ends: self.ends.iter(), start: 0 }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none; a source never sends such a batch.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a [u8];
    type IntoIter = Lines<'a>;

    fn into_iter(self) -> Lines<'a> {
        self.lines()
    }
}

/// The lines of a [`Batch`].
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    bytes: &'a [u8],
    ends: std::slice::Iter<'a, u32>,
    start: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = *self.ends.next()? as usize;
        let line = self.bytes.get(self.start..end).unwrap_or_default();
        self.start = end + 1;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
    }
}

impl ExactSizeIterator for Lines<'_> {}

/// A batch in the making.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<u32>,
}

impl Gathered {
    /// Adds a line of the two parts, without newline.
    pub(crate) fn push(&mut self, head: &[u8], tail: &[u8]) {
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(tail);
        // A batch holds at most its limit and one line more, far below 4 GiB.
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        self.bytes.push(b'\n');
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

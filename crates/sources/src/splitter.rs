use memchr::memchr;

use crate::Tuning;
use crate::batch::Gathered;

/// Cuts a stream of bytes into lines; holds back what has no newline yet.
#[derive(Debug)]
pub(crate) struct Splitter {
    line_bytes_max: usize,
    lines_max: usize,
    bytes_max: usize,
    pending: Vec<u8>,
    is_cut: bool,
    cut_lines: u64,
    skipped_bytes: u64,
}

impl Splitter {
    pub(crate) fn new(tuning: &Tuning) -> Self {
        Splitter {
            line_bytes_max: tuning.line_bytes_max,
            lines_max: tuning.batch_lines_max,
            bytes_max: tuning.batch_bytes_max,
            pending: Vec::new(),
            is_cut: false,
            cut_lines: 0,
            skipped_bytes: 0,
        }
    }

    /// Takes lines into `gathered` until it is full; returns how many of the bytes were taken.
    pub(crate) fn take(&mut self, bytes: &[u8], gathered: &mut Gathered) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_full(gathered) {
            let rest = &bytes[taken..];
            match memchr(b'\n', rest) {
                Some(end) => {
                    self.line(&rest[..end], gathered);
                    taken += end + 1;
                }
                None => {
                    self.hold(rest);
                    taken = bytes.len();
                }
            }
        }
        taken
    }

    /// Takes what has no newline as a line of its own: nothing more will come.
    pub(crate) fn finish(&mut self, gathered: &mut Gathered) {
        if !self.pending.is_empty() {
            self.line(&[], gathered);
        }
    }

    /// Forgets what has no newline: its end will never come, and half a line may say something else than the whole.
    pub(crate) fn discard(&mut self) {
        self.skipped_bytes += self.pending.len() as u64;
        self.pending.clear();
        self.is_cut = false;
    }

    /// Counts bytes that the caller left out.
    pub(crate) fn skip(&mut self, bytes: u64) {
        self.skipped_bytes += bytes;
    }

    pub(crate) fn is_full(&self, gathered: &Gathered) -> bool {
        gathered.ends.len() >= self.lines_max || gathered.bytes.len() >= self.bytes_max
    }

    /// Lines cut and bytes skipped since last asked.
    pub(crate) fn losses(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.cut_lines), std::mem::take(&mut self.skipped_bytes))
    }

    fn line(&mut self, rest: &[u8], gathered: &mut Gathered) {
        let rest = if self.pending.is_empty() { self.without_nuls(rest) } else { rest };
        let rest = self.fitting(rest);
        gathered.push(&self.pending, rest);
        self.cut_lines += u64::from(std::mem::take(&mut self.is_cut));
        self.pending.clear();
        self.pending.shrink_to(64 * 1024);
    }

    fn hold(&mut self, rest: &[u8]) {
        let rest = if self.pending.is_empty() { self.without_nuls(rest) } else { rest };
        let rest = self.fitting(rest);
        self.pending.extend_from_slice(rest);
    }

    fn fitting<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let fits = bytes.len().min(self.line_bytes_max - self.pending.len());
        self.skipped_bytes += (bytes.len() - fits) as u64;
        self.is_cut |= fits < bytes.len();
        &bytes[..fits]
    }

    /// A writer that goes on at its old place after a copy-truncate leaves a hole of NULs before its next line.
    fn without_nuls<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let nuls = bytes.iter().take_while(|byte| **byte == 0).count();
        self.skipped_bytes += nuls as u64;
        &bytes[nuls..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuning() -> Tuning {
        Tuning { line_bytes_max: 4, batch_lines_max: 3, ..Tuning::default() }
    }

    fn lines(gathered: &Gathered) -> Vec<String> {
        String::from_utf8_lossy(&gathered.bytes).lines().map(str::to_owned).collect()
    }

    #[test]
    fn cuts_lines_wherever_the_bytes_are_cut() {
        type Case = (&'static [u8], &'static [&'static str], (u64, u64), &'static str);
        let table: &[Case] = &[
            (b"a\nbb\n", &["a", "bb"], (0, 0), ""),
            (b"\n\nx", &["", ""], (0, 0), "x"),
            (b"abcd\nabcdef\nx\n", &["abcd", "abcd", "x"], (1, 2), ""),
            (b"\0\0\0\0\0\0ab\nc", &["ab"], (0, 6), "c"),
            (b"a\0b\n", &["a\0b"], (0, 0), ""),
            (b"abcdefgh", &[], (0, 4), "abcd"),
        ];
        for (bytes, expected, losses, held) in table {
            for step in 1..=bytes.len() {
                let (mut splitter, mut gathered) = (Splitter::new(&tuning()), Gathered::default());
                for chunk in bytes.chunks(step) {
                    assert_eq!(splitter.take(chunk, &mut gathered), chunk.len());
                }
                assert_eq!(lines(&gathered), *expected, "{bytes:?} by {step}");
                assert_eq!(splitter.losses(), *losses, "{bytes:?} by {step}");
                assert_eq!(splitter.pending, held.as_bytes());
            }
        }
    }

    #[test]
    fn stops_when_full_and_goes_on() {
        let (mut splitter, mut gathered) = (Splitter::new(&tuning()), Gathered::default());
        let bytes = b"a\nb\nc\nd\ne";
        assert_eq!(splitter.take(bytes, &mut gathered), 6);
        let mut more = Gathered::default();
        assert_eq!(splitter.take(&bytes[6..], &mut more), 3);
        assert_eq!(splitter.pending, b"e");
        splitter.finish(&mut more);
        assert_eq!(lines(&more), ["d", "e"]);
        assert!(splitter.pending.is_empty());
    }
}

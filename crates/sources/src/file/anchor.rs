use std::fs::File;
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::FileExt;

use siphasher::sip::SipHasher13;

/// How many bytes at the beginning of a file, and before a place in it, tell it from other content.
const WITNESS_BYTES: usize = 256;

/// A place in a file, with bytes that show whether the content before it is still the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) offset: u64,
    /// The first bytes of the file, as far as they lie before `offset`.
    head: Vec<u8>,
    /// The last bytes before `offset`.
    tail: Vec<u8>,
}

impl Anchor {
    /// The anchor of a place in a file; an error of kind `UnexpectedEof` where the file is shorter.
    pub(crate) fn at(file: &File, offset: u64) -> io::Result<Self> {
        let witness = usize::try_from(offset).unwrap_or(usize::MAX).min(WITNESS_BYTES);
        let (mut head, mut tail) = (vec![0; witness], vec![0; witness]);
        file.read_exact_at(&mut head, 0)?;
        file.read_exact_at(&mut tail, offset - witness as u64)?;
        Ok(Anchor { offset, head, tail })
    }

    /// Moves on over bytes that follow.
    pub(crate) fn advance(&mut self, bytes: &[u8]) {
        let missing = WITNESS_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        let last = &bytes[bytes.len().saturating_sub(WITNESS_BYTES)..];
        let surplus = (self.tail.len() + last.len()).saturating_sub(WITNESS_BYTES);
        self.tail.drain(..surplus);
        self.tail.extend_from_slice(last);
        self.offset += bytes.len() as u64;
    }

    /// Moves on over a hole of NULs.
    pub(crate) fn advance_nuls(&mut self, count: u64) {
        let zeros = [0; WITNESS_BYTES];
        let few = count.min(WITNESS_BYTES as u64);
        self.advance(&zeros[..usize::try_from(few).unwrap_or(WITNESS_BYTES)]);
        self.offset += count - few;
    }

    /// Whether the file still holds what was read from it. If so, it was not truncated before now.
    pub(crate) fn holds(&self, file: &File) -> io::Result<bool> {
        match Anchor::at(file, self.offset) {
            Ok(now) => Ok(now == *self),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A number for head and tail, the same on every machine and in every version.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        hasher.write(&self.head);
        hasher.write(&self.tail);
        hasher.finish()
    }

    /// Whether content that begins with these bytes begins as this file does.
    pub(crate) fn begins_like(&self, head: &[u8]) -> bool {
        let shared = self.head.len().min(head.len());
        shared > 0 && self.head[..shared] == head[..shared]
    }
}

/// The first bytes of a file.
pub(crate) fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; WITNESS_BYTES];
    let read = file.read_at(&mut head, 0)?;
    head.truncate(read);
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_is_the_same_as_looking() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let content: Vec<u8> = (0..2000_u32).map(|n| (n * 7 % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = File::open(&path).unwrap();
        for step in [1, 3, 100, 255, 256, 257, 1000] {
            let mut anchor = Anchor::default();
            for chunk in content.chunks(step) {
                anchor.advance(chunk);
                assert_eq!(anchor, Anchor::at(&file, anchor.offset).unwrap());
                assert!(anchor.holds(&file).unwrap());
            }
        }
        let anchor = Anchor::at(&file, 1000).unwrap();
        assert!(Anchor::at(&file, 2001).is_err());
        let mut other = content.clone();
        other[999] ^= 1;
        std::fs::write(&path, &other).unwrap();
        assert!(!anchor.holds(&File::open(&path).unwrap()).unwrap());
        std::fs::write(&path, &content[..999]).unwrap();
        assert!(!anchor.holds(&File::open(&path).unwrap()).unwrap());
    }

    #[test]
    fn holes_are_nuls() {
        let (mut jumped, mut walked) = (Anchor::default(), Anchor::default());
        for anchor in [&mut jumped, &mut walked] {
            anchor.advance(b"line\n");
        }
        jumped.advance_nuls(1000);
        walked.advance(&[0; 1000]);
        assert_eq!(jumped, walked);
    }
}

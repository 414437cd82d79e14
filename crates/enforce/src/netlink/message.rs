//! Messages: a header of 16 bytes (`struct nlmsghdr`), then a header of the subsystem's own, then attributes.

use nix::errno::Errno;

use super::attribute::{find, find_text};

pub(crate) const HEADER: usize = 16;

pub(crate) const REQUEST: u16 = 0x1;
pub(crate) const ACK: u16 = 0x4;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const APPEND: u16 = 0x800;

const DUMP_INTERRUPTED: u16 = 0x10;
const CAPPED: u16 = 0x100;
const WITH_DETAILS: u16 = 0x200;

const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Appends a message, of which `fill` writes what follows the header.
pub(crate) fn put(buf: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = buf.len();
    buf.extend_from_slice(&[0; 4]);
    buf.extend_from_slice(&kind.to_ne_bytes());
    buf.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
    buf.extend_from_slice(&sequence.to_ne_bytes());
    buf.extend_from_slice(&[0; 4]);
    fill(buf);
    let len = (buf.len() - start) as u32;
    buf[start..start + 4].copy_from_slice(&len.to_ne_bytes());
}

/// Adds flags to the message that starts at `start`.
pub(crate) fn add_flags(buf: &mut [u8], start: usize, flags: u16) {
    let at = start + 6;
    let old = u16::from_ne_bytes([buf[at], buf[at + 1]]);
    buf[at..at + 2].copy_from_slice(&(old | flags).to_ne_bytes());
}

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    kind: u16,
    flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

/// The kernel's word on a message that was sent to it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What went wrong, if anything did.
    pub(crate) error: Option<Errno>,
    /// Where in the message, in bytes from its start.
    pub(crate) offset: Option<usize>,
    /// In the kernel's words.
    pub(crate) text: Option<String>,
}

impl Message<'_> {
    /// Whether something changed while the dump was made.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.flags & DUMP_INTERRUPTED != 0
    }

    /// The outcome that an acknowledgement, an error or the end of a dump tells.
    pub(crate) fn answer(&self) -> Option<Answer> {
        const ATTRIBUTE_TEXT: u16 = 1;
        const ATTRIBUTE_OFFSET: u16 = 2;
        if self.kind != ERROR && self.kind != DONE {
            return None;
        }
        let number = self.body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        let details = match self.flags & (CAPPED | WITH_DETAILS) {
            _ if self.kind == DONE => &[][..],
            both if both == CAPPED | WITH_DETAILS => self.body.get(4 + HEADER..).unwrap_or_default(),
            _ => &[][..],
        };
        Some(Answer {
            error: (number != 0).then(|| Errno::from_raw(number.saturating_neg())),
            offset: find(details, ATTRIBUTE_OFFSET)
                .and_then(|data| Some(u32::from_ne_bytes(*data.first_chunk()?) as usize)),
            text: find_text(details, ATTRIBUTE_TEXT).map(str::to_owned),
        })
    }
}

/// The messages in a datagram; ends at the first that is cut short.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let head: &[u8; HEADER] = self.0.first_chunk()?;
        let len = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let message = Message {
            kind: u16::from_ne_bytes([head[4], head[5]]),
            flags: u16::from_ne_bytes([head[6], head[7]]),
            sequence: u32::from_ne_bytes([head[8], head[9], head[10], head[11]]),
            body: self.0.get(HEADER..len)?,
        };
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_tell_where() {
        let mut buf = Vec::new();
        put(&mut buf, ERROR, CAPPED | WITH_DETAILS, 5, |buf| {
            buf.extend_from_slice(&(-17i32).to_ne_bytes());
            buf.extend_from_slice(&[0; HEADER]);
            crate::netlink::attribute::put(buf, 2, &96u32.to_ne_bytes());
        });
        let message = Messages(&buf).next().unwrap();
        let answer = message.answer().unwrap();
        assert_eq!((message.sequence, answer.error, answer.offset), (5, Some(Errno::EEXIST), Some(96)));
    }

    #[test]
    fn broken_lengths_end_the_list() {
        let mut buf = Vec::new();
        put(&mut buf, 20, 0, 1, |buf| buf.extend_from_slice(&[0; 8]));
        for len in [0u32, 15, 25, u32::MAX] {
            buf[..4].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(Messages(&buf).count(), 0, "{len}");
        }
        assert_eq!(Messages(&buf[..10]).count(), 0);
    }
}

//! Messages that take effect together.

use nix::errno::Errno;

use super::abi::{NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFNL_SUBSYS_NFTABLES, NFPROTO_INET, NFPROTO_UNSPEC};
use crate::EnforceError;
use crate::netlink::{Heard, Link, message};

/// A batch is one datagram, which must fit into the socket's buffer with room to spare.
const BATCH_BYTES_MAX: usize = 4 << 20;
const BEGIN_SEQUENCE: u32 = 0;

/// The kind of a message of nf_tables.
pub(super) const fn kind(message: u16) -> u16 {
    NFNL_SUBSYS_NFTABLES << 8 | message
}

/// Appends what stands between the header and the attributes of every message: `struct nfgenmsg`.
pub(super) fn put_family(buf: &mut Vec<u8>, family: u8, resource: u16) {
    buf.extend_from_slice(&[family, 0]);
    buf.extend_from_slice(&resource.to_be_bytes());
}

/// The length of `struct nfgenmsg`.
pub(super) const FAMILY_HEADER: usize = 4;

struct Batch {
    bytes: Vec<u8>,
    /// Where each message starts, and what it is about.
    messages: Vec<(usize, &'static str)>,
}

impl Batch {
    fn new() -> Self {
        let mut bytes = Vec::new();
        message::put(&mut bytes, NFNL_MSG_BATCH_BEGIN, 0, BEGIN_SEQUENCE, |buf| {
            put_family(buf, NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES);
        });
        Batch { bytes, messages: Vec::new() }
    }

    fn finish(&mut self) -> u32 {
        let last = self.messages.len() as u32;
        if let Some((start, _)) = self.messages.last() {
            message::add_flags(&mut self.bytes, *start, message::ACK);
        }
        message::put(&mut self.bytes, NFNL_MSG_BATCH_END, 0, last + 1, |buf| {
            put_family(buf, NFPROTO_UNSPEC, NFNL_SUBSYS_NFTABLES);
        });
        last
    }
}

/// Messages that take effect together if they fit into one batch, else in few.
pub(super) struct Transaction {
    batches: Vec<Batch>,
}

/// Why the kernel took nothing of a batch.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) errno: Errno,
    /// What the offending message was about.
    pub(super) about: &'static str,
    /// The offending message from its start on, and where in it the kernel stumbled.
    pub(super) message: Vec<u8>,
    pub(super) offset: Option<usize>,
    /// In the kernel's words.
    pub(super) text: Option<String>,
}

impl Transaction {
    pub(super) fn new() -> Self {
        Transaction { batches: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Appends a message about something; `fill` writes its attributes.
    pub(super) fn put(&mut self, message: u16, flags: u16, about: &'static str, fill: impl FnOnce(&mut Vec<u8>)) {
        if self.batches.last().is_none_or(|batch| batch.bytes.len() >= BATCH_BYTES_MAX) {
            self.batches.push(Batch::new());
        }
        let Some(batch) = self.batches.last_mut() else { return };
        let start = batch.bytes.len();
        batch.messages.push((start, about));
        let sequence = batch.messages.len() as u32;
        message::put(&mut batch.bytes, kind(message), flags, sequence, |buf| {
            put_family(buf, NFPROTO_INET, 0);
            fill(buf);
        });
    }

    /// The messages, each from its start to the start of the next.
    #[cfg(test)]
    pub(super) fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.batches.iter().flat_map(|batch| {
            let ends = batch.messages.iter().skip(1).map(|(start, _)| *start).chain([batch.bytes.len()]);
            batch.messages.iter().zip(ends).map(|((start, _), end)| &batch.bytes[*start..end])
        })
    }

    /// Sends it all. The inner error: the kernel took nothing of the batch that failed, nor of what follows.
    pub(super) fn commit(mut self, link: &mut Link) -> Result<Result<(), Failure>, EnforceError> {
        for batch in &mut self.batches {
            let last = batch.finish();
            if let Err(failure) = send(link, batch, last)? {
                return Ok(Err(failure));
            }
        }
        Ok(Ok(()))
    }
}

fn send(link: &mut Link, batch: &Batch, last: u32) -> Result<Result<(), Failure>, EnforceError> {
    let mut failure: Option<Failure> = None;
    // The kernel answers in the order of the messages, and the last one is always answered.
    let is_complete = link.exchange(&batch.bytes, "changing nftables", |message| {
        let Some(answer) = message.answer() else { return Heard::GoOn };
        if let Some(errno) = answer.error
            && failure.is_none()
        {
            let about = (message.sequence as usize).checked_sub(1).and_then(|index| batch.messages.get(index));
            let (start, about) = about.copied().unwrap_or((0, "the transaction"));
            let message = batch.bytes[start..].to_vec();
            failure = Some(Failure { errno, about, message, offset: answer.offset, text: answer.text });
        }
        if message.sequence == last || message.sequence == BEGIN_SEQUENCE { Heard::Done } else { Heard::GoOn }
    })?;
    match failure {
        Some(failure) => Ok(Err(failure)),
        None if is_complete => Ok(Ok(())),
        None => Err(EnforceError::Busy("changing nftables".to_owned())),
    }
}

//! What takes back what was done.

use std::time::Duration;

use fairban_types::{Subject, Time};

use super::desk::What;
use super::view::BlockRow;

/// What puts a block back that is about to be released.
pub(super) fn of_release(block: &BlockRow, now: Time) -> What {
    let time = block.until.map(|until| until.since(now).max(Duration::from_secs(1)));
    let reason = format!("{} (put back)", block.reason);
    match &block.subject {
        Subject::Sending(sending) => What::SendBlock { sending: sending.clone(), reason, time },
        subject => What::Block { subject: subject.clone(), time, reason },
    }
}

/// What gives a block back the end that it had.
pub(super) fn of_change(block: &BlockRow, now: Time) -> What {
    let time = block.until.map(|until| until.since(now).max(Duration::from_secs(1)));
    What::Block { subject: block.subject.clone(), time, reason: block.reason.clone() }
}

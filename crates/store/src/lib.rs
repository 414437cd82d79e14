//! The embedded database: what must outlive the program. It keeps the event log, the receipts of every decision, the
//! blocks that stand, the ladder, familiar networks, the never-block list, the cursors of the sources and the audit.
//!
//! One [`Store`] writes, in whole batches: a cursor is committed in the same transaction as what it led to, so that a
//! crash neither loses nor doubles an event. Any number of [`Reader`]s read beside it.
//!
//! Architecture Invariant: this crate decides nothing. It must not know the web, a protocol, the kernel or the engine;
//! and it never deletes a file: a damaged database is moved aside.
#![forbid(unsafe_code)]

mod audit;
mod batch;
mod blocks;
mod browse;
mod commit;
mod decisions;
mod encoding;
mod error;
mod events;
mod feed;
mod kept;
mod memory;
mod names;
mod never;
mod open;
mod reader;
mod recall;
mod retention;
mod schema;
mod segments;

pub use audit::{Audit, AuditEntry, AuditMark, AuditState};
pub use batch::{Batch, CommitInfo, Familiar, Habit, Happening, NeverChange, Offence, Outcome, StoredEvent};
pub use blocks::{Block, BlockFilter, BlockState, End, EndKind};
pub use browse::{BlockBrowse, BlockKind, BlockSort, Browsed, StandingCounts};
pub use error::StoreError;
pub use events::{EventFilter, LoggedEvent, Looked};
pub use feed::Fed;
pub use kept::Kept;
pub use never::NeverEntry;
pub use open::Store;
pub use reader::{Info, Reader};
pub use recall::RecallItem;
pub use retention::Pruned;

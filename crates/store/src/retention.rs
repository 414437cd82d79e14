use std::time::Duration;

use fairban_types::Time;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::encoding::number;
use crate::segments::Segment;
use crate::{Store, StoreError};

/// What one pruning took away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Pruned {
    /// How many rows.
    pub rows: usize,
    /// Whether there is more to take: call again soon.
    pub more: bool,
}

impl Store {
    /// Takes away the oldest events: those that lie further back than `keep`, by the sources' clocks or by when they were
    /// committed (so that an event with a date in the future goes too). At most `rows_max` per call, in a transaction of
    /// its own, so that commits never wait long; then gives some of the freed pages back to the disk.
    ///
    /// Receipts keep their evidence whatever is taken away here.
    pub fn prune(&mut self, now: Time, keep: Duration, rows_max: usize) -> Result<Pruned, StoreError> {
        let cutoff = now.before(keep).millis();
        let transaction = Transaction::new_unchecked(self.connection(), TransactionBehavior::Immediate)?;
        let mut pruned = Pruned::default();
        while let Some(segment) = Segment::oldest(&transaction)? {
            let is_old = segment.seq_last >= segment.seq_first && segment.time_max.min(segment.committed) < cutoff;
            pruned.more = is_old;
            if !is_old || pruned.rows >= rows_max {
                break;
            }
            let rows = shorten(&transaction, segment, rows_max - pruned.rows, self.segment.number)?;
            pruned.rows += rows;
        }
        transaction.commit()?;
        self.reload_segment()?;
        self.give_back(rows_max / 16 + 16)?;
        Ok(pruned)
    }

    /// Takes away blocks that have been over for longer than `keep`, with all that was decided under their reference,
    /// at most `rows_max` blocks per call.
    pub fn prune_blocks(&mut self, now: Time, keep: Duration, rows_max: usize) -> Result<Pruned, StoreError> {
        let cutoff = now.before(keep).millis();
        let transaction = Transaction::new_unchecked(self.connection(), TransactionBehavior::Immediate)?;
        let over: Vec<(i64, i64, Vec<u8>)> = transaction
            .prepare_cached("SELECT id, code, subject FROM blocks WHERE coalesce(ended, until) < ?1 LIMIT ?2")?
            .query_map((cutoff, number(rows_max)), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        for (id, code, subject) in &over {
            transaction.prepare_cached("DELETE FROM blocks WHERE id = ?1")?.execute([id])?;
            transaction
                .prepare_cached("DELETE FROM decisions WHERE code = ?1 AND subject = ?2")?
                .execute((code, subject))?;
        }
        transaction.commit()?;
        Ok(Pruned { rows: over.len(), more: over.len() == rows_max })
    }

    /// Gives free pages back to the disk, but keeps a tenth of the file for what comes next.
    fn give_back(&self, pages_max: usize) -> Result<(), StoreError> {
        let count = |name: &str| self.connection().pragma_query_one::<i64>(None, name);
        let spare = count("freelist_count")? - count("page_count")? / 10;
        let pages = spare.min(number(pages_max));
        if pages > 0 {
            let mut statement = self.connection().prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
            let mut rows = statement.query([])?;
            // One page per step.
            while rows.next()?.is_some() {}
        }
        Ok(())
    }
}

/// Takes the first rows of the oldest segment away, and the segment with them if nothing is left, unless it is the one
/// that grows.
fn shorten(connection: &Connection, mut segment: Segment, rows_max: usize, growing: i64) -> rusqlite::Result<usize> {
    let end = segment.seq_first.saturating_add(number(rows_max)).min(segment.seq_last + 1);
    let rows = connection
        .prepare_cached("DELETE FROM events WHERE seq >= ?1 AND seq < ?2")?
        .execute((segment.seq_first, end))?;
    segment.seq_first = end;
    if segment.seq_first > segment.seq_last && segment.number != growing {
        connection.prepare_cached("DELETE FROM segments WHERE segment = ?1")?.execute([segment.number])?;
    } else {
        segment.write(connection)?;
    }
    Ok(rows)
}

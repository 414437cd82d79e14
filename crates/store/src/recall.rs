use fairban_types::{Decision, Time};

use crate::decisions::{self, Receipt};
use crate::segments::Segment;
use crate::{LoggedEvent, Reader, StoreError, StoredEvent, events};

/// Something that happened, recalled in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecallItem {
    /// An event.
    Event {
        /// Its sequence number.
        seq: i64,
        /// The event, its node and outcome.
        stored: StoredEvent,
    },
    /// A decision, without its evidence: from here on the window of its subject is spent, or forgotten if it was
    /// released.
    Decision {
        /// The sequence number of the last event before it.
        seq: i64,
        /// The decision.
        decision: Decision,
    },
}

impl Reader {
    /// Gives `take` the events since a moment (by the sources' clocks), and between them the decisions since then, all in
    /// the order in which they happened here.
    pub fn recall(&self, since: Time, take: impl FnMut(RecallItem)) -> Result<(), StoreError> {
        self.recall_after(0, since, take)
    }

    /// The same, but only events after this number; others are not even read.
    pub fn recall_after(
        &self,
        after_seq: i64,
        since: Time,
        mut take: impl FnMut(RecallItem),
    ) -> Result<(), StoreError> {
        let first = Segment::all(&self.connection)?
            .iter()
            .find(|segment| segment.time_max >= since.millis())
            .map_or(i64::MAX, |segment| segment.seq_first)
            .max(after_seq.saturating_add(1));
        let sql = format!("SELECT {} FROM events WHERE seq >= ?1 AND time >= ?2 ORDER BY seq", events::COLUMNS);
        let mut event_statement = self.connection.prepare_cached(&sql)?;
        let mut event_rows = event_statement.query((first, since.millis()))?;
        // By sequence number first, which retention and a late decision keep in order as well.
        let sql = format!("SELECT {} FROM decisions d WHERE d.time >= ?1 ORDER BY d.seq, d.id", decisions::COLUMNS);
        let mut decision_statement = self.connection.prepare_cached(&sql)?;
        let mut decision_rows = decision_statement.query_map([since.millis()], decisions::read)?;
        let mut next_decision = decision_rows.next().transpose()?;

        while let Some(row) = event_rows.next()? {
            let Some(LoggedEvent { seq, stored }) = events::read(&self.connection, &self.names, row)? else { continue };
            while let Some(receipt) = next_decision.take_if(|receipt| receipt.seq < seq) {
                take(receipt.into());
                next_decision = decision_rows.next().transpose()?;
            }
            take(RecallItem::Event { seq, stored });
        }
        while let Some(receipt) = next_decision {
            take(receipt.into());
            next_decision = decision_rows.next().transpose()?;
        }
        Ok(())
    }
}

impl From<Receipt> for RecallItem {
    fn from(receipt: Receipt) -> Self {
        RecallItem::Decision { seq: receipt.seq, decision: receipt.decision }
    }
}

use std::time::SystemTime;

use fairban_types::Time;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::names::Names;
use crate::segments::Segment;
use crate::{Batch, CommitInfo, Happening, Store, StoreError, audit, blocks, decisions, events, kept, memory, never};

impl Store {
    /// Makes a batch durable in one transaction, and says what it did. After an error nothing of it is kept, and the same
    /// batch may be committed again.
    pub fn commit(&mut self, batch: &Batch) -> Result<CommitInfo, StoreError> {
        if batch.is_empty() {
            return Ok(CommitInfo { seq: self.segment.seq_last, ..CommitInfo::default() });
        }
        match self.write(batch) {
            Ok((segment, info)) => {
                self.segment = segment;
                Ok(info)
            }
            Err(error) => {
                self.names().forget_nodes();
                Err(error.into())
            }
        }
    }

    fn write(&self, batch: &Batch) -> rusqlite::Result<(Segment, CommitInfo)> {
        let transaction = Transaction::new_unchecked(self.connection(), TransactionBehavior::Immediate)?;
        let mut log = Log { connection: &transaction, names: self.names(), segment: self.segment.clone() };
        let info = log.write(&batch.happenings)?;
        let segment = log.segment;
        write_rest(&transaction, batch)?;
        transaction.commit()?;
        Ok((segment, info))
    }
}

fn write_rest(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    for familiar in &batch.familiar {
        memory::write_familiar(connection, familiar)?;
    }
    for habit in &batch.habits {
        memory::write_habit(connection, habit)?;
    }
    for change in &batch.never {
        never::change(connection, change)?;
    }
    for offence in &batch.offences {
        memory::write_offence(connection, offence)?;
    }
    audit::append(connection, &batch.audit)?;
    for kept in &batch.kept {
        kept::write(connection, kept)?;
    }
    for (source, cursor) in &batch.cursors {
        memory::write_cursor(connection, source, cursor)?;
    }
    Ok(())
}

/// The end of the event log, as it grows within one transaction.
struct Log<'a> {
    connection: &'a Connection,
    names: &'a Names,
    segment: Segment,
}

impl Log<'_> {
    fn write(&mut self, happenings: &[Happening]) -> rusqlite::Result<CommitInfo> {
        let now = Time::from(SystemTime::now()).millis();
        let mut info = CommitInfo::default();
        for happening in happenings {
            match happening {
                Happening::Event(stored) => {
                    if self.segment.is_full() {
                        self.segment.write(self.connection)?;
                        self.segment = self.segment.next();
                    }
                    let numbers = events::numbers(self.connection, self.names, stored)?;
                    self.segment.add(stored.event.time, numbers);
                    self.segment.committed = self.segment.committed.max(now);
                    events::insert(self.connection, self.names, &self.segment, numbers, stored)?;
                    info.events += 1;
                }
                Happening::Decision(decision) => {
                    let id = decisions::insert(self.connection, self.segment.seq_last, decision)?;
                    let (changed, ended) = blocks::apply(self.connection, id, decision)?;
                    info.blocks += usize::from(changed);
                    info.ended += ended;
                }
            }
        }
        if info.events > 0 {
            self.segment.write(self.connection)?;
        }
        info.seq = self.segment.seq_last;
        Ok(info)
    }
}

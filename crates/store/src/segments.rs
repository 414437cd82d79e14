use fairban_types::Time;
use rusqlite::{Connection, OptionalExtension, Row};

/// Enough that a question visits few segments, few enough that the pages of one segment's indexes stay in memory.
const EVENTS_MAX: i64 = 8_192;

/// A run of events with consecutive sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) number: i64,
    pub(crate) seq_first: i64,
    /// The last event's number; `seq_first - 1` while there is none.
    pub(crate) seq_last: i64,
    pub(crate) time_min: i64,
    pub(crate) time_max: i64,
    /// The latest commit: what an event's own clock says may lie in any future.
    pub(crate) committed: i64,
}

const COLUMNS: &str = "segment, seq_first, seq_last, time_min, time_max, committed";

impl Segment {
    fn empty(number: i64, seq_first: i64) -> Self {
        Segment {
            number,
            seq_first,
            seq_last: seq_first - 1,
            time_min: i64::MAX,
            time_max: i64::MIN,
            committed: i64::MIN,
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Segment {
            number: row.get(0)?,
            seq_first: row.get(1)?,
            seq_last: row.get(2)?,
            time_min: row.get(3)?,
            time_max: row.get(4)?,
            committed: row.get(5)?,
        })
    }

    /// The segment that the next event goes to: the last one, which is kept even when it is empty, so that no sequence
    /// number is given out twice.
    pub(crate) fn current(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = format!("SELECT {COLUMNS} FROM segments ORDER BY segment DESC LIMIT 1");
        let last = connection.query_row(&sql, [], Segment::read).optional()?;
        Ok(last.unwrap_or_else(|| Segment::empty(1, 1)))
    }

    pub(crate) fn is_full(&self) -> bool {
        self.seq_last - self.seq_first + 1 >= EVENTS_MAX
    }

    pub(crate) fn next(&self) -> Self {
        Segment::empty(self.number + 1, self.seq_last + 1)
    }

    /// Takes the next event in.
    pub(crate) fn add(&mut self, time: Time) {
        self.seq_last += 1;
        self.time_min = self.time_min.min(time.millis());
        self.time_max = self.time_max.max(time.millis());
    }

    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "INSERT OR REPLACE INTO segments(segment, seq_first, seq_last, time_min, time_max, committed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        statement.execute((
            self.number,
            self.seq_first,
            self.seq_last,
            self.time_min,
            self.time_max,
            self.committed,
        ))?;
        Ok(())
    }

    /// All segments, oldest first.
    pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<Segment>> {
        let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM segments ORDER BY segment"))?;
        let rows = statement.query_map([], Segment::read)?;
        rows.collect()
    }

    /// The oldest segment.
    pub(crate) fn oldest(connection: &Connection) -> rusqlite::Result<Option<Segment>> {
        let sql = format!("SELECT {COLUMNS} FROM segments ORDER BY segment LIMIT 1");
        connection.prepare_cached(&sql)?.query_row([], Segment::read).optional()
    }
}

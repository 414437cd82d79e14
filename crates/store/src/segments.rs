use fairban_types::Time;
use rusqlite::{Connection, OptionalExtension, Row};

/// Enough that a question visits few segments, few enough that the pages of one segment's indexes stay in memory.
const EVENTS_MAX: i64 = 8_192;

/// A run of events with consecutive sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) number: i64,
    pub(crate) seq_first: i64,
    /// The last event's number; `seq_first - 1` while there is none.
    pub(crate) seq_last: i64,
    pub(crate) time_min: i64,
    pub(crate) time_max: i64,
    /// The latest commit: what an event's own clock says may lie in any future.
    pub(crate) committed: i64,
    /// Which kinds, outcomes and nodes its events have together; `None`: not known.
    holds: Option<Holds>,
}

/// Numbers of kind, outcome and node, as they occur together: six bytes each, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds(Vec<u8>);

/// Some of these numbers, asked for; `None` does not matter.
pub(crate) type Asked = [Option<i64>; 3];

impl Holds {
    /// `false`: the numbers are larger than what this can say.
    fn add(&mut self, numbers: [i64; 3]) -> bool {
        let mut entry = [0; 6];
        for (bytes, number) in entry.chunks_exact_mut(2).zip(numbers) {
            let Ok(number) = u16::try_from(number) else { return false };
            bytes.copy_from_slice(&number.to_be_bytes());
        }
        let (entries, _) = self.0.as_chunks::<6>();
        if let Err(place) = entries.binary_search(&entry) {
            self.0.splice(place * 6..place * 6, entry);
        }
        true
    }

    fn has(&self, asked: Asked) -> bool {
        let is_it = |entry: &[u8; 6]| {
            let (numbers, _) = entry.as_chunks::<2>();
            let mut both = numbers.iter().zip(asked);
            both.all(|(number, asked)| asked.is_none_or(|asked| asked == i64::from(u16::from_be_bytes(*number))))
        };
        self.0.as_chunks::<6>().0.iter().any(is_it)
    }
}

const COLUMNS: &str = "segment, seq_first, seq_last, time_min, time_max, committed, holds";

impl Segment {
    fn empty(number: i64, seq_first: i64) -> Self {
        Segment {
            number,
            seq_first,
            seq_last: seq_first - 1,
            time_min: i64::MAX,
            time_max: i64::MIN,
            committed: i64::MIN,
            holds: Some(Holds::default()),
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
            holds: row.get::<_, Option<Vec<u8>>>(6)?.map(Holds),
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

    /// Takes the next event in, with the numbers of its kind, outcome and node.
    pub(crate) fn add(&mut self, time: Time, numbers: [i64; 3]) {
        if self.holds.as_mut().is_some_and(|holds| !holds.add(numbers)) {
            self.holds = None;
        }
        self.seq_last += 1;
        self.time_min = self.time_min.min(time.millis());
        self.time_max = self.time_max.max(time.millis());
    }

    /// Whether it may have an event of these.
    pub(crate) fn may_have(&self, asked: Asked) -> bool {
        self.holds.as_ref().is_none_or(|holds| holds.has(asked))
    }

    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "INSERT OR REPLACE INTO segments(segment, seq_first, seq_last, time_min, time_max, committed, holds)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        statement.execute((
            self.number,
            self.seq_first,
            self.seq_last,
            self.time_min,
            self.time_max,
            self.committed,
            self.holds.as_ref().map(|holds| holds.0.as_slice()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_segment_holds_is_found_by_any_part() {
        let mut segment = Segment::empty(1, 1);
        for numbers in [[1, 10, 20], [2, 10, 20], [1, 11, 300], [1, 10, 20]] {
            segment.add(Time::from_secs(1), numbers);
        }
        assert_eq!(segment.holds.as_ref().unwrap().0.len(), 18);
        for (asked, is_there) in [
            ([None, None, None], true),
            ([Some(1), None, None], true),
            ([Some(3), None, None], false),
            ([Some(2), Some(10), None], true),
            ([Some(2), Some(11), None], false),
            ([None, Some(11), Some(300)], true),
            ([None, Some(11), Some(20)], false),
            ([Some(-1), None, None], false),
        ] {
            assert_eq!(segment.may_have(asked), is_there, "{asked:?}");
        }
        segment.add(Time::from_secs(1), [1, 10, 70_000]);
        assert!(segment.may_have([Some(99), None, None]), "what is not known may be anything");
    }
}

use std::borrow::Cow;

use fairban_types::{Action, Code, Decision, Evidence, Origin, Subject, Time};
use rusqlite::{Connection, Row};

use crate::encoding::{self, column};
use crate::{Reader, StoreError};

/// A decision's columns, for a query that calls the table `d`.
pub(crate) const COLUMNS: &str =
    "d.id, d.seq, d.code, d.time, d.action, d.subject, d.rule, d.manual, d.reason, d.score,
    d.threshold, d.until, d.effect, d.diagnosis, d.offence, d.spares, d.in_kernel, d.holes";
/// How many columns those are.
pub(crate) const WIDTH: usize = 18;

const INSERT: &str = "INSERT INTO decisions(seq, code, time, action, subject, rule, manual, reason, score, threshold,
    until, effect, diagnosis, offence, spares, in_kernel, holes)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";

/// A code is 40 bits wide, so the number always fits.
pub(crate) fn code_number(code: Code) -> i64 {
    i64::try_from(code.number()).unwrap_or(i64::MAX)
}

/// Writes the receipt and returns its row.
pub(crate) fn insert(connection: &Connection, seq: i64, decision: &Decision) -> rusqlite::Result<i64> {
    let (rule, manual) = match &decision.origin {
        Origin::Rule(name) => (Some(name), None),
        Origin::Manual(name) => (None, Some(name)),
    };
    let holes = if decision.holes.is_empty() { None } else { Some(encoding::json(&decision.holes)?) };
    connection.prepare_cached(INSERT)?.execute(rusqlite::params![
        seq,
        code_number(decision.code),
        decision.time.millis(),
        decision.action.as_str(),
        encoding::subject_bytes(&decision.subject),
        rule,
        manual,
        decision.reason,
        decision.score,
        decision.threshold,
        decision.until.map(Time::millis),
        encoding::word(&decision.effect)?,
        encoding::word(&decision.diagnosis)?,
        decision.offence,
        decision.spares_familiar,
        decision.in_kernel,
        holes,
    ])?;
    let id = connection.last_insert_rowid();
    if !decision.events.is_empty() {
        let events: Vec<Cow<'_, Evidence>> = decision.events.iter().map(tellable).collect();
        connection
            .prepare_cached("INSERT INTO evidence(decision, events) VALUES (?1, ?2)")?
            .execute((id, encoding::json(&events)?))?;
    }
    Ok(id)
}

/// RFC 3339 ends at the year 9999; a receipt with a wilder time must still be readable.
fn tellable(evidence: &Evidence) -> Cow<'_, Evidence> {
    let clamp = |time: Time| Time::from_millis(time.millis().clamp(-377_705_023_201_000, 253_402_207_200_000));
    let (time, first) = (clamp(evidence.event.time), evidence.first.map(clamp));
    if time == evidence.event.time && first == evidence.first {
        return Cow::Borrowed(evidence);
    }
    let mut evidence = evidence.clone();
    evidence.event.time = time;
    evidence.first = first;
    Cow::Owned(evidence)
}

/// A decision without its evidence, with its row and the sequence number of the last event before it.
pub(crate) struct Receipt {
    pub(crate) id: i64,
    pub(crate) seq: i64,
    pub(crate) decision: Decision,
}

/// Reads a row that begins with [`COLUMNS`].
pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Receipt> {
    let subject = row.get_ref(5)?;
    let subject: Subject = column(5, subject, subject.as_blob().and_then(encoding::subject))?;
    let word = |index: usize| row.get_ref(index);
    let origin = match (row.get::<_, Option<String>>(6)?, row.get::<_, Option<String>>(7)?) {
        (Some(rule), _) => Origin::Rule(rule),
        (None, manual) => Origin::Manual(manual.unwrap_or_default()),
    };
    let holes = word(17)?;
    let decision = Decision {
        code: Code::new(row.get::<_, i64>(2)?.unsigned_abs()),
        time: Time::from_millis(row.get(3)?),
        action: column(4, word(4)?, encoding::from_word::<Action>(word(4)?))?,
        subject,
        origin,
        reason: row.get(8)?,
        score: row.get(9)?,
        threshold: row.get(10)?,
        until: row.get::<_, Option<i64>>(11)?.map(Time::from_millis),
        effect: column(12, word(12)?, encoding::from_word(word(12)?))?,
        diagnosis: column(13, word(13)?, encoding::from_word(word(13)?))?,
        offence: row.get(14)?,
        spares_familiar: row.get(15)?,
        in_kernel: row.get(16)?,
        holes: match holes.as_str_or_null()? {
            Some(_) => column(17, holes, encoding::from_json(holes))?,
            None => Vec::new(),
        },
        events: Vec::new(),
    };
    Ok(Receipt { id: row.get(0)?, seq: row.get(1)?, decision })
}

impl Reader {
    /// Puts its evidence to a decision.
    pub(crate) fn with_evidence(&self, receipt: Receipt) -> Result<Decision, StoreError> {
        let mut decision = receipt.decision;
        let mut statement = self.connection.prepare_cached("SELECT events FROM evidence WHERE decision = ?1")?;
        let mut rows = statement.query([receipt.id])?;
        if let Some(row) = rows.next()? {
            let events = row.get_ref(0)?;
            decision.events = column(0, events, encoding::from_json(events))?;
        }
        Ok(decision)
    }

    fn decisions_where(&self, wheres: &str, parameters: impl rusqlite::Params) -> Result<Vec<Decision>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM decisions d WHERE {wheres}");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let receipts: Vec<Receipt> = statement.query_map(parameters, read)?.collect::<Result<_, _>>()?;
        receipts.into_iter().map(|receipt| self.with_evidence(receipt)).collect()
    }

    /// The block or guard of this reference as it was last decided, with its evidence.
    pub fn decision(&self, code: Code) -> Result<Option<Decision>, StoreError> {
        let newest = self.decisions_where(
            "d.code = ?1 ORDER BY d.action IN ('block', 'guard') DESC, d.id DESC LIMIT 1",
            [code_number(code)],
        )?;
        Ok(newest.into_iter().next())
    }

    /// Everything decided under this reference, oldest first, with evidence: the block, its changes, its end.
    pub fn story(&self, code: Code) -> Result<Vec<Decision>, StoreError> {
        self.decisions_where("d.code = ?1 ORDER BY d.id", [code_number(code)])
    }

    /// What was decided about this very subject, newest first, with evidence.
    pub fn history(&self, subject: &Subject, limit: usize) -> Result<Vec<Decision>, StoreError> {
        self.decisions_where(
            "d.subject = ?1 ORDER BY d.id DESC LIMIT ?2",
            (encoding::subject_bytes(subject), encoding::number(limit)),
        )
    }
}

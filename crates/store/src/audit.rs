use fairban_types::Time;
use rusqlite::{Connection, OptionalExtension, Row};
use sha2::{Digest, Sha256};

use crate::encoding::number;
use crate::{Reader, StoreError};

/// What someone or something did, to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub time: Time,
    /// Who: a person, a program or `fairban` itself.
    pub actor: String,
    /// What: `block`, `release`, `never_add` …
    pub act: String,
    /// To whom or what.
    pub subject: String,
    /// Anything more.
    pub detail: String,
}

/// An entry in its place in the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Its number, from 1, without gaps.
    pub seq: i64,
    /// The entry.
    pub entry: AuditEntry,
    /// SHA-256 over the hash before it and the entry: whoever notes it elsewhere can later prove all up to here.
    pub hash: [u8; 32],
}

/// What became of the audit since it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditState {
    /// Every entry is as it was written. (Entries cut off at the end leave no trace but a hash noted elsewhere.)
    Intact {
        /// How many there are.
        entries: i64,
        /// The last one's hash; zeros if there is none.
        head: [u8; 32],
    },
    /// From this entry on it is not what was written.
    Broken {
        /// The number of the first entry that is missing or changed.
        seq: i64,
    },
}

/// The hash of an entry. Each text is preceded by its length, so that no two entries hash the same bytes.
fn hash(before: &[u8; 32], seq: i64, entry: &AuditEntry) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(before);
    sha.update(seq.to_be_bytes());
    sha.update(entry.time.millis().to_be_bytes());
    for text in [&entry.actor, &entry.act, &entry.subject, &entry.detail] {
        sha.update((text.len() as u64).to_be_bytes());
        sha.update(text.as_bytes());
    }
    sha.finalize().into()
}

pub(crate) fn append(connection: &Connection, entries: &[AuditEntry]) -> rusqlite::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let last = connection
        .query_row("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (mut seq, mut head): (i64, [u8; 32]) = last.unwrap_or((0, [0; 32]));
    let mut statement = connection.prepare_cached(
        "INSERT INTO audit(seq, time, actor, act, subject, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for entry in entries {
        seq += 1;
        head = hash(&head, seq, entry);
        let AuditEntry { time, actor, act, subject, detail } = entry;
        statement.execute((seq, time.millis(), actor, act, subject, detail, head))?;
    }
    Ok(())
}

pub(crate) const COLUMNS: &str = "seq, time, actor, act, subject, detail, hash";

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Audit> {
    let entry = AuditEntry {
        time: Time::from_millis(row.get(1)?),
        actor: row.get(2)?,
        act: row.get(3)?,
        subject: row.get(4)?,
        detail: row.get(5)?,
    };
    Ok(Audit { seq: row.get(0)?, entry, hash: row.get(6)? })
}

impl Reader {
    /// The audit, newest first, at most `limit` entries, and only those before `before_seq` if given.
    pub fn audit(&self, limit: usize, before_seq: Option<i64>) -> Result<Vec<Audit>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM audit WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map((before_seq.unwrap_or(i64::MAX), number(limit)), read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Gives the entries of this moment and later to `take`, newest first.
    pub fn audit_since(&self, since: Time, mut take: impl FnMut(AuditEntry)) -> Result<(), StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM audit ORDER BY seq DESC");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        // The audit is never pruned, so that only its end may be read.
        while let Some(row) = rows.next()? {
            let entry = read(row)?.entry;
            if entry.time < since {
                return Ok(());
            }
            take(entry);
        }
        Ok(())
    }

    /// Follows the chain of hashes from the first entry.
    pub fn verify_audit(&self) -> Result<AuditState, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM audit ORDER BY seq");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        let (mut entries, mut head) = (0, [0; 32]);
        while let Some(row) = rows.next()? {
            let next = entries + 1;
            match read(row) {
                Ok(audit) if audit.seq == next && audit.hash == hash(&head, next, &audit.entry) => head = audit.hash,
                _ => return Ok(AuditState::Broken { seq: next }),
            }
            entries = next;
        }
        Ok(AuditState::Intact { entries, head })
    }
}

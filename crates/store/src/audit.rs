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
        Ok(self.verify_audit_after(&AuditMark::default(), usize::MAX)?.into())
    }

    /// Follows the chain on from a mark, by at most so many entries. What is before the mark is taken as it was found
    /// when it was set.
    pub fn verify_audit_after(&self, mark: &AuditMark, limit: usize) -> Result<AuditMark, StoreError> {
        let mut mark = mark.clone();
        if mark.broken_at.is_some() {
            return Ok(mark);
        }
        let sql = format!("SELECT {COLUMNS} FROM audit WHERE seq >= ?1 ORDER BY seq LIMIT ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        // The entry of the mark itself again: it must not have been taken away or written anew.
        let rows_max = limit.saturating_add(usize::from(mark.entries > 0));
        let mut rows = statement.query((mark.entries, number(rows_max)))?;
        if mark.entries > 0 {
            let is_there = match rows.next()? {
                Some(row) => read(row).is_ok_and(|audit| {
                    let before = AuditMark { entries: audit.seq, head: audit.hash, broken_at: None };
                    before == mark
                }),
                None => false,
            };
            if !is_there {
                mark.broken_at = Some(mark.entries);
                return Ok(mark);
            }
        }
        while let Some(row) = rows.next()? {
            let next = mark.entries + 1;
            match read(row) {
                Ok(audit) if audit.seq == next && audit.hash == hash(&mark.head, next, &audit.entry) => {
                    mark.head = audit.hash;
                    mark.entries = next;
                }
                _ => {
                    mark.broken_at = Some(next);
                    return Ok(mark);
                }
            }
        }
        Ok(mark)
    }

    /// How many entries there are, whether they are as they were written or not.
    pub fn audit_len(&self) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM audit";
        Ok(self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }
}

/// How far the chain was followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditMark {
    /// So many entries are as they were written.
    pub entries: i64,
    /// The last one's hash.
    pub head: [u8; 32],
    /// The first entry that is missing or changed, if one is.
    pub broken_at: Option<i64>,
}

impl From<AuditMark> for AuditState {
    fn from(mark: AuditMark) -> Self {
        match mark.broken_at {
            Some(seq) => AuditState::Broken { seq },
            None => AuditState::Intact { entries: mark.entries, head: mark.head },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Store};

    fn store(entries: usize) -> Store {
        let mut store = Store::in_memory().unwrap();
        add(&mut store, entries);
        store
    }

    fn add(store: &mut Store, entries: usize) {
        let entry = |number: usize| AuditEntry {
            time: Time::from_secs(1),
            actor: "alice".into(),
            act: "block".into(),
            subject: number.to_string(),
            detail: String::new(),
        };
        store.commit(&Batch { audit: (0..entries).map(entry).collect(), ..Batch::default() }).unwrap();
    }

    #[test]
    fn a_chain_is_followed_on_from_a_mark() {
        let mut store = store(10);
        let first = store.verify_audit_after(&AuditMark::default(), 4).unwrap();
        assert_eq!((first.entries, first.broken_at), (4, None));
        let all = store.verify_audit_after(&first, 100).unwrap();
        assert_eq!(AuditState::from(all.clone()), store.verify_audit().unwrap());
        assert_eq!(store.verify_audit_after(&all, 100).unwrap(), all);
        add(&mut store, 1);
        assert_eq!(store.verify_audit_after(&all, 100).unwrap().entries, store.audit_len().unwrap());
    }

    #[test]
    fn what_was_changed_after_a_mark_was_set_is_found() {
        for (change, from_mark, in_all) in [
            ("UPDATE audit SET detail = 'x' WHERE seq = 10", Some(10), Some(10)),
            ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 8", Some(8), Some(8)),
            ("DELETE FROM audit WHERE seq = 8", Some(8), Some(8)),
            // What the mark has behind it is for who looks at all.
            ("UPDATE audit SET detail = 'x' WHERE seq = 3", None, Some(3)),
        ] {
            let store = store(12);
            let mark = store.verify_audit_after(&AuditMark::default(), 8).unwrap();
            store.connection().execute_batch("DROP TRIGGER audit_not_changed; DROP TRIGGER audit_not_deleted").unwrap();
            store.connection().execute_batch(change).unwrap();
            assert_eq!(store.verify_audit_after(&mark, 100).unwrap().broken_at, from_mark, "{change}");
            let whole = store.verify_audit_after(&AuditMark::default(), 100).unwrap();
            assert_eq!(whole.broken_at, in_all, "{change}");
        }
    }
}

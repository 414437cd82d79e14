//! What other rooms keep in their own words.

use rusqlite::{Connection, OptionalExtension};

use crate::{Audit, Reader, StoreError, audit};

/// A text under a name. A commit replaces what was there; without a value it is taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Of which sort it is.
    pub space: String,
    /// Its name there.
    pub key: String,
    /// The text.
    pub value: Option<String>,
}

pub(crate) fn write(connection: &Connection, kept: &Kept) -> rusqlite::Result<()> {
    match &kept.value {
        Some(value) => connection
            .prepare_cached("INSERT OR REPLACE INTO kept(space, key, value) VALUES (?1, ?2, ?3)")?
            .execute((&kept.space, &kept.key, value))?,
        None => connection
            .prepare_cached("DELETE FROM kept WHERE space = ?1 AND key = ?2")?
            .execute((&kept.space, &kept.key))?,
    };
    Ok(())
}

impl Reader {
    /// The text of this name.
    pub fn kept(&self, space: &str, key: &str) -> Result<Option<String>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT value FROM kept WHERE space = ?1 AND key = ?2")?;
        Ok(statement.query_row([space, key], |row| row.get(0)).optional()?)
    }

    /// All texts of a sort with their names, in order of name.
    pub fn all_kept(&self, space: &str) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT key, value FROM kept WHERE space = ?1 ORDER BY key")?;
        let rows = statement.query_map([space], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The entries of the audit of one act, newest first, at most `limit`, and only those before `before_seq` if given.
    pub fn audit_of(&self, act: &str, limit: usize, before_seq: Option<i64>) -> Result<Vec<Audit>, StoreError> {
        let sql =
            format!("SELECT {} FROM audit WHERE act = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3", audit::COLUMNS);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let values = (act, before_seq.unwrap_or(i64::MAX), crate::encoding::number(limit));
        let rows = statement.query_map(values, audit::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use fairban_types::Time;

    use crate::{AuditEntry, Batch, Kept, Store};

    #[test]
    fn texts_are_kept_replaced_and_taken_away() {
        let mut store = Store::in_memory().unwrap();
        let kept = |key: &str, value: Option<&str>| Kept {
            space: "user".into(),
            key: key.into(),
            value: value.map(str::to_owned),
        };
        let mut keep = |list: Vec<Kept>| store.commit(&Batch { kept: list, ..Batch::default() }).unwrap();
        keep(vec![kept("b", Some("2")), kept("a", Some("1"))]);
        keep(vec![kept("a", Some("3")), kept("b", None)]);
        assert_eq!(store.all_kept("user").unwrap(), [("a".to_owned(), "3".to_owned())]);
        assert_eq!(store.kept("user", "b").unwrap(), None);
        assert_eq!(store.kept("token", "a").unwrap(), None);
    }

    #[test]
    fn the_audit_of_one_act_is_found() {
        let mut store = Store::in_memory().unwrap();
        let entry = |act: &str| AuditEntry {
            time: Time::from_secs(1),
            actor: "alice".into(),
            act: act.into(),
            subject: String::new(),
            detail: String::new(),
        };
        let audit = ["set", "block", "set", "set"].map(entry).to_vec();
        store.commit(&Batch { audit, ..Batch::default() }).unwrap();
        let seqs = |before| store.audit_of("set", 2, before).unwrap().iter().map(|one| one.seq).collect::<Vec<_>>();
        assert_eq!(seqs(None), [4, 3]);
        assert_eq!(seqs(Some(3)), [1]);
    }
}

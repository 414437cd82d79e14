//! What the engine remembers beside events: the ladder, familiar networks, what accounts usually send, and how far each source was read.

use std::time::Duration;

use fairban_types::Time;
use rusqlite::{Connection, OptionalExtension};

use crate::encoding::{self, column};
use crate::{Familiar, Habit, Offence, Reader, Store, StoreError};

pub(crate) fn write_offence(connection: &Connection, offence: &Offence) -> rusqlite::Result<()> {
    let subject = encoding::subject_bytes(&offence.subject);
    if offence.count == 0 {
        connection.prepare_cached("DELETE FROM offences WHERE subject = ?1")?.execute([subject])?;
    } else {
        connection
            .prepare_cached("INSERT OR REPLACE INTO offences(subject, count, last) VALUES (?1, ?2, ?3)")?
            .execute((subject, offence.count, offence.last.millis()))?;
    }
    Ok(())
}

pub(crate) fn write_familiar(connection: &Connection, familiar: &Familiar) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO familiar(account, net, first, last, successes) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            &familiar.account,
            encoding::net_bytes(familiar.net),
            familiar.first.millis(),
            familiar.last.millis(),
            familiar.successes,
        ))?;
    Ok(())
}

pub(crate) fn write_habit(connection: &Connection, habit: &Habit) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO habits(account, habit, last) VALUES (?1, ?2, ?3)")?.execute((
        &habit.account,
        &habit.habit,
        habit.last.millis(),
    ))?;
    Ok(())
}

pub(crate) fn write_cursor(connection: &Connection, source: &str, cursor: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO cursors(source, cursor) VALUES (?1, ?2)")?
        .execute((source, cursor))?;
    Ok(())
}

impl Reader {
    /// The ladder.
    pub fn offences(&self) -> Result<Vec<Offence>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT subject, count, last FROM offences")?;
        let rows = statement.query_map([], |row| {
            let subject = row.get_ref(0)?;
            Ok(Offence {
                subject: column(0, subject, subject.as_blob().and_then(encoding::subject))?,
                count: row.get(1)?,
                last: Time::from_millis(row.get(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Gives every familiar network to `take`, in order of account.
    pub fn familiar(&self, mut take: impl FnMut(Familiar)) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT account, net, first, last, successes FROM familiar ORDER BY account, net")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            take(familiar_row(row)?);
        }
        Ok(())
    }

    /// The networks that are familiar to an account, in lower case.
    pub fn familiar_of(&self, account: &str) -> Result<Vec<Familiar>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT account, net, first, last, successes FROM familiar WHERE account = ?1 ORDER BY net",
        )?;
        let rows = statement.query_map([account], familiar_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Gives every habit to `take`, in order of account.
    pub fn habits(&self, mut take: impl FnMut(Habit)) -> Result<(), StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT account, habit, last FROM habits ORDER BY account")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            take(Habit { account: row.get(0)?, habit: row.get(1)?, last: Time::from_millis(row.get(2)?) });
        }
        Ok(())
    }

    /// How far a source was read, as it said itself.
    pub fn cursor(&self, source: &str) -> Result<Option<String>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT cursor FROM cursors WHERE source = ?1")?;
        Ok(statement.query_row([source], |row| row.get(0)).optional()?)
    }

    /// The cursors of all sources, by name.
    pub fn cursors(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT source, cursor FROM cursors ORDER BY source")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn familiar_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Familiar> {
    let net = row.get_ref(1)?;
    Ok(Familiar {
        account: row.get(0)?,
        net: column(1, net, net.as_blob().and_then(encoding::net))?,
        first: Time::from_millis(row.get(2)?),
        last: Time::from_millis(row.get(3)?),
        successes: row.get(4)?,
    })
}

impl Store {
    /// Forgets familiar networks without a sign-in for `forget`, at most `rows_max` of them; says how many went.
    pub fn prune_familiar(&mut self, now: Time, forget: Duration, rows_max: usize) -> Result<usize, StoreError> {
        let cutoff = now.before(forget).millis();
        Ok(self.connection().execute(
            "DELETE FROM familiar WHERE (account, net) IN
             (SELECT account, net FROM familiar WHERE last < ?1 LIMIT ?2)",
            (cutoff, encoding::number(rows_max)),
        )?)
    }

    /// Forgets the habits of accounts that have sent nothing for `forget`, at most `rows_max` of them; says how many went.
    pub fn prune_habits(&mut self, now: Time, forget: Duration, rows_max: usize) -> Result<usize, StoreError> {
        let cutoff = now.before(forget).millis();
        Ok(self.connection().execute(
            "DELETE FROM habits WHERE account IN (SELECT account FROM habits WHERE last < ?1 LIMIT ?2)",
            (cutoff, encoding::number(rows_max)),
        )?)
    }
}

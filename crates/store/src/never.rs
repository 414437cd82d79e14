use fairban_types::Time;
use ipnet::IpNet;
use rusqlite::Connection;

use crate::encoding::{self, column};
use crate::{NeverChange, Reader, StoreError};

/// An entry of the never-block list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeverEntry {
    /// The network.
    pub net: IpNet,
    /// Why it is there.
    pub reason: String,
    /// Who put it there.
    pub by: String,
    /// When.
    pub added: Time,
    /// When it ends by itself, if it does.
    pub until: Option<Time>,
}

pub(crate) fn change(connection: &Connection, change: &NeverChange) -> rusqlite::Result<()> {
    match change {
        NeverChange::Add(entry) => connection
            .prepare_cached("INSERT OR REPLACE INTO never(net, reason, by, added, until) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute((
                encoding::net_bytes(entry.net),
                &entry.reason,
                &entry.by,
                entry.added.millis(),
                entry.until.map(Time::millis),
            ))?,
        NeverChange::Remove(net) => {
            connection.prepare_cached("DELETE FROM never WHERE net = ?1")?.execute([encoding::net_bytes(*net)])?
        }
    };
    Ok(())
}

impl Reader {
    /// The entries of the never-block list that have not ended, in order of address.
    pub fn never(&self, now: Time) -> Result<Vec<NeverEntry>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT net, reason, by, added, until FROM never WHERE until IS NULL OR until > ?1
             ORDER BY length(net), net",
        )?;
        let rows = statement.query_map([now.millis()], |row| {
            let net = row.get_ref(0)?;
            Ok(NeverEntry {
                net: column(0, net, net.as_blob().and_then(encoding::net))?,
                reason: row.get(1)?,
                by: row.get(2)?,
                added: Time::from_millis(row.get(3)?),
                until: row.get::<_, Option<i64>>(4)?.map(Time::from_millis),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

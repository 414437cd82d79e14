use std::borrow::Cow;
use std::sync::Arc;

use fairban_types::{Event, EventKind, Time, Witness};
use ipnet::IpNet;
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Row, named_params};

use crate::encoding::{self, AddressBytes, column};
use crate::names::Names;
use crate::segments::Segment;
use crate::{Outcome, Reader, StoreError, StoredEvent};

/// Which events to list; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The client's network.
    pub client: Option<IpNet>,
    /// The account, in any (ASCII) case.
    pub account: Option<String>,
    /// The kind.
    pub kind: Option<EventKind>,
    /// This moment or later,
    pub since: Option<Time>,
    /// before this moment.
    pub until: Option<Time>,
    /// The node that saw it.
    pub node: Option<String>,
    /// What became of it.
    pub outcome: Option<Outcome>,
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its sequence number.
    pub seq: i64,
    /// The event, its node and outcome.
    pub stored: StoredEvent,
}

const INSERT: &str = "INSERT INTO events(seq, segment, time, client, kind, service, outcome, node, count, witness,
    account, digest, session, helo, return_path, recipient, program, method, reason)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";

pub(crate) const COLUMNS: &str = "seq, time, client, kind, service, outcome, node, count, witness,
    account, digest, session, helo, return_path, recipient, program, method, reason";

/// Writes an event under the number that its segment has given it.
pub(crate) fn insert(
    connection: &Connection,
    names: &Names,
    segment: &Segment,
    stored: &StoredEvent,
) -> rusqlite::Result<()> {
    let event = &stored.event;
    let node = names.node_id(connection, &stored.node)?;
    let mut statement = connection.prepare_cached(INSERT)?;
    let client = AddressBytes::of(event.client);
    let witness = match &event.witness {
        Witness::Frontend => None,
        Witness::Report => Some(Cow::Borrowed("report")),
        Witness::Backend(driver) => Some(Cow::Owned(format!("backend:{driver}"))),
    };
    let mut place = 0;
    let mut bind = |value: &dyn rusqlite::ToSql| {
        place += 1;
        statement.raw_bind_parameter(place, value)
    };
    bind(&segment.seq_last)?;
    bind(&segment.number)?;
    bind(&event.time.millis())?;
    bind(&client.as_slice())?;
    bind(&names.kinds.id(event.kind))?;
    bind(&names.services.id(event.service))?;
    bind(&names.outcomes.id(stored.outcome))?;
    bind(&node)?;
    bind(&(event.count != 1).then_some(event.count))?;
    bind(&witness.as_deref())?;
    for text in [
        &event.account,
        &event.digest,
        &event.session,
        &event.helo,
        &event.return_path,
        &event.recipient,
        &event.program,
        &event.method,
        &event.reason,
    ] {
        bind(&text.as_deref())?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// Reads a row of [`COLUMNS`]; `None` if it speaks in words of another version of the program.
pub(crate) fn read(connection: &Connection, names: &Names, row: &Row<'_>) -> rusqlite::Result<Option<LoggedEvent>> {
    let (Some(kind), Some(service), Some(outcome)) =
        (names.kinds.word(row.get(3)?), names.services.word(row.get(4)?), names.outcomes.word(row.get(5)?))
    else {
        return Ok(None);
    };
    let client = row.get_ref(2)?;
    let client = column(2, client, client.as_blob().and_then(encoding::address))?;
    let text = |index: usize| -> rusqlite::Result<Option<Cow<'static, str>>> {
        Ok(row.get::<_, Option<String>>(index)?.map(Cow::Owned))
    };
    let event = Event {
        kind,
        time: Time::from_millis(row.get(1)?),
        client,
        service,
        count: row.get::<_, Option<u32>>(7)?.unwrap_or(1),
        witness: witness(row.get_ref(8)?.as_str_or_null()?)?,
        account: text(9)?,
        digest: text(10)?,
        session: text(11)?,
        helo: text(12)?,
        return_path: text(13)?,
        recipient: text(14)?,
        program: text(15)?,
        method: text(16)?,
        reason: text(17)?,
    };
    let node: Arc<str> = names.node(connection, row.get(6)?)?;
    Ok(Some(LoggedEvent { seq: row.get(0)?, stored: StoredEvent { node, outcome, event } }))
}

fn witness(text: Option<&str>) -> rusqlite::Result<Witness<'static>> {
    match text {
        None => Ok(Witness::Frontend),
        Some("report") => Ok(Witness::Report),
        Some(text) => match text.strip_prefix("backend:") {
            Some(driver) => Ok(Witness::Backend(Cow::Owned(driver.to_owned()))),
            None => Err(rusqlite::Error::FromSqlConversionFailure(
                8,
                Type::Text,
                format!("unknown witness '{text}'").into(),
            )),
        },
    }
}

/// A filter as SQL over one segment, with the values that stay the same for all segments.
struct Question {
    sql: String,
    values: Vec<(&'static str, Value)>,
}

impl Question {
    fn new(connection: &Connection, names: &Names, filter: &EventFilter) -> rusqlite::Result<Self> {
        let mut values: Vec<(&'static str, Value)> = Vec::new();
        // The narrowest index, named, since the planner has no statistics to go by.
        let mut index = "NOT INDEXED";
        let mut wheres = String::from("seq BETWEEN :first AND :last AND +segment = :segment");
        let mut by_index = |name: &'static str| {
            if index == "NOT INDEXED" {
                index = name;
            }
        };
        if let Some(net) = filter.client {
            by_index("INDEXED BY events_client");
            wheres.push_str(" AND client BETWEEN :from AND :to AND length(client) = length(:from)");
            values.push((":from", AddressBytes::of(net.network()).as_slice().to_vec().into()));
            values.push((":to", AddressBytes::of(net.broadcast()).as_slice().to_vec().into()));
        }
        if let Some(account) = &filter.account {
            by_index("INDEXED BY events_account");
            wheres.push_str(" AND account = :account");
            values.push((":account", account.clone().into()));
        }
        if let Some(kind) = filter.kind {
            by_index("INDEXED BY events_kind");
            wheres.push_str(" AND kind = :kind");
            values.push((":kind", names.kinds.id(kind).into()));
        }
        if index != "NOT INDEXED" {
            // The unary plus keeps the planner from walking the rows instead of the index.
            wheres = wheres.replace("seq BETWEEN", "+seq BETWEEN").replace("+segment", "segment");
        }
        if let Some(since) = filter.since {
            wheres.push_str(" AND time >= :since");
            values.push((":since", since.millis().into()));
        }
        if let Some(until) = filter.until {
            wheres.push_str(" AND time < :until");
            values.push((":until", until.millis().into()));
        }
        if let Some(node) = &filter.node {
            wheres.push_str(" AND node = :node");
            values.push((":node", Names::find_node(connection, node)?.into()));
        }
        if let Some(outcome) = filter.outcome {
            wheres.push_str(" AND outcome = :outcome");
            values.push((":outcome", names.outcomes.id(outcome).into()));
        }
        let sql = format!("SELECT {COLUMNS} FROM events {index} WHERE {wheres} ORDER BY seq DESC LIMIT :limit");
        Ok(Question { sql, values })
    }
}

impl Reader {
    /// The newest events that pass the filter, newest (highest sequence number) first, at most `limit`, and only those
    /// before `before_seq` if given. Address, account and kind are found by index; other filters alone read the log.
    pub fn events(
        &self,
        filter: &EventFilter,
        limit: usize,
        before_seq: Option<i64>,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let mut events = Vec::new();
        let question = Question::new(&self.connection, &self.names, filter)?;
        let mut statement = self.connection.prepare_cached(&question.sql)?;
        let before = before_seq.unwrap_or(i64::MAX);
        for segment in Segment::all(&self.connection)?.iter().rev() {
            let out_of_time = filter.since.is_some_and(|since| segment.time_max < since.millis())
                || filter.until.is_some_and(|until| segment.time_min >= until.millis());
            if events.len() >= limit || segment.seq_first >= before || out_of_time {
                continue;
            }
            let last = segment.seq_last.min(before.saturating_sub(1));
            let left = encoding::number(limit - events.len());
            let (number, first) = (segment.number, segment.seq_first);
            let fixed = named_params! {":segment": number, ":first": first, ":last": last, ":limit": left};
            let values = question.values.iter().map(|(name, value)| (*name, value as &dyn rusqlite::ToSql));
            let values: Vec<(&str, &dyn rusqlite::ToSql)> = fixed.iter().copied().chain(values).collect();
            let mut rows = statement.query(values.as_slice())?;
            while let Some(row) = rows.next()? {
                events.extend(read(&self.connection, &self.names, row)?);
            }
        }
        Ok(events)
    }

    /// The event of a sequence number, if retention has left it.
    pub fn event(&self, seq: i64) -> Result<Option<LoggedEvent>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM events WHERE seq = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([seq])?;
        match rows.next()? {
            Some(row) => Ok(read(&self.connection, &self.names, row)?),
            None => Ok(None),
        }
    }
}

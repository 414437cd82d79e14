use std::borrow::Cow;
use std::sync::Arc;

use fairban_types::{Event, EventKind, Time, Witness};
use ipnet::IpNet;
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Row, StatementStatus, named_params};

use crate::encoding::{self, AddressBytes, column};
use crate::names::Names;
use crate::segments::{Asked, Segment};
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

/// The numbers of an event's kind, outcome and node.
pub(crate) fn numbers(connection: &Connection, names: &Names, stored: &StoredEvent) -> rusqlite::Result<[i64; 3]> {
    let node = names.node_id(connection, &stored.node)?;
    Ok([names.kinds.id(stored.event.kind), names.outcomes.id(stored.outcome), node])
}

/// Writes an event under the number that its segment has given it.
pub(crate) fn insert(
    connection: &Connection,
    names: &Names,
    segment: &Segment,
    [kind, outcome, node]: [i64; 3],
    stored: &StoredEvent,
) -> rusqlite::Result<()> {
    let event = &stored.event;
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
    bind(&kind)?;
    bind(&names.services.id(event.service))?;
    bind(&outcome)?;
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
    /// What a segment must have to be looked at.
    asked: Asked,
}

/// Of the work that one look may take: SQLite's own steps, of which a row takes some ten, and so many for each segment.
const STEPS_MAX: i64 = 1_000_000;
const STEPS_PER_SEGMENT: i64 = 300;

/// What a bounded look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// The events.
    pub events: Vec<LoggedEvent>,
    /// There may be more before this number: look there next. `None`: that was all.
    pub before: Option<i64>,
}

/// A network in which so many clients are that another index is narrower.
fn is_wide(net: IpNet) -> bool {
    net.prefix_len() < if net.addr().is_ipv4() { 12 } else { 32 }
}

impl Question {
    fn new(connection: &Connection, names: &Names, filter: &EventFilter) -> rusqlite::Result<Self> {
        let mut values: Vec<(&'static str, Value)> = Vec::new();
        // The narrowest index, named, since the planner has no statistics to go by.
        let mut asked: Asked = [None; 3];
        let mut index = "NOT INDEXED";
        let mut wheres = String::from("seq BETWEEN :first AND :last AND +segment = :segment");
        let mut by_index = |name: &'static str| {
            if index == "NOT INDEXED" {
                index = name;
            }
        };
        if let Some(net) = filter.client {
            if !is_wide(net) || filter.account.is_none() && filter.kind.is_none() {
                by_index("INDEXED BY events_client");
            }
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
            asked[0] = Some(names.kinds.id(kind));
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
            let node = Names::find_node(connection, node)?;
            asked[2] = Some(node);
            values.push((":node", node.into()));
        }
        if let Some(outcome) = filter.outcome {
            wheres.push_str(" AND outcome = :outcome");
            asked[1] = Some(names.outcomes.id(outcome));
            values.push((":outcome", names.outcomes.id(outcome).into()));
        }
        let sql = format!("SELECT {COLUMNS} FROM events {index} WHERE {wheres} ORDER BY seq DESC LIMIT :limit");
        Ok(Question { sql, values, asked })
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
        Ok(self.look_within(filter, limit, before_seq, i64::MAX)?.events)
    }

    /// The same, but after a bounded amount of work it says how far it came, with the fewer events found so far. However
    /// large the log is and whatever is asked, that takes a moment.
    pub fn look(&self, filter: &EventFilter, limit: usize, before_seq: Option<i64>) -> Result<Looked, StoreError> {
        self.look_within(filter, limit, before_seq, STEPS_MAX)
    }

    fn look_within(
        &self,
        filter: &EventFilter,
        limit: usize,
        before_seq: Option<i64>,
        steps_max: i64,
    ) -> Result<Looked, StoreError> {
        let mut events: Vec<LoggedEvent> = Vec::new();
        let question = Question::new(&self.connection, &self.names, filter)?;
        let mut statement = self.connection.prepare_cached(&question.sql)?;
        let (before, mut steps) = (before_seq.unwrap_or(i64::MAX), 0_i64);
        for segment in Segment::all(&self.connection)?.iter().rev() {
            let out_of_time = filter.since.is_some_and(|since| segment.time_max < since.millis())
                || filter.until.is_some_and(|until| segment.time_min >= until.millis());
            let is_empty = segment.seq_first >= before || segment.seq_first > segment.seq_last;
            if is_empty || out_of_time || !segment.may_have(question.asked) {
                continue;
            }
            if events.len() >= limit {
                return Ok(Looked { before: events.last().map(|last| last.seq), events });
            }
            // A segment is looked at whole: it is small, and what is half looked at would never be done.
            if steps >= steps_max {
                return Ok(Looked { before: Some(segment.seq_last + 1), events });
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
            drop(rows);
            steps += STEPS_PER_SEGMENT + i64::from(statement.reset_status(StatementStatus::VmStep));
        }
        let before = (events.len() >= limit).then(|| events.last().map(|last| last.seq)).flatten();
        Ok(Looked { before, events })
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

#[cfg(test)]
mod tests {
    use fairban_types::Service;

    use super::*;
    use crate::{Batch, Store};

    /// 30,000 events, of which every hundredth is of another node.
    fn store() -> Store {
        let mut store = Store::in_memory().unwrap();
        let mut batch = Batch::default();
        let nodes: [Arc<str>; 2] = ["mx1".into(), "mx2".into()];
        for number in 0..30_000_u32 {
            let client = std::net::Ipv4Addr::from(0xc000_0200 | (number % 7)).into();
            let event = Event::new(EventKind::LoginFailed, Time::from_secs(i64::from(number)), client, Service::Imap);
            let node = nodes[usize::from(number % 100 == 0)].clone();
            batch.event(StoredEvent { node, outcome: Outcome::Counted, event: event.account("alice") });
        }
        store.commit(&batch).unwrap();
        store
    }

    #[test]
    fn looks_that_end_early_find_all_together() {
        let store = store();
        let all = EventFilter::default;
        for filter in [
            EventFilter { node: Some("mx2".into()), ..all() },
            EventFilter { client: Some("0.0.0.0/0".parse().unwrap()), node: Some("mx2".into()), ..all() },
            EventFilter { account: Some("alice".into()), node: Some("mx2".into()), ..all() },
        ] {
            let (mut before, mut found, mut looks) = (None, Vec::new(), 0);
            loop {
                let looked = store.look_within(&filter, 100, before, 1).unwrap();
                found.extend(looked.events.into_iter().map(|logged| logged.seq));
                (before, looks) = (looked.before, looks + 1);
                if before.is_none() {
                    break;
                }
            }
            let whole: Vec<i64> = store.events(&filter, 1000, None).unwrap().iter().map(|logged| logged.seq).collect();
            assert_eq!((found.len(), &found), (300, &whole), "{filter:?}");
            assert!(looks >= 4, "each look ends after one segment, not after {looks} in all");
        }
    }

    #[test]
    fn segments_without_what_is_asked_for_are_passed_over() {
        let store = store();
        let filter = EventFilter { outcome: Some(Outcome::Spared), ..EventFilter::default() };
        // Not one step is left, and yet that was all.
        assert_eq!(store.look_within(&filter, 10, None, 0).unwrap(), Looked::default());
    }
}

use std::collections::BTreeSet;

use fairban_types::{Action, Code, Decision, Origin, Subject, Time, domain_of, network_of};
use ipnet::IpNet;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params_from_iter};
use serde::{Deserialize, Serialize};

use crate::decisions::{self, Receipt, code_number};
use crate::encoding::{self, column};
use crate::{Reader, StoreError};

/// How a block or guard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndKind {
    /// It was released.
    Released,
    /// Its time was over.
    Expired,
    /// Another block of the same subject took its place.
    Replaced,
}

/// The end of a block or guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When.
    pub time: Time,
    /// How.
    pub how: EndKind,
    /// By whom or what: a person, a rule, or the reference of the block that took its place.
    pub by: String,
}

/// A block or guard as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// When it began. It may have been changed since: the decision's own time tells.
    pub start: Time,
    /// Its end, if that was recorded. Without one it stands until the decision says.
    pub end: Option<End>,
    /// The decision as it stood last, without its evidence.
    pub decision: Decision,
}

/// Which blocks to list by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BlockState {
    /// All of them.
    #[default]
    All,
    /// Those in force at a moment.
    Standing(Time),
    /// Those no longer in force at a moment.
    Over(Time),
}

/// Which blocks to list; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockFilter {
    /// The state.
    pub state: BlockState,
    /// This very subject.
    pub subject: Option<Subject>,
    /// Only [`Action::Block`] or only [`Action::Guard`].
    pub action: Option<Action>,
    /// The rule, or `manual`.
    pub rule: Option<String>,
    /// Begun at this moment or later.
    pub since: Option<Time>,
    /// Only blocks of sending.
    pub sending: bool,
}

const STANDING: &str = "b.ended IS NULL AND (b.until IS NULL OR b.until > :now)";

/// Keeps the blocks in step with a decision whose receipt is in row `id`. Returns whether that began or changed a block,
/// and how many blocks ended by it.
pub(crate) fn apply(connection: &Connection, id: i64, decision: &Decision) -> rusqlite::Result<(bool, usize)> {
    match decision.action {
        Action::Block | Action::Guard => begin(connection, id, decision),
        Action::Release => Ok((false, end(connection, decision, EndKind::Released)?)),
        Action::Expire => Ok((false, end(connection, decision, EndKind::Expired)?)),
    }
}

fn begin(connection: &Connection, id: i64, decision: &Decision) -> rusqlite::Result<(bool, usize)> {
    let subject = encoding::subject_bytes(&decision.subject);
    if released_later(connection, decision, &subject)? {
        return Ok((false, 0));
    }
    let replaced = connection
        .prepare_cached(
            "UPDATE blocks SET
                how = CASE WHEN until <= :now THEN 'expired' ELSE 'replaced' END,
                ended_by = CASE WHEN until <= :now THEN rule ELSE :by END,
                ended = min(:now, coalesce(until, :now))
             WHERE subject = :subject AND ended IS NULL AND action = :action AND code <> :code",
        )?
        .execute(named_params! {
            ":now": decision.time.millis(),
            ":by": decision.code.to_string(),
            ":subject": subject,
            ":action": decision.action.as_str(),
            ":code": code_number(decision.code),
        })?;
    let (first, last) = encoding::subject_net(&decision.subject).map(encoding::range).unzip();
    let (kind, name) = listed_as(&decision.subject);
    let block: i64 = connection
        .prepare_cached(
            "INSERT INTO blocks(code, subject, action, rule, start, until, decision, net_first, net_last,
                kind, name, diagnosis, effect)
             VALUES (:code, :subject, :action, :rule, :start, :until, :decision, :first, :last,
                :kind, :name, :diagnosis, :effect)
             ON CONFLICT(code, subject) DO UPDATE SET
                start = CASE WHEN ended IS NULL THEN start ELSE excluded.start END,
                action = excluded.action, rule = excluded.rule, until = excluded.until,
                decision = excluded.decision, diagnosis = excluded.diagnosis, effect = excluded.effect,
                ended = NULL, how = NULL, ended_by = NULL
             RETURNING id",
        )?
        .query_row(
            named_params! {
                ":code": code_number(decision.code),
                ":subject": subject,
                ":action": decision.action.as_str(),
                ":rule": decision.origin.rule(),
                ":start": decision.time.millis(),
                ":until": decision.until.map(Time::millis),
                ":decision": id,
                ":first": first,
                ":last": last,
                ":kind": kind,
                ":name": name,
                ":diagnosis": encoding::word(&decision.diagnosis)?,
                ":effect": encoding::word(&decision.effect)?,
            },
            |row| row.get(0),
        )?;
    concerns(connection, block, decision)?;
    Ok((true, replaced))
}

/// Notes which domains a block concerns. What prolongs it may come without evidence, so none is taken away.
fn concerns(connection: &Connection, block: i64, decision: &Decision) -> rusqlite::Result<()> {
    let accounts = decision.events.iter().filter_map(|evidence| evidence.event.account.as_deref());
    let domains: BTreeSet<String> =
        accounts.filter_map(domain_of).chain(decision.subject.domain()).map(str::to_ascii_lowercase).collect();
    for domain in domains {
        connection
            .prepare_cached("INSERT OR IGNORE INTO concerns(domain, block) VALUES (?1, ?2)")?
            .execute((domain, block))?;
    }
    Ok(())
}

/// What is blocked, and the name of the account or sender: by these blocks are listed.
fn listed_as(subject: &Subject) -> (&'static str, Option<String>) {
    match subject {
        Subject::Network(_) => ("network", None),
        Subject::Account(name) | Subject::Pair(name, _) => ("account", Some(name.to_lowercase())),
        Subject::Sending(sending) => ("sending", Some(sending.to_string().to_lowercase())),
    }
}

/// A release wins over an older block of the same reference that arrives after it.
fn released_later(connection: &Connection, decision: &Decision, subject: &[u8]) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS(SELECT 1 FROM decisions
             WHERE code = ?1 AND subject = ?2 AND action = 'release' AND time > ?3)",
        )?
        .query_row((code_number(decision.code), subject, decision.time.millis()), |row| row.get(0))
}

fn end(connection: &Connection, decision: &Decision, how: EndKind) -> rusqlite::Result<usize> {
    let (Origin::Rule(by) | Origin::Manual(by)) = &decision.origin;
    connection
        .prepare_cached(
            "UPDATE blocks SET ended = ?1, how = ?2, ended_by = ?3 WHERE code = ?4 AND subject = ?5 AND ended IS NULL",
        )?
        .execute((
            decision.time.millis(),
            encoding::word(&how)?,
            by,
            code_number(decision.code),
            encoding::subject_bytes(&decision.subject),
        ))
}

/// Columns of a block, for a query that calls the tables `d` and `b`.
pub(crate) fn columns() -> String {
    format!("{}, b.start, b.ended, b.how, b.ended_by", decisions::COLUMNS)
}

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Block> {
    let place = decisions::WIDTH;
    let end = match row.get::<_, Option<i64>>(place + 1)? {
        None => None,
        Some(time) => {
            let how = row.get_ref(place + 2)?;
            let how = column(place + 2, how, encoding::from_word(how))?;
            Some(End { time: Time::from_millis(time), how, by: row.get(place + 3)? })
        }
    };
    Ok(Block { start: Time::from_millis(row.get(place)?), end, decision: decisions::read(row)?.decision })
}

impl Reader {
    /// The decisions in force, without their evidence, in the order in which the blocks were made.
    pub fn standing(&self, now: Time) -> Result<Vec<Decision>, StoreError> {
        Ok(self.standing_receipts(now)?.into_iter().map(|receipt| receipt.decision).collect())
    }

    /// The decisions in force, with their evidence.
    pub fn standing_with_evidence(&self, now: Time) -> Result<Vec<Decision>, StoreError> {
        self.standing_receipts(now)?.into_iter().map(|receipt| self.with_evidence(receipt)).collect()
    }

    fn standing_receipts(&self, now: Time) -> Result<Vec<Receipt>, StoreError> {
        let columns = decisions::COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM blocks b JOIN decisions d ON d.id = b.decision WHERE {STANDING} ORDER BY b.id"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(named_params! {":now": now.millis()}, decisions::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The block or guard of this reference: the latest, should several subjects share it.
    pub fn block(&self, code: Code) -> Result<Option<Block>, StoreError> {
        let sql = format!(
            "SELECT {} FROM blocks b JOIN decisions d ON d.id = b.decision WHERE b.code = ?1 ORDER BY d.id DESC LIMIT 1",
            columns()
        );
        Ok(self.connection.prepare_cached(&sql)?.query_row([code_number(code)], read).optional()?)
    }

    /// The blocks that pass the filter, newest first.
    pub fn blocks(&self, filter: &BlockFilter, limit: usize, offset: usize) -> Result<Vec<Block>, StoreError> {
        let (wheres, mut values) = conditions(filter)?;
        let sql = format!(
            "SELECT {} FROM blocks b JOIN decisions d ON d.id = b.decision WHERE {wheres}
             ORDER BY b.start DESC, b.id DESC LIMIT ? OFFSET ?",
            columns()
        );
        values.extend([limit, offset].map(|count| Value::Integer(encoding::number(count))));
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many blocks pass the filter.
    pub fn count_blocks(&self, filter: &BlockFilter) -> Result<u64, StoreError> {
        let (wheres, values) = conditions(filter)?;
        let sql = format!("SELECT count(*) FROM blocks b WHERE {wheres}");
        let count: i64 = self.connection.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// The blocks, standing and over, whose network (their own, or that of a pair) has an address in common with `net`:
    /// those inside it and those around it. Newest first.
    pub fn overlapping(&self, net: IpNet, limit: usize) -> Result<Vec<Block>, StoreError> {
        let ids = self.overlapping_ids(net, limit)?;
        let sql = format!("SELECT {} FROM blocks b JOIN decisions d ON d.id = b.decision WHERE b.id = ?1", columns());
        let mut statement = self.connection.prepare_cached(&sql)?;
        let blocks: Result<Vec<Block>, _> = ids.iter().map(|id| statement.query_row([id], read)).collect();
        Ok(blocks?)
    }

    pub(crate) fn overlapping_ids(&self, net: IpNet, limit: usize) -> Result<Vec<i64>, StoreError> {
        let mut ids = self.inside(net)?;
        ids.extend(self.around_ids(net)?);
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.truncate(limit);
        Ok(ids)
    }

    /// The blocks whose network holds this one, and is wider.
    pub(crate) fn around_ids(&self, net: IpNet) -> Result<Vec<i64>, StoreError> {
        let mut ids = Vec::new();
        // Two networks overlap only if one holds the other, so what is around `net` begins at one of its own prefixes.
        for prefix in 0..net.prefix_len() {
            let around = network_of(net.network(), prefix, prefix);
            let (first, last) = encoding::range(around);
            let mut statement =
                self.connection.prepare_cached("SELECT id FROM blocks WHERE net_first = ?1 AND net_last = ?2")?;
            let rows = statement.query_map((first, last), |row| row.get::<_, i64>(0))?;
            for id in rows {
                ids.push(id?);
            }
        }
        Ok(ids)
    }

    fn inside(&self, net: IpNet) -> Result<Vec<i64>, StoreError> {
        let (first, last) = encoding::range(net);
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM blocks WHERE net_first BETWEEN ?1 AND ?2 AND net_last <= ?2")?;
        let rows = statement.query_map((first, last), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// A filter as a condition with its values.
fn conditions(filter: &BlockFilter) -> rusqlite::Result<(String, Vec<Value>)> {
    let mut parts = vec!["1".to_owned()];
    let mut values = Vec::new();
    let mut add = |part: &str, value: Value| {
        parts.push(part.to_owned());
        values.push(value);
    };
    match filter.state {
        BlockState::All => {}
        BlockState::Standing(now) => {
            add("b.ended IS NULL AND (b.until IS NULL OR b.until > ?)", now.millis().into());
        }
        BlockState::Over(now) => add("coalesce(b.ended, b.until) <= ?", now.millis().into()),
    }
    if let Some(subject) = &filter.subject {
        add("b.subject = ?", encoding::subject_bytes(subject).into());
    }
    if let Some(action) = filter.action {
        add("b.action = ?", action.as_str().to_owned().into());
    }
    if let Some(rule) = &filter.rule {
        add("b.rule = ?", rule.clone().into());
    }
    if let Some(since) = filter.since {
        add("b.start >= ?", since.millis().into());
    }
    if filter.sending {
        add("substr(b.subject, 1, 1) = ?", vec![encoding::SENDING].into());
    }
    Ok((parts.join(" AND "), values))
}

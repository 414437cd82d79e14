//! Blocks as somebody leafs through them: filtered, sorted, page by page.

use fairban_types::{Diagnosis, Direction, Sender, Sending, Time};
use ipnet::IpNet;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::encoding::{self, word};
use crate::{Block, Reader, StoreError, blocks};

/// By what blocks are sorted. What is equal comes in the order in which it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BlockSort {
    /// When they began.
    #[default]
    Start,
    /// When they end, permanent ones last.
    Until,
    /// The subject.
    Subject,
    /// The rule.
    Rule,
}

/// What is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BlockKind {
    /// Anything but sending.
    #[default]
    Any,
    /// Addresses and networks.
    Network,
    /// Accounts, and accounts at addresses.
    Account,
    /// Sending.
    Sending,
}

/// Which blocks are looked for; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockBrowse {
    /// In force at this moment (`true`), or over.
    pub standing: Option<(Time, bool)>,
    /// What is blocked.
    pub kind: BlockKind,
    /// By hand, or not.
    pub manual: Option<bool>,
    /// By this rule.
    pub rule: Option<String>,
    /// With this behind it.
    pub diagnosis: Option<Diagnosis>,
    /// With an address in common with this network.
    pub net: Option<IpNet>,
    /// With this in the name of the account or sender.
    pub text: Option<String>,
    /// That concern these domains: of accounts or senders in them, and such as name one of their accounts in evidence.
    pub domains: Option<Vec<String>>,
    /// The order.
    pub sort: BlockSort,
    /// Smallest first.
    pub ascending: bool,
    /// The most rows.
    pub limit: usize,
    /// How many there are in all does not matter, and is not counted: [`Browsed::total`] says nothing then.
    pub is_uncounted: bool,
    /// After this row: what [`Browsed::next`] was.
    pub after: Option<String>,
}

/// Rows, and how to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browsed {
    /// The blocks, without evidence.
    pub blocks: Vec<Block>,
    /// What asks for the rows after these.
    pub next: Option<String>,
    /// How many pass the filter in all.
    pub total: u64,
}

/// More blocks around one network are not looked at.
const OVERLAPPING_MAX: usize = 10_000;
/// The moment of an end that there is not.
const NEVER: i64 = i64::MAX;

/// A network that may hold a good part of all that is blocked.
fn is_wide(net: IpNet) -> bool {
    net.prefix_len() < if net.addr().is_ipv4() { 4 } else { 12 }
}

/// A condition with its values.
#[derive(Default)]
struct Where {
    parts: Vec<String>,
    values: Vec<Value>,
}

impl Where {
    fn add(&mut self, part: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.parts.push(part.into());
        self.values.extend(values);
    }

    fn text(&self) -> String {
        if self.parts.is_empty() { "1".to_owned() } else { self.parts.join(" AND ") }
    }
}

/// Of so few it is cheaper to sort them than to walk an order until enough have passed the filter.
const FEW: i64 = 4000;

/// How many blocks are in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandingCounts {
    /// Of addresses and networks.
    pub networks: u64,
    /// Of these by hand.
    pub networks_by_hand: u64,
    /// Of accounts, and of accounts at addresses.
    pub accounts: u64,
    /// Of sending.
    pub sending: u64,
}

impl BlockSort {
    /// What is sorted by. Never NULL, so that pages can go on from it.
    fn key(self) -> String {
        match self {
            BlockSort::Start => "b.start".to_owned(),
            BlockSort::Until => format!("coalesce(b.until, {NEVER})"),
            BlockSort::Subject => "b.subject".to_owned(),
            BlockSort::Rule => "b.rule".to_owned(),
        }
    }

    /// The index that has this order: of those that have not ended, or of all.
    fn index(self, is_standing: bool) -> &'static str {
        match (self, is_standing) {
            (BlockSort::Start, true) => "blocks_standing_start",
            (BlockSort::Start, false) => "blocks_start",
            (BlockSort::Until, true) => "blocks_standing_until",
            (BlockSort::Until, false) => "blocks_until",
            (BlockSort::Subject, true) => "blocks_standing",
            (BlockSort::Subject, false) => "blocks_subject",
            (BlockSort::Rule, true) => "blocks_standing_rule",
            (BlockSort::Rule, false) => "blocks_rule",
        }
    }
}

fn of_kind(kind: BlockKind) -> &'static str {
    match kind {
        BlockKind::Any => "b.kind IN ('network', 'account')",
        BlockKind::Network => "b.kind = 'network'",
        BlockKind::Account => "b.kind = 'account'",
        BlockKind::Sending => "b.kind = 'sending'",
    }
}

/// The index by which what passes the filter is found, named, since the planner has no statistics to go by.
fn narrowest(browse: &BlockBrowse) -> &'static str {
    if browse.net.is_some_and(|net| !is_wide(net)) {
        // By number.
        ""
    } else if browse.domains.is_some() {
        // By number.
        "NOT INDEXED"
    } else if browse.text.is_some() {
        "INDEXED BY blocks_name"
    } else {
        "INDEXED BY blocks_list"
    }
}

/// A cursor: the key and the number of the last row, as text that needs no quoting.
fn cursor(key: &Value, id: i64) -> String {
    let key = match key {
        Value::Integer(number) => format!("i{number}"),
        Value::Text(text) => format!("t{}", hex(text.as_bytes())),
        Value::Blob(bytes) => format!("b{}", hex(bytes)),
        Value::Null | Value::Real(_) => "i0".to_owned(),
    };
    format!("{key}.{id}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn read_cursor(text: &str) -> Option<(Value, i64)> {
    let (key, id) = text.rsplit_once('.')?;
    let (sort, rest) = key.split_at_checked(1)?;
    let key = match sort {
        "i" => Value::Integer(rest.parse().ok()?),
        "t" => Value::Text(String::from_utf8(unhex(rest)?).ok()?),
        "b" => Value::Blob(unhex(rest)?),
        _ => return None,
    };
    Some((key, id.parse().ok()?))
}

impl Reader {
    /// Blocks that pass a filter, a page at a time. A cursor that is none of ours gives the first page.
    pub fn browse_blocks(&self, browse: &BlockBrowse) -> Result<Browsed, StoreError> {
        if browse.domains.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Browsed { blocks: Vec::new(), next: None, total: 0 });
        }
        let mut wheres = self.conditions(browse)?;
        let index = narrowest(browse);
        let count = format!("SELECT count(*) FROM blocks b {index} WHERE {}", wheres.text());
        let total: i64 = if browse.is_uncounted {
            i64::MAX
        } else {
            let mut statement = self.connection.prepare_cached(&count)?;
            statement.query_row(params_from_iter(wheres.values.iter()), |row| row.get(0))?
        };
        if browse.limit == 0 || total == 0 {
            return Ok(Browsed { blocks: Vec::new(), next: None, total: total.unsigned_abs() });
        }
        let key = browse.sort.key();
        let (compare, order) = if browse.ascending { (">", "ASC") } else { ("<", "DESC") };
        if let Some((value, id)) = browse.after.as_deref().and_then(read_cursor) {
            wheres.add(format!("({key}, b.id) {compare} (?, ?)"), [value, Value::Integer(id)]);
        }
        let is_standing = browse.standing.is_some_and(|(_, is_standing)| is_standing);
        let walk = format!("INDEXED BY {}", browse.sort.index(is_standing));
        let index = if total <= FEW || browse.net.is_some_and(|net| !is_wide(net)) { index } else { &walk };
        // The rows first, and what belongs to them only for those that are shown.
        let sql = format!(
            "SELECT b.id, {key} FROM blocks b {index} WHERE {} ORDER BY {key} {order}, b.id {order} LIMIT ?",
            wheres.text()
        );
        wheres.values.push(Value::Integer(encoding::number(browse.limit.saturating_add(1))));
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(wheres.values.iter()), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut places: Vec<(i64, Value)> = rows.collect::<Result<_, _>>()?;
        let is_more = places.len() > browse.limit;
        places.truncate(browse.limit);
        let next = places.last().filter(|_| is_more).map(|(id, key)| cursor(key, *id));
        let blocks = self.blocks_of(places.iter().map(|(id, _)| *id))?;
        Ok(Browsed { blocks, next, total: total.unsigned_abs() })
    }

    fn blocks_of(&self, ids: impl Iterator<Item = i64>) -> Result<Vec<Block>, StoreError> {
        let columns = blocks::columns();
        let sql = format!("SELECT {columns} FROM blocks b JOIN decisions d ON d.id = b.decision WHERE b.id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let blocks: Result<Vec<Block>, _> = ids.map(|id| statement.query_row([id], blocks::read)).collect();
        Ok(blocks?)
    }

    fn conditions(&self, browse: &BlockBrowse) -> Result<Where, StoreError> {
        let mut wheres = Where::default();
        match browse.standing {
            None => {}
            Some((now, true)) => {
                wheres.add("b.ended IS NULL AND (b.until IS NULL OR b.until > ?)", [now.millis().into()]);
                if browse.sort == BlockSort::Until {
                    // The same again, as the order says it: so the walk begins there.
                    wheres.add(format!("{} > ?", browse.sort.key()), [now.millis().into()]);
                }
            }
            Some((now, false)) => wheres.add("coalesce(b.ended, b.until) <= ?", [now.millis().into()]),
        }
        wheres.add(of_kind(browse.kind), []);
        if let Some(manual) = browse.manual {
            wheres.add(if manual { "b.rule = 'manual'" } else { "b.rule <> 'manual'" }, []);
        }
        if let Some(rule) = &browse.rule {
            wheres.add("b.rule = ?", [rule.clone().into()]);
        }
        if let Some(diagnosis) = &browse.diagnosis {
            wheres.add("b.diagnosis = ?", [word(diagnosis)?.into()]);
        }
        if let Some(text) = &browse.text {
            wheres.add("b.name IS NOT NULL AND instr(b.name, ?) > 0", [text.to_lowercase().into()]);
        }
        if let Some(net) = browse.net {
            if is_wide(net) {
                // Too many to be collected first. The unary plus keeps the planner from doing that.
                let ((first, last), around) = (encoding::range(net), encoding::json(&self.around_ids(net)?)?);
                wheres.add(
                    "(+b.net_first BETWEEN ? AND ? AND b.net_last <= ? OR b.id IN (SELECT value FROM json_each(?)))",
                    [first.to_vec().into(), last.to_vec().into(), last.to_vec().into(), around.into()],
                );
            } else {
                let ids = self.overlapping_ids(net, OVERLAPPING_MAX)?;
                wheres.add("b.id IN (SELECT value FROM json_each(?))", [encoding::json(&ids)?.into()]);
            }
        }
        if let Some(domains) = &browse.domains {
            let own = "b.id IN (SELECT block FROM concerns WHERE domain IN (SELECT value FROM json_each(?)))";
            let domains: Vec<String> = domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
            wheres.add(own, [encoding::json(&domains)?.into()]);
        }
        Ok(wheres)
    }

    /// How many blocks are in force at a moment.
    pub fn count_standing(&self, now: Time) -> Result<StandingCounts, StoreError> {
        // Ranges of an index, which is several times as fast as to look at each row.
        let of_kind = "SELECT (SELECT count(*) FROM blocks b INDEXED BY blocks_list
                WHERE b.kind = ?2 AND b.ended IS NULL AND b.until IS NULL)
             + (SELECT count(*) FROM blocks b INDEXED BY blocks_list
                WHERE b.kind = ?2 AND b.ended IS NULL AND b.until > ?1)";
        let mut of_kind = self.connection.prepare_cached(of_kind)?;
        let mut count = |kind: &str| -> Result<u64, StoreError> {
            let count: i64 = of_kind.query_row((now.millis(), kind), |row| row.get(0))?;
            Ok(count.unsigned_abs())
        };
        let (networks, accounts, sending) = (count("network")?, count("account")?, count("sending")?);
        let by_hand = "SELECT count(*) FROM blocks b INDEXED BY blocks_standing_rule
             WHERE b.rule = 'manual' AND b.kind = 'network' AND b.ended IS NULL AND (b.until IS NULL OR b.until > ?1)";
        let by_hand: i64 = self.connection.prepare_cached(by_hand)?.query_row([now.millis()], |row| row.get(0))?;
        Ok(StandingCounts { networks, networks_by_hand: by_hand.unsigned_abs(), accounts, sending })
    }

    /// The blocks of an account: of itself, of it at addresses, and of its sending. Newest first.
    pub fn blocks_of_account(&self, account: &str, limit: usize) -> Result<Vec<Block>, StoreError> {
        let name = account.to_lowercase();
        // As they are written down: see `fairban_types::Sending`.
        let mut names = vec![name.clone()];
        for way in [Direction::Inbound, Direction::Outbound, Direction::Both] {
            for sender in [Sender::Account(name.clone()), Sender::Address(name.clone())] {
                names.push(Sending { sender, direction: way }.to_string().to_lowercase());
            }
        }
        let marks = vec!["?"; names.len()].join(", ");
        let sql = format!(
            "SELECT id FROM blocks INDEXED BY blocks_name WHERE name IN ({marks}) ORDER BY start DESC, id DESC LIMIT {limit}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let ids: Vec<i64> =
            statement.query_map(params_from_iter(names), |row| row.get(0))?.collect::<Result<_, _>>()?;
        self.blocks_of(ids.into_iter())
    }

    /// What an account usually sends, as the engine's own text.
    pub fn habit_of(&self, account: &str) -> Result<Option<String>, StoreError> {
        use rusqlite::OptionalExtension as _;
        let mut statement = self.connection.prepare_cached("SELECT habit FROM habits WHERE account = ?1")?;
        Ok(statement.query_row([account], |row| row.get(0)).optional()?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fairban_types::{Action, Code, Decision, Effect, Event, EventKind, Evidence, Origin, Service};

    use super::*;
    use crate::{Batch, Store};

    const NOW: Time = Time::from_secs(1_000_000);

    fn block(number: u64, subject: &str) -> Decision {
        let by_hand = number.is_multiple_of(5);
        Decision {
            code: Code::new(number),
            time: Time::from_secs(900_000 + i64::try_from(number / 2).unwrap()),
            action: Action::Block,
            subject: subject.parse().unwrap(),
            origin: if by_hand { Origin::Manual("alice".into()) } else { Origin::Rule("login".into()) },
            reason: String::new(),
            score: 0,
            threshold: 0,
            until: (!number.is_multiple_of(3)).then(|| NOW.after(Duration::from_secs(number))),
            effect: Effect::Drop,
            diagnosis: Diagnosis::PasswordGuessing,
            offence: 1,
            spares_familiar: false,
            in_kernel: true,
            holes: Vec::new(),
            events: Vec::new(),
        }
    }

    fn store() -> Store {
        let mut store = Store::in_memory().unwrap();
        let mut batch = Batch::default();
        for number in 0..40 {
            batch.decision(block(number, &format!("192.0.2.{number}")));
        }
        for (number, name) in [
            (40, "alice@example.test"),
            (41, "bob@other.test from 192.0.2.7"),
            (42, "send:carol@example.test"),
            (43, "eve@exampleXtest from 2001:db8::/64"),
        ] {
            batch.decision(block(number, name));
        }
        store.commit(&batch).unwrap();
        store
    }

    fn found(store: &Store, browse: &BlockBrowse) -> Vec<u64> {
        let browsed = store.browse_blocks(&BlockBrowse { limit: 100, ..browse.clone() }).unwrap();
        assert_eq!(browsed.total, browsed.blocks.len() as u64);
        browsed.blocks.iter().map(|block| block.decision.code.number()).collect()
    }

    #[test]
    fn pages_hold_each_block_once_in_every_order() {
        let store = store();
        for sort in [BlockSort::Start, BlockSort::Until, BlockSort::Subject, BlockSort::Rule] {
            for ascending in [false, true] {
                let mut browse = BlockBrowse { sort, ascending, limit: 7, ..BlockBrowse::default() };
                let whole = found(&store, &browse);
                let mut paged = Vec::new();
                loop {
                    let page = store.browse_blocks(&browse).unwrap();
                    paged.extend(page.blocks.iter().map(|block| block.decision.code.number()));
                    browse.after = page.next;
                    if browse.after.is_none() {
                        break;
                    }
                }
                assert_eq!(paged, whole, "{sort:?}");
                assert_eq!(whole.len(), 43, "send blocks are elsewhere");
            }
        }
    }

    #[test]
    fn networks_are_found_by_the_accounts_of_their_evidence() {
        let mut store = store();
        let mut batch = Batch::default();
        for (number, account) in [(50, "carol@Example.test"), (51, "bob@other.test"), (52, "example.test")] {
            let mut decision = block(number, &format!("198.51.100.{number}"));
            let event = Event::new(EventKind::LoginFailed, NOW, [198, 51, 100, 1].into(), Service::Imap);
            decision.events = vec![Evidence::from(event.account(account.to_owned()))];
            batch.decision(decision.clone());
            // Prolonged, without evidence of its own.
            batch.decision(Decision { events: Vec::new(), until: None, ..decision });
        }
        store.commit(&batch).unwrap();
        let own = BlockBrowse { domains: Some(vec!["example.test".to_owned()]), ..BlockBrowse::default() };
        assert_eq!(found(&store, &own), [50, 40]);
        let networks = BlockBrowse { kind: BlockKind::Network, ..own };
        assert_eq!(found(&store, &networks), [50]);
    }

    #[test]
    fn filters() {
        let store = store();
        let blank = BlockBrowse::default;
        let domains = |domain: &str| Some(vec![domain.to_owned()]);
        for (browse, codes) in [
            (BlockBrowse { kind: BlockKind::Sending, ..blank() }, vec![42]),
            (BlockBrowse { kind: BlockKind::Account, ..blank() }, vec![43, 41, 40]),
            (BlockBrowse { text: Some("ALICE".into()), ..blank() }, vec![40]),
            (BlockBrowse { text: Some("bob@".into()), ..blank() }, vec![41]),
            (BlockBrowse { text: Some("%".into()), ..blank() }, vec![]),
            (BlockBrowse { net: Some("192.0.2.7/32".parse().unwrap()), ..blank() }, vec![41, 7]),
            (BlockBrowse { net: Some("192.0.2.4/31".parse().unwrap()), ..blank() }, vec![5, 4]),
            (BlockBrowse { net: Some("2000::/8".parse().unwrap()), kind: BlockKind::Account, ..blank() }, vec![43]),
            (BlockBrowse { domains: domains("example.test"), ..blank() }, vec![40]),
            (BlockBrowse { domains: domains("Other.Test"), kind: BlockKind::Account, ..blank() }, vec![41]),
            (BlockBrowse { domains: domains("example.test"), kind: BlockKind::Sending, ..blank() }, vec![42]),
            (BlockBrowse { domains: Some(Vec::new()), ..blank() }, vec![]),
            (BlockBrowse { manual: Some(true), kind: BlockKind::Account, ..blank() }, vec![40]),
            (BlockBrowse { rule: Some("none".into()), ..blank() }, vec![]),
            (BlockBrowse { diagnosis: Some(Diagnosis::Manual), ..blank() }, vec![]),
            (BlockBrowse { standing: Some((NOW, false)), ..blank() }, vec![1].into_iter().filter(|_| false).collect()),
            (BlockBrowse { after: Some("nonsense".into()), text: Some("alice".into()), ..blank() }, vec![40]),
        ] {
            assert_eq!(found(&store, &browse), codes, "{browse:?}");
        }
        let later = NOW.after(Duration::from_secs(10));
        let over = found(&store, &BlockBrowse { standing: Some((later, false)), ..blank() });
        assert_eq!(over, [10, 8, 7, 5, 4, 2, 1]);
        let standing = found(&store, &BlockBrowse { standing: Some((later, true)), ..blank() });
        assert_eq!(standing.len() + over.len(), 43);
    }
}

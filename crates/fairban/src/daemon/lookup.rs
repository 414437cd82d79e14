//! What the store has for the administrator's pages.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use fairban_store::{
    Block, BlockBrowse, BlockFilter, BlockKind, BlockSort, BlockState, Browsed, EndKind, EventFilter, LoggedEvent,
    Outcome as Became, Reader, StoreError,
};
use fairban_types::{Action, Code, Decision, EventKind, Subject};
use fairban_web::access::Sight;
use fairban_web::admin::view;

use super::now;
use crate::control::with_evidence;

/// Events of an account that its devices are told from.
const EVENTS_OF_ACCOUNT: usize = 200;
/// Without a filter that an index helps, events of the last day are looked through.
const UNINDEXED: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn row(block: &Block) -> view::BlockRow {
    let decision = &block.decision;
    let ended = block.end.as_ref().map(|end| view::Ended {
        how: match end.how {
            EndKind::Released => "released",
            EndKind::Expired => "expired",
            EndKind::Replaced => "replaced",
        }
        .to_owned(),
        time: end.time,
        by: end.by.clone(),
    });
    view::BlockRow {
        code: decision.code,
        action: decision.action,
        subject: decision.subject.clone(),
        rule: decision.origin.rule().to_owned(),
        by: decision.origin.by().map(str::to_owned),
        reason: decision.reason.clone(),
        since: block.start,
        until: decision.until,
        score: decision.score,
        threshold: decision.threshold,
        diagnosis: decision.diagnosis,
        effect: decision.effect,
        offence: decision.offence,
        spares_familiar: decision.spares_familiar,
        in_kernel: decision.in_kernel,
        ended,
    }
}

pub(super) fn event_row(logged: LoggedEvent) -> view::EventRow {
    let stored = logged.stored;
    view::EventRow {
        seq: logged.seq,
        node: stored.node.to_string(),
        outcome: stored.outcome.as_str().to_owned(),
        event: stored.event,
    }
}

fn browse(query: &view::BlockQuery, sight: &Sight) -> BlockBrowse {
    BlockBrowse {
        standing: match query.state {
            view::State::All => None,
            view::State::Standing => Some((now(), true)),
            view::State::Over => Some((now(), false)),
        },
        kind: match query.kind {
            view::Kind::Any => BlockKind::Any,
            view::Kind::Network => BlockKind::Network,
            view::Kind::Account => BlockKind::Account,
            view::Kind::Sending => BlockKind::Sending,
        },
        manual: query.manual,
        rule: query.rule.clone(),
        diagnosis: query.diagnosis,
        net: query.net,
        text: query.text.clone(),
        domains: sight.domains().map(<[String]>::to_vec),
        sort: match query.sort {
            view::Sort::Since => BlockSort::Start,
            view::Sort::Until => BlockSort::Until,
            view::Sort::Subject => BlockSort::Subject,
            view::Sort::Rule => BlockSort::Rule,
        },
        ascending: query.ascending,
        limit: query.limit,
        after: query.cursor.clone(),
    }
}

/// Blocks of a page; for who sees only some domains, also those of networks that their accounts are part of.
pub(super) fn blocks(
    reader: &Reader,
    query: &view::BlockQuery,
    sight: &Sight,
) -> Result<view::Listing<view::BlockRow>, StoreError> {
    let Browsed { blocks, next, total } = reader.browse_blocks(&browse(query, sight))?;
    let mut rows = Vec::with_capacity(blocks.len());
    for block in &blocks {
        if is_seen(reader, block, sight)? {
            rows.push(row(block));
        }
    }
    Ok(view::Listing { rows, next, total: Some(total) })
}

/// The store finds domains in the text of evidence; whether they are those of accounts is seen here.
fn is_seen(reader: &Reader, block: &Block, sight: &Sight) -> Result<bool, StoreError> {
    Ok(sight.subject(&block.decision.subject)
        || !sight.is_everything()
            && matches!(block.decision.subject, Subject::Network(_))
            && sight.decision(&with_evidence(reader, block)?))
}

fn event_filter(query: &view::EventQuery) -> EventFilter {
    let is_indexed = query.client.is_some() || query.account.is_some() || query.kind.is_some();
    let looks_through = query.outcome.is_some() || query.node.is_some();
    let since = query.since.or_else(|| (!is_indexed && looks_through).then(|| now().before(UNINDEXED)));
    EventFilter {
        client: query.client,
        account: query.account.clone(),
        kind: query.kind,
        since,
        until: query.until,
        node: query.node.clone(),
        outcome: query.outcome.as_deref().and_then(|name| Became::ALL.iter().copied().find(|one| one.as_str() == name)),
    }
}

/// Events of a page. Who sees only some domains gets, of as many as were looked through, those that are theirs.
pub(super) fn events(
    reader: &Reader,
    query: &view::EventQuery,
    sight: &Sight,
) -> Result<view::Listing<view::EventRow>, StoreError> {
    let filter = event_filter(query);
    let (mut before, mut rows) = (query.before, Vec::new());
    for _ in 0..if sight.is_everything() { 1 } else { 20 } {
        let found = reader.events(&filter, query.limit, before)?;
        let is_full = found.len() == query.limit;
        before = found.last().map(|logged| logged.seq);
        rows.extend(found.into_iter().map(event_row).filter(|row| sight.event(&row.event)));
        if !is_full {
            return Ok(view::Listing { rows, next: None, total: None });
        }
        if rows.len() >= query.limit {
            break;
        }
    }
    Ok(view::Listing { rows, next: before.map(|seq| seq.to_string()), total: None })
}

fn states_of(blocks: &[Block]) -> HashMap<String, Vec<String>> {
    let mut states: HashMap<String, Vec<String>> = HashMap::new();
    for block in blocks {
        let (account, state) = match (&block.decision.subject, block.decision.action) {
            (Subject::Account(account), Action::Guard) => (account, "guarded"),
            (Subject::Account(account) | Subject::Pair(account, _), _) => (account, "locked"),
            (Subject::Sending(sending), _) => match &sending.sender {
                fairban_types::Sender::Account(name) | fairban_types::Sender::Address(name) => {
                    (name, "stopped from sending")
                }
                _ => continue,
            },
            (Subject::Network(_), _) => continue,
        };
        let list = states.entry(account.clone()).or_default();
        if !list.iter().any(|known| known == state) {
            list.push(state.to_owned());
        }
    }
    states
}

/// Accounts that are attacked or held.
pub(super) fn accounts(
    reader: &Reader,
    attacked: Vec<view::AccountRow>,
    sight: &Sight,
) -> Result<Vec<view::AccountRow>, StoreError> {
    let standing = |kind| BlockBrowse { standing: Some((now(), true)), kind, limit: 1000, ..BlockBrowse::default() };
    let mut held = reader.browse_blocks(&standing(BlockKind::Account))?.blocks;
    held.extend(reader.browse_blocks(&standing(BlockKind::Sending))?.blocks);
    let mut states = states_of(&held);
    let mut rows = attacked;
    for row in &mut rows {
        row.states = states.remove(&row.account).unwrap_or_default();
    }
    let others = states.into_iter().filter(|(account, _)| sight.account(account));
    let mut others: Vec<view::AccountRow> = others
        .map(|(account, states)| view::AccountRow { account, failures: 0, networks: 0, last: None, states })
        .collect();
    others.sort_by(|a, b| a.account.cmp(&b.account));
    rows.extend(others);
    Ok(rows)
}

fn devices(events: &[view::EventRow]) -> Vec<view::DeviceRow> {
    let mut devices: BTreeMap<String, view::DeviceRow> = BTreeMap::new();
    for event in events.iter().map(|row| &row.event) {
        let Some(name) = event.program.as_deref().or(event.helo.as_deref()) else { continue };
        let device = devices.entry(name.to_owned()).or_insert_with(|| view::DeviceRow {
            name: name.to_owned(),
            services: Vec::new(),
            client: event.client,
            successes: 0,
            failures: 0,
            last: event.time,
        });
        if !device.services.contains(&event.service) {
            device.services.push(event.service);
        }
        if event.time >= device.last {
            (device.last, device.client) = (event.time, event.client);
        }
        device.successes += u64::from(event.kind == EventKind::LoginSucceeded);
        device.failures += u64::from(event.kind.is_login_failure());
    }
    let mut list: Vec<view::DeviceRow> = devices.into_values().collect();
    list.sort_by_key(|device| std::cmp::Reverse(device.last));
    list
}

pub(super) fn account(reader: &Reader, name: &str) -> Result<view::AccountView, StoreError> {
    let filter = EventFilter { account: Some(name.to_owned()), ..EventFilter::default() };
    let mut events: Vec<view::EventRow> =
        reader.events(&filter, EVENTS_OF_ACCOUNT, None)?.into_iter().map(event_row).collect();
    let devices = devices(&events);
    events.truncate(50);
    let of = |kind| BlockBrowse { kind, text: Some(name.to_owned()), limit: 100, ..BlockBrowse::default() };
    let mut blocks = reader.browse_blocks(&of(BlockKind::Account))?.blocks;
    blocks.extend(reader.browse_blocks(&of(BlockKind::Sending))?.blocks);
    blocks.retain(|block| match &block.decision.subject {
        Subject::Account(account) | Subject::Pair(account, _) => account == name,
        Subject::Sending(sending) => {
            matches!(&sending.sender, fairban_types::Sender::Account(own) | fairban_types::Sender::Address(own) if own == name)
        }
        Subject::Network(_) => false,
    });
    blocks.sort_by_key(|block| std::cmp::Reverse(block.start));
    let mut familiar = reader.familiar_of(name)?;
    familiar.sort_by_key(|known| std::cmp::Reverse(known.last));
    let familiar = familiar.into_iter().map(|known| view::FamiliarRow {
        net: known.net,
        first: known.first,
        last: known.last,
        successes: known.successes,
    });
    Ok(view::AccountView {
        account: name.to_owned(),
        familiar: familiar.collect(),
        devices,
        blocks: blocks.iter().map(row).collect(),
        events,
        usually_sends: None,
    })
}

/// How a block is felt here, in words.
pub(super) fn felt(decision: &Decision, enforces: bool, asks: bool) -> String {
    match decision {
        Decision { action: Action::Guard, .. } if asks => {
            "sign-ins from unfamiliar networks are refused; the owner's usual places go on working"
        }
        Decision { subject: Subject::Sending(_), .. } => {
            "softly: AUTH fails like a wrong password, recipients are refused; reading mail goes on"
        }
        Decision { in_kernel: true, .. } if enforces => "its connections to the mail ports are dropped",
        Decision { effect: fairban_types::Effect::Observe, .. } => "recorded only",
        _ if asks => "refused at sign-in, except for accounts that usually sign in from there",
        _ => "not at all yet: Fairban only observes here, and no mail server asks it",
    }
    .to_owned()
}

/// A block with what belongs to it.
pub(super) struct Found {
    pub(super) block: Block,
    pub(super) decision: Decision,
    pub(super) story: Vec<Decision>,
    pub(super) offences: u64,
}

pub(super) fn receipt(reader: &Reader, code: Code) -> Result<Option<Found>, StoreError> {
    let Some(block) = reader.block(code)? else { return Ok(None) };
    let decision = with_evidence(reader, &block)?;
    let same = BlockFilter {
        state: BlockState::All,
        subject: Some(decision.subject.clone()),
        since: Some(now().before(MONTH)),
        ..BlockFilter::default()
    };
    let offences = reader.count_blocks(&same)?.max(1);
    let mut story = reader.story(code)?;
    story.retain(|told| told.subject == decision.subject);
    Ok(Some(Found { block, decision, story, offences }))
}

pub(super) fn never_row(never: crate::control::Never) -> view::NeverRow {
    view::NeverRow {
        removable: never.added.is_some(),
        net: never.net,
        reason: never.reason,
        by: never.by,
        added: never.added,
        until: never.until,
    }
}

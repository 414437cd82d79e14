//! What the store has for the administrator's pages.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairban_store::{
    AuditMark, Block, BlockBrowse, BlockFilter, BlockKind, BlockSort, BlockState, Browsed, EndKind, EventFilter,
    LoggedEvent, Outcome as Became, Reader, StandingCounts, StoreError,
};
use fairban_types::{Action, Code, Decision, EventKind, Subject};
use fairban_web::access::Sight;
use fairban_web::admin::view;

use super::now;
use crate::control::{is_standing, listed, with_evidence};

/// Events of an account that its devices are told from.
const EVENTS_OF_ACCOUNT: usize = 200;
const BLOCKS_OF_ACCOUNT: usize = 100;
/// Events that are looked through at once for somebody who sees only some domains.
const OTHERS: usize = 5000;
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// A block as the pages list it: what the command line lists, in their words.
pub(super) fn row(block: &Block) -> view::BlockRow {
    let listed = listed(block);
    let ended = listed.ended.map(|end| view::Ended {
        how: match end.how {
            EndKind::Released => "released",
            EndKind::Expired => "expired",
            EndKind::Replaced => "replaced",
        }
        .to_owned(),
        time: end.time,
        by: end.by,
    });
    view::BlockRow {
        code: listed.code,
        action: listed.action,
        subject: listed.subject,
        rule: listed.rule,
        by: listed.by,
        reason: listed.reason,
        since: listed.since,
        until: listed.until,
        score: listed.score,
        threshold: listed.threshold,
        diagnosis: listed.diagnosis,
        effect: listed.effect,
        offence: listed.offence,
        spares_familiar: listed.spares_familiar,
        in_kernel: listed.in_kernel,
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
        is_uncounted: query.is_uncounted,
        after: query.cursor.clone(),
    }
}

/// Blocks of a page; for who sees only some domains, also those that their accounts are part of the evidence of.
pub(super) fn blocks(
    reader: &Reader,
    query: &view::BlockQuery,
    sight: &Sight,
) -> Result<view::Listing<view::BlockRow>, StoreError> {
    let Browsed { blocks, next, total } = reader.browse_blocks(&browse(query, sight))?;
    Ok(view::Listing { rows: blocks.iter().map(row).collect(), next, total: (!query.is_uncounted).then_some(total) })
}

fn event_filter(query: &view::EventQuery) -> EventFilter {
    EventFilter {
        client: query.client,
        account: query.account.clone(),
        kind: query.kind,
        since: query.since,
        until: query.until,
        node: query.node.clone(),
        outcome: query.outcome.as_deref().and_then(|name| Became::ALL.iter().copied().find(|one| one.as_str() == name)),
    }
}

/// Events of a page, or as many as a moment's look finds, with where to look next. Who sees only some domains gets, of as
/// many as were looked through, those that are theirs.
pub(super) fn events(
    reader: &Reader,
    query: &view::EventQuery,
    sight: &Sight,
) -> Result<view::Listing<view::EventRow>, StoreError> {
    let filter = event_filter(query);
    // One look of so many, since most will be of others.
    let limit = if sight.is_everything() { query.limit } else { query.limit.max(OTHERS) };
    let found = reader.look(&filter, limit, query.before)?;
    let mut rows: Vec<view::EventRow> =
        found.events.into_iter().map(event_row).filter(|row| sight.event(&row.event)).collect();
    let mut before = found.before;
    if rows.len() > query.limit {
        rows.truncate(query.limit);
        before = rows.last().map(|row| row.seq);
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
        reader.look(&filter, EVENTS_OF_ACCOUNT, None)?.events.into_iter().map(event_row).collect();
    let devices = devices(&events);
    events.truncate(50);
    let blocks = reader.blocks_of_account(name, BLOCKS_OF_ACCOUNT)?;
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

/// The newest blocks in force, for an overview.
pub(super) fn newest(reader: &Reader, sight: &Sight) -> Result<Vec<view::BlockRow>, StoreError> {
    const SHOWN: usize = 8;
    let query = view::BlockQuery { limit: SHOWN, ..view::BlockQuery::default() };
    // Those of domains are few, and found by number.
    let browse = BlockBrowse { is_uncounted: sight.is_everything(), ..browse(&query, sight) };
    Ok(reader.browse_blocks(&browse)?.blocks.iter().map(row).collect())
}

/// Accounts with what is in force against each, where they are few.
pub(super) fn with_states(
    reader: &Reader,
    mut rows: Vec<view::AccountRow>,
) -> Result<Vec<view::AccountRow>, StoreError> {
    for row in &mut rows {
        let mut held = reader.blocks_of_account(&row.account, BLOCKS_OF_ACCOUNT)?;
        held.retain(is_standing);
        row.states = states_of(&held).remove(&row.account).unwrap_or_default();
    }
    Ok(rows)
}

/// How many blocks are in force, of those that are seen.
pub(super) fn counts(reader: &Reader, sight: &Sight) -> Result<StandingCounts, StoreError> {
    let Some(domains) = sight.domains() else { return reader.count_standing(now()) };
    let of = |kind| BlockBrowse {
        standing: Some((now(), true)),
        kind,
        domains: Some(domains.to_vec()),
        limit: 0,
        ..BlockBrowse::default()
    };
    Ok(StandingCounts {
        networks: 0,
        networks_by_hand: 0,
        accounts: reader.browse_blocks(&of(BlockKind::Account))?.total,
        sending: reader.browse_blocks(&of(BlockKind::Sending))?.total,
    })
}

/// How far the audit's chain of hashes was found to be as it was written. All of it is looked at anew in the background;
/// who asks waits only for what came since.
#[derive(Clone, Default)]
pub(crate) struct Chain(Arc<Mutex<AuditMark>>);

/// So often the whole chain is looked at.
const CHAIN_EVERY: Duration = Duration::from_secs(3600);
/// Entries that are looked at while somebody waits.
const CHAIN_STEP: usize = 20_000;

impl Chain {
    /// Begins to look, on a thread that ends with the program.
    pub(crate) fn start(reader: Reader) -> Chain {
        let chain = Chain::default();
        let (all, reader) = (chain.clone(), Arc::new(Mutex::new(reader)));
        tokio::spawn(async move {
            loop {
                let (all, reader) = (all.clone(), reader.clone());
                let looked = tokio::task::spawn_blocking(move || all.follow_whole(&held(&reader))).await;
                if let Ok(Err(error)) = looked {
                    tracing::warn!(%error, "the audit could not be looked at");
                }
                tokio::time::sleep(CHAIN_EVERY).await;
            }
        });
        chain
    }

    fn follow_whole(&self, reader: &Reader) -> Result<(), StoreError> {
        let mut mark = AuditMark::default();
        loop {
            let next = reader.verify_audit_after(&mark, CHAIN_STEP)?;
            let is_last = next == mark || next.broken_at.is_some();
            mark = next;
            let mut known = held(&self.0);
            if mark.broken_at.is_some() || mark.entries > known.entries {
                *known = mark.clone();
            }
            if is_last {
                if let Some(seq) = mark.broken_at {
                    tracing::error!(seq, "the audit is not what was written, from this entry on");
                }
                return Ok(());
            }
        }
    }

    /// Follows it on to its end, or for a moment.
    pub(super) fn follow(&self, reader: &Reader) -> Result<AuditMark, StoreError> {
        let before = held(&self.0).clone();
        let mark = reader.verify_audit_after(&before, CHAIN_STEP)?;
        let mut known = held(&self.0);
        if known.broken_at.is_none() && (mark.broken_at.is_some() || mark.entries > known.entries) {
            *known = mark;
        }
        Ok(known.clone())
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

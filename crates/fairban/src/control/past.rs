//! What the store knows of a subject.

use fairban_store::{Block, BlockFilter, BlockState, EventFilter, LoggedEvent, Reader, StoreError};
use fairban_types::{Action, Code, Decision, EventKind, Subject, single};
use ipnet::IpNet;

use super::answers::{account_of, listed};
use super::involved::{Around, around as around_subject};
use super::{Asked, Ended, Found, Listed, Seen, finding};
use crate::daemon::{now, seen};

/// How much of the past a `why` shows.
const HISTORY_MAX: usize = 10;
/// How many blocks, and how many of an account's events, are looked through.
const SEARCHED_MAX: usize = 10_000;

/// A subject's blocks and events.
pub(super) struct Past {
    pub(super) standing: Vec<Decision>,
    pub(super) history: Vec<Listed>,
    pub(super) related: Vec<Listed>,
    pub(super) findings: Vec<Found>,
    pub(super) around: Around,
    pub(super) events: Vec<Seen>,
}

/// Whether the block is in force.
pub(crate) fn is_standing(block: &Block) -> bool {
    let now = now();
    block.end.is_none() && block.decision.until.is_none_or(|until| until > now)
}

/// The block of a code, if it is over.
pub(super) fn asked(reader: &Reader, code: Code) -> Result<Option<Asked>, StoreError> {
    let Some(block) = reader.block(code)?.filter(|block| !is_standing(block)) else { return Ok(None) };
    let ended = block.end.as_ref().map(ended);
    Ok(Some(Asked { decision: with_evidence(reader, &block)?, ended }))
}

pub(super) fn ended(end: &fairban_store::End) -> Ended {
    Ended { how: end.how, time: end.time, by: end.by.clone() }
}

/// Everything that the store knows of the subject, and of the block that is over and was asked for.
pub(super) fn past(reader: &Reader, subject: &Subject, asked: Option<&Decision>) -> Result<Past, StoreError> {
    let (net, account) = match subject {
        Subject::Network(net) => (Some(*net), None),
        Subject::Account(account) => (None, Some(account.clone())),
        Subject::Pair(account, net) => (Some(*net), Some(account.clone())),
        Subject::Sending(sending) => (None, Some(account_of(sending).unwrap_or_default())),
    };
    let filter = EventFilter { client: net, account, ..EventFilter::default() };
    let (blocks, related) = match subject {
        Subject::Network(net) => (around(reader, *net)?, Vec::new()),
        Subject::Account(_) | Subject::Pair(..) | Subject::Sending(_) => of_account(reader, subject, &filter)?,
    };
    let (standing, over): (Vec<&Block>, Vec<&Block>) = blocks.iter().partition(|block| is_standing(block));
    let events = latest(reader, &filter)?;
    let standing: Vec<Decision> =
        standing.into_iter().map(|block| with_evidence(reader, block)).collect::<Result<_, _>>()?;
    let found = |decision: &Decision| {
        finding::of_decision(reader, decision, None).map(|finding| Found { code: decision.code, finding })
    };
    Ok(Past {
        findings: standing.iter().chain(asked).map(found).collect::<Result<_, _>>()?,
        around: around_subject(reader, subject, &filter)?,
        standing,
        history: over.into_iter().take(HISTORY_MAX).map(listed).collect(),
        related: related.iter().map(listed).collect(),
        events: events.iter().rev().map(|logged| seen(Some(logged.seq), &logged.stored)).collect(),
    })
}

/// The latest events; the latest failure and the latest success are among them, wherever they lie.
fn latest(reader: &Reader, filter: &EventFilter) -> Result<Vec<LoggedEvent>, StoreError> {
    let mut events = reader.events(filter, HISTORY_MAX, None)?;
    for kind in [EventKind::LoginFailed, EventKind::LoginSucceeded] {
        if !events.iter().any(|logged| logged.stored.event.kind == kind) {
            let of_kind = EventFilter { kind: Some(kind), ..filter.clone() };
            events.extend(reader.events(&of_kind, 1, None)?);
        }
    }
    events.sort_by_key(|logged| std::cmp::Reverse(logged.seq));
    Ok(events)
}

/// The blocks that hold or lie inside the network; not those that leave it alone.
fn around(reader: &Reader, net: IpNet) -> Result<Vec<Block>, StoreError> {
    let mut blocks = reader.overlapping(net, SEARCHED_MAX)?;
    blocks.retain(|block| !block.decision.holes.iter().any(|hole| hole.contains(&net)));
    Ok(blocks)
}

/// The account's (or pair's) own blocks, and those in force of the networks that it was tried from.
fn of_account(
    reader: &Reader,
    subject: &Subject,
    filter: &EventFilter,
) -> Result<(Vec<Block>, Vec<Block>), StoreError> {
    let own = BlockFilter { state: BlockState::All, subject: Some(subject.clone()), ..BlockFilter::default() };
    let mut own = reader.blocks(&own, SEARCHED_MAX, 0)?;
    let mut nets: Vec<IpNet> = subject.network().into_iter().collect();
    if let Subject::Pair(_, net) = subject {
        nets.push(*net);
    }
    nets.extend(reader.events(filter, SEARCHED_MAX, None)?.iter().map(|logged| single(logged.stored.event.client)));
    nets.sort_unstable();
    nets.dedup();
    let mut related: Vec<Block> = Vec::new();
    for net in nets {
        for block in around(reader, net)? {
            let is_known = |known: &Block| known.decision.code == block.decision.code;
            match &block.decision.subject {
                Subject::Network(_) if is_standing(&block) && !related.iter().any(is_known) => related.push(block),
                Subject::Pair(account, _) if is_of(subject, account) && !own.iter().any(is_known) => own.push(block),
                _ => {}
            }
        }
    }
    own.sort_by_key(|block| std::cmp::Reverse(block.start));
    Ok((own, related))
}

fn is_of(subject: &Subject, account: &str) -> bool {
    matches!(subject, Subject::Account(name) if name == account)
}

/// A block with the evidence that it began with, and everything else as it stands now.
pub(crate) fn with_evidence(reader: &Reader, block: &Block) -> Result<Decision, StoreError> {
    let story = reader.story(block.decision.code)?;
    let is_told = |decision: &&Decision| {
        decision.subject == block.decision.subject && matches!(decision.action, Action::Block | Action::Guard)
    };
    let mut decision = block.decision.clone();
    decision.time = block.start;
    // What prolongs a block or takes a hole out of it may come without evidence of its own.
    let with_events = story.iter().filter(is_told).rfind(|told| !told.events.is_empty());
    if let Some(told) = with_events {
        decision.events.clone_from(&told.events);
        (decision.score, decision.threshold) = (told.score, told.threshold);
        decision.diagnosis = told.diagnosis;
        decision.reason.clone_from(&told.reason);
    } else if let Some(first) = story.iter().find(is_told) {
        decision.diagnosis = first.diagnosis;
        decision.reason.clone_from(&first.reason);
    }
    Ok(decision)
}

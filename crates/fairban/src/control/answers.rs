//! Answers that are read from the store.

use fairban_store::{Block, BlockFilter, BlockState, EventFilter, Reader, StoreError};
use fairban_types::{Action, Code, Decision, EventKind, Subject};
use tokio::io::AsyncWriteExt;
use tokio::sync::broadcast::error::RecvError;

use super::server::{Shared, send};
use super::{Listed, Never, Reply, Request, Seen, Why};
use crate::daemon::{Told, now, seen};

/// The longest list that one answer holds.
const LIST_MAX: usize = 1_000_000;
/// How much of the past a `why` shows.
const HISTORY_MAX: usize = 10;

pub(super) async fn answer(shared: &Shared, request: Request, by: &str) -> anyhow::Result<Vec<Reply>> {
    Ok(match request {
        Request::Blocks { subject, all, limit } => {
            let limit = (limit as usize).min(LIST_MAX);
            let blocks = shared.read(move |reader| blocks(reader, subject.as_ref(), all, limit)).await?;
            blocks.into_iter().map(|block| Reply::Block(Box::new(block))).collect()
        }
        Request::NeverList => {
            let entries = shared.read(|reader| reader.never(now())).await?;
            entries.into_iter().map(|entry| Reply::Never(never(entry))).collect()
        }
        Request::Why { subject } => vec![why(shared, subject, by).await?],
        Request::Scores { .. } | Request::Events { .. } => vec![Reply::Wrong("not to be asked".to_owned())],
        wish => vec![shared.wish(wish, by).await],
    })
}

fn never(entry: fairban_store::NeverEntry) -> Never {
    Never { net: entry.net, reason: entry.reason, by: entry.by, added: Some(entry.added), until: entry.until }
}

fn listed(block: &Block) -> Listed {
    let decision = &block.decision;
    Listed {
        code: decision.code,
        action: decision.action,
        subject: decision.subject.clone(),
        rule: decision.origin.rule().to_owned(),
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
        ended: block.end.as_ref().map(|end| {
            let how = serde_json::to_value(end.how).ok().and_then(|how| how.as_str().map(str::to_owned));
            format!("{} at {} by {}", how.unwrap_or_default(), end.time, end.by)
        }),
    }
}

fn blocks(reader: &Reader, subject: Option<&Subject>, all: bool, limit: usize) -> Result<Vec<Listed>, StoreError> {
    let now = now();
    let is_standing = |block: &Block| block.end.is_none() && block.decision.until.is_none_or(|until| until > now);
    let blocks = match subject {
        Some(Subject::Network(net)) => reader.overlapping(*net, limit)?,
        _ => {
            let state = if all { BlockState::All } else { BlockState::Standing(now) };
            let filter = BlockFilter { state, subject: subject.cloned(), ..BlockFilter::default() };
            reader.blocks(&filter, limit, 0)?
        }
    };
    Ok(blocks.iter().filter(|block| all || is_standing(block)).map(listed).collect())
}

/// A block with the evidence that it began with, and everything else as it stands now.
fn with_evidence(reader: &Reader, block: &Block) -> Result<Decision, StoreError> {
    let story = reader.story(block.decision.code)?;
    let told = |decision: &&Decision| {
        decision.subject == block.decision.subject && matches!(decision.action, Action::Block | Action::Guard)
    };
    let first = story.iter().find(told);
    let mut decision = block.decision.clone();
    if let Some(first) = first {
        decision.time = block.start;
        if decision.events.is_empty() {
            decision.events.clone_from(&first.events);
            (decision.score, decision.threshold) = (first.score, first.threshold);
            decision.diagnosis = first.diagnosis;
            decision.reason.clone_from(&first.reason);
        }
    }
    Ok(decision)
}

struct Past {
    standing: Vec<Decision>,
    history: Vec<Listed>,
    never: Vec<Never>,
    events: Vec<Seen>,
}

fn past(reader: &Reader, subject: &Subject) -> Result<Past, StoreError> {
    let now = now();
    let blocks = match subject {
        Subject::Network(net) => reader.overlapping(*net, 1000)?,
        other => {
            let filter = BlockFilter { subject: Some(other.clone()), ..BlockFilter::default() };
            reader.blocks(&filter, 1000, 0)?
        }
    };
    let is_standing = |block: &&Block| block.end.is_none() && block.decision.until.is_none_or(|until| until > now);
    let standing: Vec<Decision> =
        blocks.iter().filter(is_standing).map(|block| with_evidence(reader, block)).collect::<Result<_, _>>()?;
    let over = blocks.iter().filter(|block| !is_standing(block)).map(listed).take(HISTORY_MAX).collect();
    let net = subject.network();
    let holds = |entry: &fairban_store::NeverEntry| net.is_some_and(|net| entry.net.contains(&net));
    let never = reader.never(now)?.into_iter().filter(holds).map(never).collect();
    let account = match subject {
        Subject::Account(account) | Subject::Pair(account, _) => Some(account.clone()),
        Subject::Network(_) => None,
    };
    let filter = EventFilter { client: net, account, ..EventFilter::default() };
    let events = reader.events(&filter, HISTORY_MAX, None)?;
    let events = events.iter().rev().map(|logged| seen(Some(logged.seq), &logged.stored)).collect();
    Ok(Past { standing, history: over, never, events })
}

async fn why(shared: &Shared, text: String, by: &str) -> anyhow::Result<Reply> {
    let code = text.parse::<Code>().ok();
    let by_code = match code {
        Some(code) => shared.read(move |reader| reader.decision(code)).await?,
        None => None,
    };
    let subject = match (by_code, text.parse::<Subject>()) {
        (Some(decision), _) => decision.subject,
        (None, Ok(subject)) => subject,
        (None, Err(error)) => return Ok(Reply::Wrong(format!("{error}, nor the code of a block"))),
    };
    let asked = subject.clone();
    let past = shared.read(move |reader| past(reader, &asked)).await?;
    let scores = match shared.wish(Request::Scores { subject: subject.clone() }, by).await {
        Reply::Scores(scores) => scores,
        _ => Vec::new(),
    };
    Ok(Reply::Why(Box::new(Why {
        subject: subject.to_string(),
        standing: past.standing,
        history: past.history,
        scores,
        never: past.never,
        events: past.events,
    })))
}

fn concerns(seen: &Seen, subject: Option<&Subject>, kind: Option<EventKind>) -> bool {
    let event = &seen.event;
    let account = |name: &str| event.account.as_deref().is_some_and(|account| account.trim().to_lowercase() == name);
    kind.is_none_or(|kind| kind == event.kind)
        && match subject {
            None => true,
            Some(Subject::Network(net)) => net.contains(&event.client.to_canonical()),
            Some(Subject::Account(name)) => account(name),
            Some(Subject::Pair(name, net)) => account(name) && net.contains(&event.client.to_canonical()),
        }
}

/// The event log, oldest of the asked first, and then what happens, if it is to be followed.
pub(super) async fn events(
    shared: &Shared,
    write: &mut (impl AsyncWriteExt + Unpin),
    subject: Option<Subject>,
    kind: Option<EventKind>,
    limit: u32,
    follow: bool,
) -> anyhow::Result<()> {
    let mut feed = shared.feed();
    let limit = (limit as usize).min(LIST_MAX);
    let (client, account) = match &subject {
        Some(Subject::Network(net)) => (Some(*net), None),
        Some(Subject::Account(name)) => (None, Some(name.clone())),
        Some(Subject::Pair(name, net)) => (Some(*net), Some(name.clone())),
        None => (None, None),
    };
    let filter = EventFilter { client, account, kind, ..EventFilter::default() };
    let mut last = 0;
    let past = shared.read(move |reader| reader.events(&filter, limit, None)).await?;
    for logged in past.iter().rev() {
        last = logged.seq;
        send(write, &Reply::Event(Box::new(seen(Some(logged.seq), &logged.stored)))).await?;
    }
    while follow {
        match feed.recv().await {
            Ok(Told::Event(event)) => {
                if event.seq.is_none_or(|seq| seq > last) && concerns(&event, subject.as_ref(), kind) {
                    send(write, &Reply::Event(Box::new((*event).clone()))).await?;
                }
            }
            Ok(Told::Decision(decision)) => {
                if subject.as_ref().is_none_or(|subject| *subject == decision.subject) {
                    send(write, &Reply::Decision(Box::new((*decision).clone()))).await?;
                }
            }
            // Who reads too slowly misses events; the log has them.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => break,
        }
    }
    send(write, &Reply::End).await
}

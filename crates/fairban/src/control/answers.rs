//! Answers that are read from the store.

use fairban_store::{Block, BlockFilter, BlockState, EventFilter, Reader, StoreError};
use fairban_types::{Code, Decision, EventKind, Sender, Sending, Subject};
use tokio::io::AsyncWriteExt;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::server::{Shared, send};
use super::{Listed, Reply, Request, Seen, Why, past};
use crate::daemon::{Told, now, seen};

/// The longest list that one answer holds.
const LIST_MAX: usize = 1_000_000;

pub(super) async fn answer(shared: &Shared, request: Request, by: &str) -> anyhow::Result<Vec<Reply>> {
    Ok(match request {
        Request::Blocks { subject, all, limit } => {
            let limit = (limit as usize).min(LIST_MAX);
            let blocks = shared.read(move |reader| blocks(reader, subject.as_ref(), all, limit)).await?;
            blocks.into_iter().map(|block| Reply::Block(Box::new(block))).collect()
        }
        Request::SendBlocks { all } => {
            let blocks = shared.read(move |reader| send_blocks(reader, all)).await?;
            blocks.into_iter().map(|block| Reply::Block(Box::new(block))).collect()
        }
        Request::NeverList => match shared.wish(Request::NeverList, by).await {
            Reply::NeverList(entries) => entries.into_iter().map(Reply::Never).collect(),
            other => vec![other],
        },
        Request::Why { subject } => vec![why(shared, subject, by).await?],
        Request::NotifyTest { name } => match &shared.notifier {
            Some(notifier) => notifier.test(name.as_deref()).await,
            None => vec![Reply::No("the daemon is just starting: try again".to_owned())],
        },
        Request::Access(wish) => match &shared.access {
            Some(access) => access.answer(wish, by).await,
            None => vec![Reply::No("the daemon is just starting: try again".to_owned())],
        },
        Request::Release { .. } | Request::Keep(_) | Request::Set { .. } | Request::Config => {
            vec![Reply::Wrong("not to be asked".to_owned())]
        }
        Request::Known { .. } | Request::LetOut { .. } | Request::Events { .. } => {
            vec![Reply::Wrong("not to be asked".to_owned())]
        }
        wish => vec![shared.wish(wish, by).await],
    })
}

/// A block as lists show it.
pub(crate) fn listed(block: &Block) -> Listed {
    let decision = &block.decision;
    Listed {
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
        ended: block.end.as_ref().map(past::ended),
    }
}

fn blocks(reader: &Reader, subject: Option<&Subject>, all: bool, limit: usize) -> Result<Vec<Listed>, StoreError> {
    let blocks = match subject {
        Some(Subject::Network(net)) => reader.overlapping(*net, LIST_MAX)?,
        _ => {
            let state = if all { BlockState::All } else { BlockState::Standing(now()) };
            let filter = BlockFilter { state, subject: subject.cloned(), ..BlockFilter::default() };
            reader.blocks(&filter, limit, 0)?
        }
    };
    Ok(blocks.iter().filter(|block| all || past::is_standing(block)).take(limit).map(listed).collect())
}

fn send_blocks(reader: &Reader, all: bool) -> Result<Vec<Listed>, StoreError> {
    let state = if all { BlockState::All } else { BlockState::Standing(now()) };
    let filter = BlockFilter { state, sending: true, ..BlockFilter::default() };
    Ok(reader.blocks(&filter, LIST_MAX, 0)?.iter().map(listed).collect())
}

async fn why(shared: &Shared, text: String, by: &str) -> anyhow::Result<Reply> {
    let code = text.parse::<Code>().ok();
    let by_code = match code {
        Some(code) => shared.read(move |reader| reader.decision(code)).await?,
        None => None,
    };
    let asked = match (&by_code, code) {
        (Some(_), Some(code)) => shared.read(move |reader| past::asked(reader, code)).await?,
        _ => None,
    };
    let subject = match (by_code, text.parse::<Subject>()) {
        (Some(decision), _) => decision.subject,
        (None, Ok(subject)) => subject,
        (None, Err(error)) => return Ok(Reply::Wrong(format!("{error}, nor the reference of a block"))),
    };
    let of = subject.clone();
    let over = asked.as_ref().map(|asked| asked.decision.clone());
    let past = shared.read(move |reader| past::past(reader, &of, over.as_ref())).await?;
    let known = match shared.wish(Request::Known { subject: subject.clone() }, by).await {
        Reply::Known(known) => *known,
        other => return Ok(other),
    };
    Ok(Reply::Why(Box::new(Why {
        subject: subject.to_string(),
        // The never-block list wins over what is wider.
        blocked: !past.standing.is_empty() && known.never.is_empty(),
        enforcing: known.enforcing,
        mail_servers_ask: known.mail_servers_ask,
        asked,
        standing: past.standing,
        history: past.history,
        related: past.related,
        findings: past.findings,
        suspicion: past.around.suspicion.clone(),
        polling: past.around.polling(known.courtesy),
        involved: past.around.involved,
        involved_others: past.around.others,
        familiar: past.around.places,
        scores: known.scores,
        never: known.never,
        events: past.events,
    })))
}

/// Which events are asked for.
pub(super) struct Asked {
    pub(super) subject: Option<Subject>,
    pub(super) kind: Option<EventKind>,
    pub(super) limit: u32,
    pub(super) follow: bool,
}

impl Asked {
    fn filter(&self) -> EventFilter {
        let (client, account) = match &self.subject {
            Some(Subject::Network(net)) => (Some(*net), None),
            Some(Subject::Account(name)) => (None, Some(name.clone())),
            Some(Subject::Pair(name, net)) => (Some(*net), Some(name.clone())),
            // No event is indexed by its return-path; what an account sent is.
            Some(Subject::Sending(sending)) => (None, Some(account_of(sending).unwrap_or_default())),
            None => (None, None),
        };
        EventFilter { client, account, kind: self.kind, ..EventFilter::default() }
    }

    fn holds_event(&self, seen: &Seen) -> bool {
        let event = &seen.event;
        let account =
            |name: &str| event.account.as_deref().is_some_and(|account| account.trim().to_lowercase() == name);
        self.kind.is_none_or(|kind| kind == event.kind)
            && match &self.subject {
                None => true,
                Some(Subject::Network(net)) => net.contains(&event.client.to_canonical()),
                Some(Subject::Account(name)) => account(name),
                Some(Subject::Pair(name, net)) => account(name) && net.contains(&event.client.to_canonical()),
                Some(Subject::Sending(sending)) => account_of(sending).is_some_and(|name| account(&name)),
            }
    }

    /// Who asks for one kind of event does not ask for decisions.
    fn holds_decision(&self, decision: &Decision) -> bool {
        self.kind.is_none()
            && match (&self.subject, &decision.subject) {
                (None, _) => true,
                (Some(Subject::Network(asked)), Subject::Network(net) | Subject::Pair(_, net)) => {
                    asked.contains(net) || net.contains(asked)
                }
                (Some(Subject::Account(asked)), Subject::Account(name) | Subject::Pair(name, _)) => asked == name,
                (Some(asked), decided) => asked == decided,
            }
    }
}

/// The account whose sending is meant, if that is known by the send block's own words.
pub(super) fn account_of(sending: &Sending) -> Option<String> {
    match &sending.sender {
        Sender::Account(name) | Sender::Address(name) => Some(name.clone()),
        Sender::Domain { .. } | Sender::Helo(_) => None,
    }
}

/// The event log, oldest of the asked first, and then what happens, if it is to be followed.
pub(super) async fn events(
    shared: &Shared,
    write: &mut (impl AsyncWriteExt + Unpin),
    asked: &Asked,
) -> anyhow::Result<()> {
    // Before the past is read, so that nothing is missed between the two.
    let feed = shared.feed();
    let (filter, limit) = (asked.filter(), (asked.limit as usize).min(LIST_MAX));
    let past = shared.read(move |reader| reader.events(&filter, limit, None)).await?;
    let mut last = 0;
    for logged in past.iter().rev() {
        last = logged.seq;
        send(write, &Reply::Event(Box::new(seen(Some(logged.seq), &logged.stored)))).await?;
    }
    if asked.follow {
        follow(feed, write, asked, last).await?;
    }
    send(write, &Reply::End).await
}

async fn follow(
    mut feed: Receiver<Told>,
    write: &mut (impl AsyncWriteExt + Unpin),
    asked: &Asked,
    last: i64,
) -> anyhow::Result<()> {
    loop {
        match feed.recv().await {
            Ok(Told::Event(event)) if event.seq.is_none_or(|seq| seq > last) && asked.holds_event(&event) => {
                send(write, &Reply::Event(Box::new((*event).clone()))).await?;
            }
            Ok(Told::Decision(decision)) if asked.holds_decision(&decision) => {
                send(write, &Reply::Decision(Box::new((*decision).clone()))).await?;
            }
            // Who reads too slowly misses events; the log has them.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

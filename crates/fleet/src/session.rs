//! Connecting, catching up, telling and hearing, until the connection breaks; then again.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use fairban_types::Time;
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, FromRedisValue as _, Value};
use tokio::sync::mpsc;

use crate::counting;
use crate::error::FleetError;
use crate::fact::Fact;
use crate::fleet::{Job, Shared, lock};
use crate::journal::InStep;
use crate::merge::RETENTION;
use crate::presence;
use crate::server::{Call, Link};
use crate::stamp::Rank;
use crate::status::{State, StreamPlace};

/// The shortest and the longest wait before another try to connect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long the server holds an answer back until there is something.
const BLOCK: Duration = Duration::from_secs(1);
/// Facts that are sent, or asked for, at once.
const FACTS_PER_ROUND: usize = 200;
/// Everything at the server is forgotten when nobody has been there for so long.
pub(crate) const EXPIRY: Duration = Duration::from_secs(90 * 86_400);
/// How often everything is compared, though nothing seems to be wrong.
const COMPARE_EVERY: Duration = Duration::from_secs(600);

/// Why a session ended without an error.
pub(crate) enum Ended {
    /// Something may have been missed.
    Compare,
}

/// Runs for as long as the program does.
pub(crate) async fn run(shared: Arc<Shared>, mut jobs: mpsc::Receiver<Job>) {
    let mut wait = BACKOFF.0;
    loop {
        let error = match session(&shared, &mut jobs).await {
            Ok(Ended::Compare) => {
                wait = BACKOFF.0;
                continue;
            }
            Err(error) => error,
        };
        *lock(&shared.link) = None;
        let was_connected = {
            let mut health = lock(&shared.health);
            let was_connected = health.state == State::Connected;
            let is_news = health.problem.as_deref() != Some(&error.to_string());
            if was_connected || is_news {
                tracing::warn!(server = shared.place, "going on without the fleet: {error}");
            }
            health.set(State::Alone, Some(error.to_string()));
            was_connected
        };
        wait = if was_connected { BACKOFF.0 } else { (wait * 2).min(BACKOFF.1) };
        // Nodes that lost the server together should not come back together.
        let share = RandomState::new().hash_one(wait) % 1000;
        tokio::time::sleep(wait / 2 + wait.mul_f64(share as f64 / 2000.0)).await;
    }
}

async fn session(shared: &Arc<Shared>, jobs: &mut mpsc::Receiver<Job>) -> Result<Ended, FleetError> {
    let server = match &shared.server {
        Ok(server) => server,
        Err(error) => return Err(FleetError::Server(error.to_string())),
    };
    let mut link = server.connect(Duration::ZERO).await?;
    let reader = server.connect(BLOCK * 2).await?;
    shared.scripts.load(&mut link).await?;
    let birth = presence::beat(shared, &mut link).await?;
    presence::look_for_eviction(shared, &mut link).await;
    if lock(&shared.health).state == State::Alone {
        lock(&shared.health).set(State::CatchingUp, None);
    }
    let from = lock(&shared.health).server_last;
    compare(shared, &mut link, &birth).await?;
    lock(&shared.health).begin_at(from);
    if lock(&shared.health).state != State::Connected {
        tracing::info!(server = shared.place, facts = lock(&shared.merge).len(), "in step with the fleet");
        lock(&shared.health).set(State::Connected, None);
    }
    *lock(&shared.link) = Some(link.clone());
    shared.to_take.notify_one();
    tokio::select! {
        ended = read(shared, reader, from) => ended,
        ended = publish(shared, link.clone()) => ended,
        ended = presence::keep(shared, link.clone(), &birth) => ended,
        ended = presence::report(shared, link.clone()) => ended,
        ended = counting::count(shared, link.clone(), jobs) => ended,
        () = tokio::time::sleep(COMPARE_EVERY) => Ok(Ended::Compare),
    }
}

/// Learns what the server knows better, and notes what it lacks.
async fn compare(shared: &Shared, link: &mut Link, birth: &str) -> Result<(), FleetError> {
    let server = ranks(shared, link).await?;
    let now = shared.now();
    let in_step = lock(&shared.journal).as_ref().map(|journal| journal.in_step.clone()).unwrap_or_default();
    let away = now.since(Time::from_millis(i64::try_from(in_step.millis).unwrap_or(i64::MAX)));
    let was_away = in_step.birth == birth && away > RETENTION / 2;
    let news = lock(&shared.merge).compare(&server, was_away.then_some(in_step.millis));
    for keys in news.chunks(FACTS_PER_ROUND) {
        let facts: Vec<Option<String>> =
            redis::cmd("HMGET").arg(&shared.keys.facts).arg(keys).query_async(link).await?;
        let ends: Vec<Option<f64>> = redis::cmd("ZMSCORE").arg(&shared.keys.ends).arg(keys).query_async(link).await?;
        let mut merge = lock(&shared.merge);
        for (fact, ends) in facts.into_iter().zip(ends) {
            let (Some(fact), Some(ends)) = (fact, ends) else { continue };
            match read_fact(fact.as_bytes(), ends as i64) {
                Some(fact) => drop(merge.absorb(fact, now)),
                None => tracing::warn!("a fact at the server cannot be read: is a node newer than this one?"),
            }
        }
    }
    let mut merge = lock(&shared.merge);
    merge.forget_ended(now);
    let mut journal = lock(&shared.journal);
    if let Some(journal) = journal.as_mut() {
        let in_step = InStep { birth: birth.to_owned(), millis: u64::try_from(now.millis()).unwrap_or(0) };
        // Facts that wait to be carried out come again with the next comparison.
        let done = if journal.is_stale(merge.len()) && !merge.has_changes() {
            journal.rewrite(merge.facts()).and_then(|()| journal.note(in_step))
        } else {
            journal.note(in_step)
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the fleet's journal cannot be written");
        }
    }
    Ok(())
}

async fn ranks(shared: &Shared, link: &mut Link) -> Result<HashMap<String, Rank>, FleetError> {
    let mut known = HashMap::new();
    let mut cursor = 0u64;
    loop {
        let (next, pairs): (u64, Vec<(String, String)>) =
            redis::cmd("HSCAN").arg(&shared.keys.ranks).arg(cursor).arg("COUNT").arg(2000).query_async(link).await?;
        known.extend(pairs.into_iter().filter_map(|(key, rank)| Some((key, rank.parse().ok()?))));
        cursor = next;
        if cursor == 0 {
            return Ok(known);
        }
    }
}

fn read_fact(text: &[u8], ends: i64) -> Option<Fact> {
    let fact: Fact = serde_json::from_slice(text).ok()?;
    Some(Fact { ends: Time::from_millis(ends), ..fact })
}

/// Hears what is decided elsewhere.
async fn read(shared: &Shared, mut link: Link, mut place: StreamPlace) -> Result<Ended, FleetError> {
    let options = StreamReadOptions::default().block(BLOCK.as_millis() as usize).count(512);
    loop {
        let reply: Option<StreamReadReply> =
            link.xread_options(&[&shared.keys.stream], &[place.to_string()], &options).await?;
        let entries = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        let now = shared.now();
        let mut is_news = false;
        {
            let mut merge = lock(&shared.merge);
            for entry in entries {
                place = entry.id.parse().unwrap_or(place);
                let ends = entry.map.get("e").and_then(|ends| i64::from_redis_value(ends.clone()).ok());
                let fact = match entry.map.get("v") {
                    Some(Value::BulkString(text)) => ends.and_then(|ends| read_fact(text, ends)),
                    _ => None,
                };
                match fact {
                    Some(fact) => is_news |= merge.absorb(fact, now),
                    None => tracing::warn!("a decision of the fleet cannot be read: is a node newer than this one?"),
                }
            }
            lock(&shared.health).has_read(place);
        }
        if is_news {
            warn_of_bursts(shared);
        }
        // Told even without news: who waits for this node wants to hear that it has come so far.
        shared.to_take.notify_one();
    }
}

fn warn_of_bursts(shared: &Shared) {
    let held = lock(&shared.merge).held_back();
    let mut health = lock(&shared.health);
    for (node, count) in held {
        if health.alarmed.insert(node.clone()) {
            tracing::error!(
                node,
                count,
                "a node blocks so many at once that its blocks are held back: see `fairban fleet status`"
            );
        }
    }
}

/// Tells what the server lacks.
async fn publish(shared: &Shared, mut link: Link) -> Result<Ended, FleetError> {
    loop {
        let facts = lock(&shared.merge).unsent(FACTS_PER_ROUND);
        if facts.is_empty() {
            shared.to_send.notified().await;
            continue;
        }
        let mut pipeline = redis::pipe();
        for (key, fact) in &facts {
            pipeline.add_command(publishing(shared, key, fact)?);
        }
        let places: Vec<String> = pipeline.query_async(&mut link).await?;
        for ((key, fact), place) in facts.iter().zip(places) {
            let place = place.parse().unwrap_or_default();
            {
                let mut health = lock(&shared.health);
                health.published = health.published.max(place);
            }
            lock(&shared.merge).sent(key, fact.rank, fact.ends);
        }
        shared.moved.notify_waiters();
    }
}

fn publishing(shared: &Shared, key: &str, fact: &Fact) -> Result<redis::Cmd, FleetError> {
    let keys = &shared.keys;
    let text = serde_json::to_string(fact).map_err(|error| FleetError::Server(error.to_string()))?;
    let keys = [&keys.facts, &keys.ranks, &keys.ends, &keys.stream].map(Clone::clone).to_vec();
    let arguments = vec![
        key.to_owned(),
        fact.rank.to_string(),
        fact.ends.millis().to_string(),
        text,
        shared.settings.stream_max.to_string(),
        EXPIRY.as_millis().to_string(),
    ];
    Ok(Call::new(&shared.scripts.publish, keys, arguments).short())
}

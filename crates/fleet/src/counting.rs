//! Failures counted together with those of other nodes, and who is familiar where.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use fairban_types::{Event, Time, single};
use redis::{RedisError, Value};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::error::FleetError;
use crate::fleet::{Failure, Heard, Job, Shared, lock};
use crate::server::{Call, Link, Window};
use crate::session::Ended;
use crate::stamp::node_number;

/// Jobs that are sent at once.
const JOBS_PER_ROUND: usize = 256;
/// Failures that the server keeps of a window.
const FAILURES_KEPT: usize = 96;
/// Networks of an account, or accounts of an address, that it keeps.
const FAMILIAR_KEPT: usize = 64;
/// Windows of which it is remembered how much was told.
const KNOWN_MAX: usize = 100_000;
/// How often it is asked who is familiar.
const ASK_EVERY: Duration = Duration::from_secs(600);

/// What this node was told of a window.
#[derive(Clone, Copy)]
struct Known {
    count: u64,
    asked: Instant,
}

/// One call of a script, with what its answer is about.
struct Asked {
    window: Window,
    id: String,
    asks: bool,
}

/// Counts what comes, for as long as the connection lasts.
pub(crate) async fn count(
    shared: &Shared,
    mut link: Link,
    jobs: &mut mpsc::Receiver<Job>,
) -> Result<Ended, FleetError> {
    let mut known: HashMap<Window, Known> = HashMap::new();
    let mut batch = Vec::new();
    let number = node_number(&shared.settings.node);
    let mut serial = 0u64;
    loop {
        batch.clear();
        if jobs.recv_many(&mut batch, JOBS_PER_ROUND).await == 0 {
            std::future::pending::<()>().await;
        }
        if known.len() > KNOWN_MAX {
            known.clear();
        }
        let mut asked = Vec::new();
        let mut calls = Vec::new();
        let mut others = redis::pipe();
        let mut homes = Vec::new();
        for job in batch.drain(..) {
            match job {
                Job::Count(failure) => {
                    serial += 1;
                    let id = id(&failure.event, number, shared.started, serial);
                    for window in windows(&failure) {
                        let (ask, call) = counting(shared, &failure, window, &id, &known);
                        asked.push(ask);
                        calls.push(call);
                    }
                }
                Job::Greet { account, client, home, at } => greet(shared, &mut others, &account, client, home, at),
                Job::Ask(home) => homes.push(home),
                Job::Spend(window) => {
                    others.cmd("UNLINK").arg(shared.keys.window(&window).0).ignore();
                }
            }
        }
        run_all(&mut link, others).await?;
        let answers = answers(&mut link, calls).await?;
        let mut heard = Heard::default();
        for home in homes {
            let (_, familiar) = shared.keys.window(&Window::Address(home));
            let known: Vec<(String, i64)> = redis::cmd("HGETALL").arg(familiar).query_async(&mut link).await?;
            let at = |millis| shared.shifted(Time::from_millis(millis), -1);
            heard.familiar.extend(known.into_iter().map(|(who, millis)| (who, home.addr(), at(millis))));
        }
        for (ask, answer) in asked.into_iter().zip(answers) {
            take(shared, ask, answer, &mut known, &mut heard);
        }
        heard.failures.sort_by_key(|(id, _)| *id);
        heard.failures.dedup_by_key(|(id, _)| *id);
        if !(heard.failures.is_empty() && heard.familiar.is_empty()) && shared.heard.try_send(heard).is_err() {
            shared.lost.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

fn windows(failure: &Failure) -> Vec<Window> {
    let mut windows = vec![Window::Address(failure.home)];
    if failure.event.kind.is_login_failure() {
        let account = failure.event.account.as_deref().map(|name| Window::Account(name.trim().to_lowercase()));
        windows.extend(account);
        windows.extend(failure.neighbourhood.map(Window::Neighbourhood));
    }
    windows
}

/// What makes a failure the same as another: the wrong credential, or the recipient; otherwise each is its own.
fn id(event: &Event<'_>, number: u64, started: Time, serial: u64) -> String {
    let account = event.account.as_deref().unwrap_or_default().trim().to_lowercase();
    let client = event.client.to_canonical();
    let same = match (&event.digest, &event.recipient) {
        (Some(digest), _) if event.kind.is_login_failure() => Some(digest.to_lowercase()),
        (_, Some(recipient)) if event.kind.as_str() == "recipient_unknown" => Some(recipient.to_lowercase()),
        _ => None,
    };
    match same {
        Some(same) => format!("s{:016x}", node_number(&format!("{client} {account} {same}"))),
        None => format!("{number:016x}{:x}.{serial:x}", started.millis()),
    }
}

fn counting<'s>(
    shared: &'s Shared,
    failure: &Failure,
    window: Window,
    id: &str,
    known: &HashMap<Window, Known>,
) -> (Asked, Call<'s>) {
    let (seen, familiar) = shared.keys.window(&window);
    let before = known.get(&window).copied();
    let asks = before.is_none_or(|known| known.asked.elapsed() > ASK_EVERY);
    let event = Event { time: shared.shifted(failure.event.time, 1), ..failure.event.clone() };
    let text = serde_json::to_string(&event).unwrap_or_default();
    let call = Call::new(
        &shared.scripts.count,
        vec![seen, familiar],
        vec![
            id.to_owned(),
            format!("{:016x}", node_number(&shared.settings.node)),
            text,
            shared.settings.count_for.as_millis().to_string(),
            FAILURES_KEPT.to_string(),
            before.map_or(0, |known| known.count).to_string(),
            u8::from(asks).to_string(),
        ],
    );
    (Asked { window, id: id.to_owned(), asks }, call)
}

fn greet(shared: &Shared, pipeline: &mut redis::Pipeline, account: &str, client: IpAddr, home: ipnet::IpNet, at: Time) {
    let at = shared.shifted(at, 1).millis().to_string();
    let by_account = (Window::Account(account.to_owned()), client.to_canonical().to_string());
    let by_address = (Window::Address(home), account.to_owned());
    for (window, who) in [by_account, by_address] {
        let (_, familiar) = shared.keys.window(&window);
        let expiry = shared.settings.familiar_for.as_millis().to_string();
        let arguments = vec![who, at.clone(), expiry, FAMILIAR_KEPT.to_string()];
        pipeline.add_command(Call::new(&shared.scripts.greet, vec![familiar], arguments).short()).ignore();
    }
}

/// Commands whose answers say nothing. In a cluster each goes to its own shard.
async fn run_all(link: &mut Link, pipeline: redis::Pipeline) -> Result<(), FleetError> {
    if pipeline.is_empty() {
        return Ok(());
    }
    match link {
        Link::One(_) => pipeline.query_async::<()>(link).await?,
        Link::Cluster(_) => {
            for command in pipeline.cmd_iter() {
                command.query_async::<Value>(link).await?;
            }
        }
    }
    Ok(())
}

async fn answers(link: &mut Link, calls: Vec<Call<'_>>) -> Result<Vec<Value>, FleetError> {
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    match link {
        Link::One(_) => {
            let mut pipeline = redis::pipe();
            for call in &calls {
                pipeline.add_command(call.short());
            }
            Ok(pipeline.query_async(link).await?)
        }
        Link::Cluster(_) => {
            let mut set = JoinSet::new();
            for (place, call) in calls.iter().enumerate() {
                let (mut link, command) = (link.clone(), call.short());
                set.spawn(async move { (place, command.query_async::<Value>(&mut link).await) });
            }
            let mut answers = vec![Value::Nil; calls.len()];
            while let Some(done) = set.join_next().await {
                let (place, answer): (usize, Result<Value, RedisError>) =
                    done.map_err(|error| FleetError::Server(error.to_string()))?;
                answers[place] = answer?;
            }
            Ok(answers)
        }
    }
}

/// The numbers of nodes whose word counts for themselves only.
fn limited(shared: &Shared) -> impl Iterator<Item = String> + '_ {
    shared.settings.trust.limited.iter().map(|name| format!("{:016x}", node_number(name)))
}

fn take(shared: &Shared, ask: Asked, answer: Value, known: &mut HashMap<Window, Known>, heard: &mut Heard) {
    let Ok((count, told, familiar)) = redis::from_redis_value::<(u64, Vec<String>, Vec<(String, i64)>)>(answer) else {
        return;
    };
    let asked =
        if ask.asks { Instant::now() } else { known.get(&ask.window).map_or_else(Instant::now, |known| known.asked) };
    known.insert(ask.window.clone(), Known { count, asked });
    lock(&shared.health).counted += 1;
    for told in told.chunks_exact(3) {
        let [id, node, failure] = told else { continue };
        if limited(shared).any(|number| number == *node) {
            continue;
        }
        let Ok(event) = serde_json::from_str::<Event<'static>>(failure) else { continue };
        let event = Event { time: shared.shifted(event.time, -1), ..event };
        debug_assert_ne!(*id, ask.id);
        heard.failures.push((node_number(id) | 1, event));
    }
    for (who, at) in familiar {
        let at = shared.shifted(Time::from_millis(at), -1);
        match &ask.window {
            Window::Address(home) => heard.familiar.push((who, home.addr(), at)),
            Window::Account(account) => {
                if let Ok(address) = who.parse::<IpAddr>() {
                    heard.familiar.push((account.clone(), single(address).addr(), at));
                }
            }
            Window::Neighbourhood(_) => {}
        }
    }
}

//! Who is there, how the server is, and how far each node has come.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fairban_types::Time;
use tokio::time::Instant;

use crate::error::FleetError;
use crate::fleet::{Confirmation, Shared, lock};
use crate::server::{Call, Link};
use crate::session::{EXPIRY, Ended};
use crate::status::{Presence, StreamPlace};

/// How often a node of a small fleet tells that it is there; in a large one, less often.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// With so many nodes, each takes twice as long, and so on.
const NODES_PER_BEAT: usize = 50;
/// A node that is silent for so long is taken off the list.
const SILENT_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Facts that the server keeps.
const FACTS_MAX: usize = 500_000;
/// How often it is asked who has come how far, at first, and at most.
const ASK_EVERY: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(25));

fn beat_every(nodes: usize) -> Duration {
    BEAT_EVERY * u32::try_from(nodes / NODES_PER_BEAT + 1).unwrap_or(1)
}

/// Tells that this node is there, and hears who else is. Answers with the birth mark of the server's data.
pub(crate) async fn beat(shared: &Shared, link: &mut Link) -> Result<String, FleetError> {
    let keys = &shared.keys;
    let (facts, unsent) = {
        let merge = lock(&shared.merge);
        (merge.len(), merge.unsent_len())
    };
    let presence = {
        let health = lock(&shared.health);
        Presence {
            version: shared.settings.version.clone(),
            started: shared.started,
            place: health.carried_out.to_string(),
            facts,
            unsent,
            every_ms: u64::try_from(beat_every(health.nodes.len()).as_millis()).unwrap_or(u64::MAX),
            limited: shared.settings.trust.limited.iter().cloned().collect(),
            takes_values: shared.settings.takes_values,
        }
    };
    let state = serde_json::to_string(&presence).map_err(|error| FleetError::Server(error.to_string()))?;
    let mark = format!("{:016x}{:016x}", crate::stamp::node_number(&shared.settings.node), shared.now().millis());
    let names = [&keys.nodes, &keys.birth, &keys.stream, &keys.facts, &keys.ranks, &keys.ends, &keys.places];
    let arguments = vec![
        shared.settings.node.clone(),
        state,
        mark,
        EXPIRY.as_millis().to_string(),
        FACTS_MAX.to_string(),
        SILENT_MAX.as_millis().to_string(),
    ];
    let asked = (Time::from(std::time::SystemTime::now()), Instant::now());
    let call = Call::new(&shared.scripts.beat, names.map(Clone::clone).to_vec(), arguments);
    let (time, birth, last, nodes, facts): (String, String, String, Vec<String>, u64) = call.run(link).await?;
    let round = asked.1.elapsed();
    let time = Time::from_millis(time.parse().unwrap_or_default());
    // What took long says little about the server's clock.
    if round < Duration::from_millis(500) || shared.ahead.load(Ordering::Relaxed) == 0 {
        let here = asked.0.after(round / 2);
        shared.ahead.store(time.millis() - here.millis(), Ordering::Relaxed);
    }
    note(shared, time, &last, &nodes);
    lock(&shared.health).server_facts = facts;
    Ok(birth)
}

fn note(shared: &Shared, time: Time, last: &str, nodes: &[String]) {
    let mut known = BTreeMap::new();
    for pair in nodes.chunks_exact(2) {
        let (name, told) = (&pair[0], &pair[1]);
        let Some((seen, presence)) = told.split_once(' ') else { continue };
        let (Ok(seen), Ok(presence)) = (seen.parse(), serde_json::from_str::<Presence>(presence)) else { continue };
        known.insert(name.clone(), (Time::from_millis(seen), presence));
    }
    let mut health = lock(&shared.health);
    let twin = known.get(&shared.settings.node).map(|(_, presence)| presence.started);
    if twin.is_some_and(|started| started > shared.started)
        && health.warnings.iter().all(|said| !said.contains("same name"))
    {
        health.warnings.push(format!(
            "another node tells that it is {}: no two nodes may have the same name, see [node] name",
            shared.settings.node
        ));
    }
    health.server_time = time;
    health.server_last = last.parse().unwrap_or_default();
    health.nodes = known;
}

/// Goes on telling that this node is there, and looks whether the data are still the same.
pub(crate) async fn keep(shared: &Shared, mut link: Link, birth: &str) -> Result<Ended, FleetError> {
    loop {
        let (nodes, facts) = {
            let health = lock(&shared.health);
            (health.nodes.len(), health.server_facts)
        };
        tokio::time::sleep(beat_every(nodes)).await;
        let now = beat(shared, &mut link).await?;
        let has_lost = {
            let health = lock(&shared.health);
            health.server_last < health.read || health.server_facts == 0 && facts > 0
        };
        if now != birth || has_lost {
            tracing::warn!("the server has lost something: comparing everything");
            return Ok(Ended::Compare);
        }
    }
}

/// Tells how far this node has come, when it has carried something out.
pub(crate) async fn report(shared: &Shared, mut link: Link) -> Result<Ended, FleetError> {
    let mut told = StreamPlace::default();
    loop {
        let place = lock(&shared.health).carried_out;
        if place > told {
            told = place;
            let _: redis::Value = redis::cmd("HSET")
                .arg(&shared.keys.places)
                .arg(&shared.settings.node)
                .arg(place.to_string())
                .query_async(&mut link)
                .await?;
        }
        shared.carried.notified().await;
    }
}

/// Which nodes have come as far as a place, asked until all that are there have, or the time is over.
pub(crate) async fn reached(shared: &Shared, place: StreamPlace, deadline: Instant) -> Confirmation {
    let own = &shared.settings.node;
    let mut wait = ASK_EVERY.0;
    let mut known = Confirmation::default();
    // Who came since the last beat counts too.
    let link = lock(&shared.link).clone();
    if let Some(mut link) = link
        && let Err(error) = beat(shared, &mut link).await
    {
        tracing::debug!(%error, "who is there is known from the last beat only");
    }
    loop {
        let link = lock(&shared.link).clone();
        let places: Option<Vec<(String, String)>> = match link {
            Some(mut link) => redis::cmd("HGETALL").arg(&shared.keys.places).query_async(&mut link).await.ok(),
            None => None,
        };
        let places: BTreeMap<String, String> = places.unwrap_or_default().into_iter().collect();
        let has_come = |name: &String| {
            let told = places.get(name).and_then(|told| told.parse::<StreamPlace>().ok());
            name == own || told.is_some_and(|told| told >= place)
        };
        let live: Vec<String> = lock(&shared.health).live().cloned().collect();
        (known.reached, known.unreached) = live.into_iter().partition(has_come);
        if known.unreached.is_empty() || Instant::now() + wait >= deadline {
            return known;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(ASK_EVERY.1);
    }
}

/// Says whether the server may forget what it should keep. Who may not ask is told nothing.
pub(crate) async fn look_for_eviction(shared: &Shared, link: &mut Link) {
    let info: Result<String, _> = redis::cmd("INFO").arg("memory").query_async(link).await;
    let policy = info.ok().and_then(|info| {
        let value =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
        let is_bounded = value("maxmemory:").is_some_and(|bytes| bytes != "0");
        value("maxmemory_policy:").filter(|_| is_bounded)
    });
    let mut health = lock(&shared.health);
    health.warnings.retain(|said| !said.contains("maxmemory-policy"));
    if let Some(policy) = policy.filter(|policy| policy != "noeviction") {
        health.warnings.push(format!(
            "the server's maxmemory-policy is {policy}: short of memory, it forgets decisions, which nodes then tell it \
             again; set it to noeviction"
        ));
    }
}

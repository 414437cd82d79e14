//! What an earlier run knew, back into the engine.

use std::net::IpAddr;
use std::time::Duration;

use fairban_engine::{Engine, Familiarity, Offence, Recalled};
use fairban_store::{Outcome, RecallItem, Store, StoreError};
use fairban_types::{Decision, Time, single};
use ipnet::IpNet;

/// Every network that this machine itself is in the never-block list for: loopback and its own addresses.
pub(crate) fn own_networks() -> Vec<IpNet> {
    let mut own: Vec<IpNet> = ["127.0.0.0/8", "::1/128"].iter().filter_map(|net| net.parse().ok()).collect();
    let addresses = nix::ifaddrs::getifaddrs().into_iter().flatten().filter_map(|interface| interface.address);
    for address in addresses {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        own.extend(v4.or(v6).map(single));
    }
    own.sort_unstable();
    own.dedup();
    own
}

/// Fills the engine from the store; returns the blocks in force.
pub(crate) fn restore(engine: &mut Engine, store: &Store, now: Time) -> Result<Vec<Decision>, StoreError> {
    let familiar = engine.policy().familiar;
    store.familiar(|known| {
        if now.since(known.last) <= familiar.forget {
            let known_as = Familiarity { first: known.first, last: known.last, successes: known.successes };
            engine.restore_familiar(&known.account, known.net.addr(), known_as);
        }
    })?;
    store.habits(|known| match known.habit.parse() {
        Ok(habit) => engine.restore_habit(&known.account, habit),
        Err(error) => tracing::warn!(%error, account = known.account, "what an account usually sends is learned anew"),
    })?;
    for offence in store.offences()? {
        engine.restore_offence(&offence.subject, Offence { count: offence.count, last: offence.last });
    }
    store.recall(now.before(longest_look_back(engine)), |item| match item {
        RecallItem::Event { stored, .. } => {
            engine.recall_event(&stored.event, recalled(stored.outcome));
        }
        RecallItem::Decision { decision, .. } => engine.recall_decision(&decision),
    })?;
    let mut standing = store.standing(now)?;
    for decision in &mut standing {
        // What may be renewed is renewed with its receipt; these are few.
        if !decision.in_kernel
            && let Some(with_evidence) = store.decision(decision.code)?
            && with_evidence.subject == decision.subject
        {
            *decision = with_evidence;
        }
        engine.restore_standing(decision);
    }
    Ok(standing)
}

fn recalled(outcome: Outcome) -> Recalled {
    match outcome {
        Outcome::Counted | Outcome::Repeated => Recalled::Counted,
        Outcome::Spared => Recalled::Spared,
        Outcome::Stopped => Recalled::Stopped,
        Outcome::Noted => Recalled::Noted,
    }
}

fn longest_look_back(engine: &Engine) -> Duration {
    let policy = engine.policy();
    let rules = policy.rules.iter().map(|rule| rule.period);
    let guard = policy.guard.iter().map(|guard| guard.period);
    let widen = policy.widen.iter().map(|widen| widen.period);
    // A day's recipients are counted as well as the period's.
    let outbound = policy.outbound.iter().map(|outbound| outbound.period.max(Duration::from_secs(86_400)));
    rules.chain(guard).chain(widen).chain(outbound).max().unwrap_or_default()
}

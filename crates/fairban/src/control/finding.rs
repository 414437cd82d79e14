//! What lies behind evidence, with what the store knows beside it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use fairban_engine::{Background, Elsewhere, Familiarity, diagnose, diagnose_decision};
use fairban_store::{Familiar, Reader, StoreError};
use fairban_types::{Decision, Evidence, Finding, network_of, single};

/// Somebody who has proved to own an account, and where they are now.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// The account, in every way in which it may be written.
    pub(crate) names: Vec<String>,
    pub(crate) client: IpAddr,
}

/// What lies behind a decision, with its evidence.
pub(crate) fn of_decision(reader: &Reader, decision: &Decision, proof: Option<&Proof>) -> Result<Finding, StoreError> {
    Ok(diagnose_decision(decision, &background(reader, &decision.events, proof)?))
}

/// What lies behind evidence that has led to no decision.
pub(crate) fn of_evidence(reader: &Reader, evidence: &[Evidence]) -> Result<Finding, StoreError> {
    Ok(diagnose(evidence, &background(reader, evidence, None)?))
}

fn background(reader: &Reader, evidence: &[Evidence], proof: Option<&Proof>) -> Result<Background, StoreError> {
    let names = evidence.iter().filter_map(|piece| piece.event.account.as_deref());
    let accounts: BTreeSet<String> = names.map(|name| name.trim().to_lowercase()).collect();
    let clients: BTreeSet<IpAddr> = evidence.iter().map(|piece| piece.event.client.to_canonical()).collect();
    let begun = evidence.iter().map(Evidence::first_seen).min();
    let is_here = |known: &Familiar| clients.iter().any(|client| known.net.contains(client));
    let mut background = Background::default();
    let mut all = accounts.iter();
    if let (Some(account), None) = (all.next(), all.next()) {
        let mut places = reader.familiar_of(account)?;
        // What came after is no sign of what was before: who guessed right signs in too.
        let is_used = !places.is_empty();
        places.retain(|known| begun.is_none_or(|begun| known.first <= begun));
        let (here, elsewhere): (Vec<_>, Vec<_>) = places.into_iter().partition(is_here);
        background.here = here.into_iter().max_by_key(|known| known.last).map(|known| Familiarity {
            first: known.first,
            last: known.last,
            successes: known.successes,
        });
        background.elsewhere = match elsewhere.iter().map(|known| known.last).max() {
            Some(until) => Elsewhere::Until(until),
            None if is_used => Elsewhere::NotKnown,
            None => Elsewhere::Never,
        };
        background.owner_is_here = proof.is_some_and(|proof| {
            let place = network_of(proof.client, 24, 56);
            proof.names.iter().any(|name| name == account)
                && clients.iter().any(|client| place.contains(&single(*client)))
        });
    }
    if accounts.is_empty() {
        let mut here = BTreeSet::new();
        reader.familiar(|known| {
            if is_here(&known) {
                here.insert(known.account);
            }
        })?;
        background.accounts_here = u32::try_from(here.len()).unwrap_or(u32::MAX);
    }
    Ok(background)
}

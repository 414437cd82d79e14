//! Whether all nodes, their kernels and Valkey say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use fairban_fleet::{Merge, Trust};
use fairban_types::{Subject, Time};

use crate::lab::guard::{Fairban, in_kernel};
use crate::lab::net::Net;
use crate::lab::node::Node;
use crate::lab::valkey::Valkey;
use crate::process::wait_for;

/// So long may a fleet take to agree after whatever it was.
const LIMIT: Duration = Duration::from_secs(30);

/// A node, with or without a mail server.
#[derive(Clone, Copy)]
pub(super) struct Member<'n> {
    pub(super) fairban: &'n Fairban,
    pub(super) net: &'n Net,
    pub(super) name: &'n str,
}

impl<'n> From<&'n Node> for Member<'n> {
    fn from(node: &'n Node) -> Self {
        Member { fairban: &node.fairban, net: &node.net, name: &node.name }
    }
}

/// The blocks of a node, with what must be the same on all: reference and offence.
type Blocks = BTreeMap<String, (String, u64)>;

/// Waits until every node has exactly these blocks in force, all with the same receipts, in the list and in the kernel,
/// and the facts at Valkey come to the same.
pub(super) fn until_agreed(valkey: &Valkey, members: &[Member<'_>], subjects: &[&str]) -> Result<()> {
    until_agreed_by(valkey, 0, members, subjects)
}

/// By the word of the server of this number.
pub(super) fn until_agreed_by(valkey: &Valkey, server: usize, members: &[Member<'_>], subjects: &[&str]) -> Result<()> {
    let wanted: BTreeSet<&str> = subjects.iter().copied().collect();
    let mut said = String::new();
    wait_for("all nodes, kernels and Valkey to agree", LIMIT, || {
        said = difference(valkey, server, members, &wanted)?;
        Ok(said.is_empty().then_some(()))
    })
    .with_context(|| said.clone())
}

/// What is not as it should be; empty: nothing.
fn difference(valkey: &Valkey, server: usize, members: &[Member<'_>], wanted: &BTreeSet<&str>) -> Result<String> {
    let mut first: Option<Blocks> = None;
    for member in members {
        let name = member.name;
        let blocks = blocks(member.fairban)?;
        let listed: BTreeSet<&str> = blocks.keys().map(String::as_str).collect();
        if listed != *wanted {
            return Ok(format!("{name} lists {listed:?} and not {wanted:?}"));
        }
        let known = first.get_or_insert_with(|| blocks.clone());
        if *known != blocks {
            return Ok(format!("{name} has {blocks:?} where the first node has {known:?}"));
        }
        // Accounts and senders are in no kernel.
        let is_network = |subject: &&&str| matches!(subject.parse(), Ok(Subject::Network(_)));
        let dropped: BTreeSet<String> = wanted.iter().filter(is_network).map(|subject| (*subject).to_owned()).collect();
        let spared = spared(member.fairban)?;
        let is_blocked = |one: &String| !is_own(one) && !spared.contains(one);
        let kernel: BTreeSet<String> = in_kernel(member.net)?.into_iter().filter(is_blocked).collect();
        if kernel != dropped {
            return Ok(format!("the kernel of {name} has {kernel:?} and not {dropped:?}"));
        }
    }
    let facts = valkey.facts(server)?;
    for member in members {
        let status = member.fairban.ask(&["fleet", "status", "--json"])?;
        let status: serde_json::Value = serde_json::from_str(&status.text).context("no JSON of the fleet")?;
        let (state, known, unsent) = (&status["state"], &status["facts"], &status["unsent"]);
        if state != "connected" || *known != facts.len() || *unsent != 0 {
            let at_server = facts.len();
            let name = member.name;
            return Ok(format!("{name} is {state} with {known} facts, {unsent} untold; the server has {at_server}"));
        }
    }
    let at_server = in_force(facts);
    let codes: BTreeMap<String, String> =
        first.unwrap_or_default().into_iter().map(|(subject, (code, _))| (subject, code)).collect();
    if at_server != codes {
        return Ok(format!("by the facts at Valkey {at_server:?} are in force and not {codes:?}"));
    }
    Ok(String::new())
}

/// What the facts come to, for who knows nothing else.
fn in_force(facts: Vec<fairban_fleet::Fact>) -> BTreeMap<String, String> {
    let now = Time::from(SystemTime::now());
    let mut judge = Merge::new("judge", Trust::default());
    for fact in facts {
        judge.absorb(fact, now);
    }
    let in_force = judge.in_force(now).into_iter();
    in_force.map(|found| (found.decision.subject.to_string(), found.decision.code.to_string())).collect()
}

pub(super) fn blocks(fairban: &Fairban) -> Result<Blocks> {
    let block = |block: &serde_json::Value| {
        let text = |key: &str| block[key].as_str().map(str::to_owned);
        Some((text("subject")?, (text("code")?, block["offence"].as_u64().unwrap_or(0))))
    };
    let blocks = fairban.list(&["blocks"])?;
    blocks.iter().map(|one| block(one).with_context(|| format!("no block: {one}"))).collect()
}

/// The never-block list, which is in the kernel too.
fn spared(fairban: &Fairban) -> Result<BTreeSet<String>> {
    let list = fairban.list(&["never", "list"])?;
    let subject = |entry: &serde_json::Value| entry["net"].as_str()?.parse::<Subject>().ok();
    Ok(list.iter().filter_map(subject).map(|subject| subject.to_string()).collect())
}

/// Each machine has addresses of its own on that list.
fn is_own(element: &str) -> bool {
    ["10.98.", "10.99.", "127.", "::1", "fd99:", "fe80:"].iter().any(|prefix| element.starts_with(prefix))
}

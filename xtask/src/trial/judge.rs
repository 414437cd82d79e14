//! Which lines the decisions of a replay would have stopped.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use anyhow::Result;
use fairban_simulator::{Deed, Label};
use fairban_types::{Action, Subject, Time, network_of};
use ipnet::IpNet;
use serde::Deserialize;

/// One object of `replay --json`, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Decided {
    time: Time,
    action: Action,
    subject: Subject,
    #[serde(default)]
    until: Option<Time>,
    #[serde(default)]
    spares_familiar: bool,
    #[serde(default)]
    holes: Vec<IpNet>,
    #[serde(default)]
    effect: Option<String>,
    #[serde(default)]
    rule: Option<String>,
    #[serde(default)]
    events: Vec<Cause>,
}

#[derive(Debug, Deserialize)]
struct Cause {
    time: Time,
    client: IpAddr,
}

/// A block or guard in force.
#[derive(Clone, Debug)]
struct Standing {
    until: Option<Time>,
    spares_familiar: bool,
    holes: Vec<IpNet>,
    words: String,
}

/// How narrowly a familiar network is understood. Whoever asks for fairness is judged by the narrow reading, whoever
/// asks for safety by the wide one.
#[derive(Clone, Copy, Debug)]
enum Reading {
    /// The address itself (IPv6: its /64), for the account as typed.
    Narrow,
    /// Its /24 or /56, for the account whatever its spelling.
    Wide,
}

impl Reading {
    fn pair(self, label: &Label) -> (String, IpNet) {
        match self {
            Reading::Narrow => (label.typed.to_lowercase(), network_of(label.address, 32, 64)),
            Reading::Wide => (label.account.to_lowercase(), network_of(label.address, 24, 56)),
        }
    }
}

/// For each label, what stopped it, if anything did.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// By the narrow reading: for harm.
    pub(super) narrow: Vec<Option<String>>,
    /// By the wide reading: for guesses.
    pub(super) wide: Vec<Option<String>>,
    /// How many blocks and guards began.
    pub(super) decisions: u64,
}

/// Collects a replay's decisions, then judges lines by them.
#[derive(Debug)]
pub(super) struct Judge {
    asking: bool,
    decisions: Vec<Decided>,
}

impl Judge {
    /// `asking`: whether mail servers ask before a sign-in.
    pub(super) fn new(asking: bool) -> Self {
        Judge { asking, decisions: Vec::new() }
    }

    /// Takes one line of `replay --json`; the summary and empty lines are passed over.
    pub(super) fn read(&mut self, line: &str) -> Result<()> {
        if line.trim().is_empty() || line.starts_with(r#"{"summary""#) {
            return Ok(());
        }
        self.decisions.push(serde_json::from_str(line)?);
        Ok(())
    }

    /// What the decisions stop of these lines.
    pub(super) fn judge(&self, labels: &[Label]) -> Verdicts {
        let begun = |decided: &&Decided| matches!(decided.action, Action::Block | Action::Guard);
        let decisions = self.decisions.iter().filter(begun).count() as u64;
        Verdicts { narrow: self.walk(labels, Reading::Narrow), wide: self.walk(labels, Reading::Wide), decisions }
    }

    fn walk(&self, labels: &[Label], reading: Reading) -> Vec<Option<String>> {
        let mut due: VecDeque<(Due, &Decided)> = self.due(labels).into();
        let mut standing = InForce::default();
        let mut familiar: BTreeSet<(String, IpNet)> = BTreeSet::new();
        let mut stopped = Vec::with_capacity(labels.len());
        for (index, label) in labels.iter().enumerate() {
            while let Some((when, decided)) = due.front()
                && when.is_over(index, label.time)
            {
                standing.apply(decided);
                due.pop_front();
            }
            let pair = reading.pair(label);
            let is_familiar = label.deed == Deed::SignIn && familiar.contains(&pair);
            // Nobody can hold a pair back where mail servers do not ask; for harm it counts all the same.
            let pairs_hold = self.asking || matches!(reading, Reading::Narrow);
            let by = standing.stops(label, self.asking, pairs_hold, is_familiar);
            if by.is_none() && label.right {
                familiar.insert(pair);
            }
            stopped.push(by);
        }
        stopped
    }

    /// When each decision begins to work: after the label that caused it, if its evidence tells which that is, else
    /// after its time.
    fn due(&self, labels: &[Label]) -> Vec<(Due, &Decided)> {
        let mut last_at: HashMap<(Time, IpAddr), usize> = HashMap::new();
        for (index, label) in labels.iter().enumerate() {
            last_at.insert((label.time, label.address), index);
        }
        self.decisions
            .iter()
            .map(|decided| {
                let cause = decided.events.last().filter(|cause| cause.time == decided.time);
                let index = cause.and_then(|cause| last_at.get(&(cause.time, cause.client)));
                (Due { time: decided.time, label: index.copied() }, decided)
            })
            .collect()
    }
}

#[derive(Debug)]
struct Due {
    time: Time,
    label: Option<usize>,
}

impl Due {
    fn is_over(&self, index: usize, time: Time) -> bool {
        self.label.map_or(time > self.time, |cause| index > cause) || time > self.time
    }
}

/// What is in force at one moment.
#[derive(Debug, Default)]
struct InForce {
    networks: HashMap<IpNet, Standing>,
    lengths: BTreeSet<(bool, u8)>,
    accounts: HashMap<String, Standing>,
    pairs: HashMap<String, Vec<(IpNet, Standing)>>,
}

impl InForce {
    fn apply(&mut self, decided: &Decided) {
        if decided.effect.as_deref() == Some("observe") {
            return;
        }
        let rule = decided.rule.as_deref().unwrap_or("?");
        let begins = matches!(decided.action, Action::Block | Action::Guard);
        let standing = begins.then(|| Standing {
            until: decided.until,
            spares_familiar: decided.spares_familiar,
            holes: decided.holes.clone(),
            words: format!("{} {} by {rule} since {}", decided.action.as_str(), decided.subject, decided.time),
        });
        match (&decided.subject, standing) {
            (Subject::Network(net), Some(standing)) => {
                self.lengths.insert((net.addr().is_ipv4(), net.prefix_len()));
                self.networks.insert(*net, standing);
            }
            (Subject::Network(net), None) => drop(self.networks.remove(net)),
            (Subject::Account(account), Some(standing)) => drop(self.accounts.insert(account.clone(), standing)),
            (Subject::Account(account), None) => drop(self.accounts.remove(account)),
            (Subject::Pair(account, net), standing) => {
                let pairs = self.pairs.entry(account.clone()).or_default();
                pairs.retain(|(other, _)| other != net);
                pairs.extend(standing.map(|standing| (*net, standing)));
            }
            // Nobody's sending is tried.
            (Subject::Sending(_), _) => {}
        }
    }

    /// What stops the line, if anything.
    fn stops(&self, label: &Label, asking: bool, pairs_hold: bool, is_familiar: bool) -> Option<String> {
        let in_force = |standing: &&Standing| standing.until.is_none_or(|until| label.time < until);
        let spared = |standing: &Standing| asking && standing.spares_familiar && is_familiar;
        let by_network = self.lengths.iter().find_map(|(ipv4, length)| {
            if *ipv4 != label.address.is_ipv4() {
                return None;
            }
            let standing = self.networks.get(&network_of(label.address, *length, *length)).filter(in_force)?;
            let in_hole = standing.holes.iter().any(|hole| hole.contains(&label.address));
            (!in_hole && !spared(standing)).then_some(standing)
        });
        if label.deed != Deed::SignIn {
            return by_network.map(|standing| standing.words.clone());
        }
        let account = label.typed.to_lowercase();
        let by_account = || self.accounts.get(&account).filter(in_force).filter(|_| asking && !is_familiar);
        let by_pair = || {
            let pairs = self.pairs.get(&account).filter(|_| pairs_hold)?.iter();
            pairs.filter(|(net, _)| net.contains(&label.address)).map(|(_, standing)| standing).find(in_force)
        };
        by_network.or_else(by_account).or_else(by_pair).map(|standing| standing.words.clone())
    }
}

#[cfg(test)]
mod tests;

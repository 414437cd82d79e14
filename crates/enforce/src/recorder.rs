use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;

use crate::element::{canonical, parent};
use crate::{Change, Difference, Dropped, Element, EnforceError, Enforcer, Felt};

/// Keeps in memory what [`Nftables`](crate::Nftables) keeps in the kernel, and answers what is blocked. Time stands
/// still until it is [advanced](Recorder::advance). Clones share what they hold, so that one can be given away and the
/// other one asked. It remembers every change, so it is for tests and not for a long life.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    now: Duration,
    /// When each network's block ends, `None` being never, and how it is felt.
    blocked: HashMap<IpNet, (Option<Duration>, Felt)>,
    never: HashSet<IpNet>,
    applied: Vec<Change>,
    failure: Option<EnforceError>,
    is_out_of_step: bool,
}

/// Ends that differ by less are the same.
const TOLERANCE: Duration = Duration::from_secs(2);

impl Recorder {
    /// With nothing blocked.
    pub fn new() -> Self {
        Recorder::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.now = state.now.saturating_add(by);
    }

    /// Whether the address is blocked now, whichever way it is felt.
    pub fn is_blocked(&self, address: IpAddr) -> bool {
        self.felt(address).is_some()
    }

    /// How a new connection of the address to a mail port would be met now; `None`: as everyone's.
    pub fn felt(&self, address: IpAddr) -> Option<Felt> {
        let state = self.state();
        let around = || std::iter::successors(Some(IpNet::from(address.to_canonical())), parent);
        if around().any(|net| state.never.contains(&net)) {
            return None;
        }
        around().filter_map(|net| state.felt(&net)).max()
    }

    /// Every change that was applied, in order.
    pub fn applied(&self) -> Vec<Change> {
        self.state().applied.clone()
    }

    /// Makes the next call fail, as if the kernel had.
    pub fn fail_next(&self, failure: EnforceError) {
        self.state().failure = Some(failure);
    }
}

impl State {
    fn felt(&self, net: &IpNet) -> Option<Felt> {
        let (end, felt) = self.blocked.get(net)?;
        end.is_none_or(|end| end > self.now).then_some(*felt)
    }

    fn begin(&mut self) -> Result<(), EnforceError> {
        match self.failure.take() {
            Some(failure) => {
                self.is_out_of_step = true;
                Err(failure)
            }
            None => Ok(()),
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Add(element) => {
                let end = element.timeout.map(|timeout| self.now.saturating_add(timeout));
                self.blocked.insert(canonical(element.net), (end, element.felt));
            }
            Change::Remove(net) => drop(self.blocked.remove(&canonical(*net))),
            Change::AddNever(net) => drop(self.never.insert(canonical(*net))),
            Change::RemoveNever(net) => drop(self.never.remove(&canonical(*net))),
        }
    }
}

impl Enforcer for Recorder {
    fn apply(&mut self, changes: &[Change]) -> Result<(), EnforceError> {
        let mut state = self.state();
        state.begin()?;
        if state.is_out_of_step {
            return Err(EnforceError::Diverged("it has not been reconciled since it failed or was flushed".to_owned()));
        }
        for change in changes {
            state.change(change);
        }
        state.applied.extend_from_slice(changes);
        Ok(())
    }

    fn reconcile(&mut self, want: &[Element], never: &[IpNet]) -> Result<Difference, EnforceError> {
        let mut state = self.state();
        state.begin()?;
        let now = state.now;
        let mut difference = Difference { rebuilt: state.is_out_of_step, ..Difference::default() };
        let mut found = std::mem::take(&mut state.blocked);
        found.retain(|_, (end, _)| end.is_none_or(|end| end > now));
        for element in want.iter().filter(|element| element.timeout.is_none_or(|timeout| !timeout.is_zero())) {
            let end = element.timeout.map(|timeout| now.saturating_add(timeout));
            let there = found.remove(&canonical(element.net));
            match (there, end) {
                (None, _) => difference.missing += 1,
                (Some((_, felt)), _) if felt != element.felt => {
                    difference.missing += 1;
                    difference.surplus += 1;
                }
                (Some((None, _)), None) => {}
                (Some((Some(there), _)), Some(end)) if there.abs_diff(end) < TOLERANCE => {}
                (Some(_), _) => difference.changed += 1,
            }
            state.blocked.insert(canonical(element.net), (end, element.felt));
        }
        let never: HashSet<IpNet> = never.iter().copied().map(canonical).collect();
        difference.surplus += found.len() + state.never.difference(&never).count();
        difference.missing += never.difference(&state.never).count();
        state.never = never;
        state.is_out_of_step = false;
        Ok(difference)
    }

    fn flush(&mut self) -> Result<(), EnforceError> {
        let mut state = self.state();
        state.begin()?;
        state.blocked.clear();
        state.never.clear();
        state.is_out_of_step = true;
        Ok(())
    }

    fn dropped(&mut self) -> Result<Dropped, EnforceError> {
        self.state().begin()?;
        Ok(Dropped::default())
    }

    fn describe(&self) -> String {
        "a record in memory; nothing is dropped".to_owned()
    }
}

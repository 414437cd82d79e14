//! What should be in the kernel, and the thread that puts it there.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use fairban_enforce::{Change, Element, EnforceError, Enforcer, Felt};
use fairban_types::{Action, Decision, Subject, Time, subtract};
use ipnet::IpNet;
use tokio::sync::oneshot;

use super::explain::felt;
use crate::control::Enforcement;

/// What the thread is told.
pub(crate) enum Order {
    Decisions(Vec<Decision>),
    Never {
        net: IpNet,
        add: bool,
    },
    Reconcile,
    /// Answered when everything before it is in force.
    Sync(oneshot::Sender<()>),
    Stop,
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Kernel {
    orders: Sender<Order>,
    state: Arc<Mutex<Enforcement>>,
}

impl Kernel {
    /// Starts the thread. `None` as enforcer: nothing is put anywhere, but it is known what would be.
    pub(crate) fn start(enforcer: Option<Box<dyn Enforcer>>, mode: &str) -> std::io::Result<Self> {
        let (orders, inbox) = channel();
        let description = enforcer.as_ref().map_or_else(|| "nothing is enforced".to_owned(), |it| it.describe());
        let state = Enforcement { mode: mode.to_owned(), description, ..Enforcement::default() };
        let state = Arc::new(Mutex::new(state));
        let worker = Worker { enforcer, intended: HashMap::new(), never: Vec::new(), state: state.clone() };
        std::thread::Builder::new().name("kernel".to_owned()).spawn(move || worker.run(&inbox))?;
        Ok(Kernel { orders, state })
    }

    /// Tells the thread; if it is gone, the program is ending.
    pub(crate) fn tell(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Waits until everything told so far is in force.
    pub(crate) async fn sync(&self) {
        let (done, wait) = oneshot::channel();
        self.tell(Order::Sync(done));
        let _ = wait.await;
    }

    pub(crate) fn state(&self) -> Enforcement {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Intended {
    until: Option<Time>,
    holes: Vec<IpNet>,
    felt: Felt,
}

struct Worker {
    enforcer: Option<Box<dyn Enforcer>>,
    intended: HashMap<IpNet, Intended>,
    never: Vec<IpNet>,
    state: Arc<Mutex<Enforcement>>,
}

fn now() -> Time {
    Time::from(std::time::SystemTime::now())
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Order>) {
        while let Ok(first) = inbox.recv() {
            let mut changes = Vec::new();
            let mut synced = Vec::new();
            let mut reconcile = false;
            // What has gathered meanwhile goes in one transaction.
            for order in std::iter::once(first).chain(inbox.try_iter().take(64)) {
                match order {
                    Order::Decisions(decisions) => decisions.iter().for_each(|one| self.intend(one, &mut changes)),
                    Order::Never { net, add: true } => {
                        self.never.push(net);
                        changes.push(Change::AddNever(net));
                    }
                    Order::Never { net, add: false } => {
                        self.never.retain(|known| *known != net);
                        changes.push(Change::RemoveNever(net));
                    }
                    Order::Reconcile => reconcile = true,
                    Order::Sync(done) => synced.push(done),
                    Order::Stop => return,
                }
            }
            self.put(&changes, reconcile);
            for done in synced {
                let _ = done.send(());
            }
        }
    }

    /// Notes what a decision means for the kernel, and the changes that it asks for.
    fn intend(&mut self, decision: &Decision, changes: &mut Vec<Change>) {
        let Subject::Network(net) = decision.subject else { return };
        if let Some(before) = self.intended.remove(&net) {
            let keeps = decision.action == Action::Block && before.holes == decision.holes;
            if !keeps {
                changes.extend(subtract(net, &before.holes).into_iter().map(Change::Remove));
            }
        }
        if decision.action != Action::Block || !decision.in_kernel {
            return;
        }
        let timeout = decision.until.map(|until| until.since(now()));
        let felt = felt(decision);
        let pieces = subtract(net, &decision.holes).into_iter();
        changes.extend(pieces.map(|net| Change::Add(Element { net, timeout, felt })));
        self.intended.insert(net, Intended { until: decision.until, holes: decision.holes.clone(), felt });
    }

    fn put(&mut self, changes: &[Change], mut reconcile: bool) {
        let Some(enforcer) = &mut self.enforcer else {
            self.note(Ok(None));
            return;
        };
        let mut outcome = Ok(None);
        if !reconcile && !changes.is_empty() {
            match enforcer.apply(changes) {
                Ok(()) => {}
                Err(error @ (EnforceError::Permission | EnforceError::Unsupported(_))) => outcome = Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the kernel is compared anew");
                    reconcile = true;
                }
            }
        }
        if reconcile {
            let now = now();
            self.intended.retain(|_, intended| intended.until.is_none_or(|until| until > now));
            let mut want: Vec<Element> =
                self.intended.iter().flat_map(|(net, intended)| elements(*net, intended, now)).collect();
            want.sort_unstable_by_key(|element| element.net);
            outcome = enforcer.reconcile(&want, &self.never).map(Some);
        }
        self.note(outcome);
    }

    fn note(&mut self, outcome: Result<Option<fairban_enforce::Difference>, EnforceError>) {
        let dropped =
            self.enforcer.as_mut().filter(|_| matches!(outcome, Ok(Some(_)))).and_then(|it| it.dropped().ok());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.intended = self.intended.len();
        if let Some(dropped) = dropped {
            state.packets_dropped = dropped.packets;
        }
        match outcome {
            Ok(None) => {}
            Ok(Some(difference)) => {
                let first = state.reconciled.is_none();
                if !first && !difference.is_none() {
                    tracing::warn!(?difference, "the kernel differed from what was intended, and was mended");
                    state.mended += (difference.missing + difference.surplus + difference.changed) as u64
                        + u64::from(difference.rebuilt);
                }
                state.reconciled = Some(now());
                state.error = None;
            }
            Err(error) => {
                tracing::error!(%error, "blocks are not in the kernel");
                state.error = Some(error.to_string());
            }
        }
    }
}

fn elements(net: IpNet, intended: &Intended, now: Time) -> impl Iterator<Item = Element> + use<> {
    let timeout = intended.until.map(|until| until.since(now));
    let felt = intended.felt;
    subtract(net, &intended.holes).into_iter().map(move |net| Element { net, timeout, felt })
}

//! What the program holds of the fleet. Nothing here waits for the server, except [`Fleet::confirm`].

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fairban_types::{Code, Decision, Event, Subject, Time};
use ipnet::IpNet;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::FleetError;
use crate::fact::Fact;
use crate::journal::Journal;
use crate::merge::{Change, Merge, Told, Wish};
use crate::server::{Keys, Link, Place, Scripts, Server, Window};
use crate::settings::Settings;
use crate::stamp::{Rank, node_number};
use crate::status::{Health, Status};

/// Failures and sign-ins that may wait to be told; what is more is known here only.
const JOBS_MAX: usize = 16_384;

/// A failure that counts, as it is told to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub event: Event<'static>,
    /// The address as it is scored.
    pub home: IpNet,
    /// Its neighbours, where their failures are counted together.
    pub neighbourhood: Option<IpNet>,
}

/// What other nodes saw of those who failed here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Failures, each with a number: the same number is the same failure.
    pub failures: Vec<(u64, Event<'static>)>,
    /// Who has signed in from where, and when last.
    pub familiar: Vec<(String, std::net::IpAddr, Time)>,
}

/// What is to be told about clients.
#[derive(Debug)]
pub(crate) enum Job {
    Count(Box<Failure>),
    Greet { account: String, client: std::net::IpAddr, home: IpNet, at: Time },
    Ask(IpNet),
    Spend(Window),
}

/// Something this node told, to be asked about later.
#[derive(Clone, Debug)]
pub struct Ticket {
    key: String,
    rank: Rank,
}

/// Whom a release has reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// Nodes that have carried it out, this one included.
    pub reached: Vec<String>,
    /// Nodes that are not known to have.
    pub unreached: Vec<String>,
}

/// What all tasks share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) server: Result<Server, FleetError>,
    pub(crate) keys: Keys,
    pub(crate) scripts: Scripts,
    /// The connection, while there is one.
    pub(crate) link: Mutex<Option<Link>>,
    pub(crate) place: String,
    pub(crate) merge: Mutex<Merge>,
    pub(crate) journal: Mutex<Option<Journal>>,
    /// What was taken to be carried out, and is written down once it is.
    taken: Mutex<Vec<Fact>>,
    /// Held by who makes the journal durable: those who come meanwhile share the next time.
    syncing: tokio::sync::Mutex<()>,
    pub(crate) health: Mutex<Health>,
    /// The server's clock less this machine's, in milliseconds.
    pub(crate) ahead: AtomicI64,
    pub(crate) started: Time,
    pub(crate) lost: AtomicU64,
    /// Something is to be sent,
    pub(crate) to_send: Notify,
    /// was sent,
    pub(crate) moved: Notify,
    /// was carried out,
    pub(crate) carried: Notify,
    /// or is to be carried out here.
    pub(crate) to_take: Notify,
    pub(crate) heard: mpsc::Sender<Heard>,
}

/// A node's part in the fleet.
#[derive(Clone)]
pub struct Fleet {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    task: Arc<JoinHandle<()>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time by this machine's clock.
fn clock() -> Time {
    Time::from(std::time::SystemTime::now())
}

impl Shared {
    /// The time by the fleet's clock.
    pub(crate) fn now(&self) -> Time {
        Time::from_millis(clock().millis().saturating_add(self.ahead.load(Ordering::Relaxed)))
    }

    /// A time of this machine by the fleet's clock, or back.
    pub(crate) fn shifted(&self, time: Time, sign: i64) -> Time {
        Time::from_millis(time.millis().saturating_add(sign * self.ahead.load(Ordering::Relaxed)))
    }

    /// Writes facts down; a file that cannot be written is said once.
    fn write(&self, facts: &[Fact]) {
        let mut journal = lock(&self.journal);
        let Some(open) = journal.as_mut() else { return };
        if let Err(error) = open.write(facts) {
            tracing::error!(%error, "the fleet's journal cannot be written: after a restart, order is taken from times");
            *journal = None;
        }
    }
}

impl Fleet {
    /// Joins the fleet, in the background and for as long as the program runs. `standing`: what is in force here. Must be
    /// called inside a Tokio runtime. What is [heard](Heard) about clients comes through the other end.
    pub fn start(settings: Settings, standing: &[Decision]) -> Result<(Fleet, mpsc::Receiver<Heard>), FleetError> {
        let place = Place::read(&settings.url)?.to_string();
        let mut merge = Merge::new(&settings.node, settings.trust.clone());
        let now = clock();
        let journal = settings.journal.as_deref().and_then(|path| {
            let opened = Journal::open(path, |fact| merge.recall(fact, now)).and_then(|mut journal| {
                journal.rewrite(merge.facts())?;
                Ok(journal)
            });
            opened.map_err(|error| tracing::error!(%error, path = %path.display(), "no journal of the fleet")).ok()
        });
        let fresh = merge.match_standing(standing, now);
        let (heard, hearing) = mpsc::channel(1024);
        let (jobs, to_do) = mpsc::channel(JOBS_MAX);
        let shared = Arc::new(Shared {
            server: Server::new(&settings),
            keys: Keys::new(&settings.name),
            scripts: Scripts::new(),
            link: Mutex::new(None),
            place,
            merge: Mutex::new(merge),
            journal: Mutex::new(journal),
            taken: Mutex::default(),
            syncing: tokio::sync::Mutex::default(),
            health: Mutex::new(Health::default()),
            ahead: AtomicI64::new(0),
            started: now,
            lost: AtomicU64::new(0),
            to_send: Notify::new(),
            moved: Notify::new(),
            carried: Notify::new(),
            to_take: Notify::new(),
            heard,
            settings,
        });
        for key in fresh {
            let fact = lock(&shared.merge).fact(&key).cloned();
            shared.write(fact.as_slice());
        }
        shared.to_take.notify_one();
        let task = Arc::new(tokio::spawn(crate::session::run(shared.clone(), to_do)));
        Ok((Fleet { shared, jobs, task }, hearing))
    }

    /// This node's name.
    pub fn node(&self) -> &str {
        &self.shared.settings.node
    }

    /// Tells a block or guard that was decided here, new or renewed.
    pub fn decided(&self, decision: &Decision) {
        self.tell(|merge, now| merge.decided(decision, now));
    }

    /// Tells that a subject was released here.
    pub fn released(&self, subject: &Subject, wish: Wish<'_>) -> Option<Ticket> {
        self.tell(|merge, now| Some(merge.released(subject, wish, now)))
    }

    /// Tells that a subject was let out of one block here.
    pub fn let_out(&self, code: Code, subject: &Subject, wish: Wish<'_>) -> Option<Ticket> {
        self.tell(|merge, now| Some(merge.let_out(code, subject, wish, now)))
    }

    /// Tells a change of the never-block list.
    pub fn never(&self, net: IpNet, listed: bool, until: Option<Time>, wish: Wish<'_>) -> Option<Ticket> {
        self.tell(|merge, now| Some(merge.never(net, listed, until, wish, now)))
    }

    /// Tells a value that all nodes should have, or that it is taken back.
    pub fn value(&self, name: &str, value: Option<&str>, wish: Wish<'_>) -> Option<Ticket> {
        self.tell(|merge, now| Some(merge.value(name, value, wish, now)))
    }

    /// The values that all nodes should have, by name; `None`: one that was taken back.
    pub fn values(&self) -> Vec<(String, Option<String>, Told)> {
        lock(&self.shared.merge).values()
    }

    /// Lets the blocks of a node through that were held back.
    pub fn accept(&self, node: &str, wish: Wish<'_>) -> Option<Ticket> {
        let ticket = self.tell(|merge, now| Some(merge.accept(node, wish, now)));
        self.shared.to_take.notify_one();
        ticket
    }

    fn tell(&self, act: impl FnOnce(&mut Merge, Time) -> Option<String>) -> Option<Ticket> {
        let now = self.shared.now();
        let fact = {
            let mut merge = lock(&self.shared.merge);
            let key = act(&mut merge, now)?;
            merge.fact(&key).cloned()?
        };
        self.shared.write(std::slice::from_ref(&fact));
        self.shared.to_send.notify_one();
        Some(Ticket { key: fact.key(), rank: fact.rank })
    }

    /// Tells a failure that counts. What is waiting beyond the limit stays here only.
    pub fn count(&self, failure: Failure) {
        self.queue(Job::Count(Box::new(failure)));
    }

    /// Tells that an account has signed in from an address.
    pub fn greet(&self, account: &str, client: std::net::IpAddr, home: IpNet, at: Time) {
        self.queue(Job::Greet { account: account.trim().to_lowercase(), client, home, at });
    }

    /// Asks who is familiar at an address, as it is scored: a block of it must spare them here too.
    pub fn ask(&self, home: IpNet) {
        self.queue(Job::Ask(home));
    }

    /// The failures of a subject are spent by a block, or forgotten by a release.
    pub fn spend(&self, subject: &Subject) {
        match subject {
            Subject::Network(net) => self.queue(Job::Spend(Window::Address(*net))),
            Subject::Account(name) => self.queue(Job::Spend(Window::Account(name.clone()))),
            Subject::Pair(..) | Subject::Sending(_) => {}
        }
    }

    fn queue(&self, job: Job) {
        if self.jobs.try_send(job).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until something is to be carried out here.
    pub async fn changed(&self) {
        self.shared.to_take.notified().await;
    }

    /// What is to be carried out here because of what others decided. It counts as done; say so with
    /// [`carried_out`](Fleet::carried_out) once it is durable and the kernel has it: until then the next run would be
    /// told again.
    pub fn take(&self) -> Vec<Change> {
        let now = self.shared.now();
        let (changes, facts) = {
            let mut merge = lock(&self.shared.merge);
            lock(&self.shared.health).take_started();
            (merge.take(now), merge.take_unwritten())
        };
        lock(&self.shared.taken).extend(facts);
        changes
    }

    /// What was taken is in force here.
    pub fn carried_out(&self) {
        let facts = std::mem::take(&mut *lock(&self.shared.taken));
        self.shared.write(&facts);
        lock(&self.shared.health).take_done();
        self.shared.carried.notify_one();
    }

    /// Which node began a block, if it is known.
    pub fn node_of(&self, code: Code, subject: &Subject) -> Option<String> {
        lock(&self.shared.merge).node_of(code, subject).map(str::to_owned)
    }

    /// When an address or account was last released, as far as is known, by this machine's clock.
    pub fn released_at(&self, subject: &Subject) -> Option<Time> {
        let at = lock(&self.shared.merge).released_at(subject)?;
        Some(self.shared.shifted(at, -1))
    }

    /// Waits until what was told is durable here and every node that is there has carried it out, but no longer than
    /// `most`.
    pub async fn confirm(&self, ticket: &Ticket, most: Duration) -> Confirmation {
        let deadline = Instant::now() + most;
        let _ = tokio::time::timeout_at(deadline, self.make_durable()).await;
        let sent = tokio::time::timeout_at(deadline, self.is_sent(ticket)).await;
        let mut known = match sent {
            Ok(place) => tokio::time::timeout_at(deadline, crate::presence::reached(&self.shared, place, deadline))
                .await
                .unwrap_or_default(),
            Err(_) => Confirmation::default(),
        };
        let own = self.node().to_owned();
        if known.reached.is_empty() && known.unreached.is_empty() {
            known.unreached =
                self.status().nodes.into_iter().map(|node| node.name).filter(|name| *name != own).collect();
        }
        if !known.reached.contains(&own) {
            known.unreached.retain(|name| *name != own);
            known.reached.insert(0, own);
        }
        if ticket.key.starts_with("v:") {
            let health = lock(&self.shared.health);
            let takes = |name: &String| health.nodes.get(name).is_none_or(|(_, presence)| presence.takes_values);
            known.reached.retain(takes);
            known.unreached.retain(takes);
        }
        known
    }

    /// Has the disk hold what was written down. Whoever waits together shares one write.
    async fn make_durable(&self) {
        let _one_at_a_time = self.shared.syncing.lock().await;
        let Some(file) = lock(&self.shared.journal).as_mut().and_then(Journal::take_unsynced) else { return };
        match tokio::task::spawn_blocking(move || file.sync_data()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the fleet's journal may not survive a power cut"),
            Err(error) => tracing::error!(%error, "the fleet's journal may not survive a power cut"),
        }
    }

    async fn is_sent(&self, ticket: &Ticket) -> crate::status::StreamPlace {
        loop {
            let moved = self.shared.moved.notified();
            {
                let merge = lock(&self.shared.merge);
                let is_waiting = merge.is_unsent(&ticket.key)
                    && merge.fact(&ticket.key).is_some_and(|fact| fact.rank == ticket.rank);
                if !is_waiting {
                    return lock(&self.shared.health).published;
                }
            }
            tokio::select! {
                () = moved => {}
                // Who waits for news is not told twice.
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
    }

    /// How the fleet is, as far as this node knows.
    pub fn status(&self) -> Status {
        Status::of(&self.shared)
    }

    /// Waits a moment for what is not sent yet, and ends.
    pub async fn stop(&self) {
        let flushed = async {
            while lock(&self.shared.merge).unsent_len() > 0 && lock(&self.shared.health).is_connected() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(500), flushed).await;
        self.task.abort();
    }

    /// The number that this node's facts carry.
    pub fn number(&self) -> u64 {
        node_number(self.node())
    }
}

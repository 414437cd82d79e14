//! Taking connections, within limits.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, Id, JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::clock::Clock;
use crate::complaints::Complaints;
use crate::counters::{Tally, count};
use crate::listen::Accept;
use crate::peer::Peer;
use crate::{Counters, Limits};

/// How long nothing is accepted after the system could not, if no connection could be closed instead.
const PAUSE: Duration = Duration::from_millis(100);

/// What a connection is for.
pub(crate) trait Serve: Send + Sync + 'static {
    /// Serves one connection to its end.
    fn serve<S>(&self, stream: S, peer: &Arc<Peer>) -> impl Future<Output = ()> + Send
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static;
}

/// A server at work. It ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    task: JoinHandle<()>,
    tally: Arc<Tally>,
    address: Option<SocketAddr>,
}

impl Running {
    pub(crate) fn of(task: JoinHandle<()>, tally: Arc<Tally>, address: Option<SocketAddr>) -> Self {
        Running { task, tally, address }
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.tally.read()
    }

    /// Where it listens; `None` for a socket in the file system.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Ends it: when this returns, nothing listens there any more.
    pub async fn stop(mut self) {
        self.task.abort();
        // Ended is all that it can be, and all that was wanted.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a server's parts share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) tally: Arc<Tally>,
    pub(crate) complaints: Complaints,
    pub(crate) clock: Arc<Clock>,
}

impl Shared {
    pub(crate) fn new(server: &'static str, limits: Limits) -> Arc<Self> {
        let clock = Arc::new(Clock::new());
        Arc::new(Shared { limits, tally: Arc::default(), complaints: Complaints::new(server), clock })
    }
}

/// Serves in the background.
pub(crate) fn start<A: Accept, H: Serve>(
    listener: A,
    address: Option<SocketAddr>,
    handler: H,
    shared: Arc<Shared>,
) -> Running {
    let tally = shared.tally.clone();
    let reception = Reception { handler: Arc::new(handler), shared, admitted: 0, places: Places::default() };
    Running { task: tokio::spawn(reception.run(listener)), tally, address }
}

struct Reception<H> {
    handler: Arc<H>,
    shared: Arc<Shared>,
    admitted: u64,
    places: Places,
}

impl<H: Serve> Reception<H> {
    async fn run<A: Accept>(mut self, listener: A) {
        let tick = tick(&self.shared.limits);
        let mut ticks = interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(stream) => self.admit(stream),
                    Err(error) => {
                        self.shared.complaints.say("cannot take a connection", &error);
                        if !self.make_room() {
                            sleep(PAUSE).await;
                        }
                    }
                },
                Some(ended) = self.places.tasks.join_next_with_id(), if !self.places.tasks.is_empty() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    self.places.taken.remove(&id);
                    self.shared.tally.connections.fetch_sub(1, Ordering::Relaxed);
                }
                _ = ticks.tick(), if !self.places.taken.is_empty() => {
                    self.shared.clock.tick();
                    self.hang_up_on_the_overdue(tick);
                }
            }
        }
    }

    fn admit<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&mut self, stream: S) {
        if self.places.taken.len() >= self.shared.limits.connections_max {
            self.shared.complaints.say("too many connections: one is closed for each new one", &"the limit is reached");
            self.make_room();
        }
        // It may have stood still while nobody was here.
        self.shared.clock.tick();
        self.admitted += 1;
        let peer = Arc::new(Peer::new(self.shared.clock.clone(), self.admitted));
        let (handler, known) = (self.handler.clone(), peer.clone());
        count(&self.shared.tally.connections);
        let task = self.places.tasks.spawn(async move { handler.serve(stream, &peer).await });
        self.places.taken.insert(task.id(), (known, task));
    }

    /// Looks at all at once: a timer for each would cost each request more than all of this together.
    fn hang_up_on_the_overdue(&mut self, tick: Duration) {
        let Shared { limits, tally, .. } = &*self.shared;
        for (_, (_, task)) in self.places.taken.extract_if(|_, (peer, _)| peer.is_overdue(limits, tick)) {
            task.abort();
            count(&tally.limited);
        }
    }

    /// Closes the connection that may be closed first. `false`: there is none.
    fn make_room(&mut self) -> bool {
        let first = self.places.taken.iter().min_by_key(|(_, (peer, _))| peer.claim()).map(|(id, _)| *id);
        let Some((_, task)) = first.and_then(|id| self.places.taken.remove(&id)) else { return false };
        task.abort();
        count(&self.shared.tally.limited);
        true
    }
}

/// How often the clock ticks: twice a second, or as often as short limits need it.
fn tick(limits: &Limits) -> Duration {
    let shortest = limits.request_time.min(limits.idle_time);
    (shortest / 8).clamp(Duration::from_millis(10), Duration::from_millis(500))
}

/// The connections there are. They end with this.
#[derive(Default)]
struct Places {
    tasks: JoinSet<()>,
    taken: HashMap<Id, (Arc<Peer>, AbortHandle)>,
}

use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use fairban_types::Time;
use tokio::sync::mpsc::{OwnedPermit, Sender};
use tokio::sync::watch;

use crate::batch::Gathered;
use crate::{Batch, Cursor, Health};

/// The source was told to stop, or nobody listens any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended;

/// Where a source's batches go.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    pub(crate) source: Arc<str>,
    pub(crate) health: Arc<Health>,
    tx: Sender<Batch>,
    stop: watch::Receiver<bool>,
}

impl Outlet {
    pub(crate) fn new(source: Arc<str>, health: Arc<Health>, tx: Sender<Batch>, stop: watch::Receiver<bool>) -> Self {
        Outlet { source, health, tx, stop }
    }

    /// Waits for `work`, unless the source is told to stop first.
    pub(crate) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ended> {
        tokio::select! {
            biased;
            // An error means that whoever could say stop is gone.
            _ = self.stop.wait_for(|stop| *stop) => Err(Ended),
            done = work => Ok(done),
        }
    }

    /// Waits until the receiver has room for one batch: back-pressure reaches a source here, before it reads.
    pub(crate) async fn room(&mut self) -> Result<OwnedPermit<Batch>, Ended> {
        let tx = self.tx.clone();
        self.unless_stopped(tx.reserve_owned()).await?.map_err(|_| Ended)
    }

    /// Hands over what was gathered.
    pub(crate) fn deliver(
        &self,
        room: OwnedPermit<Batch>,
        gathered: Gathered,
        reference: Option<Time>,
        cursor: Option<Cursor>,
    ) {
        let now = Time::from(SystemTime::now());
        self.health.handed_over(gathered.ends.len(), gathered.bytes.len(), now);
        let Gathered { bytes, ends } = gathered;
        room.send(Batch { source: self.source.clone(), bytes, ends, reference: reference.unwrap_or(now), cursor });
    }

    /// Waits for room and hands over, unless there is nothing.
    pub(crate) async fn send(&mut self, gathered: Gathered, cursor: Option<Cursor>) -> Result<(), Ended> {
        if gathered.is_empty() {
            return Ok(());
        }
        let room = self.room().await?;
        self.deliver(room, gathered, None, cursor);
        Ok(())
    }
}

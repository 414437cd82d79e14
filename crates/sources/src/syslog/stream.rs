use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::frame::Framer;
use crate::Tuning;
use crate::batch::Gathered;
use crate::outlet::{Ended, Outlet};

const CHUNK_BYTES: usize = 16 * 1024;
/// A listener that fails (no file descriptors left) is left alone for a moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener of either kind.
pub(crate) trait Connections {
    /// What a sender's connection is.
    type Peer: AsyncRead + Unpin + Send + 'static;
    /// Waits for a sender.
    async fn accept(&self) -> io::Result<Self::Peer>;
}

impl Connections for TcpListener {
    type Peer = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<Self::Peer> {
        TcpListener::accept(self).await.map(|(peer, _)| peer)
    }
}

impl Connections for UnixListener {
    type Peer = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<Self::Peer> {
        UnixListener::accept(self).await.map(|(peer, _)| peer)
    }
}

/// Serves senders until told to stop, each in a task of its own: a slow one holds up nobody else.
pub(crate) async fn run(listener: &impl Connections, mut outlet: Outlet, tuning: &Tuning) {
    let places = Arc::new(Semaphore::new(tuning.syslog_peers_max));
    // Dropping the set ends its tasks.
    let mut peers = JoinSet::new();
    loop {
        while peers.try_join_next().is_some() {}
        let peer = match outlet.unless_stopped(listener.accept()).await {
            Ok(Ok(peer)) => peer,
            Ok(Err(error)) => {
                warn!(source = %outlet.source, %error, "cannot accept a syslog connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
            Err(Ended) => return,
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            outlet.health.refuse();
            debug!(source = %outlet.source, "too many syslog connections, one was refused");
            continue;
        };
        let (outlet, tuning) = (outlet.clone(), tuning.clone());
        peers.spawn(async move {
            serve(peer, outlet, &tuning).await;
            drop(place);
        });
    }
}

async fn serve(mut peer: impl AsyncRead + Unpin, mut outlet: Outlet, tuning: &Tuning) {
    let mut framer = Framer::new(tuning.syslog_bytes_max);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let mut gathered = Gathered::default();
        let cut = |cut: u64| outlet.health.cut(u64::from(cut > 0), cut);
        let mut sink = |message: &[u8], bytes| {
            gathered.push(message, &[]);
            cut(bytes);
        };
        match timeout(tuning.syslog_idle, peer.read(&mut chunk)).await {
            Ok(Ok(0)) => {
                framer.finish(sink);
                let _ = outlet.send(gathered, None).await;
                return;
            }
            Ok(Ok(count)) => {
                let is_broken = framer.feed(&chunk[..count], &mut sink).is_err();
                if outlet.send(gathered, None).await == Err(Ended) {
                    return;
                }
                if is_broken {
                    outlet.health.refuse();
                    debug!(source = %outlet.source, "a syslog sender broke its framing, connection closed");
                    return;
                }
            }
            // Half a message of a sender that fell silent or away may say something else than the whole.
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

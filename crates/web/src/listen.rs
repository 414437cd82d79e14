//! Listening: connections, within limits.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::{WebError, tls};

/// Who is connected: the nearest hop, which may be a proxy. Each request carries it as an extension.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A certificate of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// A PEM file: the certificate, then those that signed it.
    pub chain: PathBuf,
    /// A PEM file: its private key.
    pub key: PathBuf,
}

/// What visitors may take. (Bodies and fields of forms have limits of their own.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at once, and
    pub connections_max: usize,
    /// from one address. A reverse proxy has one address for all: it must not be less than it needs.
    pub per_peer_max: usize,
    /// How long a TLS handshake, and then the head of each request, may take; also how long a connection may rest.
    pub head_time: Duration,
    /// How long a connection lives at most.
    pub connection_time: Duration,
    /// How long the head of a request may be, in bytes. At least 8192.
    pub head_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 512,
            per_peer_max: 256,
            head_time: Duration::from_secs(10),
            connection_time: Duration::from_secs(120),
            head_max: 16 * 1024,
        }
    }
}

/// A server at work. It ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    task: JoinHandle<()>,
    address: SocketAddr,
    reload: Option<(Certificate, Arc<Mutex<Arc<ServerConfig>>>)>,
}

impl Running {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Reads certificate and key again, for connections from now on. If they cannot be read the old ones stay.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn reload(&self) -> Result<(), WebError> {
        if let Some((certificate, current)) = &self.reload {
            let config = tls::server(certificate)?;
            *current.lock().unwrap_or_else(PoisonError::into_inner) = config;
        }
        Ok(())
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

/// Serves the pages in the background.
pub(crate) async fn start(
    address: SocketAddr,
    certificate: Option<Certificate>,
    limits: Limits,
    router: Router,
) -> Result<Running, WebError> {
    let bind = |source| WebError::Bind { address: address.to_string(), source };
    let config = match &certificate {
        Some(certificate) => Some(Arc::new(Mutex::new(tls::server(certificate)?))),
        None => None,
    };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let local = listener.local_addr().map_err(bind)?;
    let reception = Reception {
        places: Arc::new(Semaphore::new(limits.connections_max)),
        peers: Peers::default(),
        config: config.clone(),
        limits,
        router,
    };
    let task = tokio::spawn(reception.run(listener));
    Ok(Running { task, address: local, reload: certificate.zip(config) })
}

struct Reception {
    places: Arc<Semaphore>,
    peers: Peers,
    config: Option<Arc<Mutex<Arc<ServerConfig>>>>,
    limits: Limits,
    router: Router,
}

impl Reception {
    async fn run(self, listener: TcpListener) {
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(place) = self.place(peer) {
                        tasks.spawn(self.serve(stream, peer, place));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// `None`: there is no room, and the connection is closed at once.
    fn place(&self, peer: SocketAddr) -> Option<(OwnedSemaphorePermit, PeerPlace)> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        Some((place, self.peers.enter(peer.ip(), self.limits.per_peer_max)?))
    }

    fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: (OwnedSemaphorePermit, PeerPlace),
    ) -> impl Future<Output = ()> + Send + 'static {
        let config = self.config.as_ref().map(|config| config.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let (limits, router) = (self.limits.clone(), self.router.clone());
        async move {
            let _place = place;
            let _ = stream.set_nodelay(true);
            let whole = async {
                match config {
                    None => converse(stream, peer, &limits, router).await,
                    Some(config) => {
                        let handshake = TlsAcceptor::from(config).accept(stream);
                        if let Ok(Ok(stream)) = timeout(limits.head_time, handshake).await {
                            converse(stream, peer, &limits, router).await;
                        }
                    }
                }
            };
            let _ = timeout(limits.connection_time, whole).await;
        }
    }
}

async fn converse<S>(stream: S, peer: SocketAddr, limits: &Limits, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router.layer(axum::Extension(Peer(peer))));
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_max.max(8192))
        .serve_connection(TokioIo::new(stream), service);
    // A visitor who breaks off is no news.
    let _ = conversation.await;
}

/// How many connections each address has.
#[derive(Clone, Debug, Default)]
struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Peers {
    fn enter(&self, peer: IpAddr, most: usize) -> Option<PeerPlace> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(peer).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(PeerPlace { peers: self.clone(), peer })
    }
}

/// A connection's place among those of its address.
#[derive(Debug)]
struct PeerPlace {
    peers: Peers,
    peer: IpAddr,
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut all = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.peer);
            }
        }
    }
}

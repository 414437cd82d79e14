//! Taking connections that were redirected, within limits.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fairban_types::network_of;
use ipnet::IpNet;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::connection::Office;
use super::pace::Pace;
use super::port::Port;
use crate::ProtocolError;
use crate::counters::count;

/// How many connections the system keeps until they are taken.
const BACKLOG: i32 = 512;
/// How long nothing is accepted after the system could not.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the certificate's files are looked at.
const FOLLOW: Duration = Duration::from_secs(60);

/// One port on every address: a socket for each family, so that each can be asked for the original destination in its
/// own way.
pub(super) struct Listeners {
    v4: TcpListener,
    /// `None`: this machine has no IPv6.
    v6: Option<TcpListener>,
}

impl Listeners {
    /// Port 0 takes any that is free.
    pub(super) fn bind(port: u16) -> Result<Self, ProtocolError> {
        let listen_on =
            |address: SocketAddr| listen(address).map_err(|source| ProtocolError::bind(address.to_string(), source));
        let v4 = listen_on((Ipv4Addr::UNSPECIFIED, port).into())?;
        let port = v4.local_addr().map_or(port, |address| address.port());
        let has_v6 = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).is_ok();
        let v6 = has_v6.then(|| listen_on((Ipv6Addr::UNSPECIFIED, port).into())).transpose()?;
        Ok(Listeners { v4, v6 })
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        self.v4.local_addr().ok()
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.v6 {
            None => self.v4.accept().await,
            Some(v6) => tokio::select! {
                taken = self.v4.accept() => taken,
                taken = v6.accept() => taken,
            },
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The port that the client asked for; `None`: it was not redirected here from a port of mail.
fn original_port(stream: &TcpStream, is_v4: bool) -> Option<Port> {
    let socket = SockRef::from(stream);
    let asked_for = if is_v4 { socket.original_dst_v4() } else { socket.original_dst_v6() };
    Port::of(asked_for.ok()?.as_socket()?.port())
}

pub(super) struct Reception {
    office: Arc<Office>,
    tasks: JoinSet<()>,
    /// By the order in which they came; each has the same time, so the first has least of it left.
    open: BTreeMap<u64, (AbortHandle, IpNet)>,
    numbers: HashMap<Id, u64>,
    of_client: HashMap<IpNet, usize>,
    came: u64,
    pace: Pace,
    epoch: Instant,
}

impl Reception {
    pub(super) fn new(office: Arc<Office>) -> Self {
        let pace = Pace::new(office.settings.limits.per_second_max);
        Reception {
            office,
            tasks: JoinSet::new(),
            open: BTreeMap::new(),
            numbers: HashMap::new(),
            of_client: HashMap::new(),
            came: 0,
            pace,
            epoch: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, listeners: Listeners) {
        let mut follow = interval(FOLLOW);
        follow.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                accepted = listeners.accept() => match accepted {
                    Ok((stream, client)) => self.admit(stream, client.ip()),
                    Err(error) => {
                        self.office.shared.complaints.say("cannot take a connection", &error);
                        if !self.make_room() {
                            sleep(PAUSE).await;
                        }
                    }
                },
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    if let Some(number) = self.numbers.remove(&id) {
                        self.forget(number);
                    }
                }
                _ = follow.tick() => self.follow_certificate(),
            }
        }
    }

    /// Whoever is too much is closed without a word: a word would cost what shall be saved.
    fn admit(&mut self, stream: TcpStream, client: IpAddr) {
        let limits = &self.office.settings.limits;
        let tally = &self.office.shared.tally;
        let Some(port) = original_port(&stream, client.is_ipv4()) else {
            count(&tally.malformed);
            return;
        };
        let net = network_of(client, 32, 64);
        if !self.pace.allows(self.epoch.elapsed())
            || self.of_client.get(&net).is_some_and(|count| *count >= limits.per_address_max)
        {
            count(&tally.limited);
            return;
        }
        if self.open.len() >= limits.connections_max {
            self.make_room();
        }
        // Answers are written whole; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let office = self.office.clone();
        let task = self.tasks.spawn(async move { office.receive(stream, client, port).await });
        self.numbers.insert(task.id(), self.came);
        self.open.insert(self.came, (task, net));
        self.came += 1;
        *self.of_client.entry(net).or_default() += 1;
        count(&self.office.shared.tally.connections);
    }

    /// Closes the oldest connection. `false`: there is none.
    fn make_room(&mut self) -> bool {
        let Some((number, (task, _))) = self.open.first_key_value() else { return false };
        task.abort();
        count(&self.office.shared.tally.limited);
        self.forget(*number);
        true
    }

    fn forget(&mut self, number: u64) {
        let Some((_, net)) = self.open.remove(&number) else { return };
        self.office.shared.tally.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(count) = self.of_client.get_mut(&net) {
            *count -= 1;
            if *count == 0 {
                self.of_client.remove(&net);
            }
        }
    }

    fn follow_certificate(&self) {
        let Some(certificate) = self.office.certificate.clone() else { return };
        tokio::task::spawn_blocking(move || match certificate.follow() {
            Ok(true) => tracing::info!("the explainer's certificate was changed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the explainer keeps its old certificate"),
        });
    }
}

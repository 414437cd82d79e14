use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use fairban_enforce::{Enforcer, Layout, Nftables};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};
use nix::unistd::{Pid, gettid};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace: a thread that lives in it and does what it is told there. Programs that it starts, and sockets
/// that it opens, belong to the namespace; it ends with the value.
pub(crate) struct Namespace {
    jobs: Sender<Job>,
    thread: Pid,
}

impl Namespace {
    /// A namespace in which only loopback is up.
    pub(crate) fn new() -> Self {
        let (jobs, todo): (Sender<Job>, Receiver<Job>) = channel();
        let (tell, told) = channel();
        thread::spawn(move || {
            let made = unshare(CloneFlags::CLONE_NEWNET).map(|()| gettid());
            tell.send(made).unwrap();
            todo.into_iter().for_each(|job| job());
        });
        let thread = told
            .recv()
            .unwrap()
            .expect("these tests make network namespaces: run them as root, or leave them out with `--lib`");
        let namespace = Namespace { jobs, thread };
        namespace.sh("ip link set lo up");
        namespace
    }

    /// Does something inside, and waits for it.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = channel();
        self.jobs.send(Box::new(move || drop(tell.send(job())))).unwrap();
        told.recv().expect("what was to be done inside the namespace panicked")
    }

    /// Whether a program succeeds inside, and what it prints.
    pub(crate) fn try_sh(&self, line: &str) -> (bool, String) {
        let line = line.to_owned();
        self.run(move || {
            let output = Command::new("sh").args(["-c", &line]).output().unwrap();
            let text = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&text).into_owned())
        })
    }

    /// Runs a program that must succeed, and returns what it prints.
    pub(crate) fn sh(&self, line: &str) -> String {
        let (is_done, text) = self.try_sh(line);
        assert!(is_done, "{line}: {text}");
        text
    }

    /// Joins this namespace to another one by a cable, with addresses for either end.
    pub(crate) fn join(&self, name: &str, addresses: &[&str], other: &Namespace, others: &[&str]) {
        self.sh(&format!("ip link add {name} type veth peer name {name} netns {}", other.thread));
        for (namespace, addresses) in [(self, addresses), (other, others)] {
            for address in addresses {
                let nodad = if address.contains(':') { "nodad" } else { "" };
                namespace.sh(&format!("ip address add {address} dev {name} {nodad}"));
            }
            namespace.sh(&format!("ip link set {name} up"));
        }
    }

    /// The enforcer of this namespace.
    pub(crate) fn enforcer(&self, layout: Layout) -> Nftables {
        self.run(move || Nftables::open(layout)).unwrap()
    }

    /// Connects from one of this namespace's addresses.
    pub(crate) fn connect(&self, from: &str, to: &str) -> TcpStream {
        let stream = self.begin_to_connect(from, to);
        until("the connection stands", || is_connected(&stream));
        stream.set_nonblocking(false).unwrap();
        stream
    }

    /// Whether a connection is answered, rather than dropped by the enforcer, which must be on its way.
    pub(crate) fn reaches(&self, from: &str, to: &str, enforcer: &mut Nftables) -> bool {
        let before = enforcer.dropped().unwrap();
        let stream = self.begin_to_connect(from, to);
        let mut is_dropped = false;
        until("the connection stands or is dropped", || {
            is_dropped = enforcer.dropped().unwrap() != before;
            is_dropped || is_connected(&stream)
        });
        !is_dropped
    }

    /// A connection on its way.
    pub(crate) fn begin_to_connect(&self, from: &str, to: &str) -> TcpStream {
        let (from, to): (IpAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
        self.run(move || {
            let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
            let socket = socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK, None).unwrap();
            bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(from, 0))).unwrap();
            match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
                Ok(()) | Err(Errno::EINPROGRESS) => TcpStream::from(socket),
                Err(error) => panic!("{from} to {to}: {error}"),
            }
        })
    }
}

fn is_connected(stream: &TcpStream) -> bool {
    if let Some(error) = stream.take_error().unwrap() {
        panic!("the connection was refused: {error}");
    }
    stream.peer_addr().is_ok()
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
        thread::yield_now();
    }
}

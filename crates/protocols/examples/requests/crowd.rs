use std::io::Write as _;
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use fairban_protocols::Running;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::clients::Protocol;

/// How many there are.
pub(crate) const PEERS: usize = 2_000;
/// The dribbling ones add a byte each second, so many groups of them in turns.
const GROUPS: usize = 50;
/// So many connect before the server has to take them: far fewer than may wait for it.
const AT_ONCE: usize = 100;

/// Peers that hold a connection each and ask nothing. Every other one has begun a request and goes on with a byte a
/// second, from a thread of its own: the runtime that serves has no part in it.
pub(crate) struct Crowd {
    leave: Sender<()>,
    dribbling: JoinHandle<()>,
}

/// Both ends of each connection are in this process.
pub(crate) fn allow_many_files() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

impl Crowd {
    /// Returns when all are there.
    pub(crate) fn gather(running: &Running, protocol: Protocol) -> Self {
        let address = running.local_addr().unwrap();
        wait_until(|| running.counters().connections == 0);
        let mut peers = Vec::with_capacity(PEERS);
        while peers.len() < PEERS {
            peers.extend((0..AT_ONCE).map(|_| TcpStream::connect(address).unwrap()));
            wait_until(|| running.counters().connections == peers.len() as u64);
        }
        for peer in peers.iter_mut().step_by(2) {
            peer.write_all(protocol.beginning()).unwrap();
        }
        let (leave, left) = channel();
        let dribbling = thread::spawn(move || {
            let mut group = 0;
            while left.recv_timeout(Duration::from_secs(1) / GROUPS as u32) == Err(RecvTimeoutError::Timeout) {
                for peer in peers.iter_mut().skip(2 * group).step_by(2 * GROUPS) {
                    // Who is hung up on has nothing more to say.
                    let _ = peer.write_all(b"x");
                }
                group = (group + 1) % GROUPS;
            }
        });
        Crowd { leave, dribbling }
    }

    /// Returns when all are gone.
    pub(crate) fn leave(self, running: &Running) {
        let _ = self.leave.send(());
        self.dribbling.join().unwrap();
        wait_until(|| running.counters().connections == 0);
    }
}

fn wait_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(1));
    }
}

//! Two network namespaces joined by a cable: the mail server's, and one in which every documentation address is ours.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};

use crate::process::{output, wait_for};

/// The server's own addresses.
pub(crate) const SERVER_V4: &str = "10.99.0.1";
/// The server's own IPv6 address.
pub(crate) const SERVER_V6: &str = "fd99::1";
/// Networks whose every address a client can have.
pub(crate) const CLIENT_NETWORKS: [&str; 6] =
    ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "100.64.0.0/10", "2001:db8::/32"];

/// A client in a network (/24) of its own, for each number below 16384.
pub(crate) fn in_network(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(Ipv4Addr::new(100, 64, 0, 7).to_bits() + (number << 8)).into()
}

const PREFIX: &str = "fairban-";
static LABS: AtomicU32 = AtomicU32::new(0);

/// A pair of namespaces, gone with everything in it when this goes.
#[derive(Debug)]
pub(crate) struct Net {
    name: String,
}

impl Net {
    /// Makes a pair whose name tells which process it belongs to.
    pub(crate) fn new() -> Result<Net> {
        let net = Net { name: fresh_name() };
        net.build().context("cannot make network namespaces (this needs root and iproute2)")?;
        Ok(net)
    }

    /// The running lab's pair, if there is exactly one that was made by another process.
    pub(crate) fn running() -> Result<Net> {
        let mut names: Vec<String> =
            all()?.into_iter().filter_map(|name| Some(name.strip_suffix("-server")?.to_owned())).collect();
        names.retain(|name| owner(name).is_some_and(is_alive));
        match (names.pop(), names.pop()) {
            (Some(name), None) => Ok(Net { name }),
            (None, _) => Err(anyhow!("no lab is running: start one with `cargo xtask lab`")),
            (Some(_), Some(_)) => Err(anyhow!("several labs are running: end all but one")),
        }
    }

    /// The name that both namespaces and the folder begin with.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The namespace of the mail server.
    pub(crate) fn server(&self) -> String {
        format!("{}-server", self.name)
    }

    /// The namespace of the clients.
    pub(crate) fn clients(&self) -> String {
        format!("{}-clients", self.name)
    }

    fn build(&self) -> Result<()> {
        let (server, clients) = (self.server(), self.clients());
        ip(&format!("netns add {server}\nnetns add {clients}\n"))?;
        inside(&clients, || {
            // Addresses by route alone: IPv4 lets us bind them, IPv6 wants to be told.
            fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").context("cannot let clients have IPv6 addresses")
        })?;
        let mut server_side = format!(
            "link set lo up\naddr add {SERVER_V4}/24 dev wire\naddr add {SERVER_V6}/64 dev wire nodad\nlink set wire up\n"
        );
        let mut client_side =
            "link set lo up\naddr add 10.99.0.2/24 dev wire\naddr add fd99::2/64 dev wire nodad\nlink set wire up\n"
                .to_owned();
        for network in CLIENT_NETWORKS {
            let gateway = if network.contains(':') { "fd99::2" } else { "10.99.0.2" };
            server_side.push_str(&format!("route add {network} via {gateway}\n"));
            client_side.push_str(&format!("route add local {network} dev lo table local\n"));
        }
        ip(&format!("link add wire netns {server} type veth peer name wire netns {clients}\n"))?;
        ip_in(&server, &server_side)?;
        ip_in(&clients, &client_side)
    }

    /// Does the work inside the mail server's namespace. Programs that it starts stay there.
    pub(crate) fn on_server<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        inside(&self.server(), work)
    }

    /// Does the work inside the clients' namespace. Programs that it starts stay there.
    pub(crate) fn on_clients<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        inside(&self.clients(), work)
    }

    /// Connects a client that has this address to a port of the mail server. A drop by the kernel is a time-out.
    pub(crate) fn connect(&self, from: IpAddr, port: u16, limit: Duration) -> Result<std::io::Result<TcpStream>> {
        let server: IpAddr = if from.is_ipv4() { SERVER_V4 } else { SERVER_V6 }.parse()?;
        self.on_clients(|| {
            let socket = Socket::new(Domain::for_address(SocketAddr::new(from, 0)), Type::STREAM, None)?;
            socket
                .bind(&SocketAddr::new(from, 0).into())
                .with_context(|| format!("{from} is not in the networks of the clients: {CLIENT_NETWORKS:?}"))?;
            let connected = socket.connect_timeout(&SocketAddr::new(server, port).into(), limit);
            Ok(connected.map(|()| TcpStream::from(socket)))
        })
    }

    /// From now on programs among the clients that choose no address come from this one.
    pub(crate) fn speak_as(&self, from: &str) -> Result<()> {
        let network = if from.contains(':') { "fd99::/64" } else { "10.99.0.0/24" };
        ip_in(&self.clients(), &format!("route change {network} dev wire src {from}\n"))
    }

    fn tear_down(&self) -> Result<()> {
        [self.server(), self.clients()].iter().try_for_each(|namespace| remove(namespace))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if owner(&self.name) == Some(Pid::this())
            && let Err(error) = self.tear_down()
        {
            eprintln!("cannot take namespaces '{}' away: {error:#}", self.name);
        }
    }
}

/// The beginning of names of namespaces of this process, which tells whose they are.
pub(super) fn fresh_name() -> String {
    format!("{PREFIX}{}-{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed))
}

/// Does the work inside a namespace. Programs that it starts stay there.
pub(super) fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let file = File::open(format!("/run/netns/{namespace}"))
        .with_context(|| format!("there is no namespace '{namespace}'"))?;
    // The namespace belongs to a thread and is inherited by what it starts; the thread ends with the work.
    thread::scope(|scope| {
        scope
            .spawn(move || {
                setns(&file, CloneFlags::CLONE_NEWNET).context("cannot enter the namespace (this needs root)")?;
                work()
            })
            .join()
            .map_err(|_| anyhow!("the work inside namespace '{namespace}' panicked"))?
    })
}

/// Takes a namespace away, with all that runs in it.
pub(super) fn remove(namespace: &str) -> Result<()> {
    for pid in pids(namespace)? {
        let _ = kill(pid, Signal::SIGKILL);
    }
    ip(&format!("netns del {namespace}\n"))
}

/// Ends every lab that this program's earlier runs left behind; with `running`, also those still running. Returns how
/// many.
pub(crate) fn sweep(running: bool) -> Result<usize> {
    let mut ended = BTreeSet::new();
    for namespace in all()? {
        let Some(pid) = owner(&namespace) else { continue };
        if is_alive(pid) {
            if running && pid != Pid::this() && ended.insert(pid) {
                // It takes its own namespaces away.
                kill(pid, Signal::SIGTERM).with_context(|| format!("cannot end the lab of process {pid}"))?;
            }
            continue;
        }
        remove(&namespace)?;
        ended.insert(pid);
    }
    for pid in &ended {
        wait_for(&format!("process {pid} to end"), Duration::from_secs(30), || Ok((!is_alive(*pid)).then_some(())))?;
    }
    Ok(ended.len())
}

fn all() -> Result<Vec<String>> {
    let listed = output(Command::new("ip").args(["netns", "list"]))?;
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| name.starts_with(PREFIX)).map(str::to_owned).collect())
}

fn owner(name: &str) -> Option<Pid> {
    let number = name.strip_prefix(PREFIX)?.split('-').next()?;
    number.parse().ok().map(Pid::from_raw)
}

fn is_alive(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "xtask")
}

fn pids(namespace: &str) -> Result<Vec<Pid>> {
    let listed = output(Command::new("ip").args(["netns", "pids", namespace]))?;
    Ok(listed.lines().filter_map(|line| line.trim().parse().ok()).map(Pid::from_raw).collect())
}

pub(super) fn ip(batch: &str) -> Result<()> {
    feed(Command::new("ip").args(["-batch", "-"]), batch)
}

pub(super) fn ip_in(namespace: &str, batch: &str) -> Result<()> {
    feed(Command::new("ip").args(["-n", namespace, "-batch", "-"]), batch)
}

fn feed(command: &mut Command, input: &str) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip failed: {}\n{input}", complaint.trim());
    Ok(())
}

//! From a line in the log of one node to a packet that another node drops. What the server counts in a second is measured
//! by the crate: `cargo bench -p fairban-fleet`.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{IpAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::kernel::{DROPPED_AFTER, failure};
use crate::lab::guard::{Fairban, Setup};
use crate::lab::net::{Net, SERVER_V4};
use crate::process::{Daemon, find, wait_for};

/// One node without a mail server: a log, Fairban, and something that answers on a port of mail.
struct Node {
    fairban: Fairban,
    log: File,
    net: Net,
    _dir: TempDir,
}

impl Node {
    fn start(program: &Path, name: &str, server: &str) -> Result<Node> {
        let net = Net::new()?;
        let dir = tempfile::Builder::new().prefix(net.name()).tempdir()?;
        for name in ["dovecot.log", "mail.log"] {
            fs::write(dir.path().join(name), "")?;
        }
        let listener = net.on_server(|| Ok(TcpListener::bind((SERVER_V4, 143))?))?;
        thread::spawn(move || listener.incoming().for_each(drop));
        let mut fairban = Fairban::new(dir.path(), Setup { program: program.to_owned(), ..Setup::default() })?;
        let config = fairban.config_text().replace("name = \"lab\"", &format!("name = \"{name}\""));
        fairban.write_config(&format!("{config}\n[fleet]\nurl = \"{server}\"\nblocks_per_minute = 100000\n"))?;
        fairban.start(&net)?;
        wait_for(&format!("{name} to be in step"), Duration::from_secs(20), || {
            Ok((fairban.ask(&["fleet", "status"])?.status == 0).then_some(()))
        })?;
        let log = File::options().append(true).open(dir.path().join("mail.log"))?;
        Ok(Node { fairban, log, net, _dir: dir })
    }
}

/// Two nodes and one redis-server on this machine.
pub(super) fn measure(program: &Path, quick: bool) -> Result<()> {
    if find("redis-server").is_none() {
        println!("no redis-server here (apt-get install redis-server): the fleet is not measured");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("valkey.sock");
    let mut command = Command::new("redis-server");
    command
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(&socket)
        .arg("--dir")
        .arg(dir.path());
    let mut server = Daemon::start("redis-server", &mut command, &dir.path().join("valkey.out"))?;
    wait_for("redis-server", Duration::from_secs(20), || {
        Ok(std::os::unix::net::UnixStream::connect(&socket).is_ok().then_some(()))
    })?;
    let url = format!("redis+unix://{}", socket.display());
    let mut one = Node::start(program, "mx1", &url)?;
    let mut two = Node::start(program, "mx2", &url)?;
    let samples = if quick { 30 } else { 300 };
    let mut times = (0..samples).map(|number| line_to_drop(&mut one, &two, number)).collect::<Result<Vec<_>>>()?;
    times.sort();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1)).copied().unwrap_or_default();
    println!(
        "line written on one node to packet dropped on another, {samples} times: median {:.1} ms, 99 % {:.1} ms, longest \
         {:.1} ms",
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3,
        at(100).as_secs_f64() * 1e3,
    );
    one.fairban.stop()?;
    two.fairban.stop()?;
    server.kill()
}

fn line_to_drop(one: &mut Node, other: &Node, number: usize) -> Result<Duration> {
    let client: IpAddr = format!("198.{}.{}.7", 18 + number / 256, number % 256).parse()?;
    let before: String = (0..4).map(|line| failure(&client.to_string(), line)).collect();
    one.log.write_all(before.as_bytes())?;
    ensure!(other.net.connect(client, 143, Duration::from_secs(1))?.is_ok(), "{client} is dropped after four failures");
    one.log.write_all(failure(&client.to_string(), 4).as_bytes())?;
    let start = Instant::now();
    loop {
        let asked = start.elapsed();
        if other.net.connect(client, 143, DROPPED_AFTER)?.is_err() {
            return Ok(asked);
        }
        ensure!(asked < Duration::from_secs(5), "{client} is not dropped on the other node");
    }
}

//! Ten thousand blocked clients reconnect as fast as they can: the explainer stays small, and a user's mail goes on.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use fairban_types::Time;
use socket2::{Domain, Socket, Type};

use super::Test;
use crate::lab::Lab;
use crate::lab::client::Way;
use crate::lab::guard::Setup;
use crate::lab::net::{SERVER_V4, in_network};
use crate::process::wait_for;

pub(super) fn tests() -> Vec<Test> {
    let setup = || Setup { history: five_failures_each, profile: "autoban", ..Setup::explaining() };
    vec![Test::new("ten_thousand_blocked_reconnect_and_users_go_on", reconnecting).with(setup)]
}

const BLOCKED: u32 = 10_000;
/// Connections that each of them makes: few enough to be explained, and none dropped by the kernel.
const EACH: u32 = 20;
const AT_ONCE: u32 = 128;
/// 512 connections at once, of some tens of KiB.
const GROWTH_MAX_KIB: u64 = 64 * 1024;
/// Whoever comes when fewer than 200 came within the second before is told.
const TOLD_MIN: u32 = 200;
const USER: &str = "198.51.100.8";

fn five_failures_each() -> String {
    let now = Time::from(std::time::SystemTime::now());
    let mut log = String::new();
    for number in 0..BLOCKED {
        for nth in 0..5u64 {
            let at = now.before(Duration::from_secs(30 - nth));
            let client = in_network(number);
            let fields =
                format!("user=<a{nth}>, method=PLAIN, rip={client}, lip=10.99.0.1, session=<s{number:07}{nth}>");
            let words = "Disconnected: Connection closed (auth failed, 1 attempts in 2 secs)";
            log.push_str(&format!("{at} mail dovecot: imap-login: {words}: {fields}\n"));
        }
    }
    log
}

/// Connects, signs in, and hears all that is said; whether that is the reason.
fn reconnect(from: IpAddr) -> Result<bool> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect_timeout(&SocketAddr::new(SERVER_V4.parse()?, 143).into(), Duration::from_secs(20))?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut heard = Vec::new();
    // More than so many a second are hung up on.
    let _ = stream.write_all(b"a LOGIN bob old-password\r\nb LOGOUT\r\n").and_then(|()| stream.read_to_end(&mut heard));
    Ok(String::from_utf8_lossy(&heard).contains("blocked temporarily"))
}

fn reconnecting(lab: &mut Lab) -> Result<()> {
    wait_for("all to be blocked", Duration::from_secs(60), || {
        let blocks = lab.fairban.list(&["blocks", "--limit", "20000"])?;
        Ok((blocks.len() >= BLOCKED as usize).then_some(()))
    })?;
    let lab = &*lab;
    wait_for("the last of them to be told", Duration::from_secs(20), || {
        lab.net.on_clients(|| Ok(reconnect(in_network(BLOCKED - 1))?.then_some(())))
    })?;
    let over = AtomicBool::new(true);
    let quiet = sign_ins(lab, &over, 40)?;
    let before = lab.fairban.memory_kib()?;
    over.store(false, Ordering::Release);
    let start = Instant::now();
    let (told, busy) = thread::scope(|scope| -> Result<(u32, Vec<Duration>)> {
        let user = scope.spawn(|| sign_ins(lab, &over, 40));
        let told = lab.net.on_clients(flood);
        over.store(true, Ordering::Release);
        Ok((told?, user.join().map_err(|_| anyhow!("the user's thread panicked"))??))
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let after = lab.fairban.memory_kib()?;
    println!(
        "    {BLOCKED} clients made {} connections in {seconds:.1} s, {told} were told why; memory {before} KiB, at most {after} KiB; sign-ins of a user: \
         median {:.1} ms, then {:.1} ms; longest {:.1} ms, then {:.1} ms",
        BLOCKED * EACH,
        median(&quiet),
        median(&busy),
        longest(&quiet),
        longest(&busy),
    );
    ensure!(told >= TOLD_MIN, "only {told} were told why");
    ensure!(after < before + GROWTH_MAX_KIB, "memory grew from {before} to {after} KiB");
    Ok(())
}

/// All of them, one after the other and many at once; how many were told the reason.
fn flood() -> Result<u32> {
    let (next, told) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= BLOCKED * EACH {
                            return Ok(());
                        }
                        let from = in_network(number % BLOCKED);
                        told.fetch_add(reconnect(from).with_context(|| from.to_string())?.into(), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
    })?;
    Ok(told.into_inner())
}

/// A user signs in again and again, so often at least and until it is over; how long each took.
fn sign_ins(lab: &Lab, over: &AtomicBool, at_least: usize) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while took.len() < at_least || !over.load(Ordering::Acquire) {
        let start = Instant::now();
        let answer = lab.sign_in(USER, Way::Imap, "alice")?;
        ensure!(answer.is_yes(), "a user is answered {answer:?}");
        took.push(start.elapsed());
        thread::sleep(Duration::from_millis(20));
    }
    took.sort();
    Ok(took)
}

fn median(sorted: &[Duration]) -> f64 {
    sorted.get(sorted.len() / 2).map_or(0.0, |it| it.as_secs_f64() * 1000.0)
}

fn longest(sorted: &[Duration]) -> f64 {
    sorted.last().map_or(0.0, |it| it.as_secs_f64() * 1000.0)
}

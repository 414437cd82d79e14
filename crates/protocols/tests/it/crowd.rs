use std::net::SocketAddr;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{auth_policy, policy_service};

const CROWD: usize = 2000;
const REQUESTS: usize = 200;

/// Each connection of this test has both its ends in this process.
fn allow_many_files() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    assert!(hard as usize > 3 * CROWD, "this test needs more open files than {hard}");
}

/// Peers that connect; every other one begins a request and adds a byte now and then.
async fn crowd(address: SocketAddr, begin: &'static str) -> Vec<TcpStream> {
    let mut peers = Vec::new();
    for number in 0..CROWD {
        let mut peer = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            peer.write_all(begin.as_bytes()).await.unwrap();
        }
        peers.push(peer);
    }
    peers
}

async fn dribble(peers: &mut [TcpStream], round: usize) {
    for peer in peers.iter_mut().skip(2 * (round % 10)).step_by(20) {
        // It may have been hung up on.
        let _ = peer.write_all(b"x").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_dribbling_peers_keep_nobody_out() {
    allow_many_files();
    for connections_max in [CROWD / 2, 3 * CROWD] {
        policy_requests_are_answered(connections_max).await;
        auth_requests_are_answered(connections_max).await;
    }
}

async fn policy_requests_are_answered(connections_max: usize) {
    let (running, address, _judge) =
        policy_service::started(|settings| settings.limits.connections_max = connections_max).await;
    let mut early = policy_service::connect(address).await;
    let asked = policy_service::request("RCPT", "sender=soft@x.test");
    assert_eq!(policy_service::ask(&mut early, &asked).await, "550 5.7.1 Access denied");
    let mut peers = crowd(address, "request=smtpd_access_policy\nprotocol_st").await;
    let mut answers = 0;
    for round in 0..REQUESTS {
        dribble(&mut peers, round).await;
        let mut late = policy_service::connect(address).await;
        for line in [&mut early, &mut late] {
            assert_eq!(policy_service::ask(line, &asked).await, "550 5.7.1 Access denied");
            answers += 1;
        }
    }
    assert_eq!(answers, 2 * REQUESTS);
    assert_eq!(running.counters().requests, 2 * REQUESTS as u64 + 1);
    assert_eq!(running.counters().limited > 0, connections_max < CROWD);
}

async fn auth_requests_are_answered(connections_max: usize) {
    let (running, address, _judge) =
        auth_policy::started(|settings| settings.limits.connections_max = connections_max).await;
    let asked = auth_policy::post("allow", &auth_policy::question("soft", "192.0.2.7"));
    let mut early = TcpStream::connect(address).await.unwrap();
    early.write_all(asked.as_bytes()).await.unwrap();
    assert_eq!(auth_policy::answer(&mut early).await.1, r#"{"status":-1}"#);
    let mut peers = crowd(address, "POST /?command=allow HTTP/1.1\r\nHost: x").await;
    for round in 0..REQUESTS {
        dribble(&mut peers, round).await;
        let mut late = TcpStream::connect(address).await.unwrap();
        for stream in [&mut early, &mut late] {
            stream.write_all(asked.as_bytes()).await.unwrap();
            assert_eq!(auth_policy::answer(stream).await.1, r#"{"status":-1}"#);
        }
    }
    assert_eq!(running.counters().requests, 2 * REQUESTS as u64 + 1);
    assert_eq!(running.counters().limited > 0, connections_max < CROWD);
}

#[tokio::test]
async fn places_are_bounded() {
    let (running, address, _judge) = policy_service::started(|settings| settings.limits.connections_max = 3).await;
    let asked = policy_service::request("RCPT", "");
    let mut asking = policy_service::connect(address).await;
    policy_service::ask(&mut asking, &asked).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // The eight oldest of the silent ones made room, in order.
    for peer in &mut silent[..8] {
        assert_eq!(peer.read(&mut [0]).await.unwrap_or(0), 0);
    }
    assert_eq!(policy_service::ask(&mut asking, &asked).await, "DUNNO");
    assert_eq!(running.counters().limited, 8);
    assert_eq!(running.counters().connections, 3);
}

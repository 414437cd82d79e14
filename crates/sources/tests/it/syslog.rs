//! The syslog receiver with real sockets.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use fairban_sources::{Listen, SourceError, SourceSpec, Start, State, Tuning};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};

use crate::receiver::{DEADLINE, Receiver, brisk};

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn receiver(listen: Listen, tuning: Tuning) -> Receiver {
    let receiver = Receiver::start(SourceSpec::Syslog(listen), Start::End, tuning, 16);
    receiver.until(|health| health.state() != State::Starting).await;
    assert_eq!(receiver.health.state(), State::Reading);
    receiver
}

#[tokio::test]
async fn a_datagram_is_one_line() {
    let address = free_address();
    let mut receiver = receiver(Listen::Udp(address), brisk()).await;
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for message in ["<22>one\n", "", "\n", "<22>two\n<22>forged: three\n\0", "<22>\x1b[0mfour"] {
        sender.send_to(message.as_bytes(), address).unwrap();
    }
    assert_eq!(receiver.lines(3).await, ["<22>one", "<22>two <22>forged: three", "<22> [0mfour"]);
    receiver.stop().await;
}

#[tokio::test]
async fn tcp_takes_both_framings_and_nobody_waits_for_the_slow() {
    let address = free_address();
    let mut receiver = receiver(Listen::Tcp(address), brisk()).await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"<22>half a mess").await.unwrap();
    let mut counted = TcpStream::connect(address).await.unwrap();
    counted.write_all(b"7 <22>one9 <22>t\nwo!").await.unwrap();
    let mut lines = receiver.lines(2).await;
    slow.write_all(b"age\n<22>last").await.unwrap();
    lines.extend(receiver.lines(1).await);
    slow.shutdown().await.unwrap();
    lines.extend(receiver.lines(1).await);
    assert_eq!(lines, ["<22>one", "<22>t wo!", "<22>half a message", "<22>last"]);
    counted.write_all(b"<22>not counted").await.unwrap();
    receiver.until(|health| health.refused() == 1).await;
    receiver.stop().await;
}

#[tokio::test]
async fn too_many_and_silent_senders_are_turned_away() {
    let address = free_address();
    let tuning = Tuning { syslog_peers_max: 2, syslog_idle: Duration::from_millis(200), ..brisk() };
    let mut receiver = receiver(Listen::Tcp(address), tuning).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(TcpStream::connect(address).await.unwrap());
    }
    receiver.until(|health| health.refused() == 1).await;
    // The two others fall silent, and make room.
    let served = async {
        loop {
            let mut sender = TcpStream::connect(address).await.unwrap();
            let refused = receiver.health.refused();
            // Fails where the connection was refused already.
            let _ = sender.write_all(b"<22>at last\n").await;
            receiver.until(|health| health.refused() > refused || health.lines() > 0).await;
            if receiver.health.lines() > 0 {
                break;
            }
        }
    };
    tokio::time::timeout(DEADLINE, served).await.unwrap();
    assert_eq!(receiver.lines(1).await, ["<22>at last"]);
    receiver.stop().await;
}

async fn claims(path: &Path) -> Result<(), String> {
    let receiver = Receiver::start(SourceSpec::Syslog(Listen::Unix(path.to_owned())), Start::End, brisk(), 1);
    receiver.until(|health| health.state() != State::Starting).await;
    if receiver.health.state() == State::Reading {
        receiver.stop().await;
        return Ok(());
    }
    let error = receiver.task.await.unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Listen { .. }));
    Err(error.to_string())
}

#[tokio::test]
async fn unix_sockets_remove_only_what_is_stale() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.sock");
    let mut receiver = receiver(Listen::Unix(path.clone()), brisk()).await;
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(b"<22>one\ntwo", &path).unwrap();
    assert_eq!(receiver.lines(1).await, ["<22>one two"]);
    assert!(claims(&path).await.unwrap_err().contains("another program listens there"));
    receiver.stop().await;
    assert!(!path.exists(), "its own socket is removed");
    // Left behind by one that was killed, of either kind.
    drop(UnixDatagram::bind(&path).unwrap());
    claims(&path).await.unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    claims(&path).await.unwrap();
    let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(claims(&path).await.unwrap_err().contains("another program listens there"));
    drop(other);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    assert!(claims(&path).await.unwrap_err().contains("not a socket"));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[tokio::test]
async fn unix_streams_are_framed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.sock");
    let mut receiver = receiver(Listen::UnixStream(path.clone()), brisk()).await;
    let mut sender = UnixStream::connect(&path).await.unwrap();
    sender.write_all(b"<22>one\n<22>two\n").await.unwrap();
    assert_eq!(receiver.lines(2).await, ["<22>one", "<22>two"]);
    receiver.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = Listen::Tcp(taken.local_addr().unwrap());
    let receiver = Receiver::start(SourceSpec::Syslog(listen), Start::End, brisk(), 1);
    let error = receiver.task.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("cannot listen on tcp://127.0.0.1:") && error.contains("stop the other program"), "{error}");
}

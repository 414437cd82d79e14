//! The listener: real connections over loopback, plain and by TLS.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use fairban_web::portal::{self, Settings};
use fairban_web::{Certificate, Limits};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::world::World;

/// A certificate for `localhost`, made by the openssl program.
pub(crate) fn certificate(folder: &Path) -> Option<Certificate> {
    let (chain, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&chain)
        .output();
    made.ok().filter(|made| made.status.success()).map(|_| Certificate { chain, key })
}

pub(crate) fn connector(chain: &Path) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(chain).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const PAGE: &str = "GET /blocked HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn pages_come_over_plain_http_and_over_tls() {
    let world = World::new();
    let settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), ..Settings::default() };
    let running = portal::start(settings.clone(), world.house.clone(), None).await.unwrap();
    let answer = ask(TcpStream::connect(running.local_addr()).await.unwrap(), PAGE).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("127.0.0.1"), "{answer}");
    let address = running.local_addr();
    running.stop().await;
    assert!(TcpStream::connect(address).await.is_err());

    let folder = tempfile::tempdir().unwrap();
    let Some(certificate) = certificate(folder.path()) else { return };
    let connector = connector(&certificate.chain);
    let settings = Settings { tls: Some(certificate), ..settings };
    let running = portal::start(settings, world.house.clone(), None).await.unwrap();
    running.reload().unwrap();
    let plain = TcpStream::connect(running.local_addr()).await.unwrap();
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), plain).await.unwrap();
    let answer = ask(stream, &PAGE.replace("/blocked", "/")).await;
    assert!(answer.contains("__Host-fairban-visit=") && answer.contains("Secure"), "{answer}");
    std::fs::write(folder.path().join("key.pem"), "nonsense").unwrap();
    assert!(running.reload().unwrap_err().to_string().contains("key.pem"));
}

#[tokio::test]
async fn one_address_cannot_take_every_connection_and_long_heads_are_refused() {
    let world = World::new();
    let limits = Limits { per_peer_max: 2, ..Limits::default() };
    let settings = Settings { listen: "127.0.0.1:0".parse().unwrap(), limits, ..Settings::default() };
    let running = portal::start(settings, world.house.clone(), None).await.unwrap();
    let connect = || TcpStream::connect(running.local_addr());
    let held = (connect().await.unwrap(), connect().await.unwrap());
    assert_eq!(ask(connect().await.unwrap(), PAGE).await, "", "the third is closed at once");
    let long = PAGE.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "x".repeat(100_000)));
    let answer = ask(held.0, &long).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
}

//! Blocked clients in a network namespace, redirected by the real kernel to a real explainer.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use fairban_enforce::{Change, Element, Enforcer, Explain, Felt, Layout, Nftables};
use fairban_protocols::{
    CertificateFiles, Explainer, ExplainerLimits, Judge, Language, ProtocolError, Running, explainer,
};
use fairban_types::{Code, Diagnosis, Effect, Event, Mailing, Refused, SignIn, SubjectKind, Verdict};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::judge::TOLD;
use crate::namespace::Namespace;

const NAME: &str = "mail.example.test";

/// Refuses everybody: who gets here is blocked.
struct Strict;

impl Judge for Strict {
    fn may_sign_in(&self, question: &SignIn<'_>) -> Verdict {
        assert_eq!(question.account, None, "accounts are not known here");
        Verdict::Refuse(Refused {
            code: Code::new(0x12_3456_789a),
            until: Some("2026-11-21T19:42:00Z".parse().unwrap()),
            effect: Effect::Explain,
            diagnosis: Diagnosis::PasswordGuessing,
            subject: SubjectKind::Address,
        })
    }

    fn may_send(&self, _: &Mailing<'_>) -> Verdict {
        Verdict::Allow
    }

    fn hear(&self, _: Event<'static>) -> bool {
        true
    }
}

/// Makes a certificate that signs itself.
fn certificate(folder: &Path) -> CertificateFiles {
    let files = CertificateFiles { chain: folder.join("chain.pem"), key: folder.join("key.pem") };
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=mail.example.test", "-addext", "subjectAltName=DNS:mail.example.test"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&files.key)
        .arg("-out")
        .arg(&files.chain)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    files
}

/// A mail server with an explainer, and clients.
struct Site {
    client: Namespace,
    enforcer: Nftables,
    imap: TcpListener,
    explainer: Running,
    _server: Namespace,
    _runtime: Runtime,
}

impl Site {
    fn new(settings: Explainer, per_minute: u32) -> Self {
        let (server, client) = (Namespace::new(), Namespace::new());
        let others = ["192.0.2.7/24", "192.0.2.8/24", "2001:db8::7/64", "2001:db8::8/64"];
        server.join("cable", &["192.0.2.1/24", "2001:db8::1/64"], &client, &others);
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        let explainer = server.run(move || handle.block_on(explainer(settings, Arc::new(Strict)))).unwrap();
        let port = explainer.local_addr().unwrap().port();
        let explain = Some(Explain { port, per_minute });
        let enforcer = server.enforcer(Layout { explain, ..Layout::default() });
        let imap = server.run(|| TcpListener::bind("[::]:143").unwrap());
        Site { client, enforcer, imap, explainer, _server: server, _runtime: runtime }
    }

    fn block(&mut self, net: &str) {
        let element = Element { net: net.parse().unwrap(), timeout: None, felt: Felt::Explain };
        self.enforcer.apply(&[Change::Add(element)]).unwrap();
    }

    fn connect(&self, from: &str, port: u16) -> TcpStream {
        let to = if from.contains(':') { format!("[2001:db8::1]:{port}") } else { format!("192.0.2.1:{port}") };
        let stream = self.client.connect(from, &to);
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }
}

fn client_of(files: &CertificateFiles) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.chain).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn secure(stream: TcpStream, config: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let connection = ClientConnection::new(config.clone(), ServerName::try_from(NAME).unwrap()).unwrap();
    StreamOwned::new(connection, stream)
}

/// Reads until a line that begins so; returns it.
fn read_until(stream: &mut impl Read, beginning: &str) -> String {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
        if byte[0] == b'\n' {
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            if text.starts_with(beginning) {
                return text;
            }
        }
    }
}

/// What is sent after which line, and with what the line begins that tells why.
struct Session {
    ready: &'static str,
    start_tls: Option<(&'static str, &'static str)>,
    /// What the server says by itself when TLS has begun.
    again: Option<&'static str>,
    sign_in: &'static str,
    told: &'static str,
}

const SUBMISSION: Session = Session {
    ready: "220 mail.example.test",
    start_tls: Some(("EHLO x\r\nSTARTTLS\r\n", "220 2.0.0")),
    again: None,
    sign_in: "EHLO x\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
    told: "454 4.7.0 ",
};
const IMAP: Session = Session {
    ready: "* OK [CAPABILITY IMAP4rev1",
    start_tls: Some(("a STARTTLS\r\n", "a OK")),
    again: None,
    sign_in: "b LOGIN alice secret\r\n",
    told: "b NO [ALERT] ",
};
const POP3: Session = Session {
    ready: "+OK",
    start_tls: Some(("STLS\r\n", "+OK")),
    again: None,
    sign_in: "USER alice\r\n",
    told: "-ERR [SYS/TEMP] ",
};
const SIEVE: Session = Session {
    ready: "OK",
    start_tls: Some(("STARTTLS\r\n", "OK")),
    again: Some("OK"),
    sign_in: "AUTHENTICATE \"PLAIN\" \"AGFsaWNlAHNlY3JldA==\"\r\n",
    told: "NO (TRYLATER) \"",
};
const SMTP: Session = Session { ready: "421 4.7.0 ", start_tls: None, again: None, sign_in: "", told: "421 4.7.0 " };

impl Session {
    fn plain(&self, mut stream: impl Read + Write) -> String {
        let ready = read_until(&mut stream, self.ready);
        if self.sign_in.is_empty() { ready } else { self.sign_in(stream) }
    }

    fn sign_in(&self, mut stream: impl Read + Write) -> String {
        stream.write_all(self.sign_in.as_bytes()).unwrap();
        stream.flush().unwrap();
        read_until(&mut stream, self.told)
    }

    fn start_tls(&self, mut stream: TcpStream, config: &Arc<ClientConfig>) -> Option<String> {
        let (request, answer) = self.start_tls?;
        read_until(&mut stream, self.ready);
        for line in request.split_inclusive('\n') {
            stream.write_all(line.as_bytes()).unwrap();
            let last = if line.starts_with("EHLO") { "250 " } else { answer };
            read_until(&mut stream, last);
        }
        let mut stream = secure(stream, config);
        if let Some(again) = self.again {
            read_until(&mut stream, again);
        }
        Some(self.sign_in(stream))
    }
}

#[test]
fn every_port_tells_why_on_both_families_in_clear_and_with_tls() {
    let folder = TempDir::new().unwrap();
    let files = certificate(folder.path());
    let config = client_of(&files);
    let mut site = Site::new(Explainer { certificate: Some(files), ..Explainer::new(0, NAME) }, 1000);
    site.block("192.0.2.7/32");
    site.block("2001:db8::7/128");
    let mut told = Vec::new();
    for from in ["192.0.2.7", "2001:db8::7"] {
        for (port, session) in
            [(25, SMTP), (587, SUBMISSION), (2525, SUBMISSION), (143, IMAP), (110, POP3), (4190, SIEVE)]
        {
            told.push(session.plain(site.connect(from, port)));
            told.extend(session.start_tls.and_then(|_| session.start_tls(site.connect(from, port), &config)));
        }
        for (port, session) in [(465, SUBMISSION), (993, IMAP), (995, POP3)] {
            told.push(session.plain(secure(site.connect(from, port), &config)));
        }
    }
    assert_eq!(told.len(), 28);
    for line in told {
        assert!(
            line.contains(&format!("Your connection has been blocked temporarily - Try again later {TOLD}")),
            "{line}"
        );
    }
    // The mail server has seen none of them, and goes on for others.
    for from in ["192.0.2.8", "2001:db8::8"] {
        let there = site.connect(from, 143);
        let (_, peer) = site.imap.accept().unwrap();
        assert_eq!(peer.ip().to_canonical(), from.parse::<IpAddr>().unwrap());
        drop(there);
    }
    let counters = site.explainer.counters();
    assert_eq!((counters.requests, counters.malformed), (28, 0));
}

/// What people's programs are made of. `cargo test -p fairban-protocols -- --ignored` where they are installed.
#[test]
#[ignore = "needs python3, curl and swaks"]
fn real_programs_show_the_reason() {
    let folder = TempDir::new().unwrap();
    let mut site =
        Site::new(Explainer { certificate: Some(certificate(folder.path())), ..Explainer::new(0, NAME) }, 1000);
    site.block("192.0.2.7/32");
    let python = |code: &str| {
        let file = folder.path().join("program.py");
        let lines = "import imaplib, poplib, smtplib, ssl\nC = ssl._create_unverified_context()\nH = '192.0.2.1'\n";
        std::fs::write(&file, format!("{lines}{code}\n")).unwrap();
        format!("python3 {}", file.display())
    };
    let run = |line: String| {
        let (_, text) = site.client.try_sh(&line);
        println!("{line}\n{text}\n");
        assert!(text.contains("28T5-CY4T"), "{line}: {text}");
    };
    for code in [
        "imaplib.IMAP4(H).login('alice', 'secret')",
        "m = imaplib.IMAP4(H); m.starttls(C); m.authenticate('PLAIN', lambda _: b'\\0alice\\0secret')",
        "imaplib.IMAP4_SSL(H, ssl_context=C).login('alice', 'secret')",
        "poplib.POP3(H).user('alice')",
        "m = poplib.POP3(H); m.stls(C); m.user('alice')",
        "m = poplib.POP3_SSL(H, context=C); m.user('alice')",
        "smtplib.SMTP(H, 25)",
        "m = smtplib.SMTP(H, 587); m.starttls(context=C); m.login('alice', 'secret')",
        "m = smtplib.SMTP_SSL(H, 465, context=C); m.login('alice', 'secret')",
        "m = smtplib.SMTP(H, 587); m.sendmail('a@b.test', ['c@d.test'], 'hello')",
    ] {
        run(python(code));
    }
    let address = "--interface 192.0.2.7 -k -v -u alice:secret";
    for url in ["imap://192.0.2.1", "imaps://192.0.2.1", "pop3://192.0.2.1", "pop3s://192.0.2.1"] {
        run(format!("curl {address} {url}/ 2>&1"));
        run(format!("curl {address} --ssl-reqd {url}/ 2>&1"));
    }
    run(format!(
        "curl {address} --ssl-reqd --mail-from a@b.test --mail-rcpt c@d.test -T /dev/null smtp://192.0.2.1:587"
    ));
    let swaks = "swaks -s 192.0.2.1 --from a@b.test --to c@d.test";
    run(swaks.to_owned());
    run(format!("{swaks} -p 587"));
    run(format!("{swaks} -p 587 -a -au alice -ap secret"));
}

#[test]
fn without_a_certificate_what_begins_with_tls_is_closed() {
    let mut site = Site::new(Explainer { languages: vec![Language::German], ..Explainer::new(0, NAME) }, 1000);
    site.block("192.0.2.7/32");
    for port in [465, 993, 995] {
        assert!(matches!(site.connect("192.0.2.7", port).read(&mut [0]), Ok(0)), "{port}");
    }
    let line = IMAP.plain(site.connect("192.0.2.7", 143));
    assert!(line.starts_with("b NO [ALERT] Ihre Verbindung ist voruebergehend gesperrt"), "{line}");
}

#[test]
fn who_was_not_redirected_is_not_served() {
    let runtime = Runtime::new().unwrap();
    let running = runtime.block_on(explainer(Explainer::new(0, NAME), Arc::new(Strict))).unwrap();
    let port = running.local_addr().unwrap().port();
    for host in ["127.0.0.1", "::1"] {
        let mut stream = TcpStream::connect(SocketAddr::new(host.parse().unwrap(), port)).unwrap();
        let ended = stream.read(&mut [0]);
        assert!(matches!(&ended, Ok(0)) || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    }
    assert_eq!(running.counters().malformed, 2);
    runtime.block_on(running.stop());
}

#[test]
fn certificates_that_cannot_be_used_are_told() {
    let folder = TempDir::new().unwrap();
    let (good, other) = (certificate(folder.path()), TempDir::new().unwrap());
    assert!(good.check().is_ok());
    let stranger = certificate(other.path());
    let none = folder.path().join("none.pem");
    for (files, problem) in [
        (CertificateFiles { chain: none.clone(), key: good.key.clone() }, "cannot read"),
        (CertificateFiles { chain: good.key.clone(), key: good.key.clone() }, "holds no certificate"),
        (CertificateFiles { chain: good.chain.clone(), key: good.chain.clone() }, "holds no private key"),
        (CertificateFiles { chain: good.chain.clone(), key: stranger.key }, "cannot be used with the key"),
    ] {
        let settings = Explainer { certificate: Some(files), ..Explainer::new(0, NAME) };
        let refused = Runtime::new().unwrap().block_on(explainer(settings, Arc::new(Strict))).unwrap_err();
        assert!(matches!(refused, ProtocolError::Certificate(_)));
        assert!(refused.to_string().contains(problem), "{refused}");
    }
}

const CROWD: u32 = 800;
const ROUNDS: u32 = 4;
const PLACES: usize = 64;

/// The memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_crowd_of_blocked_clients_is_served_within_bounds() {
    let folder = TempDir::new().unwrap();
    let files = certificate(folder.path());
    let config = client_of(&files);
    let limits = ExplainerLimits { connections_max: PLACES, per_second_max: 100_000, ..ExplainerLimits::default() };
    let mut site = Site::new(Explainer { certificate: Some(files), limits, ..Explainer::new(0, NAME) }, 1000);
    site.client.sh("ip route add local 198.51.100.0/22 dev lo");
    site._server.sh("ip route add 198.51.100.0/22 via 192.0.2.7");
    site.block("198.51.100.0/22");
    // More than there are places, who say nothing: each newcomer makes the oldest of them go.
    let silent: Vec<TcpStream> =
        (0..2 * PLACES).map(|low| site.connect(&format!("198.51.102.{}", low + 1), 143)).collect();
    let before = resident();
    let told: u32 = site.client.run(move || {
        // Threads live in the namespace of the one that starts them.
        let workers: Vec<_> = (0..8u32)
            .map(|worker| {
                let config = config.clone();
                std::thread::spawn(move || {
                    let mine = (0..CROWD * ROUNDS).filter(|number| number % 8 == worker);
                    mine.filter(|number| hammer(*number, &config)).count() as u32
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    let grown = resident().saturating_sub(before);
    let counters = site.explainer.counters();
    drop(silent);
    println!("{told} of {} were told; {} closed early; {grown} KiB more", CROWD * ROUNDS, counters.limited);
    assert!(counters.connections <= PLACES as u64);
    assert!(counters.limited >= PLACES as u64, "{counters:?}");
    assert_eq!(told, CROWD * ROUNDS, "who speaks is served");
    assert!(grown < 64 * 1024, "{grown} KiB");
    // Nothing of it stays in the way of who comes next, nor of who is not blocked.
    site.block("192.0.2.7/32");
    assert!(IMAP.plain(site.connect("192.0.2.7", 143)).contains(TOLD));
    drop(site.connect("192.0.2.8", 143));
    site.imap.accept().unwrap();
}

/// Connects, tries to sign in and hangs up; whether it was told why.
fn hammer(number: u32, config: &Arc<ClientConfig>) -> bool {
    let from = IpAddr::from((0xc633_6400 + number % CROWD).to_be_bytes());
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    let is_tls = number.is_multiple_of(4);
    let port = if is_tls { 993 } else { 143 };
    socket.connect(&SocketAddr::new([192, 0, 2, 1].into(), port).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    if is_tls { complains(secure(stream, config)) } else { complains(stream) }
}

fn complains(mut stream: impl Read + Write) -> bool {
    if stream.write_all(IMAP.sign_in.as_bytes()).is_err() || stream.flush().is_err() {
        return false;
    }
    BufReader::new(stream).lines().map_while(Result::ok).any(|line| line.starts_with(IMAP.told) && line.contains(TOLD))
}

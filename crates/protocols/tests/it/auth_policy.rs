use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fairban_protocols::{AuthPolicy, Judge, Limits, Running, auth_policy};
use fairban_types::{EventKind, Service, Witness};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::judge::{Recorder, TOLD};

pub(crate) async fn started(change: impl FnOnce(&mut AuthPolicy)) -> (Running, SocketAddr, Arc<Recorder>) {
    let judge = Recorder::new();
    let mut settings = AuthPolicy::new("127.0.0.1:0".parse().unwrap());
    change(&mut settings);
    let known: Arc<dyn Judge> = judge.clone();
    let running = auth_policy(settings, known).await.unwrap();
    let address = running.local_addr().unwrap();
    (running, address, judge)
}

pub(crate) fn post(command: &str, body: &str) -> String {
    format!(
        "POST /?command={command} HTTP/1.1\r\nHost: fairban\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn question(login: &str, remote: &str) -> String {
    format!(
        r#"{{"device_id":"","login":"{login}","protocol":"imap","pwhash":"00a0","remote":"{remote}","session_id":"iTe3","tls":false}}"#
    )
}

/// The status and body of the next answer.
pub(crate) async fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (status, String::from_utf8(body).unwrap())
}

async fn ask(stream: &mut TcpStream, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).await.unwrap();
    answer(stream).await
}

#[tokio::test]
async fn effects_in_the_words_of_dovecot() {
    let (running, address, judge) = started(|settings| settings.tarpit = Duration::from_secs(7)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let told =
        format!(r#"{{"status":-1,"msg":"Your connection has been blocked temporarily - Try again later {TOLD}"}}"#);
    for (login, remote, expected) in [
        ("alice", "192.0.2.7", r#"{"status":0}"#),
        ("explain", "192.0.2.7", &told),
        ("drop", "192.0.2.7", &told),
        ("soft", "192.0.2.7", r#"{"status":-1}"#),
        ("tarpit", "192.0.2.7", r#"{"status":7}"#),
        ("observe", "192.0.2.7", r#"{"status":0}"#),
        ("alice", "203.0.113.9", &told),
        ("familiar", "203.0.113.9", r#"{"status":0}"#),
        ("soft", "", r#"{"status":0}"#),
    ] {
        let (status, body) = ask(&mut stream, &post("allow", &question(login, remote))).await;
        assert_eq!((status, body.as_str()), (200, expected), "{login}");
    }
    assert_eq!(judge.take_asked()[0], "sign-in 192.0.2.7 alice imap");
    assert_eq!(judge.take_heard(), [], "a question is no event");
    let counters = running.counters();
    assert_eq!((counters.connections, counters.requests, counters.refused), (1, 9, 5));
    assert_eq!((counters.malformed, counters.limited), (0, 0));
    assert!(counters.last_request.is_some());
}

#[tokio::test]
async fn one_sign_in_is_two_questions_and_one_report() {
    let (running, address, judge) = started(|_| {}).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let question = question("alice", "192.0.2.7");
    let report = |ending: &str| post("report", &question.replace('}', &format!(",{ending}}}")));
    for request in [
        post("allow", &question),
        post("allow", &question),
        report(r#""success":true,"policy_reject":false"#),
        report(r#""success":false,"policy_reject":true"#),
        report(r#""success":false,"policy_reject":false"#),
    ] {
        assert_eq!(ask(&mut stream, &request).await, (200, r#"{"status":0}"#.to_owned()));
    }
    let asked = judge.take_asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], asked[1]);
    let heard = judge.take_heard();
    let kinds: Vec<EventKind> = heard.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::LoginSucceeded, EventKind::LoginRefused, EventKind::LoginFailed]);
    assert!(heard.iter().all(|event| event.witness == Witness::Report && event.service == Service::Imap));
    assert_eq!((heard[0].session.as_deref(), heard[0].program.as_deref()), (Some("iTe3"), None));
    let lost = post("report", r#"{"login":"lost","remote":"192.0.2.7","success":false,"policy_reject":false}"#);
    assert_eq!(ask(&mut stream, &lost).await.0, 200, "Dovecot cannot help it");
    assert_eq!(running.counters().lost, 1);
}

#[tokio::test]
async fn requests_in_pieces_and_in_one_go() {
    let (_running, address, judge) = started(|_| {}).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in post("allow", &question("alice", "192.0.2.7")).bytes() {
        stream.write_u8(byte).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(answer(&mut stream).await.0, 200);
    let both = post("allow", &question("soft", "192.0.2.7")) + &post("allow", &question("bob", "192.0.2.7"));
    stream.write_all(both.as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await.1, r#"{"status":-1}"#);
    assert_eq!(answer(&mut stream).await.1, r#"{"status":0}"#);
    let chunked = "POST /?command=allow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
        f\r\n{\"login\":\"soft\"\r\n16\r\n,\"remote\":\"192.0.2.7\"}\r\n0\r\n\r\n";
    assert_eq!(ask(&mut stream, chunked).await.1, r#"{"status":-1}"#);
    assert_eq!(judge.take_asked().len(), 4);
}

/// Instead of a status.
const HUNG_UP: u16 = 0;

#[tokio::test]
async fn what_is_wrong_is_an_error_and_never_a_refusal() {
    let (running, address, judge) = started(|_| {}).await;
    let good = question("soft", "192.0.2.7");
    let endless = format!("POST /?command=allow HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let broken_chunk = format!(
        "POST /?command=allow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9000\r\n{}\r\n0\r\n\r\n",
        "x".repeat(0x9000)
    );
    for (request, expected) in [
        (post("allow", &good).replace("POST", "GET"), 405),
        (post("allow", &good).replace("/?", "/policy?"), 404),
        (post("deny", &good), 400),
        (post("allow", "not json"), 400),
        (post("allow", &good.replace("192.0.2.7", "nowhere")), 400),
        (post("report", "{\"a\":"), 400),
        (post("allow", &" ".repeat(33 * 1024)), 413),
        (broken_chunk, 413),
        (endless, 431),
        ("garbage\r\n\r\n".to_owned(), HUNG_UP),
        ("\x16\x03\x01\x02\0a hello of TLS".to_owned(), HUNG_UP),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server need not read to the end what it will not answer.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut head = [0; 12];
        if stream.read_exact(&mut head).await.is_err() {
            // The system forgets an answer when the other side goes on sending.
            assert!(matches!(expected, 413 | 431 | HUNG_UP), "{expected}");
            continue;
        }
        let text = String::from_utf8_lossy(&head);
        assert_eq!(text, format!("HTTP/1.1 {expected}"), "{}", &request[..30.min(request.len())]);
    }
    assert_eq!(judge.take_asked(), [] as [&str; 0]);
    assert_eq!(running.counters().requests, 0);
}

#[tokio::test]
async fn without_the_key_nothing_is_answered() {
    let (running, address, judge) = started(|settings| settings.api_key = Some("sesame".to_owned())).await;
    let request = post("allow", &question("alice", "192.0.2.7"));
    for (header, expected) in [
        ("", 401),
        ("X-API-Key: sesam\r\n", 401),
        ("X-API-Key: sesame\r\n", 200),
        ("Authorization: Bearer sesame\r\n", 200),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = request.replace("Host: fairban\r\n", &format!("Host: fairban\r\n{header}"));
        assert_eq!(ask(&mut stream, &request).await.0, expected, "{header}");
    }
    assert_eq!(judge.take_asked().len(), 2);
    assert_eq!(running.counters().unauthorized, 2);
}

#[tokio::test]
async fn who_dribbles_or_rests_too_long_is_hung_up_on() {
    let (running, address, _judge) = started(|settings| {
        settings.limits = Limits {
            request_time: Duration::from_millis(80),
            idle_time: Duration::from_millis(80),
            ..Limits::default()
        };
    })
    .await;
    let whole = post("allow", &question("alice", "192.0.2.7"));
    for begun in ["", "POST /?comm", &whole[..whole.len() - 5], &whole] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        // Ends only if the server hangs up.
        let _ = stream.read_to_end(&mut all).await;
        assert_eq!(all.is_empty(), begun.len() < whole.len());
    }
    assert_eq!(running.counters().limited, 4);
}

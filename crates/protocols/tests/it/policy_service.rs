use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fairban_protocols::{Judge, Limits, Listen, PolicyService, Running, policy_service};
use fairban_types::{EventKind, Service, Witness};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use crate::judge::{Recorder, TOLD};

pub(crate) async fn started(change: impl FnOnce(&mut PolicyService)) -> (Running, SocketAddr, Arc<Recorder>) {
    let judge = Recorder::new();
    let mut settings = PolicyService::new(Listen::Tcp("127.0.0.1:0".parse().unwrap()));
    change(&mut settings);
    let known: Arc<dyn Judge> = judge.clone();
    let running = policy_service(settings, known).await.unwrap();
    let address = running.local_addr().unwrap();
    (running, address, judge)
}

pub(crate) fn request(state: &str, more: &str) -> String {
    let more: String = more.split_whitespace().map(|attribute| format!("{attribute}\n")).collect();
    let base = "request=smtpd_access_policy\nprotocol_state=";
    // What is told again further down does not count.
    format!("{base}{state}\n{more}client_address=192.0.2.7\nserver_port=587\nhelo_name=pc.example.test\n\n")
}

type Line = BufStream<TcpStream>;

pub(crate) async fn connect(address: SocketAddr) -> Line {
    BufStream::new(TcpStream::connect(address).await.unwrap())
}

/// The next answer, without `action=`.
pub(crate) async fn answer(line: &mut Line) -> String {
    let (mut action, mut end) = (String::new(), String::new());
    line.read_line(&mut action).await.unwrap();
    line.read_line(&mut end).await.unwrap();
    assert_eq!(end, "\n");
    action.strip_prefix("action=").unwrap().trim_end().to_owned()
}

pub(crate) async fn ask(line: &mut Line, request: &str) -> String {
    line.write_all(request.as_bytes()).await.unwrap();
    line.flush().await.unwrap();
    answer(line).await
}

#[tokio::test]
async fn effects_in_every_state() {
    let told = format!("421 4.7.0 Your connection has been blocked temporarily - Try again later {TOLD}");
    let sending = format!("421 4.7.0 Your sending of mail has been blocked temporarily - Try again later {TOLD}");
    let (soft, blocked) = ("550 5.7.1 Access denied", "client_address=203.0.113.9");
    let (running, address, _judge) = started(|settings| settings.tarpit = Duration::from_secs(3)).await;
    let mut line = connect(address).await;
    for (state, more, expected) in [
        ("CONNECT", blocked, "DUNNO"),
        ("EHLO", blocked, "DUNNO"),
        ("HELO", blocked, "DUNNO"),
        ("MAIL", blocked, &told),
        ("RCPT", blocked, &told),
        ("RCPT", "client_address=203.0.113.9 sasl_username=familiar", "DUNNO"),
        ("DATA", blocked, &told),
        ("END-OF-MESSAGE", blocked, &told),
        ("VRFY", blocked, &told),
        ("ETRN", blocked, &told),
        ("BDAT", blocked, &told),
        ("AUTH", "sasl_username=alice", "DUNNO"),
        ("AUTH", "sasl_username=soft", "REJECT"),
        ("AUTH", "sasl_username=explain", "REJECT"),
        ("AUTH", "sasl_username=tarpit", "DUNNO"),
        ("AUTH", blocked, "REJECT"),
        ("AUTH", "sasl_username=alice helo_name=soft", "REJECT"),
        ("AUTH", "sasl_username=alice helo_name=explain", "REJECT"),
        ("AUTH", "sasl_username=alice helo_name=tarpit", "DUNNO"),
        ("EHLO", "helo_name=soft", "DUNNO"),
        ("EHLO", "sender=soft@x.test", "DUNNO"),
        ("MAIL", "sender=soft@x.test", "DUNNO"),
        ("RCPT", "sender=soft@x.test", soft),
        ("DATA", "sender=soft@x.test instance=1.a", soft),
        ("END-OF-MESSAGE", "sender=soft@x.test instance=1.a", soft),
        ("MAIL", "sasl_username=soft", "DUNNO"),
        ("RCPT", "sasl_username=soft", soft),
        ("RCPT", "sender=explain@x.test", &sending),
        ("RCPT", "sender=tarpit@x.test", "sleep 3"),
        ("RCPT", "sasl_username=tarpit", "sleep 3"),
        ("RCPT", "sasl_username=tarpit sender=soft@x.test", soft),
        ("RCPT", "sender=observe@x.test", "DUNNO"),
        ("RCPT", "sender=", "DUNNO"),
    ] {
        assert_eq!(ask(&mut line, &request(state, more)).await, expected, "{state} {more}");
    }
    assert_eq!(running.counters().requests, 33);
}

#[tokio::test]
async fn settings_choose_the_words() {
    let (_running, address, _judge) = started(|settings| {
        settings.defer = false;
        settings.refuse_at_connect = true;
        settings.soft_answer = "450 4.2.0 Mailbox\nbusy".to_owned();
        settings.message.text = Some("Gesperrt für heute".to_owned());
    })
    .await;
    let mut line = connect(address).await;
    let told = format!("554 5.7.1 Gesperrt f?r heute {TOLD}");
    assert_eq!(ask(&mut line, &request("CONNECT", "client_address=203.0.113.9")).await, told);
    assert_eq!(ask(&mut line, &request("CONNECT", "")).await, "DUNNO");
    assert_eq!(ask(&mut line, &request("RCPT", "sender=soft@x.test")).await, "450 4.2.0 Mailbox busy");
}

#[tokio::test]
async fn what_the_judge_is_asked() {
    let (_running, address, judge) = started(|_| {}).await;
    let mut line = connect(address).await;
    for (state, more, asked) in [
        ("EHLO", "sasl_username=alice", vec![]),
        ("MAIL", "sasl_username=alice sender=a@x.test", vec!["sign-in 192.0.2.7 alice submission"]),
        (
            "RCPT",
            "sasl_username=alice sender=a@x.test instance=1.a",
            vec!["sign-in 192.0.2.7 alice submission", "send 192.0.2.7 alice pc.example.test a@x.test"],
        ),
        ("DATA", "sasl_username=alice sender=a@x.test instance=1.a", vec!["sign-in 192.0.2.7 alice submission"]),
        ("DATA", "server_port=25 instance=1.b", vec!["sign-in 192.0.2.7 - smtp", "send 192.0.2.7 - pc.example.test -"]),
        (
            "AUTH",
            "sasl_username=alice server_port=25",
            vec!["sign-in 192.0.2.7 alice submission", "send 192.0.2.7 alice pc.example.test -"],
        ),
    ] {
        ask(&mut line, &request(state, more)).await;
        assert_eq!(judge.take_asked(), asked, "{state} {more}");
    }
}

#[tokio::test]
async fn recipients_are_counted_once_across_connections() {
    let (running, address, judge) = started(|_| {}).await;
    let (mut one, mut other) = (connect(address).await, connect(address).await);
    let rcpt = |recipient: &str| {
        request("RCPT", &format!("sasl_username=alice sender=a@x.test instance=1.a recipient={recipient}"))
    };
    for recipient in ["b@y.test", "b@y.test", "c@y.test"] {
        assert_eq!(ask(&mut one, &rcpt(recipient)).await, "DUNNO");
    }
    ask(&mut other, &rcpt("c@y.test")).await;
    ask(&mut other, &request("END-OF-MESSAGE", "sasl_username=alice instance=1.a recipient_count=2")).await;
    // Refused, so not sent.
    ask(&mut one, &request("RCPT", "sasl_username=alice sender=soft@x.test instance=1.b recipient=d@y.test")).await;
    ask(&mut one, &request("RCPT", "sender=a@x.test instance=1.c recipient=d@y.test")).await;
    ask(&mut one, &request("END-OF-MESSAGE", "sasl_username=lost instance=1.d recipient_count=40 queue_id=Q1")).await;
    let heard: Vec<_> =
        judge.take_heard().into_iter().map(|event| (event.kind, event.count, event.recipient)).collect();
    let sent = EventKind::MessageSent;
    let expected = [(sent, 1, Some("b@y.test".into())), (sent, 1, Some("c@y.test".into())), (sent, 40, None)];
    assert_eq!(heard, expected);
    assert_eq!((running.counters().lost, running.counters().refused), (1, 1));
}

#[tokio::test]
async fn refused_sign_ins_are_reported() {
    let (_running, address, judge) = started(|_| {}).await;
    let mut line = connect(address).await;
    for more in ["sasl_username=soft instance=1.a", "sasl_username=alice helo_name=soft sasl_method=LOGIN"] {
        assert_eq!(ask(&mut line, &request("AUTH", more)).await, "REJECT");
    }
    ask(&mut line, &request("AUTH", "sasl_username=alice")).await;
    ask(&mut line, &request("RCPT", "sasl_username=alice client_address=203.0.113.9")).await;
    let heard: Vec<_> = judge
        .take_heard()
        .into_iter()
        .map(|event| {
            assert_eq!((event.kind, event.witness), (EventKind::LoginRefused, Witness::Report));
            assert_eq!((event.service, event.session), (Service::Submission, None));
            (event.account.unwrap().into_owned(), event.helo.unwrap().into_owned(), event.method.is_some())
        })
        .collect();
    let expected = [("soft", "pc.example.test", false), ("alice", "soft", true)];
    assert_eq!(heard, expected.map(|(account, helo, method)| (account.to_owned(), helo.to_owned(), method)));
}

#[tokio::test]
async fn pipelined_and_byte_by_byte() {
    let (running, address, judge) = started(|_| {}).await;
    let mut line = connect(address).await;
    let many: String = (0..500)
        .map(|number| request("RCPT", &format!("sender={}@x.test", if number % 2 == 0 { "soft" } else { "good" })))
        .collect();
    line.write_all(many.as_bytes()).await.unwrap();
    line.flush().await.unwrap();
    for number in 0..500 {
        let expected = if number % 2 == 0 { "550 5.7.1 Access denied" } else { "DUNNO" };
        assert_eq!(answer(&mut line).await, expected);
    }
    for byte in request("RCPT", "sender=soft@x.test").bytes() {
        line.write_u8(byte).await.unwrap();
        line.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(answer(&mut line).await, "550 5.7.1 Access denied");
    assert_eq!(running.counters().requests, 501);
    assert_eq!(judge.take_asked().len(), 1002);
}

#[tokio::test]
async fn who_sends_all_and_half_closes_gets_all_answers() {
    let (_running, address, _judge) = started(|_| {}).await;
    let mut line = connect(address).await;
    let text = request("RCPT", "sender=soft@x.test") + &request("RCPT", "") + "request=half";
    line.write_all(text.as_bytes()).await.unwrap();
    line.shutdown().await.unwrap();
    let mut all = String::new();
    line.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "action=550 5.7.1 Access denied\n\naction=DUNNO\n\n");
}

#[tokio::test]
async fn garbage_in_a_frame_is_waved_on_and_broken_frames_end_it() {
    let (running, address, judge) = started(|_| {}).await;
    let mut line = connect(address).await;
    for text in ["GET / HTTP/1.0\r\n\r\n", "request=other\nclient_address=192.0.2.7\n\n", "=\n\n"] {
        assert_eq!(ask(&mut line, text).await, "DUNNO", "{text}");
    }
    assert_eq!(ask(&mut line, &request("RCPT", "client_address=unknown")).await, "DUNNO");
    assert_eq!(ask(&mut line, &request("RCPT", "sender=soft@x.test")).await, "550 5.7.1 Access denied");
    assert_eq!((running.counters().malformed, running.counters().requests), (4, 1));
    judge.take_asked();
    let wide = format!("a={}\n", "x".repeat(1000)).repeat(40);
    for text in ["\n", &"x".repeat(9000), &"a=b\n".repeat(129), &wide] {
        let mut line = connect(address).await;
        let first = request("RCPT", "sender=soft@x.test");
        // The server need not read to the end what it will not answer.
        let _ = line.write_all(format!("{first}{text}").as_bytes()).await;
        let _ = line.flush().await;
        assert_eq!(answer(&mut line).await, "550 5.7.1 Access denied", "what came before is answered");
        let mut rest = Vec::new();
        let _ = line.read_to_end(&mut rest).await;
        assert_eq!(rest, b"");
    }
    assert_eq!(running.counters().malformed, 8);
}

#[tokio::test]
async fn who_dribbles_rests_too_long_or_takes_no_answer_is_hung_up_on() {
    let (running, address, _judge) = started(|settings| {
        settings.limits = Limits {
            request_time: Duration::from_millis(80),
            idle_time: Duration::from_millis(80),
            ..Limits::default()
        };
    })
    .await;
    let whole = request("RCPT", "");
    for begun in ["", "request=smtpd", &whole[..whole.len() - 1], &whole] {
        let mut line = connect(address).await;
        line.write_all(begun.as_bytes()).await.unwrap();
        line.flush().await.unwrap();
        let mut all = Vec::new();
        // Ends only if the server hangs up.
        let _ = line.read_to_end(&mut all).await;
        assert_eq!(all.is_empty(), begun.len() < whole.len());
    }
    let mut deaf = TcpStream::connect(address).await.unwrap();
    // Ends only if the server hangs up: its answers fill every buffer on the way.
    while deaf.write_all(whole.as_bytes()).await.is_ok() {}
    assert_eq!(running.counters().limited, 5);
}

//! Notices, read by a relay that keeps what it is told.

use std::net::Ipv4Addr;
use std::sync::Arc;

use fairban_types::Diagnosis;
use fairban_web::notice::{Happened, Notice, NoticeSettings, Notices, Relay};
use fairban_web::portal::{MailSecurity, Portal, Settings};
use fairban_web::{Languages, Rate};
use jiff::tz::TimeZone;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::world::{OFFICE, World, failures};

/// As much of SMTP as a relay needs; each message is handed on as recipients and text.
async fn relay() -> (Relay, mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(take(stream, tell.clone()));
        }
    });
    let relay = Relay { host: "127.0.0.1".into(), port, security: MailSecurity::Plain, authority: None, sign_in: None };
    (relay, told)
}

async fn take(stream: TcpStream, tell: mpsc::Sender<(String, String)>) {
    let mut stream = BufReader::new(stream);
    let _ = stream.write_all(b"220 relay ESMTP\r\n").await;
    let mut recipients = String::new();
    let mut line = String::new();
    while {
        line.clear();
        stream.read_line(&mut line).await.unwrap_or(0) > 0
    } {
        let answer: &[u8] = match line.get(..4).unwrap_or_default() {
            "RCPT" => {
                recipients.push_str(line.trim());
                b"250 ok\r\n"
            }
            "DATA" => {
                let _ = stream.write_all(b"354 go on\r\n").await;
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") && stream.read_line(&mut text).await.unwrap_or(0) > 0 {}
                tell.send((std::mem::take(&mut recipients), text)).await.unwrap();
                b"250 taken\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        let _ = stream.write_all(answer).await;
    }
}

fn settings(relay: Relay, burst: u32) -> NoticeSettings {
    NoticeSettings {
        relay,
        from: "Fairban <postmaster@example.test>".into(),
        administrator: Some("root@example.test".into()),
        to_owner: true,
        per_account: Rate { burst, ..NoticeSettings::PER_ACCOUNT },
        in_all: NoticeSettings::IN_ALL,
    }
}

fn notices(world: &World, settings: &NoticeSettings) -> Arc<Notices> {
    let languages = Languages::load(None, "en").unwrap();
    Notices::start(settings, languages, TimeZone::UTC, world.hands.clock()).unwrap()
}

#[tokio::test]
async fn owner_and_administrator_are_told_of_a_release() {
    let mut world = World::new();
    let (relay, mut told) = relay().await;
    let portal = Portal::with_check(
        Settings { time_zone: Some("UTC".into()), ..Settings::default() },
        world.house.clone(),
        world.hands.clock(),
        Some(world.passwords.clone()),
        Some(notices(&world, &settings(relay, 3))),
    );
    world.router = portal.unwrap().router();
    let events = failures(world.hands.now(), OFFICE, "alice@example.test", 5);
    let code = world.block(1, OFFICE, Diagnosis::StalePassword, events).to_string();
    let mut browser = world.browser(OFFICE);
    browser.language = "de";
    browser.sign_in("alice@example.test", "right-alice@example.test").await.is(200);
    let (to, text) = told.recv().await.unwrap();
    assert!(to.contains("<alice@example.test>"), "{to}");
    assert!(text.contains("Auto-Submitted: auto-generated"), "{text}");
    assert!(
        text.contains("Subject: Eine Sperre Ihres E-Mail-Zugangs wurde aufgehoben") && text.contains(&code),
        "{text}"
    );
    let (to, text) = told.recv().await.unwrap();
    assert!(to.contains("<root@example.test>") && text.contains("lifted block"), "{to} {text}");
}

#[tokio::test]
async fn notices_are_few_and_go_to_mail_addresses_only() {
    let world = World::new();
    let (relay, mut told) = relay().await;
    let notices = notices(&world, &settings(relay, 2));
    let evil = "x@example.test\r\nBcc: victim@elsewhere.test";
    let notice = |account: &str| Notice {
        happened: if account == evil { Happened::Released } else { Happened::Stolen },
        account: account.into(),
        address: OFFICE.into(),
        code: fairban_types::Code::new(7),
        reason: "{account}".into(),
        time: world.hands.now(),
        language: None,
    };
    let kept: Vec<bool> = [evil, "nobody", "bob@example.test", "bob@example.test", "bob@example.test"]
        .iter()
        .map(|account| notices.tell(&notice(account)))
        .collect();
    assert_eq!(kept, [true, true, true, true, false]);
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(told.recv().await.unwrap());
    }
    let to_bob = all.iter().filter(|(to, _)| to.contains("bob@")).count();
    let to_root = all.iter().filter(|(to, _)| to.contains("root@")).count();
    assert_eq!((to_bob, to_root), (2, 4), "{all:?}");
    for (to, text) in &all {
        assert!(!to.contains("victim") && !text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_address_is_refused_at_the_start() {
    let world = World::new();
    let (relay, _told) = relay().await;
    let wrong = NoticeSettings { from: "no address".into(), ..settings(relay, 1) };
    let languages = Languages::load(None, "en").unwrap();
    let error = Notices::start(&wrong, languages, TimeZone::UTC, world.hands.clock()).unwrap_err();
    assert!(error.to_string().starts_with("notices.from"), "{error}");
}

#[tokio::test]
async fn a_mail_of_its_own_is_sent_at_once_or_said_why_not() {
    let world = World::new();
    let (relay, mut told) = relay().await;
    let languages = Languages::load(None, "en").unwrap();
    let notices = Notices::start(&settings(relay, 3), languages, TimeZone::UTC, world.hands.clock()).unwrap();
    let sent = notices.mail("root@example.test", "Fairban\r\nBcc: x@y.test", "It is blocked.\n".to_owned()).await;
    assert_eq!(sent, Ok(()));
    let (to, text) = told.recv().await.unwrap();
    assert!(to.contains("root@example.test") && text.contains("It is blocked."), "{to} {text}");
    assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    assert!(notices.mail("no address", "", String::new()).await.unwrap_err().contains("no mail address"));
}

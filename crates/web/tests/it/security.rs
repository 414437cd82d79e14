//! What an attacker who owns one mailbox, or none, does not gain.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fairban_types::{Diagnosis, EventKind, Evidence, Service};
use fairban_web::portal::{LiftPolicy, MayTry, Settings};
use fairban_web::{ForwardHeader, Proxies};

use crate::world::{OFFICE, PHONE, World, failures};

const SIGNED: &str = "fairban-portal";

fn spraying(world: &World) -> Vec<Evidence> {
    ["mallory", "bob", "carol", "dave", "erin"]
        .iter()
        .flat_map(|name| failures(world.hands.now(), OFFICE, &format!("{name}@example.test"), 1))
        .collect()
}

#[tokio::test]
async fn a_spraying_address_is_lifted_no_more_than_the_limit() {
    let lift = LiftPolicy { per_account_max: 2, per_address_max: 3, ..LiftPolicy::default() };
    let world = World::with(Settings { lift, ..Settings::default() });
    let mut attempt = 0;
    let mut lifted = 0;
    // One mailbox first, then others of the attacker's at the same address, by sign-in, button and code.
    for name in ["mallory", "mallory", "mallory", "mallet", "eve", "eve"] {
        attempt += 1;
        let code = world.block(attempt, OFFICE, Diagnosis::PasswordSpraying, spraying(&world));
        let account = format!("{name}@example.test");
        let mut here = world.browser(OFFICE);
        here.sign_in(&account, &format!("right-{account}")).await.is(200);
        let mut phone = world.browser(PHONE);
        phone.sign_in(&account, &format!("right-{account}")).await;
        for browser in [&mut here, &mut phone] {
            browser.post("/release", &[("code", &code.to_string())]).await;
        }
        lifted += u32::from(!world.house.is_blocked("mx1", OFFICE.parse().unwrap()));
        // Whatever is left ends before the next.
        world.hands.forward(Duration::from_secs(3600));
    }
    assert_eq!(lifted, 3, "twice for one mailbox, three times for the address");
    assert_eq!(world.house.released().len(), 3);
}

#[tokio::test]
async fn many_releases_at_once_do_not_pass_the_limit() {
    let lift = LiftPolicy { per_account_max: 1, ..LiftPolicy::default() };
    let world = World::with(Settings { lift, ..Settings::default() });
    let mut browser = world.browser(OFFICE);
    browser.sign_in("mallory@example.test", "right-mallory@example.test").await;
    let codes: Vec<String> = (1..=8)
        .map(|number| world.block(number, OFFICE, Diagnosis::PasswordSpraying, spraying(&world)).to_string())
        .collect();
    let token = browser.get("/result").await.hidden("token").unwrap();
    let tasks: Vec<_> = codes
        .into_iter()
        .map(|code| {
            let (mut browser, token) = (browser.clone(), token.clone());
            tokio::spawn(async move { browser.post_raw("/release", &[("token", &token), ("code", &code)], &[]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(world.house.released().len(), 1);
}

#[tokio::test]
async fn names_of_others_are_not_shown() {
    let world = World::new();
    let mut events = spraying(&world);
    for evidence in &mut events {
        evidence.event.recipient = Some("secret@elsewhere.test".into());
        evidence.event.client = "192.0.2.99".parse().unwrap();
    }
    events[0].event.recipient = None;
    let code = world.block(1, "192.0.2.0/24", Diagnosis::PasswordSpraying, events);
    let mut here = world.browser(OFFICE);
    let signed = here.sign_in("mallory@example.test", "right-mallory@example.test").await;
    let looked = here.post("/code", &[("code", &code.to_string())]).await;
    for answer in [signed, looked] {
        answer.says("mallory@example.test").says("b•••@…").says("c•••@…");
        for secret in ["bob", "carol", "dave", "erin", "secret", "elsewhere"] {
            answer.says_nothing_of(secret);
        }
    }
}

#[tokio::test]
async fn a_block_elsewhere_that_is_not_theirs_is_not_lifted() {
    let world = World::new();
    let code = world.office_is_blocked();
    let mut browser = world.browser(PHONE);
    browser.sign_in("mallory@example.test", "right-mallory@example.test").await;
    let answer = browser.post("/code", &[("code", &code.to_string())]).await;
    answer.says("nothing of your mailbox led to it").says_nothing_of("alice").says_nothing_of("Thunderbird");
    browser.post("/release", &[("code", &code.to_string())]).await;
    assert!(world.house.is_blocked("mx1", OFFICE.parse().unwrap()) && world.house.released().is_empty());
}

#[tokio::test]
async fn codes_cannot_be_guessed_through() {
    let world = World::new();
    let mut browser = world.browser(PHONE);
    browser.sign_in("mallory@example.test", "right-mallory@example.test").await;
    let token = browser.get("/result").await.hidden("token").unwrap();
    let mut refused = 0;
    for number in 0..20 {
        let code = fairban_types::Code::new(number).to_string();
        let path = if number % 2 == 0 { "/code" } else { "/release" };
        let answer = browser.post_raw(path, &[("token", &token), ("code", &code)], &[]).await;
        refused += u32::from(answer.status == 429);
    }
    assert!(refused >= 5, "{refused}");
}

#[tokio::test]
async fn passwords_cannot_be_tested_faster_than_by_imap() {
    let world = World::new();
    let mut browser = world.browser(OFFICE);
    for _ in 0..30 {
        browser.sign_in("alice@example.test", "guess").await;
        world.hands.forward(Duration::from_secs(10));
    }
    assert_eq!(
        world.passwords.asked.load(Ordering::Relaxed),
        5,
        "five minutes: five at once, one more each five minutes"
    );
    let answer = browser.sign_in("alice@example.test", "guess").await;
    answer.is(403);
    let answer = browser.sign_in("alice@example.test", "right-alice@example.test").await;
    answer.is(429).says("There have been too many tries. Please wait");
    let heard = world.house.heard();
    assert_eq!(heard.len(), 6, "each try is told to the house, to be scored");
    for event in heard {
        assert_eq!((event.kind, event.service), (EventKind::LoginFailed, Service::Webmail));
        assert_eq!((event.client.to_string().as_str(), event.account.as_deref()), (OFFICE, Some("alice@example.test")));
        assert_eq!((event.program.as_deref(), event.digest), (Some("Fairban portal"), None));
    }
}

#[tokio::test]
async fn a_right_password_is_told_too_and_the_house_is_asked_first() {
    let world = World::new();
    world.browser(OFFICE).sign_in("alice@example.test", "right-alice@example.test").await;
    assert_eq!(world.house.heard()[0].kind, EventKind::LoginSucceeded);
    world.house.say(MayTry::NotFor(Duration::from_secs(60)));
    let answer = world.browser(OFFICE).sign_in("alice@example.test", "right-alice@example.test").await;
    answer.is(429);
    assert_eq!(world.passwords.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn x_forwarded_for_is_believed_from_proxies_only() {
    let proxies = Proxies { trusted: vec!["10.0.0.0/8".parse().unwrap()], header: ForwardHeader::XForwardedFor };
    let world = World::with(Settings { proxies, ..Settings::default() });
    world.office_is_blocked();
    for (peer, forwarded, shown) in [
        ("203.0.113.9", "192.0.2.7", "203.0.113.9"),
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, 203.0.113.9", "203.0.113.9"),
    ] {
        let mut browser = world.browser(peer);
        browser.headers = vec![("x-forwarded-for", forwarded.into()), ("forwarded", "for=192.0.2.7".into())];
        let answer = browser.get("/blocked").await;
        answer.says(&format!("coming from now: {shown}"));
        let expected = if shown == OFFICE { "Your connection is blocked" } else { "Your connection is not blocked" };
        answer.says(expected);
    }
    let mut forger = world.browser("203.0.113.9");
    forger.headers = vec![("x-forwarded-for", OFFICE.into())];
    forger.sign_in("mallory@example.test", "right-mallory@example.test").await.says("Nothing is blocked");
    assert!(world.house.is_blocked("mx1", OFFICE.parse().unwrap()));
}

#[tokio::test]
async fn forms_of_others_are_refused() {
    let world = World::new();
    let code = world.office_is_blocked().to_string();
    let mut browser = world.browser(PHONE);
    browser.sign_in("alice@example.test", "right-alice@example.test").await;
    let token = browser.get("/result").await.hidden("token").unwrap();
    let good = [("token", token.as_str()), ("code", code.as_str())];
    for headers in [
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("sec-fetch-site", "none")],
        vec![("origin", "https://evil.test")],
        vec![("origin", "null")],
        vec![("content-type", "text/plain")],
    ] {
        let answer = browser.post_raw("/release", &good, &headers).await;
        assert!(answer.status.is_client_error(), "{headers:?}");
    }
    let mut stranger = world.browser(PHONE);
    stranger.sign_in("mallory@example.test", "right-mallory@example.test").await;
    let theirs = stranger.get("/result").await.hidden("token").unwrap();
    assert_ne!(theirs, token);
    for bad in ["", "x", theirs.as_str(), &token[1..]] {
        let answer = browser.post_raw("/release", &[("token", bad), ("code", &code)], &[]).await;
        answer.is(403).says("did not come from this page");
        browser.post_raw("/sign-out", &[("token", bad)], &[]).await.is(403);
    }
    assert!(world.house.released().is_empty());
    browser.get("/result").await.is(200).says("Signed in as alice@example.test");
    browser.post_raw("/release", &good, &[]).await.says("It is lifted.");
}

#[tokio::test]
async fn nobody_can_be_signed_in_by_another_site() {
    let world = World::new();
    let mut browser = world.browser(OFFICE);
    let fields = [("account", "mallory@example.test"), ("password", "right-mallory@example.test")];
    browser.post_raw("/sign-in", &fields, &[]).await.is(403);
    let token = browser.get("/").await.hidden("token").unwrap();
    let mut all = vec![("token", token.as_str())];
    all.extend(fields);
    browser.post_raw("/sign-in", &all, &[("sec-fetch-site", "cross-site")]).await.is(403);
    assert!(!browser.cookies.contains_key(SIGNED));
    assert_eq!(world.passwords.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn sign_out_is_final() {
    let world = World::new();
    let mut browser = world.browser(OFFICE);
    browser.sign_in("alice@example.test", "right-alice@example.test").await;
    let mut stolen = browser.clone();
    let token = stolen.get("/result").await.hidden("token").unwrap();
    let answer = browser.post("/sign-out", &[]).await;
    answer.is(200).says("You are signed out");
    assert!(answer.cookie(SIGNED).unwrap().starts_with("; Path=/; HttpOnly"));
    let code = world.office_is_blocked().to_string();
    stolen.clone().get("/result").await.is(403).says("You are not signed in any more.");
    stolen.clone().post_raw("/release", &[("token", &token), ("code", &code)], &[]).await.is(403);
    assert!(world.house.is_blocked("mx1", OFFICE.parse().unwrap()));
}

#[tokio::test]
async fn every_sign_in_gets_a_new_session_and_the_old_one_ends() {
    let world = World::new();
    let mut browser = world.browser(OFFICE);
    browser.cookies.insert(SIGNED.into(), "A".repeat(43));
    let mut seen = HashSet::from(["A".repeat(43)]);
    for _ in 0..3 {
        let old = browser.clone();
        // Through the form of a guest, as another tab would have it.
        let token = world.browser(OFFICE).get("/").await;
        let visit = token.cookie("fairban-visit").unwrap();
        browser.cookies.insert("fairban-visit".into(), visit.split(';').next().unwrap().into());
        let fields = [
            ("token", token.hidden("token").unwrap()),
            ("account", "alice@example.test".into()),
            ("password", "right-alice@example.test".into()),
        ];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.post_raw("/sign-in", &fields, &[]).await.is(200);
        assert!(seen.insert(browser.cookies[SIGNED].clone()));
        old.clone().get("/result").await.is(403);
    }
    world.hands.forward(Duration::from_secs(15 * 60));
    browser.get("/result").await.is(403).says("You are not signed in any more.");
}

#[tokio::test]
async fn a_release_is_for_the_address_that_the_page_spoke_of() {
    let world = World::new();
    let mut browser = world.browser(PHONE);
    browser.sign_in("mallory@example.test", "right-mallory@example.test").await;
    let token = browser.get("/result").await.hidden("token").unwrap();
    let code = world.block(1, OFFICE, Diagnosis::PasswordSpraying, spraying(&world)).to_string();
    browser.peer = OFFICE.parse().unwrap();
    let answer = browser.post_raw("/release", &[("token", &token), ("code", &code)], &[]).await;
    answer.says("Your connection has changed").says("Your mail access is blocked");
    assert!(world.house.released().is_empty());
    browser.post_raw("/release", &[("token", &token), ("code", &code)], &[]).await.says("It is lifted.");
}

#[tokio::test]
async fn what_clients_wrote_is_text() {
    let world = World::new();
    let evil = "<script>alert(1)</script>\"'>&\u{202e}\u{7}@example.test";
    let mut events = failures(world.hands.now(), OFFICE, "alice@example.test", 4);
    for evidence in &mut events {
        evidence.event.helo = Some(format!("{evil}helo").into());
        evidence.event.program = Some(format!("{evil}program").into());
        evidence.event.return_path = Some(evil.into());
        evidence.event.recipient = Some(evil.into());
    }
    events.extend(failures(world.hands.now(), OFFICE, evil, 2));
    world.house.failed(events[0].clone());
    let code = world.block(1, OFFICE, Diagnosis::Unknown, events).to_string();
    let mut browser = world.browser(OFFICE);
    let pages = [
        browser.clone().sign_in(evil, "wrong").await,
        browser.sign_in("alice@example.test", "right-alice@example.test").await,
        browser.post("/code", &[("code", &code)]).await,
        browser.post("/code", &[("code", evil)]).await,
        browser.get("/result?lang=%3Cscript%3E").await,
        browser.get("//evil.test/%3Cscript%3E?lang=de").await,
        world.browser(OFFICE).get("/%22%3E%3Cscript%3E").await,
    ];
    for answer in pages {
        answer.says_nothing_of("<script").says_nothing_of("\u{202e}").says_nothing_of("\u{7}");
        answer.says_nothing_of("href=\"//");
        let tags = answer.html.matches('<').count();
        assert_eq!(tags, answer.html.matches('>').count(), "every < and > is of a tag");
    }
}

#[tokio::test]
async fn every_answer_tells_browsers_to_do_nothing_else() {
    let secure = Settings { url: Some("https://portal.example.test".into()), ..Settings::default() };
    let world = World::with(secure);
    let mut browser = world.browser(OFFICE);
    let signed = browser.sign_in("alice@example.test", "right-alice@example.test").await;
    let answers =
        [signed, browser.get("/nowhere").await, browser.get("/blocked").await, browser.get("/style.css").await];
    for answer in &answers {
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        for part in ["default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{part}");
        }
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "same-origin");
        answer.says_nothing_of("<script").says_nothing_of("style=\"").says_nothing_of("https://fonts");
    }
    assert!(answers[..3].iter().all(|answer| answer.headers["cache-control"] == "no-store"));
    assert!(browser.cookies.contains_key("__Host-fairban-portal"), "{:?}", browser.cookies);
    let mut guest = world.browser(OFFICE);
    let cookie = guest.get("/").await.cookie("__Host-fairban-visit").unwrap();
    for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let evil = browser.post_raw("/sign-out", &[], &[("origin", "https://portal.example.test.evil.test")]).await;
    evil.is(403);
}

#[tokio::test]
async fn large_forms_and_many_pages_are_refused() {
    let world = World::new();
    let mut browser = world.browser(OFFICE);
    browser.sign_in("alice@example.test", &"x".repeat(20_000)).await.is(413);
    let mut last = 200;
    for _ in 0..100 {
        last = browser.get("/blocked").await.status.as_u16();
    }
    assert_eq!(last, 429);
    world.browser(PHONE).get("/blocked").await.is(200);
}

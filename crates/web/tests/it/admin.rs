//! The administrator's pages.

use axum::http::StatusCode;
use fairban_types::{Event, EventKind, Service};
use fairban_web::access::Grade;
use fairban_web::admin::view::{FleetNode, FleetView, Tally};

use crate::admin_world::House;

const PAGES: [&str; 15] = [
    "/",
    "/?span=7d",
    "/blocks",
    "/blocks?state=all",
    "/never",
    "/send-blocks",
    "/accounts",
    "/events",
    "/rules",
    "/rules/rule.login",
    "/audit",
    "/fleet",
    "/access",
    "/me",
    "/accounts/%3Cscript%3Ealert(1)%3C%2Fscript%3E@example.test",
];

/// What an attacker may choose, everywhere at once.
const HOSTILE: &str =
    "\"><script>alert(1)</script><img src=x onerror=alert(2)>'=cmd|' /C calc'!A0\u{202e}\u{1b}[31m\r\nX-Evil: 1";

#[tokio::test]
async fn hostile_text_is_text_on_every_page_and_in_every_file() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    let account = format!("{HOSTILE}@example.test");
    let mut event = Event::new(EventKind::LoginFailed, house.hands.now(), [192, 0, 2, 9].into(), Service::Imap);
    event.account = Some(account.clone().into());
    event.helo = Some(HOSTILE.into());
    event.return_path = Some(HOSTILE.into());
    event.program = Some(HOSTILE.into());
    event.reason = Some(HOSTILE.into());
    house.desk.event(event);
    house.desk.set_fleet(fleet(HOSTILE));
    let code = house.desk.block("192.0.2.7", &account, 5).to_string();
    let of_account = house.desk.block(&format!("account:{account}"), &account, 1).to_string();
    alice.post("/blocks", &[("subject", "198.51.100.9"), ("for", "1h"), ("reason", HOSTILE)]).await;
    alice.post("/never", &[("net", "203.0.113.0/24"), ("reason", HOSTILE)]).await;
    alice.post("/rules/rule.login", &[("v.rule.login.threshold", "300"), ("act", "save"), ("reason", HOSTILE)]).await;
    let receipts = [
        format!("/blocks/{code}"),
        format!("/blocks/{of_account}"),
        format!("/blocks?search={}", "%22%3E%3Cscript%3E"),
    ];
    for path in PAGES.iter().map(ToString::to_string).chain(receipts) {
        let answer = alice.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(!answer.body.contains("<script>alert"), "{path}");
        assert!(!answer.body.contains("<img src=x"), "{path}");
        assert!(!answer.body.contains('\u{202e}') && !answer.body.contains('\u{1b}'), "{path}");
        assert!(!answer.body.contains("style=\"") && !answer.body.contains("<script>"), "nothing inline: {path}");
    }
    for path in ["/blocks.csv?state=all", "/events.csv", "/audit.csv"] {
        let answer = alice.get(path).await;
        assert!(answer.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
        for line in answer.body.split("\r\n") {
            assert!(!line.contains(['\n', '\u{1b}']), "{path}: {line}");
            for field in line.split(',') {
                let begin = field.trim_start_matches('"').chars().next().unwrap_or('x');
                assert!(!"=+-@".contains(begin), "{path}: {field}");
            }
        }
    }
}

/// Two nodes, one of which is silent and made too many blocks.
fn fleet(name: &str) -> FleetView {
    let node = |name: &str, is_self: bool| FleetNode {
        name: name.to_owned(),
        version: "0.1.0".into(),
        is_self,
        is_live: is_self,
        seen: fairban_types::Time::from_secs(1_800_000_000),
        lag_ms: if is_self { 0 } else { 90_000 },
        decisions: 3,
        waiting: 0,
        is_limited: false,
    };
    FleetView {
        state: "connected".into(),
        since: fairban_types::Time::from_secs(1_800_000_000),
        server: "rediss://valkey.example.test:6379".into(),
        problem: None,
        warnings: vec![format!("700 blocks by {name} are held back")],
        nodes: vec![node("mx1", true), node(name, false)],
        held_back: vec![Tally { name: name.to_owned(), count: 700 }],
        decisions: 3,
        waiting: 0,
        counted: 12,
        lost: 0,
        clock_ahead_ms: 5,
    }
}

#[tokio::test]
async fn the_fleet_is_shown_and_what_is_held_back_let_through() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    assert!(alice.get("/fleet").await.body.contains("is in no fleet"));
    house.desk.set_fleet(fleet("mx9"));
    let page = alice.get("/fleet").await.body;
    for text in ["mx1", "mx9", "silent", "in step", "700", "Let them through"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let mut reader = house.signed_in("reader", Grade::ReadOnly).await;
    assert!(!reader.get("/fleet").await.body.contains("Let them through"));
    assert_eq!(reader.post("/fleet/accept", &[("node", "mx9")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(alice.post("/fleet/accept", &[("node", "mx9")]).await.location(), "/fleet");
    assert!(!alice.get("/fleet").await.body.contains("Let them through"));
    assert!(alice.get("/audit").await.body.contains("fleet accept"));
}

#[tokio::test]
async fn pages_carry_headers_that_keep_browsers_from_harm() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    for path in
        PAGES.into_iter().chain(["/sign-in", "/style.css", "/live.js", "/nowhere", "/api/v1/blocks", "/healthz"])
    {
        let headers = alice.get(path).await.headers;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("script-src 'self'") && !policy.contains("unsafe"),
            "{path}"
        );
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        if !path.ends_with("css") && !path.ends_with("js") {
            assert_eq!(headers["cache-control"], "no-store", "{path}");
        }
    }
}

#[tokio::test]
async fn forms_seen_elsewhere_do_nothing() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    let fields = [("subject", "198.51.100.9"), ("for", "1h")];
    let mut other = house.signed_in("mallory", Grade::Support).await;
    let stolen = other.form_token().await;
    for token in ["", "nonsense", &stolen] {
        assert_eq!(alice.post_with("/blocks", token, &fields).await.status, StatusCode::FORBIDDEN, "{token}");
    }
    let token = alice.form_token().await;
    let mut alice = alice.seen_elsewhere();
    assert_eq!(alice.post_with("/blocks", &token, &fields).await.status, StatusCode::FORBIDDEN);
    alice.headers.clear();
    alice.headers.push(("sec-fetch-site", "cross-site".to_owned()));
    assert_eq!(alice.post_with("/blocks", &token, &fields).await.status, StatusCode::FORBIDDEN);
    assert!(house.desk.standing().is_empty());
    alice.headers.clear();
    assert_eq!(alice.post_with("/blocks", &token, &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(house.desk.standing(), ["198.51.100.9"]);
}

#[tokio::test]
async fn block_extend_release_never_and_undo() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    let code = house.desk.block("192.0.2.7", "bob@example.test", 5).to_string();
    let page = alice.get(&format!("/blocks/{code}")).await.body;
    for part in
        ["is blocked", "password guessing", "250</strong> points", "bob@example.test", "Mail 1.0", "points in all"]
    {
        assert!(page.contains(part), "no {part} in {page}");
    }
    alice.post(&format!("/blocks/{code}/release"), &[]).await;
    assert!(house.desk.standing().is_empty());
    assert!(alice.get("/blocks").await.body.contains("Nothing is blocked") || house.desk.standing().is_empty());
    alice.post("/undo", &[]).await;
    assert_eq!(house.desk.standing(), ["192.0.2.7"], "taken back");
    let many = house.desk.block("192.0.2.8", "bob@example.test", 5).to_string();
    alice.post("/blocks/many", &[("act", "release"), ("code", &many), ("code", "0000-0000")]).await;
    assert_eq!(house.desk.standing(), ["192.0.2.7"]);
    alice.post("/never", &[("net", "10.0.0.0/8")]).await;
    assert!(!alice.get("/never").await.body.contains("10.0.0.0/8</th>"), "a very wide network takes a tick");
    alice.post("/never", &[("net", "10.0.0.0/8"), ("wide", "yes")]).await;
    assert!(alice.get("/never").await.body.contains("very wide"));
    alice.post("/blocks/import", &[("list", "198.51.100.1 # bad\n198.51.100.2;x\nnonsense\n\n"), ("for", "7d")]).await;
    assert!(house.desk.standing().contains(&"198.51.100.2".to_owned()));
    assert!(alice.get("/blocks").await.body.contains("could not be read"));
    assert!(alice.get("/blocks.txt").await.body.lines().any(|line| line == "198.51.100.1"));
}

#[tokio::test]
async fn rules_are_tried_saved_and_reverted() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    house.desk.block("192.0.2.7", "bob@example.test", 5);
    let page =
        alice.post("/rules/rule.login", &[("v.rule.login.threshold", "100"), ("act", "try"), ("days", "7")]).await;
    assert!(page.body.contains("What this would have changed") && page.body.contains("192.0.2.7"), "{}", page.body);
    assert!(alice.get("/rules/rule.login").await.body.contains("value=\"250\""), "nothing is saved yet");
    let wrong = alice.post("/rules/rule.login", &[("v.rule.login.threshold", "nonsense"), ("act", "save")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.body.contains("value=\"nonsense\""), "what was typed is still there");
    alice.post("/rules/rule.login", &[("v.rule.login.threshold", "300"), ("act", "save"), ("reason", "calmer")]).await;
    let rules = alice.get("/rules").await.body;
    assert!(rules.contains("<del>250</del> <ins>300</ins>") && rules.contains("calmer"), "{rules}");
    let seq = regex::Regex::new(r"/rules/changes/(\d+)/revert").unwrap().captures(&rules).unwrap()[1].to_owned();
    alice.post(&format!("/rules/changes/{seq}/revert"), &[]).await;
    assert!(alice.get("/rules/rule.login").await.body.contains("value=\"250\""));
}

#[tokio::test]
async fn links_lead_nowhere_else() {
    let house = House::new();
    house.signed_in("alice", Grade::Administrator).await;
    for next in ["//evil.test", "https://evil.test", "/\\evil.test", "javascript:alert(1)", "/ok\r\nX: 1"] {
        let mut visitor = house.visitor();
        let fields = [("name", "alice"), ("password", crate::admin_world::PASSWORD), ("next", next)];
        assert_eq!(visitor.post("/sign-in", &fields).await.location(), "/", "{next}");
    }
}

#[tokio::test]
async fn a_desk_that_is_down_is_said_and_nothing_breaks() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    house.desk.set_down(true);
    for path in ["/", "/blocks", "/never", "/events", "/rules", "/audit"] {
        assert_eq!(alice.get(path).await.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
}

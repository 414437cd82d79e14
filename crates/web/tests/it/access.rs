//! Who comes in, and who may do what.

use std::time::Duration;

use axum::http::StatusCode;
use fairban_types::EventKind;
use fairban_web::access::{Grade, code_at};

use crate::admin_world::{House, PASSWORD, role};

/// A path of the route, with something in place of its parts.
fn concrete(path: &str, code: &str) -> String {
    path.replace("{code}", code)
        .replace("{account}", "alice@example.test")
        .replace("{section}", "rule.login")
        .replace("{seq}", "1")
        .replace("{net}", "203.0.113.0%2F24")
        .replace("{user}", "nobody")
        .replace("{id}", "none")
}

const NOT_FOR_THEM: [StatusCode; 2] = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];

/// Every route with every role, signed in, by token, and as nobody.
#[tokio::test]
async fn every_route_is_for_whom_it_says() {
    let house = House::new();
    let code = house.desk.block("192.0.2.7", "alice@example.test", 5).to_string();
    let routes = house.admin.routes();
    assert!(routes.len() > 60, "{}", routes.len());
    for grade in Grade::ALL {
        let mut program = house.program(*grade).await;
        for (method, path, right, grades, by_token) in &routes {
            let path = concrete(path, &code);
            // What changes something is asked for with a body that makes no sense, so that only the right is tried.
            let answer = program.send(method, &path, "application/json", "{}".into()).await;
            let is_api = path.starts_with("/api/") && !right.is_empty();
            let is_allowed = is_api && *by_token && grades.contains(grade);
            let is_refused = NOT_FOR_THEM.contains(&answer.status) || answer.location().starts_with("/sign-in");
            assert!(!answer.status.is_server_error(), "{method} {path}: {}", answer.status);
            if right.is_empty() {
                continue;
            }
            assert_eq!(!is_refused, is_allowed, "{grade} by token: {method} {path} is {}", answer.status);
        }
    }
    for grade in Grade::OF_PEOPLE {
        for (method, path, right, grades, _) in &routes {
            if right.is_empty() {
                continue;
            }
            let house = House::new();
            let code = house.desk.block("192.0.2.7", "alice@example.test", 5).to_string();
            house.signed_in("first", Grade::Administrator).await;
            let mut person = house.signed_in("somebody", *grade).await;
            let path = concrete(path, &code);
            let is_api = path.starts_with("/api/");
            let answer = match (is_api, method.as_str()) {
                (false, "POST") => person.post(&path, &[]).await,
                (true, method) if method != "GET" => person.call(method, &path, serde_json::json!({})).await,
                _ => person.get(&path).await,
            };
            let is_allowed = grades.contains(grade) && !(is_api && method != "GET");
            // Whoever signs out is led to where one signs in.
            let is_sent_away = answer.location().starts_with("/sign-in") && path != "/sign-out";
            let is_refused = NOT_FOR_THEM.contains(&answer.status) || is_sent_away;
            assert_eq!(!is_refused, is_allowed, "{grade}: {method} {path} is {}", answer.status);
            assert!(!answer.status.is_server_error(), "{method} {path}: {}", answer.status);
        }
    }
    let mut nobody = house.visitor();
    for (method, path, right, ..) in &routes {
        let answer = nobody.send(method, &concrete(path, &code), "application/json", "{}".into()).await;
        let is_refused = NOT_FOR_THEM.contains(&answer.status) || answer.location().starts_with("/sign-in");
        assert!(is_refused || right.is_empty(), "nobody: {method} {path} is {}", answer.status);
    }
}

#[tokio::test]
async fn domain_administrators_see_and_touch_their_own() {
    let house = House::new();
    let own = house.desk.block("192.0.2.7", "alice@example.test", 3).to_string();
    let others = house.desk.block("192.0.2.8", "bob@other.test", 3).to_string();
    let pair = house.desk.block("carol@example.test from 192.0.2.9", "carol@example.test", 1).to_string();
    let mut program = house.program(Grade::DomainAdministrator).await;
    let list = program.get("/api/v1/blocks").await.body;
    assert!(
        list.contains(&own) && list.contains(&pair) && !list.contains(&others) && !list.contains("other.test"),
        "{list}"
    );
    for (path, status) in [
        (format!("/api/v1/blocks/{own}"), 200),
        (format!("/api/v1/blocks/{others}"), 404),
        ("/api/v1/accounts/alice@example.test".to_owned(), 200),
        ("/api/v1/accounts/bob@other.test".to_owned(), 404),
        ("/api/v1/accounts/nobody-at-all@other.test".to_owned(), 404),
        ("/api/v1/never".to_owned(), 403),
        ("/api/v1/audit".to_owned(), 403),
    ] {
        assert_eq!(program.get(&path).await.status, status, "{path}");
    }
    for path in ["/api/v1/events", "/api/v1/accounts", "/api/v1/overview"] {
        let body = program.get(path).await.body;
        assert!(!body.contains("other.test") && !body.contains("192.0.2.8"), "{path}: {body}");
    }
    assert_eq!(program.send("DELETE", &format!("/api/v1/blocks/{others}"), "", String::new()).await.status, 404);
    assert_eq!(program.send("DELETE", &format!("/api/v1/blocks/{own}"), "", String::new()).await.status, 200);
    let mut stop = async |sender: &str| {
        program.call("POST", "/api/v1/send-blocks", serde_json::json!({ "sender": sender })).await.status
    };
    assert_eq!(stop("alice@example.test").await, 201);
    assert_eq!(stop("@example.test").await, 201);
    for other in ["bob@other.test", "@other.test", "helo=mail.example.test", "account=alice", "@.test"] {
        assert_eq!(stop(other).await, 403, "{other}");
    }
    let mut page = house.signed_in("dora", Grade::DomainAdministrator).await;
    for path in ["/", "/blocks", "/events", "/accounts", "/send-blocks", "/blocks.csv", "/events.csv"] {
        let answer = page.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.contains("other.test"), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn sessions_change_their_token_and_end() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    let first = alice.cookies["fairban-admin"].clone();
    assert_eq!(alice.get("/").await.status, 200);
    let mut again = house.visitor();
    let answer = again.post("/sign-in", &[("name", "alice"), ("password", PASSWORD)]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/"));
    assert_ne!(again.cookies["fairban-admin"], first, "every sign-in has a token of its own");
    let cookie = answer.headers.get("set-cookie").unwrap().to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    alice.post("/sign-out", &[("everywhere", "yes")]).await;
    for visitor in [&mut alice, &mut again] {
        assert!(visitor.get("/").await.location().starts_with("/sign-in"));
    }
    let mut idle = house.visitor();
    idle.post("/sign-in", &[("name", "alice"), ("password", PASSWORD)]).await;
    house.hands.forward(Duration::from_secs(3601));
    assert!(idle.get("/").await.location().starts_with("/sign-in"), "an hour without a page");
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_a_code_counts_once() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    let page = alice.get("/me").await.body;
    assert!(page.contains("<svg class=\"qr\""));
    let secret = regex::Regex::new(r#"<code class="wrap">([A-Z2-7 ]{32,})</code>"#).unwrap().captures(&page).unwrap()
        [1]
    .replace(' ', "");
    alice.post("/me/code", &[("code", "000000")]).await;
    assert!(alice.get("/me").await.body.contains("Turn it on"), "a wrong code turns nothing on");
    let code = code_at(&secret, house.hands.now());
    alice.post("/me/code", &[("code", &code)]).await;
    assert!(alice.get("/me").await.body.contains("Turn it off"));
    let mut again = house.visitor();
    let answer = again.post("/sign-in", &[("name", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(answer.location(), "/code");
    assert!(again.get("/").await.location().starts_with("/sign-in"), "a password alone opens nothing");
    let mut again = house.visitor();
    again.post("/sign-in", &[("name", "alice"), ("password", PASSWORD)]).await;
    let used = again.post("/code", &[("code", &code)]).await;
    assert_eq!(used.status, StatusCode::FORBIDDEN, "the code that turned it on was used");
    house.hands.forward(Duration::from_secs(60));
    let code = code_at(&secret, house.hands.now());
    let before = again.cookies["fairban-admin"].clone();
    assert_eq!(again.post("/code", &[("code", &code)]).await.location(), "/");
    assert_ne!(again.cookies["fairban-admin"], before);
    assert_eq!(again.get("/").await.status, 200);
    let mut third = house.visitor();
    third.post("/sign-in", &[("name", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(third.post("/code", &[("code", &code)]).await.status, StatusCode::FORBIDDEN, "no code counts twice");
}

#[tokio::test]
async fn guesses_are_scored_and_slowed_and_a_link_always_gets_in() {
    let house = House::new();
    house.signed_in("alice", Grade::Administrator).await;
    let mut guesser = house.visitor();
    guesser.peer = "203.0.113.9".into();
    let mut statuses = Vec::new();
    for number in 0..7 {
        let password = format!("wrong password {number}");
        statuses.push(guesser.post("/sign-in", &[("name", "alice"), ("password", &password)]).await.status.as_u16());
    }
    assert_eq!(statuses, [403, 403, 403, 403, 403, 429, 429]);
    let failed: Vec<_> = house.desk.heard().into_iter().filter(|event| event.kind == EventKind::LoginFailed).collect();
    assert_eq!(failed.len(), 5);
    assert!(failed.iter().all(|event| event.client.to_string() == "203.0.113.9"));
    let link = house.registry.make_link(
        Some("alice"),
        role(Grade::Support),
        Duration::from_secs(60),
        house.hands.now(),
        "root",
    );
    let link = link.await.unwrap().secret;
    guesser.get(&format!("/set-up?link={link}")).await;
    let fields = [("link", link.as_str()), ("password", PASSWORD), ("again", PASSWORD)];
    assert_eq!(guesser.post("/set-up", &fields).await.location(), "/me?new=yes");
    assert!(guesser.get("/audit").await.status == 200, "who is there keeps their role");
    assert_eq!(house.visitor().post("/set-up", &fields).await.status, StatusCode::NOT_FOUND, "it works once");
}

#[tokio::test]
async fn secrets_are_not_kept_and_tokens_end() {
    let house = House::new();
    house.signed_in("alice", Grade::Administrator).await;
    let told = house.registry.make_token(
        "x",
        role(Grade::ReadOnly),
        Some(Duration::from_secs(600)),
        house.hands.now(),
        "test",
    );
    let token = told.await.unwrap();
    let link = house
        .registry
        .make_link(None, role(Grade::Support), Duration::from_secs(60), house.hands.now(), "test")
        .await
        .unwrap();
    for text in house.desk.kept() {
        assert!(!text.contains(&token.secret) && !text.contains(&link.secret) && !text.contains(PASSWORD), "{text}");
    }
    let mut program = house.visitor();
    program.token = Some(token.secret.clone());
    assert_eq!(program.get("/api/v1/status").await.status, 200);
    let used = house.registry.tokens().await.unwrap();
    assert!(used[0].used.is_some(), "its last use is shown");
    house.hands.forward(Duration::from_secs(601));
    assert_eq!(program.get("/api/v1/status").await.status, 401);
    let second = house.registry.make_token("y", role(Grade::ReadOnly), None, house.hands.now(), "test").await.unwrap();
    program.token = Some(second.secret.clone());
    assert_eq!(program.get("/api/v1/status").await.status, 200);
    house.registry.revoke_token(&second.kept.id, "test").await.unwrap();
    assert_eq!(program.get("/api/v1/status").await.status, 401, "at once");
    let mut guess = house.visitor();
    guess.token = Some(format!("fbt_{}", "A".repeat(43)));
    let mut last = StatusCode::OK;
    for _ in 0..25 {
        last = guess.get("/api/v1/status").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

/// As `fairban user` does it, in another place than the pages.
#[tokio::test]
async fn who_is_taken_away_or_changed_is_out_at_once() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    let mut bob = house.signed_in("bob", Grade::Administrator).await;
    let page = bob.post("/access/token", &[("name", "bob's"), ("role", "administrator"), ("for", "1d")]).await.body;
    let secret = regex::Regex::new("fbt_[A-Za-z0-9_-]{43}").unwrap().find(&page).unwrap().as_str().to_owned();
    let mut program = house.visitor();
    program.token = Some(secret);
    assert_eq!(program.get("/api/v1/status").await.status, 200);
    house.registry.sign_out("bob", "root").await.unwrap();
    assert!(bob.get("/").await.location().starts_with("/sign-in"), "signed out");
    assert_eq!(program.get("/api/v1/status").await.status, 200, "that is a person's session, not a program's");
    bob.post("/sign-in", &[("name", "bob"), ("password", PASSWORD)]).await;
    house.registry.set_role("bob", role(Grade::Support), "root").await.unwrap();
    assert!(bob.get("/").await.location().starts_with("/sign-in"), "another role begins with another session");
    assert_eq!(program.get("/api/v1/status").await.status, 401, "what an administrator gave out, support does not");
    bob.post("/sign-in", &[("name", "bob"), ("password", PASSWORD)]).await;
    assert_eq!(bob.get("/audit").await.status, StatusCode::FORBIDDEN);
    house.registry.remove_user("bob", "root").await.unwrap();
    assert!(bob.get("/").await.location().starts_with("/sign-in"), "taken away");
    let mut carol = house.signed_in("carol", Grade::Support).await;
    alice.post("/access/sign-out", &[("user", "carol")]).await;
    assert!(carol.get("/").await.location().starts_with("/sign-in"), "by the page");
    assert!(alice.get("/access").await.body.contains("signed out everywhere"));
    assert_eq!(alice.get("/").await.status, 200);
}

#[tokio::test]
async fn the_last_administrator_stays_and_their_address_is_not_blocked() {
    let house = House::new();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    alice.post("/access/remove", &[("user", "alice")]).await;
    assert!(alice.get("/access").await.body.contains("only administrator"));
    alice.post("/blocks", &[("subject", "192.0.2.50"), ("for", "1h")]).await;
    assert!(house.desk.standing().is_empty(), "an administrator is signed in from there");
    alice.post("/sign-out", &[]).await;
    let mut program = house.program(Grade::Administrator).await;
    let made =
        program.call("POST", "/api/v1/blocks", serde_json::json!({ "subject": "192.0.2.50", "for": "1h" })).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

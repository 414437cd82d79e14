//! The API's contract.

use axum::http::StatusCode;
use fairban_web::access::Grade;
use serde_json::json;

use crate::admin_world::House;

#[tokio::test]
async fn the_document_tells_every_call() {
    let house = House::new();
    let document = house.visitor().get("/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let told: usize = document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    let calls =
        house.admin.routes().into_iter().filter(|(_, path, right, ..)| path.starts_with("/api/") && !right.is_empty());
    assert_eq!(told, calls.count());
    let text = document.to_string();
    for found in regex::Regex::new(r"#/components/schemas/(\w+)").unwrap().captures_iter(&text) {
        assert!(document["components"]["schemas"][&found[1]].is_object(), "there is no schema {}", &found[1]);
    }
}

#[tokio::test]
async fn blocks_are_made_listed_changed_and_released() {
    let house = House::new();
    let mut admin = house.program(Grade::Administrator).await;
    let made = admin
        .call("POST", "/api/v1/blocks", json!({ "subject": "198.51.100.9", "for": "30m", "reason": "scanner" }))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let place = made.headers["location"].to_str().unwrap().to_owned();
    let receipt = admin.get(&place).await.json();
    assert_eq!((receipt["subject"].as_str(), receipt["rule"].as_str()), (Some("198.51.100.9"), Some("manual")));
    assert_eq!(receipt["by"].as_str().map(|by| by.starts_with("token:")), Some(true));
    for number in 0..5 {
        house.desk.block(&format!("203.0.113.{number}"), "a@b.test", 1);
    }
    let page = admin.get("/api/v1/blocks?limit=4").await.json();
    assert_eq!((page["rows"].as_array().unwrap().len(), page["total"].as_u64()), (4, Some(6)));
    let rest = admin.get(&format!("/api/v1/blocks?limit=4&cursor={}", page["next"].as_str().unwrap())).await.json();
    assert_eq!((rest["rows"].as_array().unwrap().len(), rest["next"].is_null()), (2, true));
    assert_eq!(admin.call("PATCH", &place, json!({ "permanent": true })).await.status, 200);
    let found = admin.get("/api/v1/blocks?search=198.51.100.9").await.json();
    let code = found["rows"][0]["code"].as_str().unwrap().to_owned();
    assert!(found["rows"][0]["until"].is_null());
    assert_eq!(admin.send("DELETE", &format!("/api/v1/blocks/{code}?reason=ok"), "", String::new()).await.status, 200);
    assert_eq!(admin.send("DELETE", &format!("/api/v1/blocks/{code}"), "", String::new()).await.status, 409);
}

#[tokio::test]
async fn problems_say_what_is_wrong() {
    let house = House::new();
    let mut admin = house.program(Grade::Administrator).await;
    for (method, path, body, status) in [
        ("POST", "/api/v1/blocks", "{", 400),
        ("POST", "/api/v1/blocks", "[]", 422),
        ("POST", "/api/v1/blocks", r#"{"subject":"192.0.2.300","for":"1h"}"#, 422),
        ("POST", "/api/v1/blocks", r#"{"subject":"192.0.2.3"}"#, 422),
        ("POST", "/api/v1/blocks", r#"{"subject":"192.0.2.3","for":"1h","permanent":true}"#, 422),
        ("POST", "/api/v1/blocks", r#"{"subject":"192.0.2.3","for":"1h","what":1}"#, 422),
        ("GET", "/api/v1/blocks?limit=0", "", 422),
        ("GET", "/api/v1/blocks?state=odd", "", 422),
        ("GET", "/api/v1/blocks/nonsense", "", 404),
        ("GET", "/api/v1/check", "", 422),
        ("GET", "/api/v1/nothing", "", 404),
        ("PUT", "/api/v1/blocks", "", 405),
        ("PATCH", "/api/v1/rules", r#"{"values":{"web.listen":"1"}}"#, 409),
        ("GET", "/api/v1/events?since=yesterday", "", 422),
    ] {
        let answer = admin.send(method, path, "application/json", body.into()).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{method} {path}");
        assert_eq!(answer.json()["status"], status);
    }
    let answer = admin.send("POST", "/api/v1/blocks", "text/plain", "{}".into()).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = admin.send("POST", "/api/v1/blocks", "application/json", "x".repeat(2 << 20)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let nobody = house.visitor().get("/api/v1/blocks").await;
    assert_eq!((nobody.status.as_u16(), nobody.headers.contains_key("www-authenticate")), (401, true));
}

#[tokio::test]
async fn a_change_with_the_same_key_happens_once() {
    let house = House::new();
    let mut admin = house.program(Grade::Administrator).await;
    admin.headers.push(("idempotency-key", "one".into()));
    let body = json!({ "subject": "198.51.100.9", "for": "30m" });
    let first = admin.call("POST", "/api/v1/blocks", body.clone()).await;
    let second = admin.call("POST", "/api/v1/blocks", body).await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    assert_eq!(second.headers["idempotency-replayed"], "true");
    let other = admin.call("POST", "/api/v1/blocks", json!({ "subject": "198.51.100.10", "for": "30m" })).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn feeds_have_tags_and_leave_out_what_is_never_blocked() {
    let house = House::new();
    house.desk.block("198.51.100.0/30", "a@b.test", 1);
    house.desk.block("2001:db8::/64", "a@b.test", 1);
    let mut admin = house.program(Grade::Administrator).await;
    admin.call("POST", "/api/v1/never", json!({ "net": "198.51.100.0" })).await;
    let feed = admin.get("/api/v1/feeds/blocks.txt").await;
    assert_eq!(feed.body, "198.51.100.1\n198.51.100.2/31\n2001:db8::/64\n");
    assert_eq!(admin.get("/api/v1/feeds/blocks.txt?family=6").await.body, "2001:db8::/64\n");
    assert_eq!(admin.get("/api/v1/feeds/blocks.json").await.json()["blocks"].as_array().unwrap().len(), 3);
    admin.headers.push(("if-none-match", feed.headers["etag"].to_str().unwrap().to_owned()));
    let known = admin.get("/api/v1/feeds/blocks.txt").await;
    assert_eq!((known.status, known.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    house.desk.block("203.0.113.9", "a@b.test", 1);
    assert_eq!(admin.get("/api/v1/feeds/blocks.txt").await.status, 200);
}

#[tokio::test]
async fn check_metrics_and_health() {
    let house = House::new();
    house.desk.block("192.0.2.7", "a@b.test", 1);
    let mut program = house.program(Grade::Check).await;
    assert_eq!(program.get("/api/v1/check?client=192.0.2.7").await.json()["allowed"], false);
    assert_eq!(program.get("/api/v1/check?client=192.0.2.8&account=a").await.json()["allowed"], true);
    let mut nobody = house.visitor();
    assert_eq!(nobody.get("/healthz").await.body, "ok\n");
    assert_eq!(nobody.get("/readyz").await.status, 200);
    let metrics = nobody.get("/metrics").await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(metrics.body.contains("# TYPE fairban_build_info gauge\nfairban_build_info{version="), "{}", metrics.body);
}

//! Signed links from a hosting panel.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fairban_types::Time;
use fairban_web::portal::{LinkKey, Links, Settings};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use ring::{hmac, rand};
use serde_json::{Value, json};

use crate::world::{OFFICE, World};

const SECRET: &str = "a shared secret of thirty-two bytes or more";

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
}

fn hs256(claims: &Value) -> String {
    signed(&json!({"alg": "HS256", "typ": "JWT"}), claims)
}

fn claims(now: Time) -> Value {
    let now = now.secs();
    json!({"sub": "alice@example.test", "aud": "fairban-portal", "iat": now, "exp": now + 300, "jti": "once-1"})
}

/// With one claim changed, or taken away by `null`.
fn but(now: Time, name: &str, value: Value) -> Value {
    let mut claims = claims(now);
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

struct Panel {
    world: World,
    _folder: tempfile::TempDir,
}

fn settings(key: LinkKey) -> Settings {
    let links = Links { key, audience: Links::AUDIENCE.into(), lifetime_max: Links::LIFETIME_MAX };
    Settings { links: Some(links), ..Settings::default() }
}

fn panel(file: &str, kind: fn(PathBuf) -> LinkKey) -> Panel {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, file).unwrap();
    let world = World::with(settings(kind(path)));
    world.hands.forward(Duration::from_secs(60));
    Panel { world, _folder: folder }
}

impl Panel {
    /// Follows the link and presses the button.
    async fn arrive(&self, link: &str) -> crate::world::Answer {
        self.arrive_from(OFFICE, link).await
    }

    async fn arrive_from(&self, address: &str, link: &str) -> crate::world::Answer {
        let mut browser = self.world.browser(address);
        let asked = browser.get(&format!("/link?token={link}")).await;
        let token = asked.hidden("token").unwrap_or_default();
        if asked.status != 200 {
            // A form made by hand gets no further than the link.
            let token = browser.get("/").await.hidden("token").unwrap();
            return browser.post_raw("/link", &[("token", &token), ("link", link)], &[]).await;
        }
        asked.says("Continue as alice@example.test");
        browser.post_raw("/link", &[("token", &token), ("link", link)], &[]).await
    }
}

#[tokio::test]
async fn a_link_signs_in_once() {
    let panel = panel(SECRET, LinkKey::Secret);
    panel.world.office_is_blocked();
    let link = hs256(&claims(panel.world.hands.now()));
    let mut scanner = panel.world.browser("203.0.113.1");
    for _ in 0..3 {
        scanner.get(&format!("/link?token={link}")).await.is(200);
    }
    panel.arrive(&link).await.is(200).says("There was a block. It is lifted.").says("Signed in as alice@example.test");
    panel.arrive(&link).await.is(403).says("This link is not valid any more.");
    panel.world.hands.forward(Duration::from_secs(299));
    panel.arrive(&link).await.is(403);
    assert!(panel.world.house.heard().is_empty(), "no password was tried");
    let mut german = panel.world.browser(OFFICE);
    german.language = "de";
    german.get(&format!("/link?token={link}")).await.is(403).says("Dieser Link gilt nicht mehr.");
}

#[tokio::test]
async fn what_is_altered_expired_or_for_others_is_refused() {
    let panel = panel(SECRET, LinkKey::Secret);
    let now = panel.world.hands.now();
    let good = hs256(&claims(now));
    let parts: Vec<&str> = good.split('.').collect();
    let other = encoded(&but(now, "sub", json!("bob@example.test")));
    let unsigned = format!("{}.{}.", encoded(&json!({"alg": "none"})), parts[1]);
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"another secret of thirty-two bytes or more");
    let message = format!("{}.{}", parts[0], parts[1]);
    let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())));
    let mut links = vec![
        String::new(),
        "a.b.c".into(),
        "....".into(),
        "x".repeat(5000),
        unsigned,
        forged,
        format!("{}.{other}.{}", parts[0], parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        good[..good.len() - 2].to_owned(),
        signed(&json!({"alg": "none"}), &claims(now)),
        signed(&json!({"alg": "EdDSA"}), &claims(now)),
        signed(&json!({"alg": "HS256", "crit": ["b64"]}), &claims(now)),
    ];
    let secs = now.secs();
    for (name, value) in [
        ("aud", json!("another")),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("jti", Value::Null),
        ("jti", json!(7)),
        ("iat", Value::Null),
        ("iat", json!("now")),
        ("iat", json!(secs - 400)),
        ("iat", json!(secs + 120)),
        ("iat", json!(secs - 60)),
        ("exp", Value::Null),
        ("exp", json!(secs)),
        ("exp", json!(secs - 1)),
        ("exp", json!(secs + 601)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(1e300)),
        ("nbf", json!(secs + 120)),
        ("nbf", json!("soon")),
    ] {
        links.push(hs256(&but(now, name, value)));
    }
    for (number, link) in links.iter().enumerate() {
        // Each from elsewhere, or these would be too many pages.
        let answer = panel.arrive_from(&format!("10.0.0.{number}"), link).await;
        answer.is(403).says("This link is not valid any more.");
    }
    panel.arrive(&hs256(&but(now, "aud", json!(["x", "fairban-portal"])))).await.is(200);
}

#[tokio::test]
async fn what_was_issued_before_the_start_may_have_been_used() {
    let panel = panel(SECRET, LinkKey::Secret);
    let started = panel.world.hands.now().before(Duration::from_secs(60));
    for (iat, status) in [(-100, 403), (0, 403), (30, 403), (31, 200)] {
        let mut claims = claims(started);
        claims["iat"] = json!(started.secs() + iat);
        panel.arrive(&hs256(&claims)).await.is(status);
    }
}

#[tokio::test]
async fn panels_may_sign_with_ed25519() {
    let document = Ed25519KeyPair::generate_pkcs8(&rand::SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let mut info = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    info.extend_from_slice(pair.public_key().as_ref());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(info));
    let panel = panel(&pem, LinkKey::PublicKey);
    let now = panel.world.hands.now();
    let message = format!("{}.{}", encoded(&json!({"alg": "EdDSA"})), encoded(&claims(now)));
    let link = format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())));
    // A public key is no secret: nothing may be signed with it.
    let key = hmac::Key::new(hmac::HMAC_SHA256, pem.as_bytes());
    let confused = format!("{}.{}", encoded(&json!({"alg": "HS256"})), encoded(&claims(now)));
    let confused = format!("{confused}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, confused.as_bytes())));
    panel.arrive(&confused).await.is(403);
    panel.arrive(&hs256(&claims(now))).await.is(403);
    panel.arrive(&link).await.is(200);
    panel.arrive(&link).await.is(403);
}

#[tokio::test]
async fn without_a_key_there_are_no_links() {
    let world = World::new();
    world.browser(OFFICE).get("/link?token=x").await.is(404);
    for (file, wrong) in [("short", "32 bytes"), ("-----BEGIN X-----", "32 bytes")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, file).unwrap();
        let open = |key| {
            let hands = &world.hands;
            let made = fairban_web::portal::Portal::new(settings(key), world.house.clone(), hands.clock(), None);
            made.err().unwrap().to_string()
        };
        assert!(open(LinkKey::Secret(path.clone())).contains(wrong));
        assert!(open(LinkKey::PublicKey(path)).contains("no Ed25519 public key"));
    }
}

//! Passkeys: who is let in by which, and who is not.

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fairban_web::access::Grade;
use fairban_web::admin::Settings;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use std::time::Duration;

use crate::admin_world::{Answer, House, PASSWORD, Visitor};

const ORIGIN: &str = "http://localhost";
/// Somebody is there, and showed that it is them.
const VERIFIED: u8 = 0b101;

fn house() -> House {
    House::with(Settings { url: Some(ORIGIN.into()), ..Settings::default() })
}

fn required() -> House {
    House::with(Settings { url: Some(ORIGIN.into()), second_factor_required: true, ..Settings::default() })
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A security key, and the browser around it.
struct Key {
    pair: EcdsaKeyPair,
    id: [u8; 16],
    /// Who its user is, once it holds a passkey.
    user: String,
    flags: u8,
    origin: &'static str,
    random: SystemRandom,
}

impl Key {
    fn new() -> Key {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, made.as_ref(), &random).unwrap();
        let mut id = [0; 16];
        id.copy_from_slice(&pair.public_key().as_ref()[1..17]);
        Key { pair, id, user: String::new(), flags: VERIFIED, origin: ORIGIN, random }
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        json!({ "type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": false })
            .to_string()
    }

    /// What it says of itself: the site's hash, flags, and a counter that it does not keep.
    fn data(&self, flags: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, b"localhost").as_ref().to_vec();
        data.push(flags);
        data.extend([0; 4]);
        data
    }

    /// Makes a passkey, without attestation (Web Authentication level 3, 8.7).
    fn make(&mut self, options: &Value) -> String {
        self.user = options["user"]["id"].as_str().unwrap().to_owned();
        let point = &self.pair.public_key().as_ref()[1..];
        let mut data = self.data(self.flags | 0x40);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(self.id);
        // COSE: a map of five, EC2, ES256, P-256, x, y.
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[..32]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[32..]);
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(&data);
        json!({
            "id": encoded(self.id), "rawId": encoded(self.id), "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(self.client_data("webauthn.create", options)),
                "attestationObject": encoded(object), "transports": ["internal"],
            },
        })
        .to_string()
    }

    /// Uses it.
    fn answer(&self, options: &Value) -> String {
        let client_data = self.client_data("webauthn.get", options);
        let mut signed = self.data(self.flags);
        let data = signed.clone();
        signed.extend(digest(&SHA256, client_data.as_bytes()).as_ref());
        let signature = self.pair.sign(&self.random, &signed).unwrap();
        json!({
            "id": encoded(self.id), "rawId": encoded(self.id), "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(client_data), "authenticatorData": encoded(data),
                "signature": encoded(signature), "userHandle": self.user,
            },
        })
        .to_string()
    }
}

async fn making(visitor: &mut Visitor) -> Value {
    let answer = visitor.post("/me/passkeys/options", &[("present", PASSWORD)]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()
}

async fn hand_in(visitor: &mut Visitor, credential: &str) -> String {
    let answer = visitor.post("/me/passkeys", &[("credential", credential), ("name", "the phone")]).await;
    assert_eq!(answer.location(), "/me", "{}", answer.body);
    visitor.get("/me").await.body
}

/// A key that holds a passkey of the visitor's.
async fn key_of(visitor: &mut Visitor) -> Key {
    let mut key = Key::new();
    let options = making(visitor).await;
    let page = hand_in(visitor, &key.make(&options)).await;
    assert!(page.contains("the phone") && page.contains("not used yet"), "{page}");
    key
}

async fn signing_in(visitor: &mut Visitor) -> Value {
    visitor.post("/sign-in/passkey/options", &[]).await.json()
}

async fn show(visitor: &mut Visitor, credential: &str) -> Answer {
    visitor.post("/sign-in/passkey", &[("credential", credential)]).await
}

#[tokio::test]
async fn a_passkey_is_made_used_named_and_taken_away() {
    let house = house();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    let refused = alice.post("/me/passkeys/options", &[("present", "not the password")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "an open browser is not enough to make one");
    let key = key_of(&mut alice).await;
    let mut again = house.visitor();
    let options = signing_in(&mut again).await;
    assert_eq!(options["userVerification"], "required");
    let answer = show(&mut again, &key.answer(&options)).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/"), "{}", answer.body);
    assert_eq!(again.get("/audit").await.status, 200, "with all that the user may do");
    let page = again.get("/me").await.body;
    assert!(page.contains("last used just now"), "{page}");
    let id = encoded(key.id);
    again.post("/me/passkeys/change", &[("id", &id), ("act", "name"), ("name", "the <b>key</b>")]).await;
    assert!(again.get("/me").await.body.contains("the &#60;b&#62;key"), "named, and shown as text");
    again.post("/me/passkeys/change", &[("id", &id), ("act", "remove"), ("present", "wrong")]).await;
    assert!(again.get("/me").await.body.contains("not right"));
    again.post("/me/passkeys/change", &[("id", &id), ("act", "remove"), ("present", PASSWORD)]).await;
    let mut gone = house.visitor();
    let options = signing_in(&mut gone).await;
    assert_eq!(show(&mut gone, &key.answer(&options)).await.status, StatusCode::FORBIDDEN, "it was removed");
}

#[tokio::test]
async fn what_was_sent_before_elsewhere_or_late_is_refused() {
    let house = house();
    let mut alice = house.signed_in("alice", Grade::Support).await;
    let key = key_of(&mut alice).await;
    let mut visitor = house.visitor();
    let options = signing_in(&mut visitor).await;
    let credential = key.answer(&options);
    let mut other = house.visitor();
    signing_in(&mut other).await;
    assert_eq!(show(&mut other, &credential).await.status, StatusCode::FORBIDDEN, "another visit's challenge");
    assert_eq!(show(&mut visitor, &credential).await.status, StatusCode::SEE_OTHER);
    let mut replay = house.visitor();
    replay.cookies.clone_from(&visitor.cookies);
    replay.cookies.remove("fairban-admin");
    assert_eq!(show(&mut replay, &credential).await.status, StatusCode::FORBIDDEN, "a challenge is good once");
    signing_in(&mut replay).await;
    assert_eq!(show(&mut replay, &credential).await.status, StatusCode::FORBIDDEN, "and another is another");
    let mut late = house.visitor();
    let options = signing_in(&mut late).await;
    house.hands.forward(Duration::from_secs(301));
    assert_eq!(show(&mut late, &key.answer(&options)).await.status, StatusCode::FORBIDDEN, "five minutes");
}

#[tokio::test]
async fn other_origins_others_keys_and_unverified_users_are_refused() {
    let house = house();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    let mut bob = house.signed_in("bob", Grade::ReadOnly).await;
    let (mut of_alice, of_bob) = (key_of(&mut alice).await, key_of(&mut bob).await);
    let mut visitor = house.visitor();
    let fine = of_alice.flags;
    type Case = (&'static str, fn(&mut Key, &Key));
    let cases: [Case; 3] = [
        ("another origin", |key, _| key.origin = "http://evil.test"),
        ("nobody was asked who they are", |key, _| key.flags = 0b001),
        ("the key of one user under the name of another", |key, other| key.user.clone_from(&other.user)),
    ];
    for (what, change) in cases {
        let (user, options) = (of_alice.user.clone(), signing_in(&mut visitor).await);
        change(&mut of_alice, &of_bob);
        let answer = show(&mut visitor, &of_alice.answer(&options)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}");
        (of_alice.origin, of_alice.flags, of_alice.user) = (ORIGIN, fine, user);
    }
    let options = signing_in(&mut visitor).await;
    assert_eq!(
        show(&mut visitor, &of_alice.answer(&options)).await.status,
        StatusCode::SEE_OTHER,
        "it is good as such"
    );
    // Making: another session's challenge, another origin, twice.
    let mut fresh = Key::new();
    let options = making(&mut alice).await;
    making(&mut bob).await;
    assert!(hand_in(&mut bob, &fresh.make(&options)).await.contains("not taken"), "a challenge of another session");
    let credential = fresh.make(&options);
    let page = hand_in(&mut alice, &credential).await;
    assert!(page.contains("From now on"), "it is good as such: {page}");
    assert!(hand_in(&mut alice, &credential).await.contains("sent twice"), "a challenge is good once");
    fresh.origin = "http://evil.test";
    let options = making(&mut alice).await;
    assert!(hand_in(&mut alice, &fresh.make(&options)).await.contains("not taken"), "another origin");
}

#[tokio::test]
async fn a_second_factor_can_be_required() {
    let house = required();
    let mut alice = house.signed_in("alice", Grade::Administrator).await;
    for path in ["/", "/blocks", "/access", "/audit"] {
        assert_eq!(alice.get(path).await.location(), "/me?new=yes", "{path}");
    }
    assert_eq!(alice.get("/api/v1/blocks").await.status, StatusCode::FORBIDDEN);
    let page = alice.get("/me").await.body;
    assert!(page.contains("A second factor is required here"), "{page}");
    let token = crate::admin_world::token_of(&page);
    let answer = alice.post_with("/me/passkeys/options", &token, &[("present", PASSWORD)]).await;
    let mut key = Key::new();
    let credential = key.make(&answer.json());
    alice.post_with("/me/passkeys", &token, &[("credential", &credential), ("name", "key")]).await;
    assert_eq!(alice.get("/").await.status, 200, "it is set up");
    let id = encoded(key.id);
    alice.post("/me/passkeys/change", &[("id", &id), ("act", "remove"), ("present", PASSWORD)]).await;
    assert!(alice.get("/me").await.body.contains("your only second factor"));
    let mut again = house.visitor();
    let answer = again.post("/sign-in", &[("name", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "a password alone is not enough");
    let options = signing_in(&mut again).await;
    assert_eq!(show(&mut again, &key.answer(&options)).await.location(), "/");
}

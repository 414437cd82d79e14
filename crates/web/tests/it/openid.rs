//! Signing in by way of an OpenID provider, which runs here on an address of this machine.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fairban_web::access::{Grade, OpenIdSettings};
use fairban_web::admin::Settings;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::admin_world::{Answer, House, Visitor};

const ORIGIN: &str = "http://localhost";
const SECRET: &str = "a secret: of ours";

/// What the provider does wrong, or else.
#[derive(Clone)]
struct Manner {
    subject: &'static str,
    name: &'static str,
    groups: Value,
    audience: Value,
    issuer: Option<&'static str>,
    nonce: Option<&'static str>,
    /// The end, in seconds from now.
    ends: i64,
    /// Signs with a key that it does not publish.
    forges: bool,
    by_rsa: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Manner {
            subject: "1234-5678",
            name: "Alice",
            groups: json!(["staff", "fairban-admins"]),
            audience: json!("fairban"),
            issuer: None,
            nonce: None,
            ends: 300,
            forges: false,
            by_rsa: false,
        }
    }
}

struct Keys {
    curve: Vec<u8>,
    forged: Vec<u8>,
}

/// A small provider of our own.
struct Provider {
    address: SocketAddr,
    keys: Keys,
    manner: Mutex<Manner>,
    /// What the authorization request asked for: nonce and challenge.
    asked: Mutex<(String, String)>,
}

/// Of this test alone, in the form of PKCS #1.
const RSA_KEY: &[u8] = include_bytes!("openid.der");

fn pair(key: &[u8]) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &SystemRandom::new()).unwrap()
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    async fn start() -> Arc<Provider> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let key = || EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let keys = Keys { curve: key().as_ref().to_vec(), forged: key().as_ref().to_vec() };
        let (manner, asked) = (Mutex::default(), Mutex::default());
        let provider = Arc::new(Provider { address: listener.local_addr().unwrap(), keys, manner, asked });
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let provider = serving.clone();
                let service = service_fn(move |request| {
                    let provider = provider.clone();
                    async move { Ok::<_, Infallible>(provider.answer(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        provider
    }

    fn issuer(&self) -> String {
        format!("http://{}/staff", self.address)
    }

    fn set(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let answer = match request.uri().path() {
            "/staff/.well-known/openid-configuration" => json!({
                "issuer": self.issuer(),
                "authorization_endpoint": format!("{}/authorize", self.issuer()),
                "token_endpoint": format!("{}/token", self.issuer()),
                "jwks_uri": format!("{}/keys", self.issuer()),
            }),
            "/staff/keys" => self.published_keys(),
            "/staff/token" => return self.token(request).await,
            _ => return Response::builder().status(404).body(Full::default()).unwrap(),
        };
        Response::new(Full::from(answer.to_string()))
    }

    fn published_keys(&self) -> Value {
        let curve = pair(&self.keys.curve);
        let point = &curve.public_key().as_ref()[1..];
        let rsa = RsaKeyPair::from_der(RSA_KEY).unwrap();
        let rsa: RsaPublicKeyComponents<Vec<u8>> = rsa.public_key().into();
        json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "kid": "curve", "alg": "ES256", "use": "sig",
              "x": encoded(&point[..32]), "y": encoded(&point[32..]) },
            { "kty": "RSA", "kid": "rsa", "alg": "RS256", "use": "sig", "n": encoded(rsa.n), "e": encoded(rsa.e) },
        ] })
    }

    /// The token endpoint (RFC 6749, 4.1.3; RFC 7636, 4.6).
    async fn token(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let sender = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        let expected = format!("Basic {}", STANDARD.encode("fairban:a+secret%3A+of+ours"));
        assert_eq!(sender.as_deref(), Some(expected.as_str()));
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let form: std::collections::HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
        let (nonce, challenge) = self.asked.lock().unwrap().clone();
        let is_fine = form["code"] == "the-code"
            && form["redirect_uri"] == format!("{ORIGIN}/sign-in/openid/done")
            && encoded(digest(&SHA256, form["code_verifier"].as_bytes())) == challenge;
        if !is_fine {
            return Response::builder().status(400).body(Full::from("{\"error\":\"invalid_grant\"}")).unwrap();
        }
        let answer = json!({ "access_token": "x", "token_type": "Bearer", "id_token": self.id_token(&nonce) });
        Response::new(Full::from(answer.to_string()))
    }

    fn id_token(&self, nonce: &str) -> String {
        let manner = self.manner.lock().unwrap().clone();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().cast_signed();
        let claims = json!({
            "iss": manner.issuer.map_or_else(|| self.issuer(), str::to_owned), "sub": manner.subject,
            "aud": manner.audience, "exp": now + manner.ends, "iat": now, "nonce": manner.nonce.unwrap_or(nonce),
            "preferred_username": manner.name, "email": "root@example.test", "groups": manner.groups,
        });
        let (algorithm, kid, key) = match (manner.by_rsa, manner.forges) {
            (true, _) => (Algorithm::RS256, "rsa", EncodingKey::from_rsa_der(RSA_KEY)),
            (_, true) => (Algorithm::ES256, "curve", EncodingKey::from_ec_der(&self.keys.forged)),
            _ => (Algorithm::ES256, "curve", EncodingKey::from_ec_der(&self.keys.curve)),
        };
        encode(&Header { kid: Some(kid.into()), ..Header::new(algorithm) }, &claims, &key).unwrap()
    }

    fn house(&self) -> House {
        let openid = OpenIdSettings {
            name: "Example Staff".into(),
            issuer: self.issuer(),
            client_id: "fairban".into(),
            client_secret: Some(zeroize::Zeroizing::new(SECRET.into())),
            scopes: vec!["profile".into()],
            claim: "groups".into(),
            groups: vec![
                (Grade::Administrator, vec!["fairban-admins".into()]),
                (Grade::Support, vec!["helpdesk".into()]),
            ],
            domains_claim: "domains".into(),
        };
        House::with(Settings { url: Some(ORIGIN.into()), openid: Some(openid), ..Settings::default() })
    }

    /// Goes there; gives what has to come back.
    async fn visit(&self, visitor: &mut Visitor) -> String {
        let answer = visitor.get("/sign-in/openid?next=/audit").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        let (place, query) = answer.location().split_once('?').unwrap();
        assert_eq!(place, format!("{}/authorize", self.issuer()));
        let query: std::collections::HashMap<String, String> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        assert_eq!((query["code_challenge_method"].as_str(), query["scope"].as_str()), ("S256", "openid profile"));
        *self.asked.lock().unwrap() = (query["nonce"].clone(), query["code_challenge"].clone());
        query["state"].clone()
    }

    async fn sign_in(&self, visitor: &mut Visitor) -> Answer {
        let state = self.visit(visitor).await;
        visitor.get(&format!("/sign-in/openid/done?code=the-code&state={state}")).await
    }
}

#[tokio::test]
async fn the_provider_says_who_somebody_is_and_what_they_may() {
    let provider = Provider::start().await;
    let house = provider.house();
    house.signed_in("alice", Grade::ReadOnly).await;
    let mut visitor = house.visitor();
    assert!(visitor.get("/sign-in").await.body.contains("Example Staff"));
    let answer = provider.sign_in(&mut visitor).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(answer.body.contains("url=/audit"), "on by a page of our own: {}", answer.body);
    let page = visitor.get("/audit").await;
    assert_eq!(page.status, 200, "{}", page.body);
    let me = visitor.get("/me").await.body;
    assert!(me.contains("alice-2"), "a local user of that name is another person: {me}");
    assert!(!me.contains("A new one"), "there is no password to change: {me}");
    // Next time they are the same, and their groups have changed.
    provider.set(Manner { groups: json!("helpdesk"), by_rsa: true, ..Manner::default() });
    let mut again = house.visitor();
    assert_eq!(provider.sign_in(&mut again).await.status, StatusCode::OK);
    assert_eq!(again.get("/audit").await.status, StatusCode::FORBIDDEN);
    assert!(visitor.get("/audit").await.location().starts_with("/sign-in"), "the earlier session had another role");
    let users = house.registry.users().await.unwrap();
    let found: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.role.grade)).collect();
    assert_eq!(found, [("alice", Grade::ReadOnly), ("alice-2", Grade::Support)]);
    let mut by_password = house.visitor();
    let answer = by_password.post("/sign-in", &[("name", "alice-2"), ("password", "")]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "nobody has an empty password");
}

#[tokio::test]
async fn what_is_wrong_in_an_answer_lets_nobody_in() {
    let provider = Provider::start().await;
    let house = provider.house();
    for (what, manner) in [
        ("another nonce", Manner { nonce: Some("another"), ..Manner::default() }),
        ("another audience", Manner { audience: json!("mail"), ..Manner::default() }),
        ("one audience of several", Manner { audience: json!(["fairban", "mail"]), ..Manner::default() }),
        ("another issuer", Manner { issuer: Some("https://evil.test"), ..Manner::default() }),
        ("over", Manner { ends: -300, ..Manner::default() }),
        ("an unknown key", Manner { forges: true, ..Manner::default() }),
        ("no group of ours", Manner { groups: json!(["staff"]), ..Manner::default() }),
        ("no groups", Manner { groups: Value::Null, ..Manner::default() }),
    ] {
        provider.set(manner);
        let mut visitor = house.visitor();
        let answer = provider.sign_in(&mut visitor).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{what}: {}", answer.body);
        assert!(visitor.get("/").await.location().starts_with("/sign-in"), "{what}");
    }
    assert!(house.registry.users().await.unwrap().is_empty(), "nobody is made who may not come in");
}

#[tokio::test]
async fn who_comes_back_is_who_left_and_once() {
    let provider = Provider::start().await;
    let house = provider.house();
    let mut visitor = house.visitor();
    let state = provider.visit(&mut visitor).await;
    let mut stranger = house.visitor();
    let back = format!("/sign-in/openid/done?code=the-code&state={state}");
    assert_eq!(stranger.get(&back).await.status, StatusCode::FORBIDDEN, "a link that somebody else was sent");
    let wrong = visitor.get("/sign-in/openid/done?code=the-code&state=another").await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN, "another state");
    assert_eq!(visitor.get(&back).await.status, StatusCode::FORBIDDEN, "a visit is good once");
    let state = provider.visit(&mut visitor).await;
    house.hands.forward(Duration::from_secs(601));
    let late = visitor.get(&format!("/sign-in/openid/done?code=the-code&state={state}")).await;
    assert_eq!(late.status, StatusCode::FORBIDDEN, "ten minutes");
    let refused = visitor.get("/sign-in/openid/done?error=access_denied").await;
    assert!(refused.body.contains("has not let you in"));
    let without = House::new();
    assert_eq!(without.visitor().get("/sign-in/openid").await.status, StatusCode::NOT_FOUND);
}

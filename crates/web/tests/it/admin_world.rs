//! The administration with a desk in memory, and who visits it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Request, StatusCode};
use fairban_web::Peer;
use fairban_web::access::{Grade, Hashing, Registry, Role};
use fairban_web::admin::{Admin, MemoryDesk, Settings};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::world::Hands;

pub(crate) const PASSWORD: &str = "blue tractor seven moons";
pub(crate) const OWN: &str = "example.test";

pub(crate) struct House {
    pub(crate) hands: Hands,
    pub(crate) desk: Arc<MemoryDesk>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) admin: Arc<Admin>,
    pub(crate) router: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |to| to.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) fn role(grade: Grade) -> Role {
    let domains = if grade == Grade::DomainAdministrator { vec![OWN.to_owned()] } else { Vec::new() };
    Role::checked(grade, domains).unwrap()
}

impl House {
    pub(crate) fn new() -> Self {
        House::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let settings = Settings { time_zone: Some("UTC".into()), ..settings };
        let hands = Hands::new();
        let desk = Arc::new(MemoryDesk::new(hands.clock()));
        let registry = Arc::new(Registry::new(desk.clone(), Hashing { memory_kib: 64, passes: 1 }));
        let admin = Admin::new(settings, desk.clone(), registry.clone(), hands.clock()).unwrap();
        House { hands, desk, registry, router: admin.router(), admin }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor {
            router: self.router.clone(),
            peer: "192.0.2.50".into(),
            cookies: HashMap::new(),
            token: None,
            headers: Vec::new(),
        }
    }

    /// Somebody who is signed in by a link.
    pub(crate) async fn signed_in(&self, name: &str, grade: Grade) -> Visitor {
        let told = self.registry.make_link(Some(name), role(grade), Duration::from_secs(60), self.hands.now(), "test");
        let link = told.await.unwrap().secret;
        let mut visitor = self.visitor();
        visitor.get(&format!("/set-up?link={link}")).await;
        let fields = [("link", link.as_str()), ("name", name), ("password", PASSWORD), ("again", PASSWORD)];
        let answer = visitor.post("/set-up", &fields).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/me?new=yes"), "{}", answer.body);
        visitor
    }

    /// A program with a token.
    pub(crate) async fn program(&self, grade: Grade) -> Visitor {
        let token = self.registry.make_token("test", role(grade), None, self.hands.now(), "test").await.unwrap().secret;
        Visitor { token: Some(token), ..self.visitor() }
    }
}

/// The token of forms on a page.
pub(crate) fn token_of(page: &str) -> String {
    let pattern = regex::Regex::new(r#"name="token" value="([^"]+)""#).unwrap();
    pattern.captures(page).map_or_else(String::new, |found| found[1].to_owned())
}

/// A browser or a program.
pub(crate) struct Visitor {
    router: Router,
    pub(crate) peer: String,
    pub(crate) cookies: HashMap<String, String>,
    pub(crate) token: Option<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Visitor {
    pub(crate) async fn send(&mut self, method: &str, path: &str, kind: &str, body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "admin.test");
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, cookies.join("; "));
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        if !kind.is_empty() {
            request = request.header(CONTENT_TYPE, kind);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Peer(SocketAddr::new(self.peer.parse().unwrap(), 4711)));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let is_stream = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let body = if is_stream { Vec::new() } else { body.collect().await.unwrap().to_bytes().to_vec() };
        Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body).unwrap() }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "", String::new()).await
    }

    pub(crate) async fn call(&mut self, method: &str, path: &str, body: serde_json::Value) -> Answer {
        self.send(method, path, "application/json", body.to_string()).await
    }

    /// The token of forms, as a page has it.
    pub(crate) async fn form_token(&mut self) -> String {
        let path = if self.cookies.contains_key("fairban-admin") { "/never" } else { "/sign-in" };
        let mut page = self.get(path).await;
        if page.status != StatusCode::OK {
            page = self.get("/blocks").await;
        }
        token_of(&page.body)
    }

    async fn token_on(&mut self, path: &str) -> String {
        let page = self.get(path).await;
        token_of(&page.body)
    }

    pub(crate) async fn post_with(&mut self, path: &str, token: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token).extend_pairs(fields);
        self.send("POST", path, "application/x-www-form-urlencoded", form.finish()).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = match path {
            "/code" => self.token_on("/code").await,
            _ => self.form_token().await,
        };
        self.post_with(path, &token, fields).await
    }

    pub(crate) fn seen_elsewhere(mut self) -> Self {
        self.headers.push(("origin", "https://evil.test".to_owned()));
        self
    }
}

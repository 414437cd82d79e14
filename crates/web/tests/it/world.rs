//! A portal with a house in memory, and browsers.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, Request, StatusCode};
use fairban_types::{
    Action, Code, Decision, Device, Diagnosis, Effect, Event, EventKind, Evidence, Origin, Service, Subject, Time,
};
use fairban_web::portal::{CheckPassword, Checked, MemoryHouse, Password, Portal, Settings};
use fairban_web::{Clock, Peer};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

pub(crate) const START: &str = "2026-11-21T19:00:00Z";
pub(crate) const OFFICE: &str = "192.0.2.7";
pub(crate) const PHONE: &str = "198.51.100.4";

/// A clock that moves when told.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn new() -> Self {
        Hands(Arc::new(AtomicI64::new(START.parse::<Time>().unwrap().millis())))
    }

    pub(crate) fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn forward(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::of(move || hands.now())
    }
}

/// Knows passwords, and how often it was asked.
#[derive(Default)]
pub(crate) struct KnownPasswords {
    pub(crate) asked: AtomicUsize,
    pub(crate) down: Mutex<bool>,
}

impl CheckPassword for KnownPasswords {
    fn check<'a>(
        &'a self,
        account: &'a str,
        password: &'a Password,
    ) -> Pin<Box<dyn Future<Output = Checked> + Send + 'a>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let down = *self.down.lock().unwrap();
        let right = password.reveal() == format!("right-{}", account.to_lowercase());
        Box::pin(async move {
            match (down, right) {
                (true, _) => Checked::Unavailable("it is down".into()),
                (false, true) => Checked::Right,
                (false, false) => Checked::Wrong,
            }
        })
    }
}

pub(crate) struct World {
    pub(crate) hands: Hands,
    pub(crate) house: Arc<MemoryHouse>,
    pub(crate) passwords: Arc<KnownPasswords>,
    pub(crate) router: Router,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    /// Everything has its default but what a test sets.
    pub(crate) fn with(settings: Settings) -> Self {
        let settings = Settings { time_zone: Some("UTC".into()), ..settings };
        let hands = Hands::new();
        let house = Arc::new(MemoryHouse::new(hands.clock(), &["mx1", "mx2"]));
        let passwords = Arc::new(KnownPasswords::default());
        let portal = Portal::with_check(settings, house.clone(), hands.clock(), Some(passwords.clone()), None).unwrap();
        World { hands, house, passwords, router: portal.router() }
    }

    pub(crate) fn browser(&self, address: &str) -> Browser {
        Browser {
            router: self.router.clone(),
            peer: address.parse().unwrap(),
            cookies: HashMap::new(),
            language: "en",
            headers: Vec::new(),
        }
    }

    /// The office, blocked for an old password on alice's second computer; bob is there too.
    pub(crate) fn office_is_blocked(&self) -> Code {
        let failures = failures(self.hands.now(), OFFICE, "alice@example.test", 5);
        let device = Device {
            account: Some("alice@example.test".into()),
            services: vec![Service::Imap],
            program: Some("Thunderbird 115".into()),
            cadence: Some(Duration::from_secs(60)),
            tries: 5,
            first: failures.first().map(Evidence::first_seen),
            last: failures.last().map(|evidence| evidence.event.time),
            ..Device::default()
        };
        let code = self.block(1, OFFICE, Diagnosis::StalePassword, failures);
        self.house.device(code, device);
        code
    }

    pub(crate) fn block(&self, number: u64, subject: &str, diagnosis: Diagnosis, events: Vec<Evidence>) -> Code {
        let receipt = receipt(number, subject, diagnosis, self.hands.now(), events);
        let code = receipt.code;
        self.house.block(receipt);
        code
    }
}

/// A minute apart, the last one ten seconds ago.
pub(crate) fn failures(now: Time, client: &str, account: &str, count: u64) -> Vec<Evidence> {
    (0..count)
        .rev()
        .map(|n| {
            let time = now.before(Duration::from_secs(10 + 60 * n));
            let mut event = Event::new(EventKind::LoginFailed, time, client.parse().unwrap(), Service::Imap)
                .account(account.to_owned());
            event.program = Some("Thunderbird 115".into());
            event.helo = None;
            Evidence { points: 50, seen: 1, first: None, event }
        })
        .collect()
}

pub(crate) fn receipt(number: u64, subject: &str, diagnosis: Diagnosis, now: Time, events: Vec<Evidence>) -> Decision {
    Decision {
        code: Code::new(number * 0x1234_5678 + 7),
        time: now,
        action: Action::Block,
        subject: subject.parse::<Subject>().unwrap(),
        origin: Origin::Rule("login".into()),
        reason: "5 failures in 20m".into(),
        score: 250,
        threshold: 250,
        until: Some(now.after(Duration::from_secs(1800))),
        effect: Effect::Explain,
        diagnosis,
        offence: 1,
        spares_familiar: false,
        in_kernel: true,
        holes: Vec::new(),
        events,
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) html: String,
}

impl Answer {
    /// The words on the page, without markup.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut inside = false;
        for letter in self.html.chars() {
            match letter {
                '<' => inside = true,
                '>' => {
                    inside = false;
                    text.push(' ');
                }
                letter if !inside => text.push(letter),
                _ => {}
            }
        }
        let text = text.replace("&#38;", "&").replace("&#34;", "\"").replace("&#39;", "'");
        text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ,", ",")
    }

    #[track_caller]
    pub(crate) fn says(&self, words: &str) -> &Self {
        assert!(self.text().contains(words), "no '{words}' in: {}", self.text());
        self
    }

    #[track_caller]
    pub(crate) fn says_nothing_of(&self, words: &str) -> &Self {
        assert!(!self.html.contains(words), "'{words}' in: {}", self.html);
        self
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// The value of the first hidden field of that name.
    pub(crate) fn hidden(&self, name: &str) -> Option<String> {
        let (_, rest) = self.html.split_once(&format!("name=\"{name}\" value=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let all = self.headers.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
        all.filter_map(|line| line.strip_prefix(&format!("{name}="))).next_back().map(str::to_owned)
    }
}

/// Keeps cookies, follows redirects, fills in the tokens of forms.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) router: Router,
    pub(crate) peer: IpAddr,
    pub(crate) cookies: HashMap<String, String>,
    pub(crate) language: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let request = self.request("GET", path, Body::empty());
        self.send(request).await
    }

    /// Posts a form as the page that holds it would, and follows.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let from = self.get(if path == "/sign-in" { "/" } else { "/result" }).await;
        let token = from.hidden("token").unwrap_or_default();
        let mut all = vec![("token", token.as_str())];
        all.extend_from_slice(fields);
        self.post_raw(path, &all, &[]).await
    }

    /// Posts just these fields, with these headers.
    pub(crate) async fn post_raw(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&'static str, &str)],
    ) -> Answer {
        let body = fields
            .iter()
            .map(|(name, value)| {
                let value: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
                format!("{name}={value}")
            })
            .collect::<Vec<_>>()
            .join("&");
        let mut request = self.request("POST", path, Body::from(body));
        let standard = [
            (CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded"),
            (ORIGIN.as_str(), "https://portal.example.test"),
            ("sec-fetch-site", "same-origin"),
        ];
        for (name, value) in standard.iter().chain(headers) {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let answer = self.send(request).await;
        match answer.headers.get(LOCATION).map(|to| to.to_str().unwrap().to_owned()) {
            Some(to) => self.get(&to).await,
            None => answer,
        }
    }

    pub(crate) async fn sign_in(&mut self, account: &str, password: &str) -> Answer {
        self.post("/sign-in", &[("account", account), ("password", password)]).await
    }

    fn request(&self, method: &str, path: &str, body: Body) -> Request<Body> {
        let cookies: BTreeMap<_, _> = self.cookies.iter().collect();
        let cookies: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "portal.example.test")
            .header(ACCEPT_LANGUAGE, self.language)
            .header(COOKIE, cookies.join("; "));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(body).unwrap()
    }

    async fn send(&mut self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(Peer(SocketAddr::new(self.peer, 4711)));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        for line in parts.headers.get_all(SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Answer { status: parts.status, headers: parts.headers, html: String::from_utf8(bytes.to_vec()).unwrap() }
    }
}

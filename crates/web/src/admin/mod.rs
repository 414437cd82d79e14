//! The administrator's pages, and what the API shares with them: who is signed in, what is listened on, and the seam to
//! the program ([`Desk`]).
//!
//! Every page is made on the server and works without scripts; every act is a plain form. One small script adds what is
//! live. The table of routes says for each which right it takes, and the handler gets that right as a value.

mod chart;
mod csv;
pub mod desk;
mod fleet_view;
pub mod memory;
mod pages;
mod route;
mod rule_view;
mod settings;
mod undo;
pub mod view;
mod words;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fairban_types::Time;
use jiff::tz::TimeZone;
use ring::hmac;
use tokio::sync::Semaphore;

pub use desk::Desk;
pub use memory::MemoryDesk;
pub use settings::Settings;

pub(crate) use route::{Asked, Deed, Guest, Route, Routes};

use crate::access::{AccessError, Challenges, FIRST_LINK, Grade, Guesses, Provider, Registry, Role, Sessions, Site};
use crate::api::{Idempotency, Lists};
use crate::cookie::Jar;
use crate::{Clock, Running, WebError, listen, random};

/// The cookie of a session, and
pub(crate) const SESSION: &str = "admin";
/// of a visit before it.
pub(crate) const VISIT: &str = "admin-visit";

/// So many passwords are hashed at once: each takes 19 MiB.
const HASHERS: usize = 4;

/// The administrator's house, ready to answer.
pub struct Admin {
    pub(crate) settings: Settings,
    pub(crate) desk: Arc<dyn Desk>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
    pub(crate) zone: TimeZone,
    pub(crate) jar: Jar,
    pub(crate) form_key: hmac::Key,
    pub(crate) sessions: Mutex<Sessions>,
    pub(crate) guesses: Mutex<Guesses>,
    pub(crate) hashers: Semaphore,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) replays: Semaphore,
    pub(crate) done_before: Mutex<Idempotency>,
    pub(crate) lists: Lists,
    pub(crate) table: Vec<Route>,
    pub(crate) openapi: bytes::Bytes,
    /// For whom passkeys are made; `None`: there can be none.
    pub(crate) site: Option<Site>,
    pub(crate) challenges: Mutex<Challenges>,
    /// The OpenID provider whose word is taken.
    pub(crate) provider: Option<Provider>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole between any two statements that could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Admin {
    /// Puts it together.
    ///
    /// # Errors
    /// A setting that cannot work.
    pub fn new(
        settings: Settings,
        desk: Arc<dyn Desk>,
        registry: Arc<Registry>,
        clock: Clock,
    ) -> Result<Arc<Self>, WebError> {
        settings.check()?;
        let table = all_routes().table();
        let provider = match (&settings.openid, settings.origin()) {
            (Some(openid), Some(origin)) => Some(Provider::new(openid.clone(), origin)?),
            (Some(_), None) => {
                let wrong = "OpenID Connect sends people back to it: set it".to_owned();
                return Err(WebError::Setting { key: "web.url", wrong });
            }
            (None, _) => None,
        };
        let admin = Arc::new(Admin {
            zone: settings.zone()?,
            jar: Jar { secure: settings.is_secure() },
            form_key: hmac::Key::new(hmac::HMAC_SHA256, &random::bytes()?),
            sessions: Mutex::new(Sessions::new(settings.stay.clone())),
            guesses: Mutex::new(Guesses::new()),
            hashers: Semaphore::new(HASHERS),
            streams: Arc::new(Semaphore::new(settings.streams_max)),
            replays: Semaphore::new(1),
            done_before: Mutex::default(),
            lists: Lists::default(),
            openapi: crate::api::openapi(&table).into(),
            table,
            site: settings.origin().and_then(Site::of),
            challenges: Mutex::default(),
            provider,
            settings,
            desk,
            registry,
            clock,
        });
        let weak = Arc::downgrade(&admin);
        admin.registry.on_end(move |user| {
            if let Some(admin) = weak.upgrade() {
                admin.end_all(user, None);
            }
        });
        Ok(admin)
    }

    /// Pages and API as a service. Each request carries its [`crate::Peer`] as an extension; one without is refused.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        route::serve(all_routes(), self)
    }

    /// Every route: method, path, the name of the right that it takes (nothing: none), the grades that have it, and
    /// whether a token does. For tests and documentation.
    pub fn routes(&self) -> Vec<(String, &'static str, &'static str, &'static [Grade], bool)> {
        let tell = |route: &Route| (route.method.to_string(), route.path, route.right, route.grades, route.by_token);
        self.table.iter().map(tell).collect()
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }
}

fn all_routes() -> Routes {
    crate::api::add(pages::add(Routes::default()))
}

/// The address under which people reach it.
pub fn address(settings: &Settings, local: std::net::SocketAddr) -> String {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    settings.origin().map_or_else(|| format!("{scheme}://{local}"), str::to_owned)
}

/// What opens a link in a browser.
pub fn link_address(origin: &str, secret: &str) -> String {
    format!("{}/set-up?link={secret}", origin.trim_end_matches('/'))
}

/// A link for the first administrator, if there is no user yet.
///
/// # Errors
/// The program cannot keep it.
pub async fn first_link(registry: &Registry, now: Time) -> Result<Option<String>, AccessError> {
    if !registry.users().await?.is_empty() {
        return Ok(None);
    }
    let role = Role::of(Grade::Administrator);
    Ok(Some(registry.make_link(None, role, FIRST_LINK, now, "fairban").await?.secret))
}

/// Serves it. It ends when what is returned is dropped.
///
/// # Errors
/// A certificate that cannot be read, an address that cannot be listened on.
pub async fn serve(admin: &Arc<Admin>) -> Result<Running, WebError> {
    let settings = &admin.settings;
    listen::start(settings.listen, settings.tls.clone(), settings.limits.clone(), admin.router()).await
}

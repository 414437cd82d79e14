//! The self-service portal: a person whose mail stopped signs in with their mail account, or arrives by a signed link
//! from a hosting panel, sees what was blocked, why, where and by which device, and is let out where policy allows.
//!
//! The portal owns everything about the visit: who is believed to come from where ([`crate::Proxies`]), who is signed in
//! (sessions of its own, nothing shared with administration), how often something may be tried ([`AttemptLimits`]), what
//! its owner may lift and how often ([`LiftPolicy`]), and what may be shown to whom. What is blocked, and what a release
//! does, is known to the [`House`] alone.
//!
//! The right to act is a type: a page that acts for an account takes a `Member`, which only a live session makes, and a
//! form is read only after its token and origin were found right.

mod attempts;
mod house;
mod imap;
mod lift;
mod link;
mod mask;
mod memory;
mod pages;
mod password;
mod release;
mod rests;
mod session;
mod settings;
mod story;
mod visit;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fairban_types::Time;
use jiff::tz::TimeZone;
use ring::hmac;
use tokio::sync::Semaphore;

pub use attempts::AttemptLimits;
pub use fairban_types::{Device, Finding};
pub use house::{Answer, BlockView, House, HouseError, MayTry, Owner, PROGRAM, Release, Released, Releases};
pub use imap::{ImapCheck, MailSecurity, MailServer};
pub use lift::LiftPolicy;
pub use link::{LinkKey, Links};
pub use memory::MemoryHouse;
pub use password::{CheckPassword, Checked, Password};
pub use session::SessionLimits;
pub use settings::Settings;

use crate::cookie::Jar;
use crate::language::Languages;
use crate::notice::Notices;
use crate::{Clock, Running, WebError, Words, listen, random};
use attempts::Attempts;
use lift::Accounts;
use link::LinkDesk;
use session::Sessions;

/// So many passwords are checked at once; more would lean on the mail server.
const CHECKS_MAX: usize = 16;

/// The portal, ready to answer.
pub struct Portal {
    settings: Settings,
    house: Arc<dyn House>,
    check: Option<Arc<dyn CheckPassword>>,
    clock: Clock,
    languages: Languages,
    accounts: Accounts,
    zone: TimeZone,
    jar: Jar,
    form_key: hmac::Key,
    sessions: Mutex<Sessions>,
    attempts: Mutex<Attempts>,
    links: Option<Mutex<LinkDesk>>,
    checks: Semaphore,
    releasing: Arc<Mutex<HashSet<Releases>>>,
    notices: Option<Arc<Notices>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole between any two statements that could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Portal {
    /// Reads what the settings name (catalogues, keys) and checks passwords as they say. Owners are told of releases by
    /// `notices`.
    ///
    /// # Errors
    /// A file that cannot be read, or a setting that cannot work.
    pub fn new(
        settings: Settings,
        house: Arc<dyn House>,
        clock: Clock,
        notices: Option<Arc<Notices>>,
    ) -> Result<Arc<Self>, WebError> {
        let check = match &settings.mail_server {
            Some(server) => Some(Arc::new(ImapCheck::new(server)?) as Arc<dyn CheckPassword>),
            None => None,
        };
        Self::with_check(settings, house, clock, check, notices)
    }

    /// The same with another way to check passwords; `None`: only signed links let people in.
    ///
    /// # Errors
    /// As [`Portal::new`].
    pub fn with_check(
        settings: Settings,
        house: Arc<dyn House>,
        clock: Clock,
        check: Option<Arc<dyn CheckPassword>>,
        notices: Option<Arc<Notices>>,
    ) -> Result<Arc<Self>, WebError> {
        settings.check()?;
        let links = match &settings.links {
            Some(links) => Some(Mutex::new(LinkDesk::open(links, clock.now())?)),
            None => None,
        };
        Ok(Arc::new(Portal {
            languages: Languages::load(settings.catalogues.as_deref(), &settings.language)?,
            accounts: Accounts { default_domain: settings.default_domain.clone() },
            zone: settings.zone()?,
            jar: Jar { secure: settings.is_secure() },
            form_key: hmac::Key::new(hmac::HMAC_SHA256, &random::bytes()?),
            sessions: Mutex::new(Sessions::new(settings.sessions.clone())),
            attempts: Mutex::new(Attempts::new(&settings.attempts)),
            links,
            checks: Semaphore::new(CHECKS_MAX),
            releasing: Arc::default(),
            notices,
            settings,
            house,
            check,
            clock,
        }))
    }

    /// The pages as a service. Each request carries its [`crate::Peer`] as an extension; one without is refused.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        pages::router(self.clone())
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn moment(&self, words: &Words, at: Time) -> String {
        words.moment(at, &self.zone)
    }
}

/// Starts the portal. It ends when what is returned is dropped.
///
/// # Errors
/// A setting that cannot work, a file that cannot be read, an address that cannot be listened on.
pub async fn start(
    settings: Settings,
    house: Arc<dyn House>,
    notices: Option<Arc<Notices>>,
) -> Result<Running, WebError> {
    let portal = Portal::new(settings, house, Clock::system(), notices)?;
    serve(&portal).await
}

/// Serves a portal that was put together otherwise than by [`start`].
///
/// # Errors
/// A certificate that cannot be read, an address that cannot be listened on.
pub async fn serve(portal: &Arc<Portal>) -> Result<Running, WebError> {
    let settings = &portal.settings;
    listen::start(settings.listen, settings.tls.clone(), settings.limits.clone(), portal.router()).await
}

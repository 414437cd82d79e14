use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::{AttemptLimits, LiftPolicy, Links, MailServer, SessionLimits};
use crate::{Certificate, Limits, Proxies, WebError};

/// Everything that an operator can say about the portal.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its own TLS; `None`: plain HTTP, for a reverse proxy on the same machine or a trusted network.
    pub tls: Option<Certificate>,
    /// The address that people type, such as `https://unblock.example.test`. With it, cookies are kept to TLS also
    /// behind a proxy, and forms are taken from there only.
    pub url: Option<String>,
    /// The reverse proxies whose word on the client's address is believed.
    pub proxies: Proxies,
    /// What the operator calls the service, at the top of each page; `None`: a word of the catalogue.
    pub brand: Option<String>,
    /// Whom to turn to: a mail address, a telephone number, a web address.
    pub contact: Option<String>,
    /// Where people change their password (http or https).
    pub password_url: Option<String>,
    /// The mail server that checks passwords; `None`: only signed links let people in.
    pub mail_server: Option<MailServer>,
    /// Signed links from a hosting panel.
    pub links: Option<Links>,
    /// The domain that accounts without one belong to, so that `alice` and `alice@example.test` are one.
    pub default_domain: Option<String>,
    /// What may be lifted, and how often.
    pub lift: LiftPolicy,
    /// How often something may be tried.
    pub attempts: AttemptLimits,
    /// How long people stay signed in.
    pub sessions: SessionLimits,
    /// Connections and sizes.
    pub limits: Limits,
    /// The language for browsers that ask for none that there is.
    pub language: String,
    /// A folder with more catalogues.
    pub catalogues: Option<PathBuf>,
    /// The time zone of times on pages (IANA name); `None`: the machine's.
    pub time_zone: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8626)),
            tls: None,
            url: None,
            proxies: Proxies::default(),
            brand: None,
            contact: None,
            password_url: None,
            mail_server: None,
            links: None,
            default_domain: None,
            lift: LiftPolicy::default(),
            attempts: AttemptLimits::default(),
            sessions: SessionLimits::default(),
            limits: Limits::default(),
            language: "en".into(),
            catalogues: None,
            time_zone: None,
        }
    }
}

impl Settings {
    /// Whether browsers reach the portal by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some() || self.url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The origin of the configured address, such as `https://unblock.example.test`.
    pub(crate) fn origin(&self) -> Option<&str> {
        self.url.as_deref().map(|url| url.trim_end_matches('/'))
    }

    pub(crate) fn zone(&self) -> Result<TimeZone, WebError> {
        match &self.time_zone {
            None => Ok(TimeZone::system()),
            Some(name) => TimeZone::get(name).map_err(|_| WebError::Setting {
                key: "portal.time_zone",
                wrong: format!("there is no time zone '{name}'; write a name such as Europe/Berlin"),
            }),
        }
    }

    pub(crate) fn check(&self) -> Result<(), WebError> {
        let is_web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        if let Some(url) = &self.password_url
            && !is_web(url)
        {
            return Err(WebError::Setting { key: "portal.password_url", wrong: "write an https:// address".into() });
        }
        if let Some(url) = &self.url {
            let host = url.trim_end_matches('/').split_once("://").map(|(_, host)| host);
            if !is_web(url) || !host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
                return Err(WebError::Setting {
                    key: "portal.url",
                    wrong: "write https:// and a host name, without a path: the portal needs a host of its own".into(),
                });
            }
        }
        if self.tls.is_some() && self.url.as_deref().is_some_and(|url| url.starts_with("http://")) {
            return Err(WebError::Setting {
                key: "portal.url",
                wrong: "it says http, but the portal has a certificate: write https".into(),
            });
        }
        Ok(())
    }
}

use std::net::SocketAddr;

use jiff::tz::TimeZone;

use crate::access::{OpenIdSettings, StayLimits};
use crate::{Certificate, Limits, Proxies, WebError};

/// Everything that an operator can say about the administration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its own TLS; `None`: plain HTTP, for a reverse proxy on the same machine.
    pub tls: Option<Certificate>,
    /// The address that people type, such as `https://fairban.example.test`. With it, cookies are kept to TLS also
    /// behind a proxy, and forms are taken from there only.
    pub url: Option<String>,
    /// The reverse proxies whose word on the client's address is believed.
    pub proxies: Proxies,
    /// The time zone of times on pages (IANA name); `None`: the machine's.
    pub time_zone: Option<String>,
    /// Whether `/metrics` is told to whoever asks; if not, it takes a token.
    pub metrics_open: bool,
    /// Whether a password alone is not enough: who has no second factor has to set one up before anything else.
    pub second_factor_required: bool,
    /// An OpenID provider at which people may sign in.
    pub openid: Option<OpenIdSettings>,
    /// How long people stay signed in.
    pub stay: StayLimits,
    /// So many pages follow what happens at once.
    pub streams_max: usize,
    /// Connections and sizes.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8625)),
            tls: None,
            url: None,
            proxies: Proxies::default(),
            time_zone: None,
            metrics_open: true,
            second_factor_required: false,
            openid: None,
            stay: StayLimits::default(),
            streams_max: 64,
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// Whether browsers reach it by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some() || self.url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// The origin of the configured address.
    pub(crate) fn origin(&self) -> Option<&str> {
        self.url.as_deref().map(|url| url.trim_end_matches('/'))
    }

    pub(crate) fn zone(&self) -> Result<TimeZone, WebError> {
        match &self.time_zone {
            None => Ok(TimeZone::system()),
            Some(name) => TimeZone::get(name).map_err(|_| WebError::Setting {
                key: "web.time_zone",
                wrong: format!("there is no time zone '{name}'; write a name such as Europe/Berlin"),
            }),
        }
    }

    pub(crate) fn check(&self) -> Result<(), WebError> {
        let wrong = |wrong: &str| Err(WebError::Setting { key: "web.url", wrong: wrong.to_owned() });
        let Some(url) = self.origin() else { return Ok(()) };
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@'])) {
            return wrong("write https:// and a host name, without a path: the administration needs a host of its own");
        }
        if self.tls.is_some() && url.starts_with("http://") {
            return wrong("it says http, but the administration has a certificate: write https");
        }
        Ok(())
    }
}

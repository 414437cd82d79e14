//! The administrator's pages, the API, metrics and health.

use super::{Draft, listen_key};
use crate::reader::Reader;
use crate::schema::{Absent, Section};
use crate::settings::{ForwardHeader, Web};
use crate::takes;
use crate::tree::Table;

pub(super) fn section() -> Section<Web> {
    let section =
        Section::new("[web]", "The administrator's pages, the API, metrics and health: see [admin.md](admin.md).");
    listen_key(section, "\"127.0.0.1:8625\"", "where it listens", |web: &mut Web, at| web.listen = Some(at))
        .key(
            "url",
            takes::web_url(),
            Absent::Means("cookies and forms go by the host that the browser asks for"),
            "\"https://fairban.example.test\"",
            "the address that administrators type, without a path",
            |web, url| web.url = Some(url),
        )
        .key(
            "tls_certificate",
            takes::path(),
            Absent::Means("plain HTTP, for this machine alone or a reverse proxy"),
            "\"/etc/ssl/fairban.pem\"",
            "a PEM file: its certificate, then those that signed it; read again on reload",
            |web, path| web.tls_certificate = Some(path),
        )
        .key(
            "tls_key",
            takes::path(),
            Absent::Means("none; `tls_certificate` needs it"),
            "\"/etc/ssl/private/fairban.key\"",
            "a PEM file: the certificate's key",
            |web, path| web.tls_key = Some(path),
        )
        .key(
            "trusted_proxies",
            takes::list(super::portal::proxy(), 0..=256),
            Absent::Is("[]"),
            "[\"127.0.0.1\"]",
            "the reverse proxies whose word on the client's address is believed",
            |web, proxies| web.trusted_proxies = proxies,
        )
        .key(
            "forward_header",
            takes::choice(&[
                ("x-forwarded-for", ForwardHeader::XForwardedFor),
                ("forwarded", ForwardHeader::Forwarded),
            ]),
            Absent::Is("\"x-forwarded-for\""),
            "\"forwarded\"",
            "the header in which they write it; no other is read",
            |web, header| web.forward_header = header,
        )
        .key(
            "time_zone",
            takes::text(64),
            Absent::Means("the machine's"),
            "\"Europe/Berlin\"",
            "the time zone of times on pages",
            |web, zone| web.time_zone = Some(zone),
        )
        .key(
            "metrics_open",
            takes::flag(),
            Absent::Is("true"),
            "false",
            "whether `/metrics` is told to whoever can reach it; if not, it takes a token that may read",
            |web, open| web.metrics_open = open,
        )
}

/// What keys of the administration cannot tell alone.
pub(super) fn check(draft: &Draft, document: &Table, reader: &mut Reader) {
    let web = &draft.config.web;
    for (one, given, other, missing) in [
        ("tls_certificate", web.tls_certificate.is_some(), "tls_key", web.tls_key.is_none()),
        ("tls_key", web.tls_key.is_some(), "tls_certificate", web.tls_certificate.is_none()),
    ] {
        if given && missing {
            super::agree::warn(document, &["web", one], reader, format!("the administration needs {other} as well"));
        }
    }
    let Some(listen) = web.listen else { return };
    let is_secure = web.url.as_deref().is_some_and(|url| url.starts_with("https://"));
    if web.tls_certificate.is_none() && !is_secure && !listen.ip().is_loopback() {
        let message = "passwords would cross the network unprotected: set tls_certificate and tls_key, or url to the \
                       https address of your reverse proxy";
        super::agree::warn(document, &["web", "listen"], reader, message.to_owned());
    }
    if web.tls_certificate.is_none() && is_secure && web.trusted_proxies.is_empty() {
        let message = "everybody would seem to come from the reverse proxy that speaks https: set trusted_proxies";
        super::agree::warn(document, &["web", "url"], reader, message.to_owned());
    }
}

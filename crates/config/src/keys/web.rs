//! The administrator's pages, the API, metrics and health.

use super::{Draft, listen_key};
use crate::reader::Reader;
use crate::schema::{Absent, Section};
use crate::settings::{ForwardHeader, SecondFactor, Web, WebOpenId};
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
        .key(
            "second_factor",
            takes::choice(&[("optional", SecondFactor::Optional), ("required", SecondFactor::Required)]),
            Absent::Is("\"optional\""),
            "\"required\"",
            "with `\"required\"` a password alone is not enough: who has neither codes nor a passkey sets one up before \
             anything else",
            |web, second_factor| web.second_factor = second_factor,
        )
        .table("openid", openid(), |web| &mut web.openid)
}

fn openid() -> Section<WebOpenId> {
    let section = Section::new(
        "[web.openid]",
        "An OpenID provider at which administrators may sign in. It needs `[web] url`, and sends people back to \
         `/sign-in/openid/done` there.",
    );
    let section = section
        .key(
            "issuer",
            takes::web_url(),
            Absent::Means("nobody signs in that way"),
            "\"https://id.example.test/realms/staff\"",
            "its issuer, exactly as it calls itself",
            |openid: &mut WebOpenId, issuer| openid.issuer = Some(issuer),
        )
        .key(
            "client_id",
            takes::text(200),
            Absent::Means("none; `issuer` needs it"),
            "\"fairban\"",
            "what Fairban is called there",
            |openid, id| openid.client_id = Some(id),
        )
        .key(
            "client_secret_file",
            takes::path(),
            Absent::Means("a public client: PKCE alone shows that it is Fairban"),
            "\"/etc/fairban/openid.secret\"",
            "a file with Fairban's secret there",
            |openid, path| openid.client_secret_file = Some(path),
        )
        .key(
            "name",
            takes::text(60),
            Absent::Is("\"OpenID Connect\""),
            "\"Example Staff\"",
            "what the sign-in page calls it",
            |openid, name| openid.name = name,
        )
        .key(
            "scopes",
            takes::list(takes::name(60), 0..=20),
            Absent::Is("[\"profile\"]"),
            "[\"profile\", \"groups\"]",
            "what is asked for beside `openid`",
            |openid, scopes| openid.scopes = scopes,
        );
    openid_roles(section)
}

/// Who may do what, by what the provider says of them.
fn openid_roles(section: Section<WebOpenId>) -> Section<WebOpenId> {
    let groups = || takes::list(takes::text(200), 0..=100);
    section
        .key(
            "claim",
            takes::text(100),
            Absent::Is("\"groups\""),
            "\"realm_access.roles\"",
            "the claim of the ID token that holds somebody's groups, a text or a list; a dot leads into an object",
            |openid, claim| openid.claim = claim,
        )
        .key(
            "administrators",
            groups(),
            Absent::Is("[]"),
            "[\"fairban-admins\"]",
            "groups whose members are administrators; who is in several groups has the role that may most, who is in \
             none is refused",
            |openid, groups| openid.administrators = groups,
        )
        .key("support", groups(), Absent::Is("[]"), "[\"helpdesk\"]", "groups of support", |openid, groups| {
            openid.support = groups;
        })
        .key(
            "domain_administrators",
            groups(),
            Absent::Is("[]"),
            "[\"customers\"]",
            "groups of domain administrators",
            |openid, groups| openid.domain_administrators = groups,
        )
        .key(
            "read_only",
            groups(),
            Absent::Is("[]"),
            "[\"staff\"]",
            "groups of those who only look",
            |openid, groups| {
                openid.read_only = groups;
            },
        )
        .key(
            "domains_claim",
            takes::text(100),
            Absent::Is("\"domains\""),
            "\"mail_domains\"",
            "the claim that holds the domains of a domain administrator",
            |openid, claim| openid.domains_claim = claim,
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
    let openid = &web.openid;
    for (missing, needed) in [(openid.client_id.is_none(), "client_id"), (web.url.is_none(), "[web] url")] {
        if openid.issuer.is_some() && missing {
            super::agree::warn(document, &["web", "openid", "issuer"], reader, format!("it needs {needed} as well"));
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

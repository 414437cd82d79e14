//! Servers that later versions have: their keys are read and checked, and a warning says that nothing acts on them.

use super::{Draft, listen_key};
use crate::schema::{Absent, Section};
use crate::settings::{Dovecot, Fleet, Portal, Postfix, Web};
use crate::takes;

/// What is missing of Dovecot's auth policy; `None` when it is served.
pub(super) const AUTH_POLICY_LACKS: Option<&str> = Some("auth policy server");

pub(super) fn add(section: Section<Draft>) -> Section<Draft> {
    section
        .table("dovecot", dovecot(), |draft| &mut draft.config.dovecot)
        .table("postfix", postfix(), |draft| &mut draft.config.postfix)
        .table("web", web(), |draft| &mut draft.config.web)
        .table("portal", portal(), |draft| &mut draft.config.portal)
        .table("fleet", fleet(), |draft| &mut draft.config.fleet)
}

fn dovecot() -> Section<Dovecot> {
    let section = Section::new("[dovecot]", "The server that answers Dovecot's auth policy requests.");
    let section = match AUTH_POLICY_LACKS {
        Some(lacks) => section.lacks(lacks),
        None => section,
    };
    listen_key(section, "\"127.0.0.1:4625\"", "where it listens", |dovecot: &mut Dovecot, at| dovecot.listen = Some(at))
        .key(
            "api_key",
            takes::secret(),
            Absent::Means("none is asked for"),
            "\"correct-horse-battery\"",
            "what Dovecot sends by `auth_policy_server_api_header`; requests without it are refused",
            |dovecot, key| dovecot.api_key = Some(key),
        )
}

fn postfix() -> Section<Postfix> {
    Section::new("[postfix]", "The server that answers Postfix's policy requests.").lacks("Postfix policy service").key(
        "listen",
        takes::listen(),
        Absent::Means("does not listen"),
        "\"127.0.0.1:10625\"",
        "where it listens",
        |postfix: &mut Postfix, at| postfix.listen = Some(at),
    )
}

fn web() -> Section<Web> {
    let section = Section::new("[web]", "The admin interface, the API, metrics and health.").lacks("web interface");
    listen_key(section, "\"127.0.0.1:8625\"", "where it listens", |web: &mut Web, at| web.listen = Some(at))
}

fn portal() -> Section<Portal> {
    let section = Section::new("[portal]", "The self-service portal for blocked people.").lacks("portal");
    listen_key(section, "\"127.0.0.1:8626\"", "where it listens", |portal: &mut Portal, at| portal.listen = Some(at))
}

fn fleet() -> Section<Fleet> {
    Section::new("[fleet]", "Sharing of blocks and releases with other mail servers.").lacks("fleet").key(
        "url",
        takes::redis_url(),
        Absent::Means("this node is alone"),
        "\"redis://127.0.0.1:6379\"",
        "the Valkey or Redis server that all nodes share",
        |fleet: &mut Fleet, url| fleet.url = Some(url),
    )
}

//! The self-service portal, and the mail that tells of what it did.

use std::net::IpAddr;

use fairban_types::single;
use ipnet::IpNet;

use super::{Draft, listen_key};
use crate::reader::Reader;
use crate::schema::{Absent, Section};
use crate::settings::{ForwardHeader, LinkSettings, MailSecurity, Notices, Portal, PortalImap, PortalLift};
use crate::takes::{self, Takes};
use crate::tree::{Table, Value};

pub(super) fn section() -> Section<Portal> {
    let section = Section::new("[portal]", "The self-service portal for blocked people: see [portal.md](portal.md).");
    let section = listen_key(section, "\"127.0.0.1:8626\"", "where it listens", |portal: &mut Portal, at| {
        portal.listen = Some(at);
    });
    let section = looks(reached(section));
    section.table("imap", imap(), |portal| &mut portal.imap).table("links", links(), |portal| &mut portal.links).table(
        "lift",
        lift(),
        |portal| &mut portal.lift,
    )
}

/// How it is reached.
fn reached(section: Section<Portal>) -> Section<Portal> {
    section
        .key(
            "url",
            takes::web_url(),
            Absent::Means("cookies and forms go by the host that the browser asks for"),
            "\"https://unblock.example.test\"",
            "the address that people type, without a path; blocked clients are told it unless `[messages] portal` says \
             otherwise",
            |portal, url| portal.url = Some(url),
        )
        .key(
            "tls_certificate",
            takes::path(),
            Absent::Means("plain HTTP, for a reverse proxy"),
            "\"/etc/ssl/unblock.pem\"",
            "a PEM file: its certificate, then those that signed it; read again on reload",
            |portal, path| portal.tls_certificate = Some(path),
        )
        .key(
            "tls_key",
            takes::path(),
            Absent::Means("none; `tls_certificate` needs it"),
            "\"/etc/ssl/private/unblock.key\"",
            "a PEM file: the certificate's key",
            |portal, path| portal.tls_key = Some(path),
        )
        .key(
            "trusted_proxies",
            takes::list(proxy(), 0..=256),
            Absent::Is("[]"),
            "[\"127.0.0.1\"]",
            "the reverse proxies whose word on the client's address is believed",
            |portal, proxies| portal.trusted_proxies = proxies,
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
            |portal, header| portal.forward_header = header,
        )
}

/// What people see.
fn looks(section: Section<Portal>) -> Section<Portal> {
    section
        .key(
            "brand",
            takes::text(80),
            Absent::Means("a word in the visitor's language"),
            "\"Example Mail\"",
            "what you call your service, at the top of each page",
            |portal, brand| portal.brand = Some(brand),
        )
        .key(
            "contact",
            takes::text(200),
            Absent::Means("nobody is named"),
            "\"support@example.test\"",
            "whom people turn to: a mail address, a telephone number or a web address",
            |portal, contact| portal.contact = Some(contact),
        )
        .key(
            "password_url",
            takes::web_url(),
            Absent::Means("no link is shown"),
            "\"https://mail.example.test/password\"",
            "where people change their password",
            |portal, url| portal.password_url = Some(url),
        )
        .key(
            "default_domain",
            takes::domain(),
            Absent::Means("an account is what is typed"),
            "\"example.test\"",
            "the domain of accounts that are typed without one, so that `alice` and `alice@example.test` are one",
            |portal, domain| portal.default_domain = Some(domain),
        )
        .key(
            "language",
            takes::name(16),
            Absent::Is("\"en\""),
            "\"de\"",
            "the language for browsers that ask for none that there is",
            |portal, language| portal.language = language,
        )
        .key(
            "catalogues",
            takes::path(),
            Absent::Means("English and German"),
            "\"/etc/fairban/languages\"",
            "a folder with message catalogues of your own",
            |portal, folder| portal.catalogues = Some(folder),
        )
        .key(
            "time_zone",
            takes::text(64),
            Absent::Means("the machine's"),
            "\"Europe/Berlin\"",
            "the time zone of times on pages",
            |portal, zone| portal.time_zone = Some(zone),
        )
}

fn imap() -> Section<PortalImap> {
    Section::new("[portal.imap]", "The mail server that checks passwords for the portal.")
        .key(
            "enabled",
            takes::flag(),
            Absent::Is("true"),
            "false",
            "whether people sign in by password; if not, only signed links let them in",
            |imap: &mut PortalImap, enabled| imap.enabled = enabled,
        )
        .key(
            "host",
            takes::host(),
            Absent::Is("\"127.0.0.1\""),
            "\"mail.example.test\"",
            "its name or address",
            |imap, host| imap.host = host,
        )
        .key(
            "port",
            takes::count(1..=65535),
            Absent::Means("993 with `security = \"tls\"`, else 143"),
            "993",
            "its port",
            |imap, port| imap.port = u16::try_from(port).ok(),
        )
        .key(
            "security",
            takes::choice(SECURITY),
            Absent::Means("`\"plain\"` for 127.0.0.1 and ::1, `\"tls\"` for all others"),
            "\"starttls\"",
            "how the connection is protected: `\"tls\"` from the first byte, `\"starttls\"`, or `\"plain\"`, which only \
             127.0.0.1 and ::1 may have",
            |imap, security| imap.security = Some(security),
        )
        .key(
            "name",
            takes::host(),
            Absent::Means("`host`"),
            "\"mail.example.test\"",
            "the name that its certificate must have",
            |imap, name| imap.name = Some(name),
        )
        .key(
            "authority",
            takes::path(),
            Absent::Means("those that the system knows"),
            "\"/etc/ssl/mail-ca.pem\"",
            "a PEM file of the authorities that may have signed its certificate",
            |imap, path| imap.authority = Some(path),
        )
}

const SECURITY: &[(&str, MailSecurity)] =
    &[("tls", MailSecurity::Tls), ("starttls", MailSecurity::StartTls), ("plain", MailSecurity::Plain)];

fn links() -> Section<LinkSettings> {
    Section::new("[portal.links]", "Signed links from a hosting panel. Without a key none are taken.")
        .key(
            "secret",
            takes::path(),
            Absent::Means("no HS256"),
            "\"/etc/fairban/panel.secret\"",
            "a file with the secret of at least 32 bytes by which the panel signs (HS256)",
            |links: &mut LinkSettings, path| links.secret = Some(path),
        )
        .key(
            "public_key",
            takes::path(),
            Absent::Means("no EdDSA"),
            "\"/etc/fairban/panel.pub\"",
            "a PEM file with the panel's Ed25519 public key (EdDSA)",
            |links, path| links.public_key = Some(path),
        )
        .key(
            "audience",
            takes::text(200),
            Absent::Is("\"fairban-portal\""),
            "\"unblock.example.test\"",
            "the audience (`aud`) that links must be meant for",
            |links, audience| links.audience = audience,
        )
        .key(
            "lifetime",
            takes::duration("10s", "10m"),
            Absent::Is("\"10m\""),
            "\"2m\"",
            "the longest time from `iat` to `exp`",
            |links, lifetime| links.lifetime = lifetime,
        )
}

fn lift() -> Section<PortalLift> {
    Section::new("[portal.lift]", "How often owners may lift blocks themselves.")
        .key(
            "per_account",
            takes::count(0..=1000),
            Absent::Is("3"),
            "5",
            "so many releases asked for by one account",
            |lift: &mut PortalLift, count| lift.per_account = count,
        )
        .key(
            "per_address",
            takes::count(0..=1000),
            Absent::Is("3"),
            "5",
            "so many releases of one IPv4 address or IPv6 /64, whoever asks",
            |lift, count| lift.per_address = count,
        )
        .key("period", takes::duration("1h", "30d"), Absent::Is("\"1d\""), "\"7d\"", "in so long", |lift, period| {
            lift.period = period;
        })
}

pub(super) fn notices() -> Section<Notices> {
    let section = Section::new(
        "[notices]",
        "Mail to the account's owner and to you: about releases by owners, and about accounts that a rule stopped from \
         sending, which are most probably stolen.",
    )
    .key(
        "relay",
        takes::host(),
        Absent::Means("no mail is sent"),
        "\"127.0.0.1\"",
        "the name or address of the mail server that sends it",
        |notices: &mut Notices, relay| notices.relay = Some(relay),
    );
    relay(section)
        .key(
            "from",
            takes::text(320),
            Absent::Means("none; `relay` needs it"),
            "\"Fairban <postmaster@example.test>\"",
            "the sender",
            |notices, from| notices.from = Some(from),
        )
        .key(
            "administrator",
            takes::text(320),
            Absent::Means("no administrator is told"),
            "\"admin@example.test\"",
            "an administrator who is told as well",
            |notices, administrator| notices.administrator = Some(administrator),
        )
        .key(
            "to_owner",
            takes::flag(),
            Absent::Is("true"),
            "false",
            "whether the owner of an account is told",
            |notices, to_owner| notices.to_owner = to_owner,
        )
}

/// How the relay is reached.
fn relay(section: Section<Notices>) -> Section<Notices> {
    section
        .key(
            "port",
            takes::count(1..=65535),
            Absent::Means("25 with `security = \"plain\"`, 587 with `\"starttls\"`, 465 with `\"tls\"`"),
            "587",
            "its port",
            |notices, port| notices.port = u16::try_from(port).ok(),
        )
        .key(
            "security",
            takes::choice(SECURITY),
            Absent::Means("`\"plain\"` for 127.0.0.1 and ::1, `\"starttls\"` for all others"),
            "\"tls\"",
            "how the connection is protected: `\"tls\"` from the first byte, `\"starttls\"`, or `\"plain\"`",
            |notices, security| notices.security = Some(security),
        )
        .key(
            "authority",
            takes::path(),
            Absent::Means("those that the system knows"),
            "\"/etc/ssl/mail-ca.pem\"",
            "a PEM file of the authority that may have signed its certificate",
            |notices, path| notices.authority = Some(path),
        )
        .key(
            "user",
            takes::text(320),
            Absent::Means("does not sign in"),
            "\"fairban\"",
            "as whom to sign in there",
            |notices, user| notices.user = Some(user),
        )
        .key(
            "password_file",
            takes::path(),
            Absent::Means("none; `user` needs it"),
            "\"/etc/fairban/relay.password\"",
            "a file with the password",
            |notices, path| notices.password_file = Some(path),
        )
}

pub(super) fn proxy() -> Takes<IpNet> {
    Takes::scalar("an address or a network (CIDR)", |value| match value {
        Value::Text(text) => match text.parse::<IpAddr>() {
            Ok(address) => Ok(single(address)),
            Err(_) => text.parse::<IpNet>().map(|net| net.trunc()).map_err(|_| String::new()),
        },
        _ => Err(String::new()),
    })
}

/// What keys of the portal cannot tell alone.
pub(super) fn check(draft: &Draft, document: &Table, reader: &mut Reader) {
    let portal = &draft.config.portal;
    for (one, given, other, missing) in [
        ("tls_certificate", portal.tls_certificate.is_some(), "tls_key", portal.tls_key.is_none()),
        ("tls_key", portal.tls_key.is_some(), "tls_certificate", portal.tls_certificate.is_none()),
    ] {
        if given && missing {
            super::agree::warn(document, &["portal", one], reader, format!("the portal needs {other} as well"));
        }
    }
    let notices = &draft.config.notices;
    for (one, given, other, missing) in [
        ("relay", notices.relay.is_some(), "from", notices.from.is_none()),
        ("user", notices.user.is_some(), "password_file", notices.password_file.is_none()),
    ] {
        if given && missing {
            super::agree::warn(document, &["notices", one], reader, format!("no mail is sent without {other}"));
        }
    }
    if portal.links.secret.is_some() && portal.links.public_key.is_some() {
        let message = "set either secret or public_key: links are signed in one way";
        super::agree::problem(document, &["portal", "links", "secret"], reader, message.to_owned());
    }
    let Some(listen) = portal.listen else { return };
    let is_secure = portal.url.as_deref().is_some_and(|url| url.starts_with("https://"));
    if portal.tls_certificate.is_none() && !is_secure && !listen.ip().is_loopback() {
        let message = "passwords would cross the network unprotected: set tls_certificate and tls_key, or url to the \
                       https address of your reverse proxy";
        super::agree::warn(document, &["portal", "listen"], reader, message.to_owned());
    }
    if portal.tls_certificate.is_none() && is_secure && portal.trusted_proxies.is_empty() {
        let message = "everybody would seem to come from the reverse proxy that speaks https: set trusted_proxies";
        super::agree::warn(document, &["portal", "url"], reader, message.to_owned());
    }
}

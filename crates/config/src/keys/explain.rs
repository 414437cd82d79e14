//! The explainer, which tells blocked clients why.

use super::Draft;
use super::agree::{problem, warn};
use crate::reader::Reader;
use crate::schema::{Absent, Section};
use crate::settings::{EnforceMode, Explain};
use crate::takes;
use crate::tree::Table;

/// The ports whose protocols are explained, whatever is guarded.
const MAIL_PORTS: [u16; 9] = [25, 110, 143, 465, 587, 993, 995, 2525, 4190];
/// The languages that there are words in.
const LANGUAGES: [(&str, &str); 2] = [("en", "en"), ("de", "de")];

pub(super) fn section() -> Section<Explain> {
    let section = Section::new(
        "[explain]",
        "Telling blocked clients why, inside their own mail program: see [explainer.md](explainer.md). Clients that a \
         rule blocked for a time are redirected to the explainer; those blocked by hand or for good are dropped.",
    )
    .key(
        "enabled",
        takes::flag(),
        Absent::Is("false"),
        "true",
        "whether they are told; if not, they are dropped. Off until you say so, since a firewall of your own must let the \
         port through first: one that does not would drop them just the same, and nobody would see why",
        |explain: &mut Explain, enabled| explain.enabled = enabled,
    )
    .key(
        "port",
        takes::port(),
        Absent::Is("4626"),
        "4626",
        "where the explainer listens, on every address; nobody gets there but by a redirect",
        |explain, port| explain.port = port,
    );
    words(certificate(section))
}

fn certificate(section: Section<Explain>) -> Section<Explain> {
    section
        .key(
            "certificate",
            takes::path(),
            Absent::Means("no TLS: STARTTLS is not offered, and connections to 465, 993 and 995 are closed at once"),
            "\"/etc/letsencrypt/live/mail.example.test/fullchain.pem\"",
            "a PEM file: the mail server's certificate, then those that signed it; new files are taken within a minute",
            |explain, path| explain.certificate = Some(path),
        )
        .key(
            "key",
            takes::path(),
            Absent::Means("none; `certificate` needs it"),
            "\"/etc/letsencrypt/live/mail.example.test/privkey.pem\"",
            "a PEM file: the certificate's key",
            |explain, path| explain.key = Some(path),
        )
        .key(
            "connections_per_minute",
            takes::count(1..=1000),
            Absent::Is("30"),
            "10",
            "how many connections of one address (of one /64 in IPv6) are explained in a minute; what is more is dropped",
            |explain, count| explain.connections_per_minute = count,
        )
}

fn words(section: Section<Explain>) -> Section<Explain> {
    section
        .key(
            "languages",
            takes::list(takes::choice(&LANGUAGES), 1..=LANGUAGES.len()),
            Absent::Is("[\"en\"]"),
            "[\"de\", \"en\"]",
            "in which languages they are told, the most important first; `[messages] blocked` is taken to be in the first",
            |explain, languages| explain.languages = languages,
        )
        .key(
            "name",
            takes::name(64),
            Absent::Means("the host's name"),
            "\"mail.example.test\"",
            "the name by which the explainer greets in SMTP: the mail server's",
            |explain, name| explain.name = Some(name),
        )
}

pub(super) fn check(draft: &Draft, document: &Table, reader: &mut Reader) {
    let config = &draft.config;
    let explain = &config.explain;
    for (has, lacks, key) in
        [(&explain.certificate, &explain.key, "certificate"), (&explain.key, &explain.certificate, "key")]
    {
        if has.is_some() && lacks.is_none() {
            let other = if key == "key" { "certificate" } else { "key" };
            warn(document, &["explain", key], reader, format!("is of no use alone: set [explain] {other} too"));
        }
    }
    if MAIL_PORTS.contains(&explain.port) || config.enforce.ports.contains(&explain.port) {
        let message = "is a port of mail, or one that blocks close: take another".to_owned();
        problem(document, &["explain", "port"], reader, message);
    }
    if !explain.enabled {
        return;
    }
    if config.enforce.mode == EnforceMode::Observe {
        let message = "nobody is blocked ([enforce] mode = \"observe\"), so nobody is told".to_owned();
        warn(document, &["explain", "enabled"], reader, message);
    }
    if explain.certificate.is_none() {
        let message = "without [explain] certificate and key, clients with TLS are not told: most mail programs";
        warn(document, &["explain", "enabled"], reader, message.to_owned());
    }
}

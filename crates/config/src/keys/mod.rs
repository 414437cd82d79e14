//! The table of keys. To add a key, add one entry to its section.

mod agree;
mod explain;
mod fleet;
mod input;
mod machine;
mod notify;
mod outbound;
mod portal;
mod rule;
mod scoring;
mod servers;
mod web;

use std::net::SocketAddr;

use fairban_types::{GuardPolicy, OutboundPolicy, WidenPolicy};

use crate::profile;
use crate::reader::Reader;
use crate::schema::{Absent, Outline, Section};
use crate::settings::Config;
use crate::takes::{self, Takes};
use crate::tree::{Table, Value};

/// What a document sets, before it is known to agree with itself.
pub(crate) struct Draft {
    config: Config,
    /// `None`: as the other settings tell.
    mail_servers_ask: Option<bool>,
    widen: Switched<WidenPolicy>,
    guard: Switched<GuardPolicy>,
    outbound: Switched<OutboundPolicy>,
}

/// A part of the policy that can be turned off.
struct Switched<T> {
    enabled: bool,
    policy: T,
}

/// Reads a whole document (a profile with the operator's file over it); problems are told to the reader.
pub(crate) fn read(config: Config, document: &Table, reader: &mut Reader) -> Config {
    let mut draft = Draft {
        config,
        mail_servers_ask: None,
        widen: scoring::blank_widen(),
        guard: scoring::blank_guard(),
        outbound: outbound::blank(),
    };
    root().read_all(&mut draft, document, reader);
    agree::check(&draft, document, reader);
    settle(draft)
}

/// All sections, as the reference shows them.
pub(crate) fn outlines() -> Vec<Outline> {
    root().outlines()
}

/// Which section has which key, in words.
pub(crate) fn whereabouts() -> Vec<(&'static str, String)> {
    outlines()
        .into_iter()
        .flat_map(|outline| outline.rows.into_iter().map(move |row| (row.name, home(outline.title))))
        .collect()
}

fn home(title: &'static str) -> String {
    if title.is_empty() { "at the top of the file".to_owned() } else { format!("in {title}") }
}

fn settle(draft: Draft) -> Config {
    let mut config = draft.config;
    let policy = &mut config.policy;
    policy.widen = draft.widen.enabled.then_some(draft.widen.policy);
    policy.guard = draft.guard.enabled.then_some(draft.guard.policy);
    policy.outbound = draft.outbound.enabled.then_some(draft.outbound.policy);
    policy.mail_servers_ask = draft.mail_servers_ask.unwrap_or(config.dovecot.listen.is_some());
    config.asks_once_asked = draft.mail_servers_ask.is_none();
    if config.messages.portal.is_none() && config.portal.listen.is_some() {
        config.messages.portal.clone_from(&config.portal.url);
    }
    config
}

fn root() -> Section<Draft> {
    let section = top();
    let section = machine::add(section);
    let section = input::add(section);
    let section = rule::add(section);
    let section = scoring::add(section);
    servers::add(section)
}

fn top() -> Section<Draft> {
    Section::new("", "Above the first section of the file.")
        .key(
            "profile",
            profile_name(),
            Absent::Is("\"fairban\""),
            "\"fairban\"",
            "the set of rules to start from (see [Profiles](#profiles)); every value of it can be overridden here, one at a time",
            |draft: &mut Draft, name| draft.config.policy.profile = name,
        )
        .key(
            "never",
            takes::networks(),
            Absent::Is("[]"),
            "[\"192.0.2.0/24\", \"2001:db8::7\"]",
            "the never-block list: nothing blocks these. Loopback and the machine's own addresses are always on it",
            |draft, never| draft.config.policy.never = never,
        )
        .key(
            "mail_servers_ask",
            asks(),
            Absent::Is("\"auto\""),
            "\"auto\"",
            "whether mail servers ask Fairban before a sign-in, so that a block can spare familiar accounts; `\"auto\"`: \
             if `[dovecot] listen` is set and Dovecot has asked",
            |draft, asks| draft.mail_servers_ask = asks,
        )
}

fn profile_name() -> Takes<String> {
    let names: Vec<(&'static str, &'static str)> = profile::profile_names().iter().map(|name| (*name, *name)).collect();
    let choice = takes::choice(&names);
    Takes::reading(choice.allowed.clone(), move |item, reader| choice.read(item, reader).map(str::to_owned))
}

fn asks() -> Takes<Option<bool>> {
    Takes::scalar("`true`, `false` or `\"auto\"`", |value| match value {
        Value::Flag(asks) => Ok(Some(*asks)),
        Value::Text(text) if text == "auto" => Ok(None),
        _ => Err(String::new()),
    })
}

/// The key `listen` of a section whose server is not always on.
fn listen_key<T: 'static>(
    section: Section<T>,
    example: &'static str,
    meaning: &'static str,
    set: fn(&mut T, SocketAddr),
) -> Section<T> {
    section.key("listen", takes::socket(), Absent::Means("does not listen"), example, meaning, set)
}

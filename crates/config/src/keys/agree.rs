//! What single keys cannot tell: whether the settings agree with each other.

use fairban_types::Effect;

use super::Draft;
use crate::profile;
use crate::reader::Reader;
use crate::settings::EnforceMode;
use crate::tree::Table;

pub(super) fn check(draft: &Draft, document: &Table, reader: &mut Reader) {
    if reader.problem_count() > 0 {
        return;
    }
    check_widen(draft, document, reader);
    check_asking(draft, document, reader);
    check_outbound(draft, document, reader);
    check_rules(draft, document, reader);
    super::explain::check(draft, document, reader);
    super::portal::check(draft, document, reader);
    super::web::check(draft, document, reader);
}

fn check_widen(draft: &Draft, document: &Table, reader: &mut Reader) {
    let widen = &draft.widen;
    let address = draft.config.policy.address;
    let pairs = [
        ("ipv4_prefix", widen.policy.ipv4_prefix, address.ipv4_prefix),
        ("ipv6_prefix", widen.policy.ipv6_prefix, address.ipv6_prefix),
    ];
    for (key, wide, narrow) in pairs {
        if widen.enabled && wide >= narrow {
            let path = laid_over(document, ["widen", key], ["address", key]);
            problem(
                document,
                &path,
                reader,
                format!("the networks of [widen] (/{wide}) must be wider than those of [address] (/{narrow})"),
            );
        }
    }
    if widen.enabled && widen.policy.failures < widen.policy.addresses {
        let addresses = widen.policy.addresses;
        warn(
            document,
            &["widen", "failures"],
            reader,
            format!("{addresses} addresses fail that often anyway: the number of addresses alone decides"),
        );
    }
}

/// Claiming that somebody asks keeps addresses with familiar accounts out of the kernel set.
fn check_asking(draft: &Draft, document: &Table, reader: &mut Reader) {
    let dovecot = &draft.config.dovecot;
    if draft.mail_servers_ask == Some(true) && dovecot.listen.is_none() {
        let message = "without [dovecot] listen no mail server can ask, so addresses with familiar accounts will not be \
                       blocked by anyone";
        warn(document, &["mail_servers_ask"], reader, message.to_owned());
    }
    if let Some(listen) = dovecot.listen.filter(|listen| !listen.ip().is_loopback() && dovecot.api_key.is_none()) {
        let message =
            format!("whoever can reach {listen} can report sign-ins: set api_key, and let only your servers through");
        warn(document, &["dovecot", "listen"], reader, message);
    }
    check_effects(draft, document, reader);
}

/// Who only reads logs can drop, and nothing else.
fn check_effects(draft: &Draft, document: &Table, reader: &mut Reader) {
    if draft.mail_servers_ask.unwrap_or(draft.config.dovecot.listen.is_some()) {
        return;
    }
    let rules = draft.config.policy.rules.iter();
    for rule in rules.filter(|rule| matches!(rule.effect, Effect::Soft | Effect::Tarpit)) {
        let message = "takes a mail server that asks ([dovecot] listen): from logs alone nothing comes of it";
        warn(document, &["rule", &rule.name, "effect"], reader, message.to_owned());
    }
}

fn check_outbound(draft: &Draft, document: &Table, reader: &mut Reader) {
    let outbound = &draft.outbound;
    let policy = &outbound.policy;
    if outbound.enabled && policy.floor > policy.recipients_max.min(policy.messages_max) {
        let message = "is more than any account may send (recipients_max, messages_max), and so never reached";
        warn(document, &["outbound", "floor"], reader, message.to_owned());
    }
}

fn check_rules(draft: &Draft, document: &Table, reader: &mut Reader) {
    let rules = &draft.config.policy.rules;
    if rules.is_empty() {
        warn(document, &["rule"], reader, "every rule is turned off: nothing will ever be blocked".to_owned());
        return;
    }
    let acts = draft.config.enforce.mode != EnforceMode::Observe;
    if acts && rules.iter().all(|rule| rule.effect == Effect::Observe) {
        warn(document, &["rule"], reader, "every rule only observes: nothing will ever be blocked".to_owned());
    }
}

/// The path that the operator wrote, of two that disagree.
fn laid_over<'a>(document: &Table, one: [&'a str; 2], other: [&'a str; 2]) -> [&'a str; 2] {
    let is_own = |path: &[&str]| document.find(path).is_some_and(|entry| !profile::is_profile(&entry.item.at));
    if !is_own(&one) && is_own(&other) { other } else { one }
}

pub(super) fn problem(document: &Table, path: &[&str], reader: &mut Reader, message: String) {
    if let Some(entry) = document.find(path) {
        reader.within(&path.join("."), |reader| reader.problem(&entry.item.at, message));
    }
}

pub(super) fn warn(document: &Table, path: &[&str], reader: &mut Reader, message: String) {
    if let Some(entry) = document.find(path) {
        reader.within(&path.join("."), |reader| reader.warn(&entry.item.at, message));
    }
}

//! What Postfix needs to ask Fairban (SMTPD_POLICY_README, postconf(5)).

use std::collections::BTreeMap;
use std::path::PathBuf;

use fairban_config::Listen;

use super::plan::{ByHand, Change, Part, Reason, Server};
use super::{main_cf, marks};

/// A Postfix that was found.
#[derive(Clone, Debug)]
pub(super) struct Postfix {
    pub(super) folder: PathBuf,
    pub(super) version: String,
    pub(super) main_cf: String,
    pub(super) master_cf: String,
    /// Parameters in force, expanded.
    pub(super) values: BTreeMap<String, String>,
}

/// The parameters that are looked at.
pub(super) const PARAMETERS: [&str; 6] = [
    "smtpd_recipient_restrictions",
    "smtpd_end_of_data_restrictions",
    "smtpd_sasl_type",
    "smtpd_sasl_auth_enable",
    "queue_directory",
    "mydestination",
];

/// A policy service with attributes of its own, `default_action` among them, came with this version.
const VERSION_MIN: (u32, u32) = (3, 0);

impl Postfix {
    fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }
}

/// The lines, merged into what is there.
pub(super) fn plan(postfix: &Postfix, listen: &Listen) -> Part {
    let mut part = Part::new(Server::Postfix, format!("{} in {}", postfix.version, postfix.folder.display()));
    let asked = question(listen);
    if version(&postfix.version) < VERSION_MIN {
        part.obstacle = Some("it is older than 3.0, and would refuse mail whenever Fairban is away".to_owned());
        return part;
    }
    let (main, definitions, mut reasons) = lists(postfix);
    let lines: Vec<String> = [format!("fairban_policy = {asked}")].into_iter().chain(definitions).collect();
    let why = "how Fairban is asked. It waits at most 3 s, tries twice, and goes on as if there were no Fairban \
               (DUNNO) if there is no answer: mail flows without it. Said of this service alone, so that other policy \
               services keep their settings";
    reasons.insert(0, Reason { line: lines[0].clone(), why: why.to_owned() });
    part.changes.push(change(postfix, "main.cf", &postfix.main_cf, marks::with(&main, &lines), reasons));
    let (master, services) = main_cf::master_with_first(&postfix.master_cf);
    let reason = |service: &String| Reason {
        line: format!("{service}: -o smtpd_…_restrictions={}, …", main_cf::TOKEN),
        why: "this service has a list of its own, which hides the one of main.cf".to_owned(),
    };
    let reasons = services.iter().map(reason).collect();
    part.changes.push(change(postfix, "master.cf", &postfix.master_cf, master, reasons));
    notes(&mut part, postfix, listen);
    part.settled()
}

fn change(postfix: &Postfix, name: &str, before: &str, after: String, reasons: Vec<Reason>) -> Change {
    let path = postfix.folder.join(name);
    let before = Some(before.to_owned());
    Change { server: Server::Postfix, path, before, after, mode: 0o644, group: None, reasons }
}

/// `main.cf` with the word in the lists that it assigns, assignments of the lists that it does not, and why.
fn lists(postfix: &Postfix) -> (String, Vec<String>, Vec<Reason>) {
    // What an earlier setup assigned between its marks is not the administrator's.
    let own = marks::inside(&postfix.main_cf).map(str::to_owned);
    let administrators = marks::without(&postfix.main_cf);
    let (mut text, mut definitions, mut reasons) = (postfix.main_cf.clone(), Vec::new(), Vec::new());
    for (list, why) in main_cf::LISTS {
        let is_administrators = main_cf::parameter(&administrators, list).is_some();
        if is_administrators && let Some(with) = main_cf::with_first(&text, list) {
            text = with;
            let line = format!("{list} = {}, …", main_cf::TOKEN);
            reasons.push(Reason { line, why: format!("{why}. It is put before what is there") });
            continue;
        }
        let kept = own.as_deref().and_then(|own| main_cf::parameter(own, list));
        let line = match (kept, postfix.value(list)) {
            (Some(kept), _) => format!("{list} = {kept}"),
            (None, "") => format!("{list} = {}", main_cf::TOKEN),
            (None, built_in) => format!("{list} = {}, {built_in}", main_cf::TOKEN),
        };
        reasons.push(Reason { line: line.clone(), why: why.to_owned() });
        definitions.push(line);
    }
    (text, definitions, reasons)
}

fn notes(part: &mut Part, postfix: &Postfix, listen: &Listen) {
    if postfix.value("smtpd_sasl_auth_enable") == "yes" && postfix.value("smtpd_sasl_type") == "cyrus" {
        let note = "sign-ins go through Cyrus SASL, which asks nobody: a blocked sign-in is refused at its first \
                    recipient, and failures are known from the log. With Dovecot's SASL (smtpd_sasl_type = dovecot) \
                    they would be asked about";
        part.notes.push(note.to_owned());
    }
    let queue = postfix.value("queue_directory");
    if let Listen::Unix(path) = listen
        && !path.starts_with(queue)
        && has_chroot(&postfix.master_cf)
    {
        part.notes.push(format!(
            "smtpd runs in a chroot and sees nothing outside {queue}: let Fairban listen there or at an address, such \
             as [postfix] listen = \"127.0.0.1:10625\""
        ));
    }
    let opens_itself = |line: &&str| line.contains(":1002") && line.contains("smtpd") && !line.starts_with('#');
    if let Some(line) = postfix.master_cf.lines().find(opens_itself) {
        let name = line.split_whitespace().next().unwrap_or_default();
        let what =
            format!("{name} takes mail back from a filter and inherits the lists of main.cf: to count each mail");
        let lines = "  -o smtpd_end_of_data_restrictions=".to_owned();
        part.by_hand.push(ByHand { what: format!("{what} once, let it have none (master.cf)"), lines });
    }
}

/// Whether servers of mail clients run in a chroot: by the fifth field, whose default has been `n` since 3.0.
fn has_chroot(master_cf: &str) -> bool {
    let fields = master_cf.lines().filter(|line| !line.starts_with([' ', '\t', '#'])).map(str::split_whitespace);
    fields.map(Iterator::collect::<Vec<_>>).any(|fields| fields.get(7) == Some(&"smtpd") && fields.get(4) == Some(&"y"))
}

/// The restriction that asks.
fn question(listen: &Listen) -> String {
    let server = match listen {
        Listen::Tcp(address) => format!("inet:{}", super::reached(*address)),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    };
    format!("check_policy_service {{ {server}, timeout=3s, try_limit=2, default_action=DUNNO }}")
}

/// The first two numbers of a version such as `3.7.11` or `3.11-20260101`.
pub(super) fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The domains whose accounts are those of the machine, so that they sign in by their name alone, and the lookup tables
/// that name more. Accounts of virtual domains sign in by their whole address.
pub(super) fn local_domains(postfix: &Postfix) -> (Vec<String>, Vec<String>) {
    let (mut domains, mut tables) = (Vec::new(), Vec::new());
    for word in postfix.value("mydestination").split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty()) {
        let domain = fairban_types::domain_ascii(word);
        if word.contains(':') || word.starts_with('/') {
            tables.push(format!("mydestination = {word}"));
        } else if domain.contains('.') && !domain.contains("localhost") && !domain.ends_with(".localdomain") {
            domains.push(domain);
        }
    }
    domains.sort();
    domains.dedup();
    (domains, tables)
}

//! What Dovecot needs to ask Fairban, in the syntax of 2.3 and of 2.4
//! (<https://doc.dovecot.org/2.4.1/core/config/auth/policy.html>).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::marks;
use super::plan::{Change, Part, Reason, Server};
use super::postfix::version;

/// A Dovecot that was found.
#[derive(Clone, Debug)]
pub(super) struct Dovecot {
    /// Its main configuration file.
    pub(super) conf: PathBuf,
    pub(super) version: String,
    pub(super) text: String,
    /// Fairban's file beside it, if there is one.
    pub(super) own: Option<String>,
    /// Settings in force.
    pub(super) values: BTreeMap<String, String>,
}

/// The name of Fairban's file, beside the main one. It holds secrets, which the main file, readable by everybody, may not.
pub(super) const OWN: &str = "fairban.conf";

/// The header that carries the key.
const HEADER: &str = "X-Api-Key";

/// What is looked at, of every version.
pub(super) const SETTINGS: [&str; 11] = [
    "auth_policy_server_url",
    "auth_policy_hash_nonce",
    "auth_policy_server_api_header",
    "auth_policy_check_before_auth",
    "auth_policy_check_after_auth",
    "auth_policy_report_after_auth",
    "auth_policy_log_only",
    "auth_policy_reject_on_fail",
    "auth_verbose",
    "auth_verbose_passwords",
    "imap_id_retain",
];

/// What is looked at as well, up to 2.3.
pub(super) const SETTINGS_2_3: [&str; 2] = ["auth_policy_request_attributes", "auth_policy_server_timeout_msecs"];

/// The attributes that Fairban reads, as 2.3 writes them. The last two are not sent unless asked for.
const ATTRIBUTES: [&str; 8] = [
    "login=%{requested_username}",
    "pwhash=%{hashed_password}",
    "remote=%{rip}",
    "device_id=%{client_id}",
    "protocol=%s",
    "session_id=%{session}",
    "lport=%{lport}",
    "mech=%{mech}",
];

/// The longest time that a sign-in should wait for a policy server that does not answer, in ms.
const TIMEOUT_MS_MAX: u32 = 5000;

/// What is chosen by chance, if nothing was chosen before.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    pub(super) nonce: String,
    pub(super) api_key: String,
}

impl Dovecot {
    fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    pub(super) fn is_2_4(&self) -> bool {
        version(&self.version) >= (2, 4)
    }

    fn own_has(&self, name: &str) -> bool {
        let is_it = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
        self.own.as_deref().is_some_and(|own| own.lines().any(is_it))
    }

    /// The key that it sends already, in the header that Fairban takes.
    pub(super) fn api_key(&self) -> Option<&str> {
        let (name, key) = self.value("auth_policy_server_api_header").split_once(':')?;
        (name.trim().eq_ignore_ascii_case(HEADER)).then_some(key.trim()).filter(|key| key.len() >= 8)
    }
}

/// The lines. `api_key` is what Fairban will ask for.
pub(super) fn plan(dovecot: &Dovecot, listen: SocketAddr, api_key: &str, secrets: &Secrets) -> Part {
    let mut part = Part::new(Server::Dovecot, format!("{}, {}", dovecot.version, dovecot.conf.display()));
    let url = format!("http://{}/", super::reached(listen));
    let asked = dovecot.value("auth_policy_server_url");
    if !asked.is_empty() && asked != url && !dovecot.own_has("auth_policy_server_url") {
        part.obstacle = Some(format!(
            "it asks {asked} already, and can ask one server only. If that is to be Fairban, take \
             auth_policy_server_url away first"
        ));
        return part;
    }
    let reasons = settings(dovecot, url, api_key, secrets);
    let mut own = "# Written by `fairban setup`; `fairban setup --undo` takes it away. It holds secrets.\n".to_owned();
    for Reason { line, .. } in &reasons {
        own.push_str(line);
        own.push('\n');
    }
    let server = Server::Dovecot;
    let (path, before) = (dovecot.conf.with_file_name(OWN), dovecot.own.clone());
    part.changes.push(Change { server, path, before, after: own, mode: 0o600, group: None, reasons });
    let line = format!("!include_try {OWN}");
    let why = "reads the file beside it, last, so that nothing after it says otherwise. Secrets are in a file of their own \
               because everybody may read this one";
    let after = marks::with(&dovecot.text, std::slice::from_ref(&line));
    let reasons = vec![Reason { line, why: why.to_owned() }];
    let (path, before) = (dovecot.conf.clone(), Some(dovecot.text.clone()));
    part.changes.push(Change { server, path, before, after, mode: 0o644, group: None, reasons });
    notes(&mut part, dovecot);
    part.settled()
}

fn settings(dovecot: &Dovecot, url: String, api_key: &str, secrets: &Secrets) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut set = |name: &str, value: String, why: &str| {
        reasons.push(Reason { line: format!("{name} = {value}"), why: why.to_owned() });
    };
    set(
        "auth_policy_server_url",
        url,
        "before and after each sign-in Fairban is asked; without an answer within 2 s it goes on",
    );
    let nonce = Some(dovecot.value("auth_policy_hash_nonce")).filter(|nonce| !nonce.is_empty());
    if nonce.is_none() || dovecot.own_has("auth_policy_hash_nonce") {
        let why = "a secret that goes into the digest of each password: 12 bits of it tell an old password from \
                   guesses, and tell nothing else. All servers of a fleet need the same";
        set("auth_policy_hash_nonce", nonce.unwrap_or(&secrets.nonce).to_owned(), why);
    }
    let header = format!("\"{HEADER}: {api_key}\"");
    set("auth_policy_server_api_header", header, "so that nobody else on this machine can tell Fairban of sign-ins");
    for (name, wanted, why) in [
        ("auth_policy_check_before_auth", "yes", "asks before the password is looked at"),
        ("auth_policy_check_after_auth", "yes", "asks again when the account is known"),
        ("auth_policy_report_after_auth", "yes", "tells how it went"),
        ("auth_policy_log_only", "no", "does what the answer says, instead of only logging it"),
        ("auth_policy_reject_on_fail", "no", "lets people sign in while Fairban is away"),
        ("auth_verbose", "yes", "logs each failed try when it happens, for when Fairban was away"),
        (
            "imap_id_retain",
            "yes",
            "lets the policy request name the mail program, so that the device at fault can be named",
        ),
    ] {
        if dovecot.value(name) != wanted || dovecot.own_has(name) {
            set(name, wanted.to_owned(), why);
        }
    }
    let passwords = "auth_verbose_passwords";
    if ["no", ""].contains(&dovecot.value(passwords)) || dovecot.own_has(passwords) {
        set(
            passwords,
            "sha1:6".to_owned(),
            "six digits of a wrong password's SHA-1 in the log: the same wrong password again is one mistake",
        );
    }
    if !dovecot.is_2_4() {
        only_2_3(dovecot, &mut set);
    }
    reasons
}

/// What 2.4 writes otherwise, and sends all that is needed of by default.
fn only_2_3(dovecot: &Dovecot, set: &mut impl FnMut(&str, String, &str)) {
    let name = "auth_policy_request_attributes";
    let there = dovecot.value(name);
    let key = |attribute: &str| attribute.split('=').next().unwrap_or_default().to_owned();
    let has = |wanted: &str| there.split_whitespace().any(|attribute| key(attribute) == key(wanted));
    let missing: Vec<&str> = ATTRIBUTES.into_iter().filter(|wanted| !has(wanted)).collect();
    if !missing.is_empty() || dovecot.own_has(name) {
        let all: Vec<&str> = there.split_whitespace().chain(missing).collect();
        set(name, all.join(" "), "the port tells submission from port 25; mech tells how somebody signed in");
    }
    let name = "auth_policy_server_timeout_msecs";
    let is_long = dovecot.value(name).parse::<u32>().is_ok_and(|ms| ms > TIMEOUT_MS_MAX || ms == 0);
    if is_long || dovecot.own_has(name) {
        set(name, "2000".to_owned(), "so long does a sign-in wait while Fairban does not answer");
    }
}

fn notes(part: &mut Part, dovecot: &Dovecot) {
    if ["plain", "yes"].contains(&dovecot.value("auth_verbose_passwords")) {
        let note = "auth_verbose_passwords writes wrong passwords into the log as they are, which are often right ones of \
                    other accounts: set it to sha1:6";
        part.notes.push(note.to_owned());
    }
}

//! What Exim needs to ask Fairban: `readsocket` at each recipient, and in authenticators
//! (<https://www.exim.org/exim-html-current/doc/html/spec_html/ch-string_expansions.html>).
//!
//! Exim's configuration is a program. It is changed only where Debian's leaves a place for it; elsewhere the lines are
//! shown, to be put where they belong.

use std::path::PathBuf;

use fairban_config::Listen;

use super::marks;
use super::plan::{ByHand, Change, Part, Reason, Server};

/// An Exim that was found.
#[derive(Clone, Debug)]
pub(super) struct Exim {
    pub(super) conf: PathBuf,
    pub(super) version: String,
    /// The ACL at each recipient.
    pub(super) acl: String,
    pub(super) text: String,
    pub(super) debian: Option<Debian>,
}

/// Debian's way to configure it: a generated file, with places for macros.
#[derive(Clone, Debug)]
pub(super) struct Debian {
    /// `/etc/exim4`.
    pub(super) folder: PathBuf,
    /// The file of macros, and what is in it.
    pub(super) macros: PathBuf,
    pub(super) macros_text: Option<String>,
    pub(super) acl_text: Option<String>,
}

impl Debian {
    /// The file of Fairban's ACL.
    pub(super) fn acl(&self) -> PathBuf {
        self.folder.join("fairban-rcpt.acl")
    }
}

/// The macro by which Debian's configuration names the ACL at each recipient.
const ACL_MACRO: &str = "MAIN_ACL_CHECK_RCPT";

/// The lines: applied where Debian's configuration has a place, else to be put there by hand.
pub(super) fn plan(exim: &Exim, listen: &Listen) -> Part {
    let mut part = Part::new(Server::Exim, format!("{}, {}", exim.version, exim.conf.display()));
    let asks_at_rcpt = exim.text.contains("FAIRBAN_AT_RCPT");
    match &exim.debian {
        Some(debian) if !is_taken(debian) => part.changes = changes(debian, listen),
        _ if asks_at_rcpt => {}
        _ => by_hand(&mut part, exim, listen),
    }
    if !exim.text.contains("FAIRBAN_AT_PLAIN}") && !exim.text.contains("FAIRBAN_AT_LOGIN}") {
        part.by_hand.push(ByHand {
            what: "in each authenticator that looks at passwords itself (driver = plaintext), around the condition that it \
                   has. PLAIN has FAIRBAN_AT_PLAIN, LOGIN has FAIRBAN_AT_LOGIN. With driver = dovecot nothing is needed: \
                   there Dovecot asks"
                .to_owned(),
            lines: "server_condition = ${if and{ {bool{FAIRBAN_AT_PLAIN}} {THE CONDITION THAT IS THERE} }}".to_owned(),
        });
    }
    part.settled()
}

/// Whether the administrator named an ACL of their own there.
fn is_taken(debian: &Debian) -> bool {
    let macros = marks::without(debian.macros_text.as_deref().unwrap_or_default());
    macros.lines().any(|line| line.trim_start().starts_with(ACL_MACRO))
}

fn changes(debian: &Debian, listen: &Listen) -> Vec<Change> {
    let mut lines = macros(listen);
    lines.push(format!("{ACL_MACRO} = {}", debian.acl().display()));
    let reasons = vec![
        Reason {
            line: "FAIRBAN_AT_… = ${readsocket{…}}".to_owned(),
            why: "how Fairban is asked. It waits at most 3 s, and goes on as if there were no Fairban if there is no answer"
                .to_owned(),
        },
        Reason {
            line: lines.last().cloned().unwrap_or_default(),
            why: "at each recipient Fairban's ACL comes first, and then the one that there was".to_owned(),
        },
    ];
    let change = |path: PathBuf, before: &Option<String>, after: String, reasons| Change {
        server: Server::Exim,
        path,
        before: before.clone(),
        after,
        mode: 0o644,
        group: None,
        reasons,
    };
    let acl = format!(
        "# Written by `fairban setup`; `fairban setup --undo` takes it away.\n{}  require acl = acl_check_rcpt\n  accept\n",
        acl_lines()
    );
    let why = "refuses with Fairban's words, and leaves all else to Debian's acl_check_rcpt".to_owned();
    let acl_reasons =
        vec![Reason { line: "warn …, defer …, deny …, require acl = acl_check_rcpt".to_owned(), why }];
    let text = marks::with(debian.macros_text.as_deref().unwrap_or_default(), &lines);
    vec![
        change(debian.acl(), &debian.acl_text, acl, acl_reasons),
        change(debian.macros.clone(), &debian.macros_text, text, reasons),
    ]
}

fn by_hand(part: &mut Part, exim: &Exim, listen: &Listen) {
    let why = match exim.debian {
        Some(_) => format!("{ACL_MACRO} is defined already, so nothing is changed"),
        None => format!("{} has no place that is safe to change", exim.conf.display()),
    };
    part.notes.push(format!("{why}: put these lines into it yourself, reload it, and run `fairban setup --check`"));
    let acl = if exim.acl.is_empty() { "that acl_smtp_rcpt names" } else { &exim.acl };
    part.by_hand.push(ByHand { what: "at the top".to_owned(), lines: macros(listen).join("\n") });
    part.by_hand.push(ByHand { what: format!("first in the ACL {acl}"), lines: acl_lines() });
}

/// Whatever a client chooses and Exim does not check for ends of lines goes through this.
fn one_line(variable: &str) -> String {
    format!(r"${{sg{{{variable}}}{{\N[\r\n]+\N}}{{ }}}}")
}

/// The questions.
fn macros(listen: &Listen) -> Vec<String> {
    let server = match listen {
        Listen::Tcp(address) => format!("inet:{}", super::reached(*address)),
        Listen::Unix(path) => path.display().to_string(),
    };
    let ask = |state: &str, more: &str, account: &str| {
        format!(
            "${{readsocket{{{server}}}{{request=smtpd_access_policy\\nprotocol_state={state}\\nprotocol_name=ESMTP\\n\
             client_address=$sender_host_address\\nserver_port=$received_port\\nhelo_name={}\\n{more}\
             sasl_username={}\\n\\n}}{{3s}}{{ }}{{action=DUNNO}}}}",
            one_line("$sender_helo_name"),
            one_line(account),
        )
    };
    let rcpt = ask(
        "RCPT",
        &format!(
            "sender={}\\nrecipient={}\\ninstance=$pid.$sender_host_port\\n",
            one_line("$sender_address"),
            one_line("$local_part@$domain")
        ),
        "$authenticated_id",
    );
    let sign_in = |account| {
        let asked = ask("AUTH", "", account);
        format!("${{if match{{{asked}}}{{\\N^action=(REJECT|[45])\\N}}{{no}}{{yes}}}}")
    };
    vec![
        format!("FAIRBAN_AT_RCPT = {rcpt}"),
        format!("FAIRBAN_AT_PLAIN = {}", sign_in("$auth2")),
        format!("FAIRBAN_AT_LOGIN = {}", sign_in("$auth1")),
    ]
}

/// What is done with the answer.
fn acl_lines() -> String {
    let words = r"${sg{$acl_m_fairban}{\N^action=(.*?)\s*$\N}{\$1}}";
    let verb = |verb: &str, begins: &str| {
        format!(
            "  {verb}\n    condition = ${{if match{{$acl_m_fairban}}{{\\N^action={begins}\\N}}}}\n    message = {words}\n"
        )
    };
    format!(
        "  warn\n    !hosts = :\n    set acl_m_fairban = FAIRBAN_AT_RCPT\n{}{}  deny\n    condition = ${{if \
         match{{$acl_m_fairban}}{{\\N^action=REJECT\\N}}}}\n",
        verb("defer", "4"),
        verb("deny", "5")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exim(macros_text: Option<&str>) -> Exim {
        let folder = PathBuf::from("/etc/exim4");
        let macros = folder.join("exim4.conf.localmacros");
        let debian = Debian { folder, macros, macros_text: macros_text.map(str::to_owned), acl_text: None };
        Exim {
            conf: "/var/lib/exim4/config.autogenerated".into(),
            version: "4.96".into(),
            acl: "acl_check_rcpt".into(),
            text: String::new(),
            debian: Some(debian),
        }
    }

    #[test]
    fn debian_has_a_place() {
        let listen = Listen::Tcp("127.0.0.1:10625".parse().unwrap());
        let part = plan(&exim(Some("MY = 1\n")), &listen);
        assert_eq!(part.changes.len(), 2);
        assert!(part.changes[1].after.starts_with("MY = 1\n\n# fairban setup: begin"));
        let mut again = exim(Some(&part.changes[1].after));
        again.debian.as_mut().unwrap().acl_text = Some(part.changes[0].after.clone());
        assert_eq!(plan(&again, &listen).changes, [], "a second time changes nothing");
    }

    #[test]
    fn elsewhere_lines_are_shown() {
        let listen = Listen::Unix("/run/fairban/policy.sock".into());
        let mut own = exim(None);
        own.debian = None;
        for (exim, count) in [(exim(Some("MAIN_ACL_CHECK_RCPT = mine\n")), 3), (own, 3)] {
            let part = plan(&exim, &listen);
            assert_eq!((part.changes.len(), part.by_hand.len()), (0, count), "{part:?}");
            assert!(part.by_hand[0].lines.contains("${readsocket{/run/fairban/policy.sock}"));
            assert!(part.by_hand[1].what.contains("acl_check_rcpt"));
        }
    }
}

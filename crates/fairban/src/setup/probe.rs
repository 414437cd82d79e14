//! `fairban setup --check`: the mail servers are made to ask, and the daemon's own counters tell whether they did.

use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use fairban_config::Listen;
use serde::Serialize;

use super::discover::Found;
use super::plan::{Plan, Server};
use super::program::{find, run as run_program};
use super::{dovecot, postfix, report, smtp};
use crate::cli::SetupArgs;
use crate::control::{AskingStatus, Reply, Request, client::Conversation};

/// Whether a mail server asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Asks,
    DoesNotAsk,
    CannotTell,
    NotFound,
}

/// What was seen of a server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Seen {
    pub(super) server: Server,
    pub(super) answer: Answer,
    pub(super) why: String,
}

/// Makes each server ask.
pub(super) fn run(args: &SetupArgs, found: &Found, plan: &Plan, socket: &Path) -> anyhow::Result<ExitCode> {
    let mut seen = Vec::new();
    for part in plan.parts.iter().filter(|part| part.server != Server::Fairban) {
        let (before, provoked) = (asking(socket)?, provoke(part.server, found, args));
        let after = asking(socket)?;
        let (answer, why) = judge(part.server, &before, &after, &provoked);
        let why = if answer == Answer::DoesNotAsk { reason(part.server, plan, &after, &why) } else { why };
        seen.push(Seen { server: part.server, answer, why });
    }
    let missing = found.missing.iter();
    seen.extend(missing.map(|(server, why)| Seen { server: *server, answer: Answer::NotFound, why: why.clone() }));
    report::seen(&seen, args.json)?;
    let is_good = seen.iter().all(|seen| matches!(seen.answer, Answer::Asks | Answer::NotFound));
    Ok(if is_good && seen.iter().any(|seen| seen.answer == Answer::Asks) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The daemon's servers for mail servers.
fn asking(socket: &Path) -> anyhow::Result<Vec<AskingStatus>> {
    let mut conversation = Conversation::begin(socket, &Request::Status)?;
    let mut asking = Vec::new();
    while let Some(reply) = conversation.next()? {
        if let Reply::Status(status) = reply {
            asking = status.asking;
        }
    }
    Ok(asking)
}

/// Does something that makes a server ask. What it said, or why it could not be done.
fn provoke(server: Server, found: &Found, args: &SetupArgs) -> Result<String, String> {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let name: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let account = format!("fairban-check-{name}");
    match (server, found) {
        (Server::Dovecot, Found { dovecot: Some(dovecot), .. }) => sign_in(dovecot, &account),
        (Server::Postfix, Found { postfix: Some(postfix), .. }) => {
            let (domains, _) = postfix::local_domains(postfix);
            let domain = domains.first().map_or("localhost", String::as_str);
            recipient(args, &format!("{account}@{domain}"))
        }
        (Server::Exim, Found { exim: Some(_), .. }) => recipient(args, &format!("{account}@localhost")),
        _ => Err("it is not here".to_owned()),
    }
}

/// A sign-in that must fail, through the running server.
fn sign_in(dovecot: &dovecot::Dovecot, account: &str) -> Result<String, String> {
    let doveadm = find(&["doveadm"]).ok_or("there is no `doveadm` here")?;
    let conf = dovecot.conf.display().to_string();
    let with = ["-c", &conf, "auth", "test", "-x", "rip=127.0.0.1", "-x", "service=imap", account, account];
    let said = run_program(&doveadm, with);
    let complaint = said.complaint();
    let is_away = ["connect(", "Connection refused", "No such file", "Permission denied"];
    if is_away.iter().any(|sign| complaint.contains(sign)) {
        return Err(format!("its auth process cannot be reached: {complaint}"));
    }
    Ok(format!("a sign-in as {account}"))
}

fn recipient(args: &SetupArgs, recipient: &str) -> Result<String, String> {
    match smtp::name_recipient(args.smtp, recipient) {
        Ok(reply) => Ok(format!("the recipient {recipient}, answered with '{reply}'")),
        Err(error) => Err(format!("no SMTP session at {}: {error} (--smtp names another address)", args.smtp)),
    }
}

/// Decides by the counters before and after.
pub(super) fn judge(
    server: Server,
    before: &[AskingStatus],
    after: &[AskingStatus],
    provoked: &Result<String, String>,
) -> (Answer, String) {
    // Exim speaks Postfix's protocol.
    let name = if server == Server::Dovecot { "dovecot" } else { "postfix" };
    let count =
        |asking: &[AskingStatus]| asking.iter().find(|asking| asking.server == name).map(|asking| asking.requests);
    match (count(before), count(after), provoked) {
        (_, _, Err(why)) => (Answer::CannotTell, why.clone()),
        (Some(before), Some(after), Ok(what)) if after > before => (Answer::Asks, format!("it asked about {what}")),
        (_, None, Ok(_)) => (Answer::DoesNotAsk, format!("the daemon does not listen for it: [{name}] listen")),
        (_, _, Ok(what)) => (Answer::DoesNotAsk, format!("it did not ask about {what}")),
    }
}

/// Why a server does not ask, as far as can be seen.
fn reason(server: Server, plan: &Plan, asking: &[AskingStatus], seen: &str) -> String {
    let part = plan.part(server);
    if let Some(obstacle) = part.and_then(|part| part.obstacle.as_deref()) {
        return obstacle.to_owned();
    }
    if part.is_some_and(|part| !part.changes.is_empty()) {
        return format!(
            "{seen}: its configuration lacks lines, which `fairban setup` shows and `fairban setup --apply` adds"
        );
    }
    if part.is_some_and(|part| !part.by_hand.is_empty()) && server == Server::Exim {
        return format!("{seen}: `fairban setup` shows the lines that it needs");
    }
    let name = if server == Server::Dovecot { "dovecot" } else { "postfix" };
    let Some(own) = asking.iter().find(|asking| asking.server == name) else {
        return format!("{seen}: restart the daemon, so that it reads its new configuration");
    };
    if let Some(problem) = &own.problem {
        return format!("{seen}: {problem}");
    }
    if !is_reachable(&own.listen) {
        return format!("{seen}: nobody can be reached at {}", own.listen);
    }
    format!("{seen}, though its configuration says so: reload it, and look into its log")
}

/// Whether somebody takes connections there.
fn is_reachable(listen: &str) -> bool {
    let listen = match (listen.strip_prefix("unix:"), listen.parse()) {
        (Some(path), _) => Listen::Unix(path.into()),
        (_, Ok(address)) => Listen::Tcp(address),
        // What cannot be tried is not what is wrong.
        _ => return true,
    };
    match listen {
        Listen::Tcp(address) => TcpStream::connect_timeout(&super::reached(address), Duration::from_secs(3)).is_ok(),
        Listen::Unix(path) => std::os::unix::net::UnixStream::connect(path).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_tell() {
        let status =
            |server: &str, requests| AskingStatus { server: server.to_owned(), requests, ..Default::default() };
        let (one, two) = (vec![status("dovecot", 1)], vec![status("dovecot", 3)]);
        let (good, bad) = (Ok("x".to_owned()), Err("away".to_owned()));
        for (server, before, after, provoked, expected) in [
            (Server::Dovecot, &one, &two, &good, Answer::Asks),
            (Server::Dovecot, &one, &one, &good, Answer::DoesNotAsk),
            (Server::Dovecot, &one, &two, &bad, Answer::CannotTell),
            (Server::Postfix, &one, &two, &good, Answer::DoesNotAsk),
            (Server::Exim, &one, &two, &bad, Answer::CannotTell),
        ] {
            assert_eq!(judge(server, before, after, provoked).0, expected, "{server}");
        }
    }
}

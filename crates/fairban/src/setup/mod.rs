//! `fairban setup`: finds the mail servers here, shows what each needs to ask Fairban, applies it, checks it, undoes it.
//!
//! Finding (`discover`), planning (the servers' own files, and `own` for Fairban's) and doing (`apply`, `undo`) are
//! apart: a plan is made of texts, and changes nothing.

mod apply;
mod discover;
mod dovecot;
mod exim;
mod files;
mod journal;
mod main_cf;
mod marks;
mod own;
mod plan;
mod postfix;
mod probe;
mod program;
mod report;
mod servers;
mod smtp;
#[cfg(test)]
mod tests;
mod undo;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fairban_config::{Config, Listen};

use self::discover::{Found, discover};
use self::dovecot::Secrets;
pub(crate) use self::plan::Server;
use self::plan::{Change, Part, Plan};
use crate::cli::SetupArgs;
use crate::terminal;

/// Where Dovecot asks, if the configuration does not say.
const DOVECOT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4625);
/// Where Postfix and Exim ask, if the configuration does not say.
const POSTFIX_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10625);

/// Shows, applies, checks or undoes.
pub(crate) fn run(args: &SetupArgs, control: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let text = discover::read(&args.config)?;
    let file = args.config.display().to_string();
    let config = Config::from_toml(text.as_deref().unwrap_or_default(), &file)?;
    let state = args.state.clone().unwrap_or_else(|| config.store.path.join("setup"));
    if args.undo {
        return undo::run(args, &state);
    }
    let found = discover(args)?;
    let plan = plan(&found, &config, &args.config, text, &secrets()?)?;
    if args.check {
        let socket = control.unwrap_or_else(|| config.control.socket.clone());
        return probe::run(args, &found, &plan, &socket);
    }
    if args.apply {
        return apply::run(args, &found, &plan, &state);
    }
    if args.json {
        terminal::json(&report::Shown::new(&found, &plan))?
    } else {
        report::show(&found, &plan)?
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be done, from what was found.
fn plan(found: &Found, config: &Config, path: &Path, text: Option<String>, secrets: &Secrets) -> anyhow::Result<Plan> {
    let dovecot_listen = config.dovecot.listen.unwrap_or(DOVECOT_LISTEN);
    let postfix_listen = config.postfix.listen.clone().unwrap_or(Listen::Tcp(POSTFIX_LISTEN));
    let known = config.dovecot.api_key.as_ref().map(|key| key.reveal());
    let sent = || found.dovecot.as_ref().and_then(|dovecot| dovecot.api_key());
    let api_key = known.or_else(sent).unwrap_or(&secrets.api_key).to_owned();

    let mut parts = Vec::new();
    parts.extend(found.postfix.as_ref().map(|postfix| postfix::plan(postfix, &postfix_listen)));
    parts.extend(found.dovecot.as_ref().map(|dovecot| dovecot::plan(dovecot, dovecot_listen, &api_key, secrets)));
    parts.extend(found.exim.as_ref().map(|exim| exim::plan(exim, &postfix_listen)));
    let is_on = |server| parts.iter().any(|part: &Part| part.server == server && part.obstacle.is_none());
    let mut wanted = own::Wanted::default();
    if is_on(Server::Dovecot) {
        wanted.dovecot = Some((dovecot_listen, api_key));
    }
    if is_on(Server::Postfix) || is_on(Server::Exim) {
        wanted.postfix = Some(postfix_listen);
    }
    let (domains, tables) = found.postfix.as_ref().map(postfix::local_domains).unwrap_or_default();
    wanted.local_domains = domains;
    let mut part = own_part(path, text, &wanted)?;
    part.notes.extend(tables.into_iter().map(|table| {
        format!(
            "Postfix has domains in a table ({table}), which is not read: add them to [send] local_domains yourself"
        )
    }));
    parts.insert(0, part);
    Ok(Plan { parts })
}

fn own_part(path: &Path, before: Option<String>, wanted: &own::Wanted) -> anyhow::Result<Part> {
    let mut part = Part::new(Server::Fairban, path.display().to_string());
    let (after, reasons) = own::with(before.as_deref().unwrap_or_default(), wanted)?;
    if reasons.is_empty() {
        return Ok(part);
    }
    // Nothing is written that the daemon would not read.
    Config::from_toml(&after, &path.display().to_string())?;
    let group = Some("fairban".to_owned()).filter(|name| files::group(name).is_some());
    if before.is_none() && group.is_none() {
        part.notes.push(format!("{} will be for root only: let the daemon's user read it", path.display()));
    }
    if before.is_some() && wanted.dovecot.is_some() && files::is_for_everybody(path) {
        part.notes.push(format!("everybody may read {0}, which holds the key now: chmod o-rwx {0}", path.display()));
    }
    part.notes.push("the daemon listens there once it is restarted: systemctl restart fairban".to_owned());
    let mode = if group.is_some() { 0o640 } else { 0o600 };
    let path = path.to_owned();
    part.changes.push(Change { server: Server::Fairban, path, before, after, mode, group, reasons });
    Ok(part)
}

/// New ones.
fn secrets() -> anyhow::Result<Secrets> {
    let secret = || {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("this machine has no randomness: {error}"))?;
        anyhow::Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    Ok(Secrets { nonce: secret()?, api_key: secret()? })
}

/// The address at which somebody on this machine reaches a listener.
fn reached(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    SocketAddr::new(address, listen.port())
}

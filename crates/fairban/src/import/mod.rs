//! `fairban import`: what other tools blocked, spared and were set to, taken over. It shows what it understood and what it
//! could not; only with `--apply` is anything changed, and then by the daemon.

mod apply;
mod crowdsec;
mod csf;
mod fail2ban;
mod files;
mod found;
mod list;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::ensure;
use clap::ValueEnum;
use fairban_types::Time;

use crate::cli::ImportArgs;
use crate::control::SOCKET;
use crate::show::Exit;
use found::Found;

/// Whose lists are taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// Its jails and its database; without a path those of this machine.
    Fail2ban,
    /// csf.allow, csf.deny, csf.ignore, csf.tempban, csf.tempallow; without a path those of this machine.
    Csf,
    /// What `cscli decisions list --limit 0 -o json` (or -o raw) printed.
    Crowdsec,
    /// One address or network on each line.
    List,
}

impl From {
    fn name(self) -> &'static str {
        match self {
            From::Fail2ban => "fail2ban",
            From::Csf => "CSF",
            From::Crowdsec => "CrowdSec",
            From::List => "a list",
        }
    }
}

pub(crate) fn run(args: &ImportArgs, socket: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let now = Time::from(std::time::SystemTime::now());
    let is_list = args.from == From::List;
    ensure!(is_list || !args.never, "--never is for a plain list: the others say themselves what they spare");
    ensure!(is_list || args.time.is_none(), "--for is for a plain list: the others say themselves how long");
    ensure!(args.from == From::Fail2ban || !args.all_jails, "--all-jails is for fail2ban");
    let found = gather(args, now)?;
    if let (Some(path), Some(settings)) = (&args.config_out, &found.settings) {
        files::write_new(path, &settings.to_string())?;
    }
    report::tell(&found, args)?;
    if found.items.is_empty() {
        return Err(Exit { status: 1, message: "nothing was understood that could be taken over".to_owned() }.into());
    }
    if !args.apply {
        return report::summary(&found, None, args);
    }
    let socket = socket.unwrap_or_else(|| PathBuf::from(SOCKET));
    let applied = apply::apply(&found, args.from.name(), &socket, now)?;
    report::summary(&found, Some(&applied), args)
}

fn gather(args: &ImportArgs, now: Time) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let paths = places(args)?;
    if args.from == From::Fail2ban {
        fail2ban::import(&paths, args.all_jails, now, &mut found)?;
        return Ok(found);
    }
    for path in &paths {
        match args.from {
            From::Csf => csf::import(path, now, &mut found)?,
            From::Crowdsec => crowdsec::import(path, now, &mut found)?,
            From::List | From::Fail2ban => {
                let until = args.time.map(|time| now.after(time));
                list::import(path, list::Wanted { never: args.never, until, now }, &mut found)?;
            }
        }
    }
    Ok(found)
}

/// What was named, or where the tool keeps its files on this machine.
fn places(args: &ImportArgs) -> anyhow::Result<Vec<PathBuf>> {
    if !args.files.is_empty() {
        return Ok(args.files.clone());
    }
    let usual: &[&str] = match args.from {
        From::Fail2ban => &fail2ban::PLACES,
        From::Csf => &csf::FOLDERS,
        From::Crowdsec => {
            anyhow::bail!("name the file that `cscli decisions list --limit 0 -o json` wrote, or - for standard input")
        }
        From::List => anyhow::bail!("name the file of the list, or - for standard input"),
    };
    let there: Vec<PathBuf> = usual.iter().map(PathBuf::from).filter(|path| Path::exists(path)).collect();
    ensure!(!there.is_empty(), "{} is not on this machine ({}): name its files", args.from.name(), usual.join(", "));
    Ok(there)
}

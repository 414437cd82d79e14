//! Doing: everything is looked at before anything is changed, and what a server's own checker finds worse than before
//! is taken back.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use fairban_types::Time;
use serde::Serialize;

use super::discover::{Found, read};
use super::plan::{Plan, Server};
use super::servers::{Opinion, Places, opinion, reload};
use super::{files, journal, report};
use crate::cli::SetupArgs;
use crate::show::Exit;
use crate::terminal;

/// A file that becomes another, or goes.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) server: Server,
    pub(super) path: PathBuf,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) mode: u32,
    pub(super) group: Option<String>,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
pub(super) struct Done {
    pub(super) changed: Vec<PathBuf>,
    pub(super) reloaded: Vec<(Server, Result<String, String>)>,
    /// Where the backups are.
    pub(super) state: PathBuf,
}

/// Applies a plan.
pub(super) fn run(args: &SetupArgs, found: &Found, plan: &Plan, state: &Path) -> anyhow::Result<ExitCode> {
    let step = |change: &super::plan::Change| Step {
        server: change.server,
        path: change.path.clone(),
        before: change.before.clone(),
        after: Some(change.after.clone()),
        mode: change.mode,
        group: change.group.clone(),
    };
    let steps: Vec<Step> = plan.changes().map(step).collect();
    let places = Places::of(found);
    let mut done = Done { state: state.to_owned(), ..Done::default() };
    if !steps.is_empty() {
        check_access(&steps)?;
        journal::prepare(state)?;
        let before = opinions(&steps, &places)?;
        remember(state, &steps, &places)?;
        if let Err(error) = write(&steps).and_then(|()| agree(&steps, &places, &before)) {
            // Only when nothing of it stands any more is there nothing to undo.
            take_back(&steps)?;
            journal::drop_last(state)?;
            return Err(error);
        }
        done.changed = steps.iter().map(|step| step.path.clone()).collect();
        done.reloaded = if args.no_reload { Vec::new() } else { reload_all(&steps, &places) };
    }
    if args.json {
        terminal::json(&report::Applied::new(found, plan, &done))?;
    } else {
        report::applied(found, plan, &done, args.no_reload)?;
    }
    let is_good = done.reloaded.iter().all(|(_, said)| said.is_ok());
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn no(message: String) -> anyhow::Error {
    Exit { status: 1, message }.into()
}

/// Fails, before anything is changed, if any file could not be written.
pub(super) fn check_access(steps: &[Step]) -> anyhow::Result<()> {
    let obstacles: Vec<String> = steps.iter().filter_map(|step| files::obstacle(&step.path)).collect();
    if obstacles.is_empty() {
        return Ok(());
    }
    let hint = if nix::unistd::Uid::effective().is_root() { "" } else { "; run `fairban setup` as root" };
    Err(no(format!("nothing was changed: {}{hint}", obstacles.join("; "))))
}

/// The servers whose files are changed, each once.
fn servers(steps: &[Step]) -> Vec<Server> {
    let mut servers: Vec<Server> = steps.iter().map(|step| step.server).collect();
    servers.sort();
    servers.dedup();
    servers
}

/// What the checkers say before; a configuration that is wrong already is not touched.
fn opinions(steps: &[Step], places: &Places) -> anyhow::Result<Vec<(Server, Opinion)>> {
    let opinions: Vec<_> = servers(steps).into_iter().map(|server| (server, opinion(server, places))).collect();
    match opinions.iter().find(|(_, opinion)| !opinion.is_good) {
        Some((server, Opinion { remarks, .. })) => Err(no(format!(
            "nothing was changed: {server} complains of its configuration already, mend it first: {}",
            remarks.join("; ")
        ))),
        None => Ok(opinions),
    }
}

fn remember(state: &Path, steps: &[Step], places: &Places) -> anyhow::Result<()> {
    let changes: Vec<journal::New<'_>> = steps.iter().filter_map(entry).collect();
    journal::add(state, Time::from(SystemTime::now()), places.clone(), &changes)
}

fn entry(step: &Step) -> Option<journal::New<'_>> {
    let after = step.after.as_deref()?;
    Some(journal::New { server: step.server, path: &step.path, before: step.before.as_deref(), after })
}

/// Writes every file that is still what it was when it was looked at.
pub(super) fn write(steps: &[Step]) -> anyhow::Result<()> {
    for step in steps {
        if read(&step.path)? != step.before {
            return Err(no(format!("{} was changed by somebody else just now: try again", step.path.display())));
        }
        put(step, step.after.as_deref())?;
    }
    Ok(())
}

fn put(step: &Step, text: Option<&str>) -> anyhow::Result<()> {
    let done = match text {
        Some(text) => files::write(&step.path, text, step.mode, step.group.as_deref()),
        None => files::remove(&step.path),
    };
    done.map_err(|error| no(format!("cannot write {}: {error}", step.path.display())))
}

/// Fails if a checker finds anything that it did not find before.
pub(super) fn agree(steps: &[Step], places: &Places, before: &[(Server, Opinion)]) -> anyhow::Result<()> {
    for (server, before) in before {
        let worse = opinion(*server, places).worse_than(before);
        if !worse.is_empty() {
            let files: Vec<String> = steps.iter().map(|step| step.path.display().to_string()).collect();
            return Err(no(format!(
                "{server} complains of the new lines, so {} are as they were before: {}",
                files.join(", "),
                worse.join("; ")
            )));
        }
    }
    Ok(())
}

/// Gives back what was written. A file that holds neither is somebody else's by now, and stays.
pub(super) fn take_back(steps: &[Step]) -> anyhow::Result<()> {
    for step in steps.iter().rev() {
        let now = read(&step.path)?;
        if now != step.before && now == step.after {
            put(step, step.before.as_deref())?;
        }
    }
    Ok(())
}

/// What the checkers say of these servers, whatever it is.
pub(super) fn opinions_of(steps: &[Step], places: &Places) -> Vec<(Server, Opinion)> {
    servers(steps).into_iter().map(|server| (server, opinion(server, places))).collect()
}

/// Reloads the mail servers whose files were changed.
pub(super) fn reload_all(steps: &[Step], places: &Places) -> Vec<(Server, Result<String, String>)> {
    let servers = servers(steps).into_iter().filter(|server| *server != Server::Fairban);
    servers.map(|server| (server, reload(server, places))).collect()
}

//! Undoing: files that nobody changed since are given back as they were; from others only setup's own lines are taken.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::apply::{Step, agree, check_access, opinions_of, reload_all, take_back, write};
use super::discover::read;
use super::journal::{self, Journal, Touched};
use super::plan::Server;
use super::servers::Places;
use super::{main_cf, marks, report};
use crate::cli::SetupArgs;

/// What becomes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is what it was.
    Nothing,
    /// It becomes what it was.
    Restored(Option<String>),
    /// It was changed since: only setup's lines are taken out.
    Cleaned(String),
    /// It was changed since, and nothing in it is marked.
    Left,
}

/// Decides by the three texts: what it was, what setup made of it, what it is now.
pub(super) fn fate(server: Server, before: Option<&str>, after: &str, now: Option<&str>) -> Fate {
    if now == before {
        return Fate::Nothing;
    }
    let Some(now) = now.filter(|now| *now != after) else {
        // Somebody took it away: it is not put back.
        return if now.is_none() { Fate::Nothing } else { Fate::Restored(before.map(str::to_owned)) };
    };
    let cleaned = match server {
        Server::Fairban => now.to_owned(),
        Server::Postfix => main_cf::without_token(&marks::without(now)),
        Server::Dovecot | Server::Exim => marks::without(now),
    };
    if cleaned == now { Fate::Left } else { Fate::Cleaned(cleaned) }
}

/// Undoes everything that the journal tells of, newest first.
pub(super) fn run(args: &SetupArgs, state: &Path) -> anyhow::Result<ExitCode> {
    let journal = journal::load(state)?;
    let mut told = report::Undone::default();
    let steps = steps(&journal, state, &mut told)?;
    if journal.entries.is_empty() {
        told.nothing = Some(format!("nothing to undo: {} has no journal of a setup", state.display()));
    }
    if !steps.is_empty() {
        check_access(&steps)?;
        let places = places(&journal);
        let before = opinions_of(&steps, &places);
        if let Err(error) = write(&steps).and_then(|()| agree(&steps, &places, &before)) {
            take_back(&steps)?;
            return Err(error);
        }
        told.reloaded = if args.no_reload { Vec::new() } else { reload_all(&steps, &places) };
    }
    if !journal.entries.is_empty() {
        journal::save(state, &Journal::default())?;
    }
    report::undone(&told, args.json)?;
    let is_good = told.by_hand.is_empty() && told.reloaded.iter().all(|(_, said)| said.is_ok());
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The newest place of each server.
fn places(journal: &Journal) -> Places {
    journal.entries.iter().fold(Places::default(), |known, entry| Places {
        postfix: entry.places.postfix.clone().or(known.postfix),
        dovecot: entry.places.dovecot.clone().or(known.dovecot),
        exim: entry.places.exim.clone().or(known.exim),
    })
}

fn steps(journal: &Journal, state: &Path, told: &mut report::Undone) -> anyhow::Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut settled: BTreeSet<PathBuf> = BTreeSet::new();
    for touched in journal.entries.iter().rev().flat_map(|entry| entry.files.iter().rev()) {
        let Touched { server, path, before, after } = touched;
        if settled.contains(path) {
            continue;
        }
        // A file that was changed twice goes back step by step.
        let earlier = steps.iter().position(|step| step.path == *path);
        let now = match earlier {
            Some(place) => steps[place].after.clone(),
            None => read(path)?,
        };
        let before = before.as_deref().map(|name| journal::copy(state, name)).transpose()?;
        let becomes = match fate(*server, before.as_deref(), &journal::copy(state, after)?, now.as_deref()) {
            Fate::Nothing => continue,
            Fate::Restored(before) => before,
            Fate::Cleaned(text) => {
                told.cleaned.push(path.clone());
                settled.insert(path.clone());
                Some(text)
            }
            Fate::Left => {
                told.by_hand.push(by_hand(*server, path));
                settled.insert(path.clone());
                continue;
            }
        };
        match earlier {
            Some(place) => steps[place].after = becomes,
            None => {
                let (server, path) = (*server, path.clone());
                steps.push(Step { server, path, before: now, after: becomes, mode: 0o644, group: None });
            }
        }
    }
    told.restored = steps.iter().map(|step| step.path.clone()).filter(|path| !told.cleaned.contains(path)).collect();
    Ok(steps)
}

fn by_hand(server: Server, path: &Path) -> String {
    let path = path.display();
    match server {
        Server::Fairban => format!(
            "{path} was changed since, and stays: if nobody is to ask any more, take listen out of [dovecot] and [postfix]"
        ),
        Server::Dovecot => {
            format!("{path} was changed since, and stays; nothing reads it any more, so it can be removed")
        }
        _ => format!("{path} was changed since, and stays: take Fairban's lines out yourself"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_untouched_files_are_given_back_whole() {
        let mark = |text: &str| marks::with(text, &["x = y".to_owned()]);
        let (old, new) = ("a = b\n".to_owned(), mark("a = b\n"));
        let changed = format!("{new}c = d\n");
        for (server, before, after, now, fate_expected) in [
            (Server::Postfix, Some(&old), &new, Some(&new), Fate::Restored(Some(old.clone()))),
            (Server::Postfix, Some(&old), &new, Some(&old), Fate::Nothing),
            (Server::Dovecot, None, &new, Some(&new), Fate::Restored(None)),
            (Server::Dovecot, None, &new, None, Fate::Nothing),
            (Server::Dovecot, Some(&old), &new, None, Fate::Nothing),
            (Server::Dovecot, Some(&old), &new, Some(&changed), Fate::Cleaned("a = b\n\nc = d\n".to_owned())),
            (Server::Fairban, Some(&old), &new, Some(&changed), Fate::Left),
        ] {
            let found = fate(server, before.map(String::as_str), after, now.map(String::as_str));
            assert_eq!(found, fate_expected, "{server} {now:?}");
        }
    }
}

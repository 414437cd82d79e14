//! What setup did, with a backup of every file: written before the files are, so that a crash can be undone too.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fairban_types::Time;
use serde::{Deserialize, Serialize};

use super::files;
use super::plan::Server;
use super::servers::Places;

const FILE: &str = "journal.json";

/// Everything that was done and not undone, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Journal {
    pub(super) entries: Vec<Entry>,
}

/// What was done at one time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) time: Time,
    pub(super) places: Places,
    pub(super) files: Vec<Touched>,
}

/// A file that was changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Touched {
    pub(super) server: Server,
    pub(super) path: PathBuf,
    /// The name of the copy of what it was; `None`: there was no such file.
    pub(super) before: Option<String>,
    /// The name of the copy of what it became.
    pub(super) after: String,
}

/// A change that is going into the journal.
pub(super) struct New<'a> {
    pub(super) server: Server,
    pub(super) path: &'a Path,
    pub(super) before: Option<&'a str>,
    pub(super) after: &'a str,
}

/// Makes the folder, for its owner only: backups hold secrets.
pub(super) fn prepare(state: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(state);
    made.with_context(|| {
        format!("cannot make the folder for backups, {} (name another with --state)", state.display())
    })?;
    match files::obstacle(&state.join(FILE)) {
        Some(obstacle) => anyhow::bail!("{obstacle} (name another folder with --state)"),
        None => Ok(()),
    }
}

/// Reads it; empty if there is none.
pub(super) fn load(state: &Path) -> anyhow::Result<Journal> {
    let path = state.join(FILE);
    match super::discover::read(&path)? {
        None => Ok(Journal::default()),
        Some(text) => serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display())),
    }
}

/// Writes it.
pub(super) fn save(state: &Path, journal: &Journal) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(journal)?;
    let path = state.join(FILE);
    files::write(&path, &text, 0o600, None).with_context(|| format!("cannot write {}", path.display()))
}

/// Adds an entry with its backups.
pub(super) fn add(state: &Path, time: Time, places: Places, changes: &[New<'_>]) -> anyhow::Result<()> {
    let mut journal = load(state)?;
    let mut touched = Vec::new();
    for (number, change) in changes.iter().enumerate() {
        let file = change.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let name = |what: &str| format!("{}-{number}-{file}.{what}", time.to_string().replace(':', ""));
        let keep = |what: &str, text: &str| {
            let copy = name(what);
            let path = state.join(&copy);
            files::write(&path, text, 0o600, None).with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(copy)
        };
        let before = change.before.map(|text| keep("before", text)).transpose()?;
        let (path, after) = (change.path.to_owned(), keep("after", change.after)?);
        touched.push(Touched { server: change.server, path, before, after });
    }
    journal.entries.push(Entry { time, places, files: touched });
    save(state, &journal)
}

/// Takes the newest entry away: what it tells of did not stand.
pub(super) fn drop_last(state: &Path) -> anyhow::Result<()> {
    let mut journal = load(state)?;
    journal.entries.pop();
    save(state, &journal)
}

/// The text of a copy.
pub(super) fn copy(state: &Path, name: &str) -> anyhow::Result<String> {
    let path = state.join(name);
    fs::read_to_string(&path).with_context(|| format!("the backup {} cannot be read", path.display()))
}

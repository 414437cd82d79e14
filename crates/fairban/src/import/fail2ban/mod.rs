//! fail2ban: its jails' settings, and its database of bans.

mod bans;
mod ini;
mod jails;
mod times;

use std::path::{Path, PathBuf};

use fairban_types::Time;

use super::found::Found;
use jails::Jails;

/// Where fail2ban keeps them, if no path is named.
pub(super) const PLACES: [&str; 2] = ["/etc/fail2ban", "/var/lib/fail2ban/fail2ban.sqlite3"];

/// Takes over settings first: they tell which jails are about mail.
pub(super) fn import(paths: &[PathBuf], all_jails: bool, now: Time, found: &mut Found) -> anyhow::Result<()> {
    let (databases, configurations): (Vec<&PathBuf>, Vec<&PathBuf>) =
        paths.iter().partition(|path| bans::is_database(path));
    let mut files = Vec::new();
    for path in configurations {
        files.extend(configuration_files(path)?);
    }
    let mut jails = Jails::default();
    for file in files {
        jails.add(&file, now, found)?;
    }
    jails.tell(now, found);
    for path in databases {
        bans::import(path, |jail| all_jails || jails.is_about_mail(jail), now, found)?;
    }
    Ok(())
}

/// A file, or those of a folder in the order in which each is laid over the one before.
fn configuration_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let more = |ending: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path.join("jail.d")).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> =
            entries.filter(|file| file.extension().is_some_and(|end| end == ending)).collect();
        found.sort();
        found
    };
    let mut files = vec![path.join("jail.conf")];
    files.extend(more("conf"));
    files.push(path.join("jail.local"));
    files.extend(more("local"));
    files.retain(|file| file.is_file());
    anyhow::ensure!(!files.is_empty(), "{} holds neither jail.conf nor jail.local", path.display());
    Ok(files)
}

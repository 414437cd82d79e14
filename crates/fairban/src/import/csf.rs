//! ConfigServer Firewall's lists: `csf.allow`, `csf.ignore`, `csf.deny`, and its temporary entries.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use fairban_types::Time;

use super::files::{read, uncommented};
use super::found::{Found, Place, network};

/// Where CSF keeps them, if no path is named.
pub(super) const FOLDERS: [&str; 2] = ["/etc/csf", "/var/lib/csf"];

/// What a file of CSF is, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    /// Never blocked: allowed by the firewall, or ignored by the login failure daemon.
    Never,
    Deny,
    TemporaryDeny,
    TemporaryAllow,
}

const NAMES: [(&str, List); 5] = [
    ("csf.allow", List::Never),
    ("csf.ignore", List::Never),
    ("csf.deny", List::Deny),
    ("csf.tempban", List::TemporaryDeny),
    ("csf.tempallow", List::TemporaryAllow),
];

const ADVANCED: &str = "an advanced filter, for certain ports or users; Fairban closes the mail ports, for everybody";
const INCLUDED: &str = "another file is included: import it by its own name, as csf.allow or csf.deny, or as a list";

pub(super) fn import(path: &Path, now: Time, found: &mut Found) -> anyhow::Result<()> {
    for (file, list) in files(path)? {
        let (text, _) = read(&file, now)?;
        for (at, line) in text.lines().enumerate() {
            let place = Place::of(&file, at + 1);
            match list {
                List::Never | List::Deny => lasting(place, line, list, now, found),
                List::TemporaryDeny | List::TemporaryAllow => temporary(place, line, list, now, found),
            }
        }
    }
    Ok(())
}

fn kind(path: &Path) -> Option<List> {
    let name = path.file_name()?.to_str()?;
    NAMES.iter().find(|(known, _)| name == *known).map(|(_, list)| *list)
}

/// The lists that a path means: all of a folder, or this one.
fn files(path: &Path) -> anyhow::Result<Vec<(PathBuf, List)>> {
    if path.is_dir() {
        let there = NAMES.iter().map(|(name, list)| (path.join(name), *list)).filter(|(file, _)| file.is_file());
        return Ok(there.collect());
    }
    let list = kind(path);
    let names = NAMES.map(|(name, _)| name).join(", ");
    ensure!(list.is_some(), "{}: what it means is told by its name, which must be one of {names}", path.display());
    Ok(list.map(|list| (path.to_owned(), list)).into_iter().collect())
}

fn lasting(place: Place, line: &str, list: List, now: Time, found: &mut Found) {
    let (value, comment) = uncommented(line);
    if value.is_empty() {
        return;
    }
    match network(value.split_whitespace().next().unwrap_or_default()) {
        Some(net) if list == List::Never => found.never(place, net, None, now, comment),
        Some(net) => found.block(place, net, None, now, comment),
        None if value.starts_with("Include") => found.gap(place, value, INCLUDED),
        None if value.contains('=') => found.gap(place, value, ADVANCED),
        None => found.gap(place, value, "neither an address nor a network (CIDR); names are not looked up"),
    }
}

/// `start|address|port|direction|seconds|why`.
fn temporary(place: Place, line: &str, list: List, now: Time, found: &mut Found) {
    if line.trim().is_empty() {
        return;
    }
    let fields: Vec<&str> = line.trim().splitn(6, '|').collect();
    let [start, address, port, _direction, seconds, why] = fields.as_slice() else {
        return found.gap(place, line, "not an entry of CSF: time|address|port|direction|seconds|reason");
    };
    let (Some(net), Ok(start), Ok(seconds)) = (network(address), start.parse::<i64>(), seconds.parse::<u64>()) else {
        return found.gap(place, line, "its address or its times cannot be read");
    };
    if !matches!(*port, "" | "*") {
        return found.gap(place, line, ADVANCED);
    }
    let until = Some(Time::from_secs(start).after(Duration::from_secs(seconds)));
    match list {
        List::TemporaryAllow => found.never(place, net, until, now, why),
        _ => found.block(place, net, until, now, why),
    }
}

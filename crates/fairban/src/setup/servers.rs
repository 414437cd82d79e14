//! The mail servers' own programs: what they say of a configuration, and reloading.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::discover::Found;
use super::plan::Server;
use super::program::{Said, find, finish, run};

/// Where the configurations are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Places {
    pub(super) postfix: Option<PathBuf>,
    pub(super) dovecot: Option<PathBuf>,
    /// Debian's folder.
    pub(super) exim: Option<PathBuf>,
}

impl Places {
    pub(super) fn of(found: &Found) -> Self {
        Places {
            postfix: found.postfix.as_ref().map(|postfix| postfix.folder.clone()),
            dovecot: found.dovecot.as_ref().map(|dovecot| dovecot.conf.clone()),
            exim: found.exim.as_ref().and_then(|exim| exim.debian.as_ref()).map(|debian| debian.folder.clone()),
        }
    }
}

/// What a server's own checker says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Opinion {
    pub(super) is_good: bool,
    /// Warnings and errors, line by line.
    pub(super) remarks: Vec<String>,
}

impl Opinion {
    fn of(said: &[Said]) -> Self {
        let lines = said.iter().flat_map(|said| said.err.lines()).map(str::trim).filter(|line| !line.is_empty());
        let mut remarks: Vec<String> = lines.map(str::to_owned).collect();
        let is_good = said.iter().all(|said| said.is_good);
        if !is_good && remarks.is_empty() {
            remarks.extend(said.iter().filter(|said| !said.is_good).map(Said::complaint));
        }
        Opinion { is_good, remarks }
    }

    /// What is worse than it was before.
    pub(super) fn worse_than(&self, before: &Opinion) -> Vec<String> {
        let is_new = |remark: &&String| !before.remarks.contains(remark);
        let new: Vec<String> = self.remarks.iter().filter(is_new).cloned().collect();
        if new.is_empty() && before.is_good && !self.is_good { self.remarks.clone() } else { new }
    }
}

fn lossy(path: &Path) -> String {
    path.display().to_string()
}

/// Asks the server's own checker. A server that is not here has nothing against it.
pub(super) fn opinion(server: Server, places: &Places) -> Opinion {
    let mut said = Vec::new();
    match server {
        Server::Fairban => {}
        Server::Postfix => {
            if let (Some(folder), Some(postconf)) = (&places.postfix, find(&["postconf"])) {
                return postfix(&lossy(folder), &postconf);
            }
        }
        Server::Dovecot => {
            if let (Some(conf), Some(doveconf)) = (&places.dovecot, find(&["doveconf"])) {
                said.push(run(&doveconf, ["-c", &lossy(conf), "-n"]));
            }
        }
        Server::Exim => said.extend(exim(places)),
    }
    Opinion::of(&said)
}

/// `postfix check` and `postconf` do not look into lists of restrictions: the server does, when it starts.
fn postfix(folder: &str, postconf: &Path) -> Opinion {
    let mut said = vec![run(postconf, ["-c", folder, "-n"]), run(postconf, ["-c", folder, "-M"])];
    // Only root may have the whole looked at.
    let is_root = nix::unistd::Uid::effective().is_root();
    let program = find(&["postfix"]).filter(|_| is_root);
    said.extend(program.as_ref().map(|program| run(program, ["-c", folder, "check"])));
    let mut opinion = Opinion::of(&said);
    // By itself it would wait for the rest of Postfix.
    if !program.is_some_and(|program| run(&program, ["-c", folder, "status"]).is_good) {
        return opinion;
    }
    let programs = PathBuf::from(run(postconf, ["-c", folder, "-h", "daemon_directory"]).out.trim());
    let mut alone = Command::new(programs.join("smtpd"));
    alone.arg("-S").env("MAIL_CONFIG", folder);
    // It may be unable to start for other reasons, here and now: that is worth a remark, which may be there before too.
    if !finish(alone).is_good {
        opinion.remarks.push("smtpd cannot start with it; the mail log says why".to_owned());
    }
    opinion
}

/// Debian's file is generated elsewhere, and checked there.
fn exim(places: &Places) -> Vec<Said> {
    let (Some(folder), Some(program)) = (&places.exim, find(&["exim4", "exim"])) else { return Vec::new() };
    let (Some(generate), Ok(scratch)) = (find(&["update-exim4.conf"]), tempfile::tempdir()) else { return Vec::new() };
    let made = lossy(&scratch.path().join("exim.conf"));
    let generated = run(&generate, ["-d", &lossy(folder), "-o", &made]);
    if !generated.is_good {
        return vec![generated];
    }
    let mut checked = run(&program, ["-C", &made, "-bV"]);
    checked.err = checked.err.replace(&made, "exim.conf");
    vec![generated, checked]
}

/// Makes the server read its configuration. Says what was done.
pub(super) fn reload(server: Server, places: &Places) -> Result<String, String> {
    let told = |said: Said, done: &str, by_hand: &str| match said {
        Said { is_good: true, .. } => Ok(done.to_owned()),
        said => Err(format!("{}; do it yourself: {by_hand}", said.complaint())),
    };
    match (server, places) {
        (Server::Postfix, Places { postfix: Some(folder), .. }) => {
            let Some(postfix) = find(&["postfix"]) else { return Err("there is no `postfix` here".to_owned()) };
            let folder = lossy(folder);
            if !run(&postfix, ["-c", &folder, "status"]).is_good {
                return Ok("it is not running, and reads this when it starts".to_owned());
            }
            told(run(&postfix, ["-c", &folder, "reload"]), "reloaded", "postfix reload")
        }
        (Server::Dovecot, Places { dovecot: Some(conf), .. }) => {
            let Some(doveadm) = find(&["doveadm"]) else { return Err("there is no `doveadm` here".to_owned()) };
            let said = run(&doveadm, ["-c", &lossy(conf), "reload"]);
            if !said.is_good && said.err.contains("not running") {
                return Ok("it is not running, and reads this when it starts".to_owned());
            }
            told(said, "reloaded", "doveadm reload")
        }
        (Server::Exim, Places { exim: Some(folder), .. }) => {
            let Some(generate) = find(&["update-exim4.conf"]) else { return Err("no `update-exim4.conf`".to_owned()) };
            let generated = run(&generate, ["-d", &lossy(folder)]);
            let service = find(&["service"]).unwrap_or_else(|| PathBuf::from("service"));
            let said = if generated.is_good { run(&service, ["exim4", "reload"]) } else { generated };
            told(said, "reloaded", "update-exim4.conf && service exim4 reload")
        }
        _ => Ok("nothing to reload".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_worse_counts() {
        let opinion =
            |is_good, remarks: &[&str]| Opinion { is_good, remarks: remarks.iter().map(ToString::to_string).collect() };
        for (before, after, worse) in [
            (opinion(true, &[]), opinion(true, &[]), &[][..]),
            (opinion(true, &["old"]), opinion(true, &["old"]), &[]),
            (opinion(true, &["old"]), opinion(true, &["old", "new"]), &["new"]),
            (opinion(true, &["old"]), opinion(false, &["old"]), &["old"]),
            (opinion(true, &["old"]), opinion(true, &[]), &[]),
        ] {
            assert_eq!(after.worse_than(&before), worse);
        }
    }
}

//! Other people's programs, run and listened to.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where programs of mail servers are, whatever the caller's `PATH` says.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin"];

/// What a program said.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) is_good: bool,
    pub(super) out: String,
    pub(super) err: String,
}

impl Said {
    /// What it said of its failure, in one line.
    pub(super) fn complaint(&self) -> String {
        let text = if self.err.trim().is_empty() { &self.out } else { &self.err };
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() { "it failed, and said nothing".to_owned() } else { lines.join("; ") }
    }
}

/// The first of these programs that is installed.
pub(super) fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(FOLDERS.into_iter().map(PathBuf::from)).collect();
    let places = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places
        .into_iter()
        .find(|place| nix::unistd::access(place, nix::unistd::AccessFlags::X_OK).is_ok() && place.is_file())
}

/// Runs it to its end. A program that cannot be started has failed.
pub(super) fn run<S: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> Said {
    let mut command = Command::new(program);
    command.args(arguments);
    finish(command)
}

/// Runs a command to its end, with nothing to read.
pub(super) fn finish(mut command: Command) -> Said {
    command.stdin(Stdio::null()).env("LC_ALL", "C");
    match command.output() {
        Ok(output) => Said {
            is_good: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        },
        Err(error) => {
            let err = format!("{}: {error}", command.get_program().display());
            Said { is_good: false, out: String::new(), err }
        }
    }
}

/// Lines of the form `name = value`.
pub(super) fn assignments(text: &str) -> impl Iterator<Item = (String, String)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    })
}

use std::io;
use std::path::{Path, PathBuf};

/// Why a source cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Not allowed to read a file.
    #[error("may not read {}: {hint}", path.display())]
    Permission {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: String,
    },
    /// There is no such file (yet): a running source waits for it.
    #[error("{} does not exist: check the path, or let the mail server write its first line", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Something else than a plain file.
    #[error("{} is not a plain file: give the path of a log file, or use standard input for a pipe", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// `journalctl` cannot be run.
    #[error("cannot run {}: {error}; install systemd, or name log files as sources instead of journald", program.display())]
    NoJournalctl {
        /// The program.
        program: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// An address or socket could not be opened to listen on.
    #[error("cannot listen on {listen}: {error}; {hint}")]
    Listen {
        /// The address.
        listen: String,
        /// What the system said.
        error: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A part of the source ended in a way that should not happen.
    #[error("source {source_name} broke down: {detail}; please report this")]
    Broken {
        /// The source.
        source_name: String,
        /// What happened.
        detail: String,
    },
}

impl SourceError {
    /// Tells what an error on a file means.
    pub(crate) fn file(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => SourceError::Missing { path },
            io::ErrorKind::PermissionDenied => {
                let hint = permission_hint(&path);
                SourceError::Permission { path, hint }
            }
            _ => SourceError::Read { path, error },
        }
    }

    /// Tells what an error on listening means.
    pub(crate) fn listen(listen: String, error: io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "use a port above 1023, grant CAP_NET_BIND_SERVICE, or make the socket's folder writable"
            }
            io::ErrorKind::AddrInUse => "stop the other program that listens there, or choose another address",
            io::ErrorKind::AddrNotAvailable => "give an address of this machine",
            io::ErrorKind::NotFound => "create the folder of the socket first",
            _ => "check the address",
        };
        SourceError::Listen { listen, error, hint }
    }
}

/// Names the group that may read the file, if there is one.
fn permission_hint(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = std::fs::metadata(path) else {
        return "a folder above it is closed to this user: let its group in, or run as a user that may enter it"
            .to_owned();
    };
    if meta.mode() & 0o040 == 0 {
        return "its group may not read it either: chmod g+r it and add the user to its group".to_owned();
    }
    match nix::unistd::Group::from_gid(nix::unistd::Gid::from_raw(meta.gid())) {
        Ok(Some(group)) => format!(
            "add the user that fairban runs as to group {0} (usermod -a -G {0} USER) and start it again",
            group.name
        ),
        _ => format!("add the user that fairban runs as to the group {} and start it again", meta.gid()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn permission_hints_name_the_way_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mail.log");
        std::fs::write(&path, "").unwrap();
        let group = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap().unwrap().name;
        for (mode, hint) in [(0o640, format!("to group {group}")), (0o600, "chmod g+r".to_owned())] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = SourceError::file(&path, io::ErrorKind::PermissionDenied.into());
            let text = error.to_string();
            assert!(text.starts_with("may not read /") && text.contains(&hint), "{text}");
        }
    }
}

//! The mail logs that this machine has, for when the configuration names none.

use std::path::{Path, PathBuf};

use fairban_config::SourceConfig;

/// Where mail servers and webmails of the common distributions write. Of alternatives in one row the first is taken,
/// since they hold the same lines.
const PLACES: &[&[&str]] = &[
    &["/var/log/mail.log", "/var/log/maillog", "/var/log/mail"],
    &["/var/log/dovecot.log", "/var/log/dovecot-info.log"],
    &["/var/log/exim4/mainlog", "/var/log/exim/main.log", "/var/log/exim/mainlog"],
    &["/var/log/roundcube/userlogins.log", "/var/log/roundcube/errors.log", "/var/log/roundcubemail/errors.log"],
    &["/var/log/sogo/sogo.log"],
];

/// The logs that are there; if there is none and the machine has a journal, the journal.
pub(crate) fn logs() -> Vec<SourceConfig> {
    let is_file = |path: &&&str| Path::new(**path).is_file();
    let mut found: Vec<SourceConfig> = PLACES
        .iter()
        .filter_map(|row| row.iter().find(is_file))
        .map(|path| SourceConfig::File { path: PathBuf::from(path) })
        .collect();
    if found.is_empty() && Path::new("/run/systemd/journal").is_dir() {
        found.push(SourceConfig::Journald { units: Vec::new() });
    }
    found
}

/// The name of this machine.
pub(crate) fn name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "localhost".to_owned())
}

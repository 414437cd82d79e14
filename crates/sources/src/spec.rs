use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::outlet::Outlet;
use crate::{Batch, Cursor, Health, SourceError, State, file, journald, stdin, syslog};

/// A source, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A log file, followed through rotations.
    File(PathBuf),
    /// The systemd journal.
    Journald {
        /// Only entries of these units; empty: all.
        units: Vec<String>,
    },
    /// Syslog senders.
    Syslog(Listen),
    /// Standard input, to its end.
    Stdin,
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceSpec::File(path) => write!(f, "{}", path.display()),
            SourceSpec::Journald { units } if units.is_empty() => f.write_str("journald"),
            SourceSpec::Journald { units } => write!(f, "journald ({})", units.join(", ")),
            SourceSpec::Syslog(listen) => write!(f, "{listen}"),
            SourceSpec::Stdin => f.write_str("standard input"),
        }
    }
}

/// Where syslog senders are listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// One message a datagram.
    Udp(SocketAddr),
    /// RFC 6587: octet counting or newlines, as the sender does.
    Tcp(SocketAddr),
    /// A unix datagram socket: one message a datagram.
    Unix(PathBuf),
    /// A unix stream socket, framed like TCP.
    UnixStream(PathBuf),
}

/// An address to listen on that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a syslog address: write udp://127.0.0.1:5514, tcp://127.0.0.1:5514, unix:/run/fairban/log.sock or \
     unix-stream:/run/fairban/log.sock"
)]
pub struct ListenError(pub String);

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ListenError(text.chars().take(80).collect());
        let (scheme, rest) = text.split_once(':').ok_or_else(wrong)?;
        let address = || rest.strip_prefix("//").and_then(|rest| rest.parse().ok()).ok_or_else(wrong);
        let path = || {
            let path = PathBuf::from(rest.strip_prefix("//").unwrap_or(rest));
            if path.is_absolute() { Ok(path) } else { Err(wrong()) }
        };
        match scheme {
            "udp" => Ok(Listen::Udp(address()?)),
            "tcp" => Ok(Listen::Tcp(address()?)),
            "unix" => Ok(Listen::Unix(path()?)),
            "unix-stream" => Ok(Listen::UnixStream(path()?)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Udp(address) => write!(f, "udp://{address}"),
            Listen::Tcp(address) => write!(f, "tcp://{address}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
            Listen::UnixStream(path) => write!(f, "unix-stream:{}", path.display()),
        }
    }
}

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// After what led to this cursor.
    Cursor(Cursor),
    /// With what is written from now on. (A file that is not there yet is read from its beginning.)
    End,
    /// With the oldest there is (of a file: not its rotated ones).
    Beginning,
}

/// Limits and times; the defaults suit everyone but tests.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Longest line; what is beyond is cut off and counted.
    pub line_bytes_max: usize,
    /// A batch is sent when it has this many lines,
    pub batch_lines_max: usize,
    /// or this many bytes, or when there is nothing more to read.
    pub batch_bytes_max: usize,
    /// How long a rotated file must have been idle to be closed; a last line without newline counts as a line then.
    pub rotated_idle: Duration,
    /// How often a file is looked at although nothing was reported.
    pub heartbeat: Duration,
    /// The same where the system cannot report changes.
    pub poll: Duration,
    /// Whether to do without the system's reports.
    pub poll_only: bool,
    /// The `journalctl` program.
    pub journalctl: PathBuf,
    /// The first pause before `journalctl` is started again; doubles up to a minute.
    pub journalctl_pause: Duration,
    /// Longest syslog message.
    pub syslog_bytes_max: usize,
    /// Most syslog connections at once.
    pub syslog_peers_max: usize,
    /// How long a syslog connection may be silent.
    pub syslog_idle: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            line_bytes_max: 1024 * 1024,
            batch_lines_max: 1024,
            batch_bytes_max: 256 * 1024,
            rotated_idle: Duration::from_secs(30),
            heartbeat: Duration::from_secs(1),
            poll: Duration::from_millis(250),
            poll_only: false,
            journalctl: PathBuf::from("journalctl"),
            journalctl_pause: Duration::from_secs(1),
            syslog_bytes_max: 64 * 1024,
            syslog_peers_max: 256,
            syslog_idle: Duration::from_secs(600),
        }
    }
}

/// A source at work.
#[derive(Debug)]
pub struct Running {
    /// Its name, as in its batches.
    pub source: Arc<str>,
    /// How it is doing.
    pub health: Arc<Health>,
    /// Ends when told to stop, when nobody receives any more, at the end of standard input, or with an error that does
    /// not mend itself.
    pub task: JoinHandle<Result<(), SourceError>>,
}

/// Starts a source on the present tokio runtime. It ends soon after `stop` says true (or its sender is gone).
pub fn spawn(spec: SourceSpec, start: Start, tx: mpsc::Sender<Batch>, stop: watch::Receiver<bool>) -> Running {
    spawn_tuned(spec, start, tx, stop, Tuning::default())
}

/// As [`spawn`], with other limits and times.
pub fn spawn_tuned(
    spec: SourceSpec,
    start: Start,
    tx: mpsc::Sender<Batch>,
    stop: watch::Receiver<bool>,
    tuning: Tuning,
) -> Running {
    let source: Arc<str> = spec.to_string().into();
    let health = Arc::new(Health::new());
    let outlet = Outlet::new(source.clone(), health.clone(), tx, stop);
    let reported = health.clone();
    let task = tokio::spawn(async move {
        let outcome = match spec {
            SourceSpec::File(path) => file::run(path, start, outlet, tuning).await,
            SourceSpec::Journald { units } => journald::run(units, start, outlet, tuning).await,
            SourceSpec::Syslog(listen) => syslog::run(listen, outlet, tuning).await,
            SourceSpec::Stdin => stdin::run(outlet, tuning).await,
        };
        reported.set_state(match &outcome {
            Ok(()) => State::Stopped,
            Err(error) => State::Failing(error.to_string()),
        });
        outcome
    });
    Running { source, health, task }
}

/// Tries whether a source could work now, without reading from it. A file that does not exist yet is an error here,
/// although [`spawn`] waits for it.
///
/// # Errors
/// What is wrong, and what to do about it.
pub fn probe(spec: &SourceSpec) -> Result<(), SourceError> {
    match spec {
        SourceSpec::File(path) => file::probe(path),
        SourceSpec::Journald { .. } => journald::probe(&Tuning::default().journalctl),
        // Listening twice on one address would disturb a daemon that runs already.
        SourceSpec::Syslog(_) | SourceSpec::Stdin => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syslog_addresses_read_what_they_show() {
        for text in ["udp://127.0.0.1:5514", "tcp://[::1]:5514", "unix:/run/x.sock", "unix-stream:/run/x.sock"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        assert_eq!("unix:///run/x.sock".parse(), Ok(Listen::Unix("/run/x.sock".into())));
        for text in ["", "udp", "udp://", "udp://localhost", "udp:127.0.0.1:5514", "unix:x.sock", "http://[::1]:1"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }
}

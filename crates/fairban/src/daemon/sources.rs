//! The sources of a running daemon.

use std::collections::BTreeMap;

use fairban_config::{SourceConfig, SyslogListen};
use fairban_sources::{Batch, Listen, Running, SourceSpec, Start, State, spawn};
use fairban_store::Reader;
use tokio::sync::{mpsc, watch};

use crate::control::SourceStatus;

struct One {
    running: Running,
    stop: watch::Sender<bool>,
}

/// All sources, by name.
pub(crate) struct Sources {
    lines: mpsc::Sender<Batch>,
    running: BTreeMap<String, One>,
}

/// The source that a configuration means.
pub(crate) fn spec(config: &SourceConfig) -> SourceSpec {
    match config {
        SourceConfig::File { path } => SourceSpec::File(path.clone()),
        SourceConfig::Journald { units } => SourceSpec::Journald { units: units.clone() },
        SourceConfig::Syslog { listen: SyslogListen::Udp(address) } => SourceSpec::Syslog(Listen::Udp(*address)),
        SourceConfig::Syslog { listen: SyslogListen::Tcp(address) } => SourceSpec::Syslog(Listen::Tcp(*address)),
        SourceConfig::Syslog { listen: SyslogListen::Unix(path) } => SourceSpec::Syslog(Listen::Unix(path.clone())),
        SourceConfig::Stdin => SourceSpec::Stdin,
    }
}

/// Without a cursor a file is read from its beginning: old failures are too old to score, and old successes tell which
/// networks are familiar. The journal may be years long, so it is read from now on.
fn start(spec: &SourceSpec, store: &Reader) -> Start {
    let cursor = store.cursor(&spec.to_string()).ok().flatten();
    match (cursor.and_then(|text| serde_json::from_str(&text).ok()), spec) {
        (Some(cursor), _) => Start::Cursor(cursor),
        (None, SourceSpec::Journald { .. }) => Start::End,
        (None, _) => Start::Beginning,
    }
}

impl Sources {
    pub(crate) fn new(lines: mpsc::Sender<Batch>) -> Self {
        Sources { lines, running: BTreeMap::new() }
    }

    /// Starts what is new, and stops what is not wanted any more.
    pub(crate) fn set(&mut self, configs: &[SourceConfig], store: &Reader) {
        let wanted: BTreeMap<String, SourceSpec> =
            configs.iter().map(spec).map(|spec| (spec.to_string(), spec)).collect();
        self.running.retain(|name, one| {
            let stays = wanted.contains_key(name);
            if !stays {
                let _ = one.stop.send(true);
            }
            stays
        });
        for (name, spec) in wanted {
            if !self.running.contains_key(&name) {
                let (stop, stopped) = watch::channel(false);
                let start = start(&spec, store);
                let running = spawn(spec, start, self.lines.clone(), stopped);
                self.running.insert(name, One { running, stop });
            }
        }
    }

    pub(crate) fn stop(&mut self) {
        for one in self.running.values() {
            let _ = one.stop.send(true);
        }
    }

    pub(crate) fn status(&self, events_of: impl Fn(&str) -> u64) -> Vec<SourceStatus> {
        let status = |(name, one): (&String, &One)| {
            let health = &one.running.health;
            let (state, problem) = match health.state() {
                State::Starting => ("starting", None),
                State::WaitingForFile => ("waiting for the file", None),
                State::Reading => ("reading", None),
                State::Failing(why) => ("failing", Some(why)),
                State::Stopped => ("ended", None),
            };
            SourceStatus {
                name: name.clone(),
                state: state.to_owned(),
                problem,
                lines: health.lines(),
                events: events_of(name),
                last_line: health.last_line(),
            }
        };
        self.running.iter().map(status).collect()
    }
}

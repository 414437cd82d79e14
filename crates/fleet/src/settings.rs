//! How a node joins a fleet.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::FleetError;
use crate::merge::Trust;
use crate::server::Place;

/// How a node joins a fleet.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server: `redis://`, `rediss://` (TLS), `redis+unix://`, `redis+cluster://a:1,b:2`,
    /// `redis+sentinel://a:1,b:2/name`, with a user and password before an `@`.
    pub url: String,
    /// A file with the password, so that it need not stand in the URL.
    pub password_file: Option<PathBuf>,
    /// A PEM file of the authorities that may have signed the server's certificate; `None`: those of the system.
    pub authority: Option<PathBuf>,
    /// This node's name; no two nodes may have the same.
    pub node: String,
    /// What all keys at the server begin with: several fleets may share a server.
    pub name: String,
    /// This program's version.
    pub version: String,
    /// Whom to trust how far.
    pub trust: Trust,
    /// Whether values that others set are taken over here.
    pub takes_values: bool,
    /// Decisions that the server's stream keeps; who was away longer compares everything.
    pub stream_max: usize,
    /// Where what was decided is noted for the next run; `None`: nowhere.
    pub journal: Option<PathBuf>,
    /// How long failures count at the server,
    pub count_for: Duration,
    /// and familiar networks.
    pub familiar_for: Duration,
}

impl Settings {
    /// With defaults for all but the server and the node's name.
    pub fn new(url: &str, node: &str) -> Self {
        Settings {
            url: url.to_owned(),
            password_file: None,
            authority: None,
            node: node.to_owned(),
            name: "fairban".to_owned(),
            version: String::new(),
            trust: Trust::default(),
            takes_values: true,
            stream_max: 20_000,
            journal: None,
            count_for: Duration::from_secs(86_400),
            familiar_for: Duration::from_secs(90 * 86_400),
        }
    }

    /// Whether the URL can be read; nothing is connected to.
    pub fn check(&self) -> Result<(), FleetError> {
        Place::read(&self.url).map(|_| ())
    }
}

//! What can go wrong between a node and the server, by what can be done about it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a node is alone.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The URL cannot be read.
    #[error(
        "'{0}' is not the address of a server: write redis://HOST:PORT, rediss:// for TLS, redis+unix:///PATH, \
         redis+cluster://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/NAME"
    )]
    Url(String),
    /// A file that the settings name cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// User or password are wrong, or there should be some.
    #[error("the server refuses the user or password: {0}; check [fleet] url and password_file")]
    Credentials(String),
    /// The user may not do something.
    #[error("the server's ACL does not let this user do what is needed: {0}; see docs/fleet.md for the rule")]
    Denied(String),
    /// No secure connection.
    #[error(
        "no secure connection to the server: {0}; check [fleet] authority and the name in the server's certificate"
    )]
    Tls(String),
    /// The server takes nothing more.
    #[error("the server is out of memory: {0}; raise maxmemory, or empty it of what is not Fairban's")]
    Memory(String),
    /// A replica, or a server that cannot save.
    #[error("the server takes no writes: {0}")]
    ReadOnly(String),
    /// No answer.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// Something else.
    #[error("the server answered with an error: {0}")]
    Server(String),
}

impl From<RedisError> for FleetError {
    fn from(error: RedisError) -> Self {
        let text = error.to_string();
        let lower = text.to_lowercase();
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => FleetError::Credentials(text),
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) | (_, Some("NOPERM")) => FleetError::Denied(text),
            (ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown), _)
            | (_, Some("MISCONF" | "NOREPLICAS")) => FleetError::ReadOnly(text),
            (_, Some("OOM")) => FleetError::Memory(text),
            _ if lower.contains("oom command not allowed") => FleetError::Memory(text),
            _ if lower.contains("noperm") || lower.contains("no permissions") => FleetError::Denied(text),
            _ if lower.contains("wrongpass") || lower.contains("noauth") => FleetError::Credentials(text),
            _ if lower.contains("certificate") || lower.contains("tls") || lower.contains("handshake") => {
                FleetError::Tls(text)
            }
            (ErrorKind::Io | ErrorKind::ClusterConnectionNotFound | ErrorKind::MasterNameNotFoundBySentinel, _) => {
                FleetError::Unreachable(text)
            }
            _ if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
                FleetError::Unreachable(text)
            }
            _ => FleetError::Server(text),
        }
    }
}

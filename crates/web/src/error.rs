use std::io;
use std::path::PathBuf;

/// Why a web server cannot start. Each says what to change.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; name another address or stop what listens there")]
    Bind {
        /// Where.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate, key or list of authorities is not what it should be.
    #[error("{path}: {wrong}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        wrong: String,
    },
    /// A message catalogue is not what it should be.
    #[error("message catalogue {path}: {wrong}")]
    Catalogue {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        wrong: String,
    },
    /// A setting has a value that cannot work.
    #[error("{key}: {wrong}")]
    Setting {
        /// Which, as in the configuration.
        key: &'static str,
        /// What is wrong with it, and what to write.
        wrong: String,
    },
    /// The system gives no random numbers, without which nobody can be signed in.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

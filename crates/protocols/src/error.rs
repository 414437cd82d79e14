use std::io;

/// Why a server could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// Somebody listens there already.
    #[error("cannot listen on {address}: another program does already; stop it, or name another address")]
    InUse {
        /// Where.
        address: String,
    },
    /// This user may not.
    #[error(
        "cannot listen on {address}: not permitted; take a port from 1024 on, or a folder that this user may write to"
    )]
    NotPermitted {
        /// Where.
        address: String,
    },
    /// Something that is no socket is in the way.
    #[error("cannot listen on {address}: a file that is no socket is there; move it away, or name another path")]
    NotASocket {
        /// Where.
        address: String,
    },
    /// There is no TLS with that certificate.
    #[error(transparent)]
    Certificate(#[from] crate::CertificateError),
    /// Anything else.
    #[error("cannot listen on {address}: {source}; check the address, and that the folder of a socket exists")]
    Bind {
        /// Where.
        address: String,
        /// What the system says.
        source: io::Error,
    },
}

impl ProtocolError {
    pub(crate) fn bind(address: String, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => ProtocolError::InUse { address },
            io::ErrorKind::PermissionDenied => ProtocolError::NotPermitted { address },
            _ => ProtocolError::Bind { address, source },
        }
    }
}

use std::io;

use nix::errno::Errno;

/// Why something could not be put into force, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum EnforceError {
    /// Go on without the kernel (`observe`), and tell the operator.
    #[error("blocking in the kernel needs the capability CAP_NET_ADMIN: run as root, or grant it to the service")]
    Permission,
    /// Go on without the kernel (`observe`), and tell the operator.
    #[error("this kernel cannot block: {0}; it needs nf_tables with the inet family")]
    Unsupported(String),
    /// Call [`reconcile`](crate::Enforcer::reconcile) with everything that is wanted.
    #[error("the kernel's table is not as it was left ({0}): reconcile it")]
    Diverged(String),
    /// Tell the operator: trying the same again will not help.
    #[error("the kernel refused {what}: {source}")]
    Refused {
        /// What was refused, with the address if it was about one.
        what: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Try again later.
    #[error("the kernel did not answer as it should while {0}: try again later")]
    Busy(String),
    /// Tell the operator which value of the configuration to change.
    #[error("{0}")]
    Layout(String),
}

impl EnforceError {
    /// By the error number with which the kernel answered.
    pub(crate) fn new(what: impl Into<String>, errno: Errno) -> Self {
        let what = what.into();
        match errno {
            Errno::EPERM | Errno::EACCES => EnforceError::Permission,
            Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT => {
                EnforceError::Unsupported(format!("{what}: {}", io::Error::from(errno)))
            }
            Errno::ENOBUFS | Errno::ENOMEM | Errno::EAGAIN | Errno::EINTR => EnforceError::Busy(what),
            _ => EnforceError::Refused { what, source: errno.into() },
        }
    }
}

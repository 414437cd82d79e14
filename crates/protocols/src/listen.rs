use std::fmt;
use std::fs::{Permissions, remove_file, rename, set_permissions, symlink_metadata};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::ProtocolError;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A port.
    Tcp(SocketAddr),
    /// A socket in the file system, and its permissions such as `0o660`.
    Unix(PathBuf, u32),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => write!(f, "{address}"),
            Listen::Unix(path, _) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What connections are taken from.
pub(crate) trait Accept: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Answers are written whole; waiting for more would only delay them.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A socket in the file system, which goes away with this.
pub(crate) struct SocketFile {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Accept for SocketFile {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Not that of a successor who took the place.
        if symlink_metadata(&self.path).is_ok_and(|facts| facts.ino() == self.inode) {
            let _ = remove_file(&self.path);
        }
    }
}

pub(crate) async fn tcp(address: SocketAddr) -> Result<TcpListener, ProtocolError> {
    TcpListener::bind(address).await.map_err(|source| ProtocolError::bind(address.to_string(), source))
}

/// Binds under another name and moves the socket into place once its permissions are right, so that at no moment others
/// can connect, and that a socket left by a process that is gone is replaced at once.
pub(crate) fn unix(path: &Path, mode: u32) -> Result<SocketFile, ProtocolError> {
    let address = || format!("unix:{}", path.display());
    if let Ok(facts) = symlink_metadata(path) {
        if !facts.file_type().is_socket() {
            return Err(ProtocolError::NotASocket { address: address() });
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(ProtocolError::InUse { address: address() });
        }
    }
    bind_beside(path, mode).map_err(|source| ProtocolError::bind(address(), source))
}

fn bind_beside(path: &Path, mode: u32) -> io::Result<SocketFile> {
    let mut beside = path.as_os_str().to_owned();
    beside.push("~");
    if symlink_metadata(&beside).is_ok_and(|facts| facts.file_type().is_socket()) {
        remove_file(&beside)?;
    }
    let listener = UnixListener::bind(&beside)?;
    let placed = set_permissions(&beside, Permissions::from_mode(mode)).and_then(|()| rename(&beside, path));
    if let Err(error) = placed {
        let _ = remove_file(&beside);
        return Err(error);
    }
    Ok(SocketFile { listener, path: path.to_owned(), inode: symlink_metadata(path)?.ino() })
}

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};

/// A socket's path, freed when dropped unless another program has taken it.
#[derive(Debug)]
pub(crate) struct SocketPath {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            // Whoever starts next finds it stale otherwise.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a path, after removing a socket of our own that nobody listens on any more.
pub(crate) fn claim<S>(path: PathBuf, bind: impl FnOnce(&Path) -> io::Result<S>) -> io::Result<(S, SocketPath)> {
    remove_stale(&path)?;
    let socket = bind(&path)?;
    // The mail server's user must be able to write; the folder says who may come this far.
    fs::set_permissions(&path, Permissions::from_mode(0o660))?;
    let inode = fs::symlink_metadata(&path)?.ino();
    Ok((socket, SocketPath { path, inode }))
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let in_use = |reason: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, reason.to_owned()));
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !meta.file_type().is_socket() {
        return in_use("something that is not a socket has this name");
    }
    if meta.uid() != nix::unistd::geteuid().as_raw() {
        return in_use("a socket of another user has this name");
    }
    if is_listened_on(path)? {
        return in_use("another program listens there");
    }
    fs::remove_file(path)
}

fn is_listened_on(path: &Path) -> io::Result<bool> {
    // A socket of the other type answers with another error than a dead one.
    let datagram = UnixDatagram::unbound()?.connect(path);
    let stream = UnixStream::connect(path).map(|_| ());
    Ok([datagram, stream].iter().any(|outcome| match outcome {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }))
}

use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, setsockopt, sockopt};

use super::message::{self, Message, Messages};
use crate::EnforceError;

const SOCKET_BYTES: usize = 16 << 20;
const DATAGRAM_BYTES_MAX: usize = 256 << 10;
const INTERRUPTED_DUMPS_MAX: usize = 5;

/// What the one who listens to a reply wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// More.
    GoOn,
    /// Nothing: the reply was complete.
    Done,
}

/// A netlink socket to one subsystem of the kernel. Whatever is sent is answered before `send` returns, so nothing here
/// ever waits: an answer that is not there will not come.
pub(crate) struct Link {
    socket: Socket,
    datagram: Vec<u8>,
}

impl Link {
    /// Opens a socket in the network namespace of the calling thread.
    pub(crate) fn open(protocol: isize, name: &str) -> Result<Self, EnforceError> {
        let failed = |error: std::io::Error| EnforceError::new(format!("opening a socket to {name}"), errno(&error));
        let mut socket = Socket::new(protocol).map_err(failed)?;
        socket.bind_auto().map_err(failed)?;
        // Without the first, each error carries the whole message that it is about; the second tells where in it.
        socket.set_cap_ack(true).map_err(failed)?;
        socket.set_ext_ack(true).map_err(failed)?;
        // Refused without the capability; what needs it will fail with a better message.
        let _ = setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BYTES);
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BYTES);
        Ok(Link { socket, datagram: Vec::with_capacity(DATAGRAM_BYTES_MAX) })
    }

    /// Sends messages that the kernel takes as one, and hands over what it answers until `listen` has enough. Returns
    /// whether it had.
    pub(crate) fn exchange(
        &mut self,
        bytes: &[u8],
        doing: &str,
        mut listen: impl FnMut(&Message<'_>) -> Heard,
    ) -> Result<bool, EnforceError> {
        // What an exchange that broke off has left behind must not answer this one.
        while self.receive(doing)?.is_some() {}
        self.socket
            .send_to(bytes, &SocketAddr::new(0, 0), 0)
            .map_err(|error| EnforceError::new(doing, errno(&error)))?;
        while let Some(datagram) = self.receive(doing)? {
            for message in Messages(datagram) {
                if listen(&message) == Heard::Done {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Asks for everything of a kind. `None`: what was asked about does not exist.
    pub(crate) fn dump<T>(
        &mut self,
        request: &[u8],
        doing: &str,
        mut read: impl FnMut(&Message<'_>) -> Option<T>,
    ) -> Result<Option<Vec<T>>, EnforceError> {
        for _ in 0..INTERRUPTED_DUMPS_MAX {
            let mut found = Vec::new();
            let mut interrupted = false;
            let mut failure = None;
            let complete = self.exchange(request, doing, |message| {
                interrupted |= message.is_interrupted();
                if let Some(answer) = message.answer() {
                    failure = answer.error;
                    return Heard::Done;
                }
                found.extend(read(message));
                Heard::GoOn
            })?;
            match failure {
                Some(Errno::ENOENT) => return Ok(None),
                Some(Errno::EINTR) => continue,
                Some(errno) => return Err(EnforceError::new(doing, errno)),
                None if interrupted => continue,
                None if complete => return Ok(Some(found)),
                None => return Err(EnforceError::Busy(doing.to_owned())),
            }
        }
        Err(EnforceError::Busy(doing.to_owned()))
    }

    fn receive(&mut self, doing: &str) -> Result<Option<&[u8]>, EnforceError> {
        self.datagram.clear();
        let flags = (MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC).bits();
        loop {
            match self.socket.recv(&mut self.datagram, flags) {
                Ok(len) if len > self.datagram.len() => return Err(EnforceError::Busy(doing.to_owned())),
                Ok(_) => return Ok(Some(&self.datagram)),
                Err(error) => match errno(&error) {
                    Errno::EAGAIN => return Ok(None),
                    Errno::EINTR => {}
                    errno => return Err(EnforceError::new(doing, errno)),
                },
            }
        }
    }
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// A request for everything of a kind, for [`Link::dump`].
pub(crate) fn dump_request(kind: u16, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    message::put(&mut bytes, kind, message::DUMP, 1, fill);
    bytes
}

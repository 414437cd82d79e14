use std::io;

use tokio::net::{UdpSocket, UnixDatagram};
use tracing::warn;

use super::frame::clean;
use crate::Tuning;
use crate::batch::Gathered;
use crate::outlet::Outlet;

/// A socket of either kind.
pub(crate) trait Datagrams {
    /// Waits until there may be something.
    async fn readable(&self) -> io::Result<()>;
    /// Takes one datagram, if there is one.
    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Datagrams for UdpSocket {
    async fn readable(&self) -> io::Result<()> {
        UdpSocket::readable(self).await
    }

    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_recv_from(buffer).map(|(count, _)| count)
    }
}

impl Datagrams for UnixDatagram {
    async fn readable(&self) -> io::Result<()> {
        UnixDatagram::readable(self).await
    }

    fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        UnixDatagram::try_recv(self, buffer)
    }
}

/// Receives until told to stop. While the receiver of the batches is not ready, nothing is read: UDP senders lose, unix
/// senders wait.
pub(crate) async fn run(socket: &impl Datagrams, mut outlet: Outlet, tuning: &Tuning) {
    // One byte more shows that a datagram was longer.
    let mut buffer = vec![0; tuning.syslog_bytes_max + 1];
    let mut is_warned = false;
    loop {
        if outlet.unless_stopped(socket.readable()).await.is_err() {
            return;
        }
        let Ok(room) = outlet.room().await else { return };
        let mut gathered = Gathered::default();
        while gathered.ends.len() < tuning.batch_lines_max && gathered.bytes.len() < tuning.batch_bytes_max {
            match socket.try_recv(&mut buffer) {
                Ok(count) => take(&buffer[..count], &mut gathered, &outlet, tuning),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Such as a report about something sent from this socket, which never sends.
                Err(error) if !is_warned => {
                    is_warned = true;
                    warn!(source = %outlet.source, %error, "cannot receive");
                }
                Err(_) => break,
            }
        }
        if !gathered.is_empty() {
            outlet.deliver(room, gathered, None, None);
        }
    }
}

fn take(datagram: &[u8], gathered: &mut Gathered, outlet: &Outlet, tuning: &Tuning) {
    let mut message = datagram[..datagram.len().min(tuning.syslog_bytes_max)].to_vec();
    if message.len() < datagram.len() {
        outlet.health.cut(1, (datagram.len() - message.len()) as u64);
    }
    if clean(&mut message) {
        gathered.push(&message, &[]);
    }
}

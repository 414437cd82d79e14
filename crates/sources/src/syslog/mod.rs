//! A syslog receiver: UDP, TCP and unix sockets.

mod datagram;
mod frame;
mod socket;
mod stream;

use tokio::net::{TcpListener, UdpSocket, UnixDatagram, UnixListener};

use crate::outlet::Outlet;
use crate::{Listen, SourceError, State, Tuning};

pub(crate) async fn run(listen: Listen, outlet: Outlet, tuning: Tuning) -> Result<(), SourceError> {
    let name = listen.to_string();
    let failed = |error| SourceError::listen(name.clone(), error);
    match listen {
        Listen::Udp(address) => {
            let socket = UdpSocket::bind(address).await.map_err(failed)?;
            outlet.health.set_state(State::Reading);
            datagram::run(&socket, outlet, &tuning).await;
        }
        Listen::Tcp(address) => {
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            outlet.health.set_state(State::Reading);
            stream::run(&listener, outlet, &tuning).await;
        }
        Listen::Unix(path) => {
            let (socket, _path) = socket::claim(path, |path| UnixDatagram::bind(path)).map_err(failed)?;
            outlet.health.set_state(State::Reading);
            datagram::run(&socket, outlet, &tuning).await;
        }
        Listen::UnixStream(path) => {
            let (listener, _path) = socket::claim(path, |path| UnixListener::bind(path)).map_err(failed)?;
            outlet.health.set_state(State::Reading);
            stream::run(&listener, outlet, &tuning).await;
        }
    }
    Ok(())
}

//! Clients with TLS: OpenSSL's, which knows how each protocol of mail begins it.

use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::net::{Net, SERVER_V4, SERVER_V6};

/// Everything that a client is answered, from the first line to the end of the connection, when it has said this.
/// `starttls`: the protocol in which TLS begins; `None`: the connection begins with it.
pub(crate) fn exchange(net: &Net, from: &str, port: u16, starttls: Option<&str>, says: &str) -> Result<String> {
    let from: IpAddr = from.parse().with_context(|| format!("'{from}' is not an address"))?;
    let (here, there) = match from {
        IpAddr::V4(from) => (format!("{from}:0"), format!("{SERVER_V4}:{port}")),
        IpAddr::V6(from) => (format!("[{from}]:0"), format!("[{SERVER_V6}]:{port}")),
    };
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-crlf", "-bind", &here, "-connect", &there]);
    command.args(starttls.into_iter().flat_map(|protocol| ["-starttls", protocol]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let output = net.on_clients(|| {
        let mut child = command.spawn().context("cannot start openssl")?;
        // Who is hung up on before it has said everything has been told what there is.
        let _ = child.stdin.take().context("no standard input")?.write_all(says.as_bytes());
        Ok(child.wait_with_output()?)
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

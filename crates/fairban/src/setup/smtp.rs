//! A short SMTP session that sends nothing: up to the first recipient, then `RSET` and `QUIT` (RFC 5321).

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Servers may greet late on purpose.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest reply that is read.
const REPLY_BYTES_MAX: u64 = 64 * 1024;

/// Names a recipient to the server, and returns the last reply.
pub(super) fn name_recipient(server: SocketAddr, recipient: &str) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let name = match stream.local_addr()?.ip() {
        std::net::IpAddr::V4(address) => format!("[{address}]"),
        std::net::IpAddr::V6(address) => format!("[IPv6:{address}]"),
    };
    let mut session = BufReader::new(stream);
    let mut last = reply(&mut session)?;
    for line in [format!("EHLO {name}"), "MAIL FROM:<>".to_owned(), format!("RCPT TO:<{recipient}>")] {
        if !last.starts_with('2') {
            break;
        }
        last = say(&mut session, &line)?;
    }
    // Whatever the server makes of it, nothing is sent.
    let _ = say(&mut session, "RSET").and_then(|_| say(&mut session, "QUIT"));
    Ok(last)
}

fn say(session: &mut BufReader<TcpStream>, line: &str) -> io::Result<String> {
    session.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
    reply(session)
}

/// A reply, through all of its lines; the last one.
fn reply(session: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut limited = session.by_ref().take(REPLY_BYTES_MAX);
    loop {
        let mut line = String::new();
        if limited.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server has closed the connection"));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(line.trim_end().to_owned());
        }
    }
}

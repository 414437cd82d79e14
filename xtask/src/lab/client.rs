//! Mail clients with an address of their own, just able enough to sign in and to send.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;

use super::net::Net;

/// How long an unanswered connection attempt counts as dropped. The kernel answers at once or never.
const DROPPED_AFTER: Duration = Duration::from_millis(1000);
/// How long a server that has accepted the connection may think.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a client can do that may count against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// Sign in by IMAP, port 143.
    Imap,
    /// Sign in by POP3, port 110.
    Pop3,
    /// Sign in by SMTP, port 587.
    Submission,
    /// Try to send to another domain through port 25.
    Relay,
    /// Try to send to someone here through port 25.
    Recipient,
}

/// How the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The sign-in or the recipient was accepted.
    Yes(String),
    /// It was refused.
    No(String),
    /// The server did not answer, or cut the connection.
    Silence,
}

impl Answer {
    /// Whether the server accepted.
    pub(crate) fn is_yes(&self) -> bool {
        matches!(self, Answer::Yes(_))
    }

    /// Whether the server refused in words.
    pub(crate) fn is_no(&self) -> bool {
        matches!(self, Answer::No(_))
    }
}

/// What a client has to say: for a sign-in the account and the password, for a mail the recipient.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    /// Where.
    pub way: Way,
    /// The account, or the recipient.
    pub name: String,
    /// The password; without meaning for a mail.
    pub password: String,
}

/// Makes one try from the address, on a connection of its own.
pub(crate) fn attempt(net: &Net, from: IpAddr, what: &Try) -> Result<Answer> {
    match converse(net, from, what) {
        Ok(answer) => Ok(answer),
        Err(error) if was_cut(&error) => Ok(Answer::Silence),
        Err(error) => Err(error),
    }
}

/// Everything that a client without TLS is answered, from the first line to the end of the connection, when it has said
/// this.
pub(crate) fn exchange(net: &Net, from: &str, port: u16, says: &str) -> Result<String> {
    let mut talk = Talk::open(net, from.parse()?, port)?;
    talk.stream.get_mut().write_all(says.as_bytes())?;
    let mut heard = String::new();
    talk.stream.read_to_string(&mut heard)?;
    Ok(heard)
}

/// Whether the kernel leaves a connection to the port unanswered.
pub(crate) fn is_dropped(net: &Net, from: IpAddr, port: u16) -> Result<bool> {
    match net.connect(from, port, DROPPED_AFTER)? {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(true),
        Err(error) => Err(error).with_context(|| format!("{from} to port {port}: neither answered nor dropped")),
    }
}

/// A client that has connected to IMAP and waits.
pub(crate) struct Idle(Talk);

impl Idle {
    /// Connects.
    pub(crate) fn open(net: &Net, from: IpAddr) -> Result<Idle> {
        let mut talk = Talk::open(net, from, 143)?;
        ensure!(talk.line()?.starts_with("* OK"), "no IMAP greeting");
        Ok(Idle(talk))
    }

    /// Whether the server still answers on this connection.
    pub(crate) fn is_answered(&mut self) -> Result<bool> {
        self.0.stream.get_ref().set_read_timeout(Some(DROPPED_AFTER))?;
        match self.0.say("a NOOP").and_then(|()| self.0.until("a ")) {
            Ok(_) => Ok(true),
            Err(error) if was_cut(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn was_cut(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(
        kind,
        Some(
            ErrorKind::TimedOut
                | ErrorKind::WouldBlock
                | ErrorKind::ConnectionReset
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof
        )
    )
}

fn converse(net: &Net, from: IpAddr, what: &Try) -> Result<Answer> {
    let (name, password) = (&what.name, &what.password);
    match what.way {
        Way::Imap => {
            let mut talk = Talk::open(net, from, 143)?;
            ensure!(talk.line()?.starts_with("* OK"), "no IMAP greeting");
            talk.say(&format!("a LOGIN {} {}", quoted(name), quoted(password)))?;
            let reply = talk.until("a ")?;
            let answer = if reply.starts_with("a OK") { Answer::Yes(reply) } else { Answer::No(reply) };
            talk.leave("b LOGOUT");
            Ok(answer)
        }
        Way::Pop3 => {
            let mut talk = Talk::open(net, from, 110)?;
            ensure!(talk.line()?.starts_with("+OK"), "no POP3 greeting");
            talk.say(&format!("USER {name}"))?;
            ensure!(talk.line()?.starts_with("+OK"), "USER was refused");
            talk.say(&format!("PASS {password}"))?;
            let reply = talk.line()?;
            let answer = if reply.starts_with("+OK") { Answer::Yes(reply) } else { Answer::No(reply) };
            talk.leave("QUIT");
            Ok(answer)
        }
        Way::Submission => {
            let mut talk = Talk::hello(net, from, 587)?;
            let secret = base64(format!("\0{name}\0{password}").as_bytes());
            let answer = talk.command(&format!("AUTH PLAIN {secret}"))?;
            talk.leave("QUIT");
            Ok(answer)
        }
        Way::Relay | Way::Recipient => {
            let mut talk = Talk::hello(net, from, 25)?;
            let Answer::Yes(_) = talk.command("MAIL FROM:<someone@sender.test>")? else { bail!("MAIL was refused") };
            let answer = talk.command(&format!("RCPT TO:<{name}>"))?;
            talk.leave("QUIT");
            Ok(answer)
        }
    }
}

/// A conversation in lines.
#[derive(Debug)]
pub(super) struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    /// Connects.
    pub(super) fn open(net: &Net, from: IpAddr, port: u16) -> Result<Talk> {
        let stream = net.connect(from, port, DROPPED_AFTER * 3)??;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Talk { stream: BufReader::new(stream) })
    }

    fn hello(net: &Net, from: IpAddr, port: u16) -> Result<Talk> {
        let mut talk = Talk::open(net, from, port)?;
        ensure!(talk.reply()?.is_yes(), "no SMTP greeting");
        ensure!(talk.command("EHLO client.example.net")?.is_yes(), "EHLO was refused");
        Ok(talk)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The next line that begins so.
    fn until(&mut self, start: &str) -> Result<String> {
        loop {
            let line = self.line()?;
            if line.starts_with(start) {
                return Ok(line);
            }
        }
    }

    /// Sends a line.
    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        Ok(self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?)
    }

    /// The lines of an SMTP reply.
    pub(super) fn reply_lines(&mut self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let is_last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if is_last {
                return Ok(lines);
            }
        }
    }

    fn reply(&mut self) -> Result<Answer> {
        let line = self.reply_lines()?.pop().unwrap_or_default();
        Ok(if line.starts_with(['2', '3']) { Answer::Yes(line) } else { Answer::No(line) })
    }

    fn command(&mut self, line: &str) -> Result<Answer> {
        self.say(line)?;
        self.reply()
    }

    /// Takes leave; a client that was blocked meanwhile gets no answer, and wants none.
    fn leave(mut self, farewell: &str) {
        let _ = self.say(farewell);
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Bytes as RFC 4648 writes them.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(group >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { letter as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_as_in_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}

//! As much of IMAP as a sign-in takes. The server is not trusted to be brief, correct or fast.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::portal::password::{Checked, Password};

/// A server's line is no longer than this, and
const LINE_MAX: usize = 8192;
/// it says no more lines than this before its answer.
const LINES_MAX: usize = 64;

/// Why nothing can be said about the password. For the log; no text here comes from the person.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the mail server closed the connection")]
    Closed,
    #[error("the mail server does not speak IMAP as expected: {0}")]
    Protocol(&'static str),
    #[error("the mail server is not available: {0}")]
    Said(String),
}

/// A conversation with the server.
pub(super) struct Talk<S> {
    stream: S,
    read: Vec<u8>,
    lines: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    pub(super) fn new(stream: S) -> Self {
        Talk { stream, read: Vec::new(), lines: 0 }
    }

    /// The server's first words: it must be ready, and must not have signed us in by itself.
    pub(super) async fn greeting(&mut self) -> Result<(), Wrong> {
        let line = self.line().await?;
        let rest = line.strip_prefix("* ").ok_or(Wrong::Protocol("its greeting is none"))?;
        match word(rest).as_str() {
            "OK" => Ok(()),
            "BYE" => Err(Wrong::Said(shown(rest))),
            _ => Err(Wrong::Protocol("its greeting is neither OK nor BYE")),
        }
    }

    /// Asks for TLS, and gives the connection back for it.
    pub(super) async fn start_tls(mut self) -> Result<S, Wrong> {
        self.send(b"a STARTTLS\r\n").await?;
        let answer = self.answer("a ").await?;
        if word(&answer) != "OK" {
            return Err(Wrong::Protocol("it does not offer STARTTLS"));
        }
        // What came with the answer came unprotected, and must not be taken for what is said after.
        if self.read.is_empty() { Ok(self.stream) } else { Err(Wrong::Protocol("it said more before TLS began")) }
    }

    /// Signs in and out.
    pub(super) async fn sign_in(&mut self, account: &str, password: &Password) -> Result<Checked, Wrong> {
        let password = password.reveal();
        // As large as it can get: growing would leave copies behind.
        let mut command = Zeroizing::new(Vec::with_capacity(2 * (account.len() + password.len()) + 64));
        command.extend_from_slice(b"b LOGIN ");
        for (text, end) in [(account, " "), (password, "\r\n")] {
            if is_quotable(text) {
                quote(text, &mut command);
            } else {
                // A literal, which the server must agree to first (RFC 9051, 4.3).
                command.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
                self.send(&command).await?;
                command.clear();
                if let Some(answer) = self.answer_or_more("b ").await? {
                    return match judged(&answer)? {
                        Checked::Right => Err(Wrong::Protocol("it signs in without a password")),
                        checked => Ok(checked),
                    };
                }
                command.extend_from_slice(text.as_bytes());
            }
            command.extend_from_slice(end.as_bytes());
        }
        self.send(&command).await?;
        let checked = judged(&self.answer("b ").await?)?;
        // The answer is known; whether the server hears of our leaving is not worth waiting for.
        let _ = self.send(b"c LOGOUT\r\n").await;
        Ok(checked)
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Wrong> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The answer to the command of that tag, without it.
    async fn answer(&mut self, tag: &str) -> Result<String, Wrong> {
        match self.answer_or_more(tag).await? {
            Some(answer) => Ok(answer),
            None => Err(Wrong::Protocol("it wants more of a command that was whole")),
        }
    }

    /// The answer, or `None`: the server wants the rest of the command.
    async fn answer_or_more(&mut self, tag: &str) -> Result<Option<String>, Wrong> {
        loop {
            let line = self.line().await?;
            if let Some(answer) = line.strip_prefix(tag) {
                return Ok(Some(answer.to_owned()));
            }
            if line == "+" || line.starts_with("+ ") {
                return Ok(None);
            }
            let said = line.strip_prefix("* ").ok_or(Wrong::Protocol("it answered something else"))?;
            if word(said) == "BYE" {
                return Err(Wrong::Said(shown(said)));
            }
        }
    }

    async fn line(&mut self) -> Result<String, Wrong> {
        self.lines += 1;
        if self.lines > LINES_MAX {
            return Err(Wrong::Protocol("it says more and more without an answer"));
        }
        let mut searched = 0;
        loop {
            if let Some(end) = self.read[searched..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=searched + end).collect();
                let line = line.trim_ascii_end();
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            searched = self.read.len();
            if searched > LINE_MAX {
                return Err(Wrong::Protocol("its line is too long"));
            }
            let mut some = [0; 1024];
            match self.stream.read(&mut some).await? {
                0 => return Err(Wrong::Closed),
                n => self.read.extend_from_slice(&some[..n]),
            }
        }
    }
}

fn is_quotable(text: &str) -> bool {
    text.len() < 256 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn quote(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            into.push(b'\\');
        }
        into.push(byte);
    }
    into.push(b'"');
}

fn word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_ascii_uppercase()
}

/// The server's words for the log.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// What the answer to LOGIN means. A NO may also mean that the server cannot tell now (RFC 9051, 7.1), or that Fairban
/// itself refuses by an alert; then the password was not judged.
fn judged(answer: &str) -> Result<Checked, Wrong> {
    let code = answer.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(code, _)| code).unwrap_or("");
    match (word(answer).as_str(), word(code).as_str()) {
        ("OK", _) => Ok(Checked::Right),
        ("NO", "" | "AUTHENTICATIONFAILED" | "AUTHORIZATIONFAILED" | "EXPIRED") => Ok(Checked::Wrong),
        ("NO" | "BAD", _) => Err(Wrong::Said(shown(answer))),
        _ => Err(Wrong::Protocol("its answer is neither OK, NO nor BAD")),
    }
}

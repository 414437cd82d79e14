//! An SMTP session step by step, with the server's own words.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};

use super::client::{Talk, base64};
use super::net::Net;

/// The HELO name of a client that has nothing special about it.
pub(crate) const HELO: &str = "client.example.net";

/// A connected client that has said EHLO.
#[derive(Debug)]
pub(crate) struct Session {
    talk: Talk,
    hello: String,
}

/// Whether a reply is a yes.
pub(crate) fn is_yes(reply: &str) -> bool {
    reply.starts_with(['2', '3'])
}

impl Session {
    /// Connects and says EHLO; both must be answered with yes.
    pub(crate) fn open(net: &Net, from: &str, port: u16, helo: &str) -> Result<Session> {
        let from: IpAddr = from.parse().with_context(|| format!("'{from}' is not an address"))?;
        let mut session = Session { talk: Talk::open(net, from, port)?, hello: String::new() };
        let greeting = session.reply()?;
        ensure!(is_yes(&greeting), "port {port} greets with {greeting}");
        let hello = session.command(&format!("EHLO {helo}"))?;
        ensure!(is_yes(&hello), "EHLO {helo} on port {port} is answered with {hello}");
        session.hello = hello;
        Ok(session)
    }

    /// The whole reply to EHLO.
    pub(crate) fn hello(&self) -> &str {
        &self.hello
    }

    fn reply(&mut self) -> Result<String> {
        Ok(self.talk.reply_lines()?.join("\n"))
    }

    /// Says a line, and returns the whole reply.
    pub(crate) fn command(&mut self, line: &str) -> Result<String> {
        self.talk.say(line)?;
        self.reply()
    }

    /// Signs in, or tries to.
    pub(crate) fn sign_in(&mut self, account: &str, password: &str) -> Result<String> {
        let secret = base64(format!("\0{account}\0{password}").as_bytes());
        self.command(&format!("AUTH PLAIN {secret}"))
    }

    /// Begins a message with this return-path, written without angle brackets; that alone is never refused.
    pub(crate) fn mail(&mut self, return_path: &str) -> Result<()> {
        let reply = self.command(&format!("MAIL FROM:<{return_path}>"))?;
        ensure!(is_yes(&reply), "return-path <{return_path}> is answered with {reply}");
        Ok(())
    }

    /// Names a recipient.
    pub(crate) fn recipient(&mut self, recipient: &str) -> Result<String> {
        self.command(&format!("RCPT TO:<{recipient}>"))
    }

    /// Sends the message itself: its header, and little else.
    pub(crate) fn message(&mut self, header: &str) -> Result<String> {
        let reply = self.command("DATA")?;
        if !is_yes(&reply) {
            return Ok(reply);
        }
        self.command(&format!("{header}\r\n\r\nText.\r\n."))
    }

    /// Forgets the message that was begun.
    pub(crate) fn reset(&mut self) -> Result<()> {
        let reply = self.command("RSET")?;
        ensure!(is_yes(&reply), "RSET is answered with {reply}");
        Ok(())
    }
}

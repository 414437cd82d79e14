use std::sync::Arc;

use fairban_types::Service;

use super::line::{Heard, Line};
use super::port::Port;
use super::{imap, pop3, sieve, smtp};

/// Why somebody is refused, once in each language.
pub type Reason = Vec<String>;

/// What is to be done when the answer has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for more.
    Listen,
    /// Begin TLS, then [`Dialogue::secured`].
    StartTls,
    /// Close the connection.
    End,
}

/// What a protocol makes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It was answered.
    Answered,
    /// The reason was told, and may be told again: programs try one way to sign in after the other, and show what came
    /// last.
    Told,
    /// The reason was told, and that was all.
    ToldAll,
    StartTls,
    /// The client wants to go.
    Goodbye,
}

/// So many commands are answered, and then no more.
const COMMANDS_MAX: u32 = 32;
/// So often the reason is told.
const TOLD_MAX: u32 = 4;

/// Both ends of what is being said.
pub(super) struct Talk<'a> {
    pub(super) service: Service,
    /// The name by which SMTP greets.
    pub(super) name: &'a str,
    /// Whether STARTTLS may come.
    pub(super) offers_tls: bool,
    pub(super) why: &'a dyn Fn() -> Reason,
    pub(super) out: &'a mut Vec<u8>,
}

impl Talk<'_> {
    /// Says a line.
    pub(super) fn say(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// One connection, without its input and output: what is said to what is heard. Of what is heard nothing is kept but the
/// beginning of the present line, up to its command; so no account and no password is ever known here, and the answer
/// cannot depend on them. The answers to one connection are bounded, whatever it sends.
#[derive(Debug)]
pub struct Dialogue {
    service: Service,
    name: Arc<str>,
    line: Line,
    is_secret: bool,
    has_certificate: bool,
    commands: u32,
    told: u32,
    is_over: bool,
}

impl Dialogue {
    /// At a port, by a server of that name. With a certificate, TLS is offered; where the port begins with it, it has
    /// begun.
    pub fn new(port: Port, name: Arc<str>, has_certificate: bool) -> Self {
        let words = if port.service == Service::Imap { 2 } else { 1 };
        Dialogue {
            service: port.service,
            name,
            line: Line::new(words),
            is_secret: port.is_tls,
            has_certificate,
            commands: 0,
            told: 0,
            is_over: false,
        }
    }

    /// Whether the client was told why.
    pub fn has_told(&self) -> bool {
        self.told > 0
    }

    /// What is said before anything is heard.
    pub fn greet(&mut self, why: &dyn Fn() -> Reason, out: &mut Vec<u8>) -> Next {
        let turn = match self.service {
            Service::Imap => imap::greet(&mut self.talk(why, out)),
            Service::Pop3 => pop3::greet(&mut self.talk(why, out)),
            Service::Sieve => sieve::greet(&mut self.talk(why, out)),
            _ => smtp::greet(&mut self.talk(why, out)),
        };
        self.next(turn)
    }

    /// What is said when TLS has begun in the middle of a connection.
    pub fn secured(&mut self, why: &dyn Fn() -> Reason, out: &mut Vec<u8>) -> Next {
        self.is_secret = true;
        // Only ManageSieve says anything then (RFC 5804, 2.2).
        if self.service == Service::Sieve {
            let turn = sieve::greet(&mut self.talk(why, out));
            return self.next(turn);
        }
        Next::Listen
    }

    /// What is said to bytes. After anything but [`Next::Listen`], what else was heard has no meaning.
    pub fn hear(&mut self, mut input: &[u8], why: &dyn Fn() -> Reason, out: &mut Vec<u8>) -> Next {
        while !self.is_over {
            let Some(heard) = self.line.take(&mut input) else { return Next::Listen };
            self.commands += 1;
            let has_had_enough = self.commands > COMMANDS_MAX;
            let turn = if has_had_enough { self.farewell(why, out) } else { self.answer(&heard, why, out) };
            match self.next(turn) {
                Next::Listen => {}
                // Whatever came with the command came from somebody in between, or from a client that cannot wait.
                Next::StartTls if !input.is_empty() => self.is_over = true,
                next => return next,
            }
        }
        Next::End
    }

    fn answer(&mut self, heard: &Heard, why: &dyn Fn() -> Reason, out: &mut Vec<u8>) -> Turn {
        let is_last = self.told + 1 >= TOLD_MAX;
        let talk = &mut self.talk(why, out);
        let turn = match talk.service {
            Service::Imap => imap::answer(heard, talk),
            Service::Pop3 => pop3::answer(heard, talk),
            Service::Sieve => sieve::answer(heard, talk),
            _ => smtp::answer(heard, talk),
        };
        if turn == Turn::Told && is_last { Turn::ToldAll } else { turn }
    }

    fn farewell(&mut self, why: &dyn Fn() -> Reason, out: &mut Vec<u8>) -> Turn {
        let talk = &mut self.talk(why, out);
        match talk.service {
            Service::Imap => imap::farewell(talk),
            Service::Pop3 => pop3::farewell(talk),
            Service::Sieve => sieve::farewell(talk),
            _ => smtp::farewell(talk),
        }
        Turn::ToldAll
    }

    fn talk<'a>(&'a self, why: &'a dyn Fn() -> Reason, out: &'a mut Vec<u8>) -> Talk<'a> {
        let offers_tls = self.has_certificate && !self.is_secret;
        Talk { service: self.service, name: &self.name, offers_tls, why, out }
    }

    fn next(&mut self, turn: Turn) -> Next {
        self.told += u32::from(matches!(turn, Turn::Told | Turn::ToldAll));
        match turn {
            Turn::Answered | Turn::Told => Next::Listen,
            Turn::StartTls => Next::StartTls,
            Turn::ToldAll | Turn::Goodbye => {
                self.is_over = true;
                Next::End
            }
        }
    }

    /// Whether a line has begun.
    #[cfg(test)]
    pub(super) fn is_between_lines(&self) -> bool {
        self.line.is_empty()
    }
}

/// The texts one after the other, as far as they fit whole; the first is cut if it must be.
pub(super) fn one_line(texts: &[String], len_max: usize) -> String {
    const BETWEEN: &str = " / ";
    let mut line = String::new();
    for text in texts {
        if line.is_empty() {
            line.push_str(&text[..text.floor_char_boundary(len_max)]);
        } else if line.len() + BETWEEN.len() + text.len() <= len_max {
            line.push_str(BETWEEN);
            line.push_str(text);
        }
    }
    line
}

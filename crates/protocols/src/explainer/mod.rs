//! Responders that tell blocked clients why, inside their own mail program: SMTP, submission, IMAP, POP3, ManageSieve.
//!
//! The firewall redirects connections of blocked clients to mail ports to one port of ours; to which port a client was
//! on its way says which protocol it speaks. Each speaks just enough for a program to get as far as it must to show a
//! text to its person.
//!
//! **No oracle, no relay, no amplifier.** Accounts and passwords are never read: of a line nothing is kept but its
//! command, so that no answer can depend on them. A sign-in is refused at its first word, before a password is asked
//! for; a program that sends it along is not listened to. No command leads anywhere but to an answer of fixed length, of
//! which each connection gets some dozens at most. Everything else that a client can make grow is bounded by
//! [`ExplainerLimits`].

mod certificate;
mod connection;
mod dialogue;
mod imap;
mod line;
mod pace;
mod pop3;
mod port;
mod reception;
mod sieve;
mod smtp;
#[cfg(test)]
mod transcripts;

use std::sync::Arc;
use std::time::Duration;

use self::certificate::Certificate;
use self::connection::Office;
use self::reception::{Listeners, Reception};
use crate::server::Shared;
use crate::{Judge, Language, Limits, ProtocolError, Running, Wording};

pub use certificate::{CertificateError, CertificateFiles};
pub use dialogue::{Dialogue, Next, Reason};
pub use port::Port;

/// What the explainer is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explainer {
    /// The port to which blocked clients are redirected; it is listened to on every address. 0 takes any that is free.
    pub port: u16,
    /// The name by which SMTP greets; that of the mail server.
    pub name: String,
    /// For the ports that begin with TLS and for STARTTLS; without one, the first are closed and the second is not
    /// offered. New files are taken within a minute.
    pub certificate: Option<CertificateFiles>,
    /// What clients are told; its own text, if it has one, is taken to be in the first language.
    pub message: Wording,
    /// In which languages, the most important first; none is English.
    pub languages: Vec<Language>,
    /// What clients may take.
    pub limits: ExplainerLimits,
}

impl Explainer {
    /// In Fairban's own words, in English, without TLS.
    pub fn new(port: u16, name: &str) -> Self {
        Explainer {
            port,
            name: name.to_owned(),
            certificate: None,
            message: Wording::default(),
            languages: vec![Language::default()],
            limits: ExplainerLimits::default(),
        }
    }
}

/// What clients of the explainer may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainerLimits {
    /// The most connections at once; the oldest makes room for a new one. Each takes some tens of KiB at most.
    pub connections_max: usize,
    /// The most connections at once of one address (of one /64 in IPv6); more are closed without a word.
    pub per_address_max: usize,
    /// The most new connections a second, of everybody; more are closed without a word. What TLS costs is paid for each.
    pub per_second_max: u32,
    /// How long a connection may last.
    pub time: Duration,
    /// How long a client may be silent.
    pub idle_time: Duration,
    /// How long a client that was told everything has until it is hung up on.
    pub closing_time: Duration,
}

impl Default for ExplainerLimits {
    fn default() -> Self {
        ExplainerLimits {
            connections_max: 512,
            per_address_max: 20,
            per_second_max: 200,
            time: Duration::from_secs(60),
            idle_time: Duration::from_secs(20),
            closing_time: Duration::from_secs(2),
        }
    }
}

/// Starts the explainer on the present runtime.
///
/// # Errors
/// The port cannot be had, or the certificate cannot be used.
pub async fn explainer(mut settings: Explainer, judge: Arc<dyn Judge>) -> Result<Running, ProtocolError> {
    let certificate = settings.certificate.clone().map(Certificate::load).transpose()?.map(Arc::new);
    let listeners = Listeners::bind(settings.port)?;
    settings.languages = known_once(&settings.languages);
    let name = greeting_name(&settings.name);
    let address = listeners.local_addr();
    let shared = Shared::new("explainer", Limits::default());
    let tally = shared.tally.clone();
    let office = Office { settings, name, certificate, judge, shared };
    let task = tokio::spawn(Reception::new(Arc::new(office)).run(listeners));
    Ok(Running::of(task, tally, address))
}

fn known_once(languages: &[Language]) -> Vec<Language> {
    let mut once: Vec<Language> = Vec::new();
    for language in languages {
        if !once.contains(language) {
            once.push(*language);
        }
    }
    if once.is_empty() { vec![Language::default()] } else { once }
}

/// A name as SMTP takes it.
fn greeting_name(name: &str) -> Arc<str> {
    let is_good = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
    let name: String = name.chars().filter(is_good).take(64).collect();
    if name.is_empty() { "localhost".into() } else { name.into() }
}

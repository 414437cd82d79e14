use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{EventKind, Time};

/// The service of a mail server that a client spoke to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Service {
    /// Mail from other servers, port 25.
    Smtp,
    /// Mail from users' programs, ports 587 and 465.
    Submission,
    /// IMAP, ports 143 and 993.
    Imap,
    /// POP3, ports 110 and 995.
    Pop3,
    /// ManageSieve, port 4190.
    Sieve,
    /// LMTP.
    Lmtp,
    /// Webmail or another web page that signs in to mail.
    Webmail,
    /// Not told by the source.
    Unknown,
}

impl Service {
    /// Every service, in the order of declaration.
    pub const ALL: &'static [Service] = &[
        Service::Smtp,
        Service::Submission,
        Service::Imap,
        Service::Pop3,
        Service::Sieve,
        Service::Lmtp,
        Service::Webmail,
        Service::Unknown,
    ];

    /// The service's name, such as `imap`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Service::Smtp => "smtp",
            Service::Submission => "submission",
            Service::Imap => "imap",
            Service::Pop3 => "pop3",
            Service::Sieve => "sieve",
            Service::Lmtp => "lmtp",
            Service::Webmail => "webmail",
            Service::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|service| service.as_str() == text)
            .ok_or_else(|| format!("'{}' is not a service", text.chars().take(40).collect::<String>()))
    }
}

/// A set of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceSet(u16);

impl ServiceSet {
    /// Every service.
    pub const ALL: ServiceSet = ServiceSet(u16::MAX);

    /// Whether the service is in the set.
    pub const fn contains(self, service: Service) -> bool {
        self.0 & (1 << service as u16) != 0
    }
}

impl FromIterator<Service> for ServiceSet {
    fn from_iter<I: IntoIterator<Item = Service>>(services: I) -> Self {
        ServiceSet(services.into_iter().fold(0, |bits, service| bits | 1 << service as u16))
    }
}

/// Which part of a mail server tells of a sign-in. One sign-in is often told by two or three; the engine counts it once.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness<'a> {
    /// The process that the client spoke to (`imap-login`, `smtpd`, Exim): tells at the end of a session.
    #[default]
    Frontend,
    /// The process that checked the password (Dovecot's `auth`), with the name of its database driver: tells each try.
    Backend(Cow<'a, str>),
    /// A live report (Dovecot's auth policy): tells each try.
    Report,
}

/// One thing that a client did, good or bad. All text is as the client or server gave it: untrusted, of bounded length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event<'a> {
    /// What was done.
    pub kind: EventKind,
    /// When, by the source's own clock.
    pub time: Time,
    /// By whom.
    pub client: IpAddr,
    /// On which service.
    pub service: Service,
    /// How many times: a line may speak of several tries at once. At least 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// Who tells it.
    #[serde(default, skip_serializing_if = "is_frontend")]
    pub witness: Witness<'a>,
    /// The account, as typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Cow<'a, str>>,
    /// A digest of the password that was given, in hexadecimal: equal digests of one account are equal passwords.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Cow<'a, str>>,
    /// The source's name of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Cow<'a, str>>,
    /// The HELO or EHLO name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helo: Option<Cow<'a, str>>,
    /// The return-path, without angle brackets; empty is the null return-path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_path: Option<Cow<'a, str>>,
    /// The recipient, without angle brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Cow<'a, str>>,
    /// The client program or device, as far as it told (IMAP ID).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Cow<'a, str>>,
    /// The SASL or login method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// The server's own words for the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
}

fn one() -> u32 {
    1
}

// serde's skip_serializing_if passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_one(count: &u32) -> bool {
    *count == 1
}

fn is_frontend(witness: &Witness<'_>) -> bool {
    *witness == Witness::Frontend
}

fn owned(text: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
    text.map(|text| Cow::Owned(text.into_owned()))
}

impl<'a> Event<'a> {
    /// An event that tells only who did what, when and where.
    #[inline]
    pub fn new(kind: EventKind, time: Time, client: IpAddr, service: Service) -> Self {
        Event {
            kind,
            time,
            client,
            service,
            count: 1,
            witness: Witness::Frontend,
            account: None,
            digest: None,
            session: None,
            helo: None,
            return_path: None,
            recipient: None,
            program: None,
            method: None,
            reason: None,
        }
    }

    /// The same with an account.
    #[must_use]
    pub fn account(mut self, account: impl Into<Cow<'a, str>>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// The same with a password digest.
    #[must_use]
    pub fn digest(mut self, digest: impl Into<Cow<'a, str>>) -> Self {
        self.digest = Some(digest.into());
        self
    }

    /// The same with a recipient.
    #[must_use]
    pub fn recipient(mut self, recipient: impl Into<Cow<'a, str>>) -> Self {
        self.recipient = Some(recipient.into());
        self
    }

    /// The same, free of the line that it was read from.
    pub fn into_owned(self) -> Event<'static> {
        Event {
            kind: self.kind,
            time: self.time,
            client: self.client,
            service: self.service,
            count: self.count,
            witness: match self.witness {
                Witness::Frontend => Witness::Frontend,
                Witness::Backend(driver) => Witness::Backend(Cow::Owned(driver.into_owned())),
                Witness::Report => Witness::Report,
            },
            account: owned(self.account),
            digest: owned(self.digest),
            session: owned(self.session),
            helo: owned(self.helo),
            return_path: owned(self.return_path),
            recipient: owned(self.recipient),
            program: owned(self.program),
            method: owned(self.method),
            reason: owned(self.reason),
        }
    }
}

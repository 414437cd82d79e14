//! Mail to the account's owner and to the administrator, by the operator's own relay.
//!
//! Telling never waits and never fails: a notice that cannot be sent is logged, and one too many is left out. Nothing of
//! a notice is chosen by an attacker but the account's name and address, which are checked as a mail address is.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fairban_types::{Code, Time};
use jiff::tz::TimeZone;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::bucket::{Buckets, Rate};
use crate::portal::MailSecurity;
use crate::{Clock, Languages, WebError, Words};

/// Notices wait in a queue this long; more are left out.
const QUEUE_MAX: usize = 64;

/// A relay that takes longer is given up on.
const RELAY_TIME: Duration = Duration::from_secs(20);

/// The operator's relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected. Plain is for a relay on this machine or a trusted network.
    pub security: MailSecurity,
    /// A PEM file of the authority that signed its certificate; `None`: those of the system.
    pub authority: Option<PathBuf>,
    /// User, and a file with the password.
    pub sign_in: Option<(String, PathBuf)>,
}

/// What is told to whom.
#[derive(Clone, Debug)]
pub struct NoticeSettings {
    /// Who sends.
    pub relay: Relay,
    /// The sender's address.
    pub from: String,
    /// Who administrates, if they want to be told.
    pub administrator: Option<String>,
    /// Whether owners are told.
    pub to_owner: bool,
    /// How many notices about one account.
    pub per_account: Rate,
    /// How many in all.
    pub in_all: Rate,
}

impl NoticeSettings {
    /// Three a day about one account, sixty at once and one a minute in all.
    pub const PER_ACCOUNT: Rate = Rate { burst: 3, every: Duration::from_secs(8 * 3600) };
    /// See [`NoticeSettings::PER_ACCOUNT`].
    pub const IN_ALL: Rate = Rate { burst: 60, every: Duration::from_secs(60) };
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The owner lifted a block.
    Released,
    /// Somebody else seems to use the account.
    Stolen,
}

/// A notice to be sent.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What happened.
    pub happened: Happened,
    /// To which account: a mail address, or there is nobody to write to.
    pub account: String,
    /// From which address.
    pub address: String,
    /// By which block.
    pub code: Code,
    /// Why, in words of the reader's language.
    pub reason: String,
    /// When.
    pub time: Time,
    /// The owner's language (a tag); `None`: the default one.
    pub language: Option<String>,
}

/// Marks mail that no person wrote, so that no holiday notice answers it (RFC 3834, 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

struct Limiter {
    accounts: Buckets<String>,
    all: Buckets<()>,
}

/// Sends notices in the background. It ends when this is dropped.
pub struct Notices {
    from: Mailbox,
    administrator: Option<Mailbox>,
    to_owner: bool,
    languages: Languages,
    zone: TimeZone,
    clock: Clock,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    limiter: Mutex<Limiter>,
    queue: mpsc::Sender<Message>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notices(from {})", self.from)
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Notices {
    /// Makes ready to send; connects to nothing yet.
    ///
    /// # Errors
    /// An address that is none, a file that cannot be read.
    pub fn start(
        settings: &NoticeSettings,
        languages: Languages,
        zone: TimeZone,
        clock: Clock,
    ) -> Result<Arc<Self>, WebError> {
        let mailbox = |key, text: &str| {
            text.parse::<Mailbox>().map_err(|_| WebError::Setting {
                key,
                wrong: "write a mail address, such as Fairban <postmaster@example.test>".into(),
            })
        };
        let from = mailbox("notices.from", &settings.from)?;
        let administrator = match &settings.administrator {
            Some(text) => Some(mailbox("notices.administrator", text)?),
            None => None,
        };
        let transport = transport(&settings.relay)?;
        let (queue, mut waiting) = mpsc::channel::<Message>(QUEUE_MAX);
        let relay = transport.clone();
        let task = tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                if let Err(error) = relay.send(message).await {
                    tracing::warn!(%error, "a notice could not be sent");
                }
            }
        });
        let limiter =
            Limiter { accounts: Buckets::new(settings.per_account, 10_000), all: Buckets::new(settings.in_all, 1) };
        Ok(Arc::new(Notices {
            from,
            administrator,
            to_owner: settings.to_owner,
            languages,
            zone,
            clock,
            transport,
            limiter: Mutex::new(limiter),
            queue,
            task,
        }))
    }

    /// Tells whoever wants to know. `false`: there were too many, and this one is left out.
    pub fn tell(&self, notice: &Notice) -> bool {
        let now = self.clock.now();
        {
            let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = limiter.accounts.take(&notice.account, now).is_ok() && limiter.all.take(&(), now).is_ok();
            if !taken {
                tracing::info!(code = %notice.code, "a notice was left out: there were too many");
                return false;
            }
        }
        let default = self.languages.accepted("");
        let theirs =
            notice.language.as_deref().and_then(|tag| self.languages.get(tag)).unwrap_or_else(|| default.clone());
        let key = match notice.happened {
            Happened::Released => "notice.released",
            Happened::Stolen => "notice.stolen",
        };
        if self.to_owner
            && let Ok(owner) = notice.account.parse().map(|address| Mailbox::new(None, address))
        {
            self.queue(owner, &theirs, key, notice);
        }
        if let Some(administrator) = &self.administrator {
            let key = if notice.happened == Happened::Released { "notice.administrator" } else { key };
            self.queue(administrator.clone(), &default, key, notice);
        }
        true
    }

    /// Sends one mail of plain text, and waits until the relay has it.
    ///
    /// # Errors
    /// Why the relay has it not, in words for the operator.
    pub async fn mail(&self, to: &str, subject: &str, text: String) -> Result<(), String> {
        let to = to.parse::<Mailbox>().map_err(|_| format!("'{to}' is no mail address"))?;
        let subject: String = subject.chars().filter(|letter| !letter.is_control()).collect();
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|error| error.to_string())?;
        self.transport.send(message).await.map(drop).map_err(|error| error.to_string())
    }

    fn queue(&self, to: Mailbox, words: &Words, key: &str, notice: &Notice) {
        // A name goes into the subject: what could begin another line does not.
        let account: String = notice.account.chars().filter(|letter| !letter.is_control()).collect();
        let values = [
            ("account", account.as_str()),
            ("address", &notice.address),
            ("code", &notice.code.to_string()),
            ("reason", &notice.reason),
            ("time", &words.moment(notice.time, &self.zone)),
        ];
        let made = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(words.fill(&format!("{key}.subject"), &values))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(words.fill(&format!("{key}.text"), &values));
        match made {
            Ok(message) => {
                if self.queue.try_send(message).is_err() {
                    tracing::warn!(code = %notice.code, "a notice was left out: the relay is too slow");
                }
            }
            Err(error) => tracing::warn!(%error, "a notice could not be written"),
        }
    }
}

fn transport(relay: &Relay) -> Result<AsyncSmtpTransport<Tokio1Executor>, WebError> {
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&relay.host)
        .port(relay.port)
        .timeout(Some(RELAY_TIME))
        .tls(match relay.security {
            MailSecurity::Plain => Tls::None,
            MailSecurity::StartTls => Tls::Required(parameters(relay)?),
            MailSecurity::Tls => Tls::Wrapper(parameters(relay)?),
        });
    if let Some((user, file)) = &relay.sign_in {
        let password = std::fs::read_to_string(file).map_err(|source| WebError::File { path: file.clone(), source })?;
        builder = builder.credentials(Credentials::new(user.clone(), password.trim_end().to_owned()));
    }
    Ok(builder.build())
}

fn parameters(relay: &Relay) -> Result<TlsParameters, WebError> {
    let mut builder = TlsParameters::builder(relay.host.clone());
    if let Some(path) = &relay.authority {
        let wrong =
            |error: lettre::transport::smtp::Error| WebError::Pem { path: path.clone(), wrong: error.to_string() };
        let pem = std::fs::read(path).map_err(|source| WebError::File { path: path.clone(), source })?;
        builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(wrong)?);
    }
    builder
        .build()
        .map_err(|error| WebError::Setting { key: "notices.relay", wrong: format!("TLS cannot be set up: {error}") })
}

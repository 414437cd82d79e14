//! Checking a password by signing in to the mail server by IMAP (RFC 9051, 6.2.3), and leaving again.

mod wire;

use std::future::Future;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::password::{CheckPassword, Checked, Password};
use crate::{WebError, tls};
use wire::{Talk, Wrong};

/// A check takes no longer than this. Servers delay the answer to a wrong password, Dovecot by 2 s and, for one that
/// keeps coming, by up to 17 s.
const CHECK_TIME: Duration = Duration::from_secs(20);

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MailSecurity {
    /// TLS from the first byte, usually port 993.
    #[default]
    Tls,
    /// TLS after `STARTTLS`, usually port 143. A server that does not offer it gets no password.
    StartTls,
    /// None. Only for a server on this machine, named by its loopback address.
    Plain,
}

/// The mail server that checks passwords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// The name that its certificate must have, if that is not `host`.
    pub name: Option<String>,
    /// A PEM file of the authorities that may have signed its certificate; `None`: those of the system.
    pub authorities: Option<PathBuf>,
}

/// Checks passwords by IMAP.
pub struct ImapCheck {
    server: MailServer,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl ImapCheck {
    /// Reads what the settings name; connects to nothing.
    ///
    /// # Errors
    /// A plain connection to another machine, a name that no certificate can have, authorities that cannot be read.
    pub fn new(server: &MailServer) -> Result<Self, WebError> {
        let tls = match server.security {
            MailSecurity::Plain => {
                if !server.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
                    return Err(WebError::Setting {
                        key: "portal.imap",
                        wrong: "passwords go unprotected to 127.0.0.1 or ::1 only; use TLS or STARTTLS".into(),
                    });
                }
                None
            }
            MailSecurity::Tls | MailSecurity::StartTls => {
                let name = server.name.as_ref().unwrap_or(&server.host).clone();
                let name = ServerName::try_from(name).map_err(|_| WebError::Setting {
                    key: "portal.imap",
                    wrong: "the name is none that a certificate can have".into(),
                })?;
                let config: Arc<ClientConfig> = tls::client(server.authorities.as_deref())?;
                Some((TlsConnector::from(config), name))
            }
        };
        Ok(ImapCheck { server: server.clone(), tls })
    }

    async fn talk(&self, account: &str, password: &Password) -> Result<Checked, Wrong> {
        let stream = TcpStream::connect((self.server.host.as_str(), self.server.port)).await?;
        stream.set_nodelay(true)?;
        match (&self.tls, self.server.security) {
            (Some((connector, name)), MailSecurity::StartTls) => {
                let mut plain = Talk::new(stream);
                plain.greeting().await?;
                let stream = plain.start_tls().await?;
                let stream = connector.connect(name.clone(), stream).await?;
                Talk::new(stream).sign_in(account, password).await
            }
            (Some((connector, name)), _) => {
                let mut talk = Talk::new(connector.connect(name.clone(), stream).await?);
                talk.greeting().await?;
                talk.sign_in(account, password).await
            }
            (None, _) => {
                let mut talk = Talk::new(stream);
                talk.greeting().await?;
                talk.sign_in(account, password).await
            }
        }
    }
}

impl CheckPassword for ImapCheck {
    fn check<'a>(
        &'a self,
        account: &'a str,
        password: &'a Password,
    ) -> Pin<Box<dyn Future<Output = Checked> + Send + 'a>> {
        Box::pin(async move {
            match tokio::time::timeout(CHECK_TIME, self.talk(account, password)).await {
                Ok(Ok(checked)) => checked,
                Ok(Err(wrong)) => Checked::Unavailable(wrong.to_string()),
                Err(_) => Checked::Unavailable(format!("no answer within {} s", CHECK_TIME.as_secs())),
            }
        })
    }
}

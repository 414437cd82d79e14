//! Telling a program elsewhere by HTTP, signed as Standard Webhooks (standardwebhooks.com) has it, so that it can know who
//! tells it, and when.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fairban_types::Time;
use ring::hmac;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{WebError, tls};

/// Of an answer only its first line matters.
const ANSWER_MAX: usize = 8192;
const KEY_MARK: &str = "whsec_";

/// Somewhere that is told.
pub struct Webhook {
    host: String,
    port: u16,
    /// As the header `Host` has it.
    authority: String,
    /// Path and query.
    target: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    key: Option<hmac::Key>,
}

/// Why something was not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// It may be tried again.
    #[error("{0}")]
    ForNow(String),
    /// It will never be taken: this address is gone, or refuses what it is sent.
    #[error("{0}")]
    ForGood(String),
}

fn setting(wrong: impl Into<String>) -> WebError {
    WebError::Setting { key: "notify.webhook", wrong: wrong.into() }
}

/// Scheme, host, port (if there is one), authority, and the rest.
fn parts(url: &str) -> Option<(bool, String, Option<u16>, String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let is_secure = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if authority.contains('@') {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, after)) => (host, after.strip_prefix(':')),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = port.map(|port| port.parse::<u16>()).transpose().ok()?;
    let target = target.split('#').next().unwrap_or_default();
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    (!host.is_empty()).then(|| (is_secure, host.to_owned(), port, authority.to_owned(), target))
}

fn key(path: &Path) -> Result<hmac::Key, WebError> {
    let wrong = || WebError::Setting {
        key: "notify.secret_file",
        wrong: format!("{}: write {KEY_MARK} and 24 to 64 bytes in base 64", path.display()),
    };
    let text = std::fs::read_to_string(path).map_err(|source| WebError::File { path: path.to_owned(), source })?;
    let text = zeroize::Zeroizing::new(text);
    let encoded = text.trim().strip_prefix(KEY_MARK).ok_or_else(wrong)?;
    let bytes = zeroize::Zeroizing::new(STANDARD.decode(encoded).map_err(|_| wrong())?);
    if (24..=64).contains(&bytes.len()) { Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes)) } else { Err(wrong()) }
}

impl Webhook {
    /// Reads what the settings name; connects to nothing.
    ///
    /// # Errors
    /// An address that is none, a key or authorities that cannot be read.
    pub fn new(url: &str, secret_file: Option<&Path>, authorities: Option<&Path>) -> Result<Self, WebError> {
        let (is_secure, host, port, authority, target) =
            parts(url).ok_or_else(|| setting("write an address such as https://hooks.example.test/fairban"))?;
        let tls = if is_secure {
            let name = ServerName::try_from(host.clone());
            let name = name.map_err(|_| setting("the name is none that a certificate can have"))?;
            Some((TlsConnector::from(tls::client(authorities)?), name))
        } else {
            None
        };
        let port = port.unwrap_or(if is_secure { 443 } else { 80 });
        Ok(Webhook { host, port, authority, target, tls, key: secret_file.map(key).transpose()? })
    }

    /// Tells it once, within a time. The same id again is the same message told again.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn tell(&self, id: &str, now: Time, body: &str, limit: Duration) -> Result<(), Undelivered> {
        let request = self.request(id, now, body);
        match tokio::time::timeout(limit, self.exchange(request.as_bytes())).await {
            Err(_) => Err(Undelivered::ForNow(format!("no answer within {} s", limit.as_secs()))),
            Ok(Err(error)) => Err(Undelivered::ForNow(error.to_string())),
            Ok(Ok(answer)) => judge(&answer),
        }
    }

    fn request(&self, id: &str, now: Time, body: &str) -> String {
        let secs = now.secs();
        let signature = self.key.as_ref().map_or_else(String::new, |key| {
            let tag = hmac::sign(key, format!("{id}.{secs}.{body}").as_bytes());
            format!("webhook-signature: v1,{}\r\n", STANDARD.encode(tag))
        });
        format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\nuser-agent: fairban/{}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nwebhook-id: {id}\r\nwebhook-timestamp: {secs}\r\n{signature}connection: close\r\n\r\n{body}",
            self.target,
            self.authority,
            env!("CARGO_PKG_VERSION"),
            body.len(),
        )
    }

    async fn exchange(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some((connector, name)) => ask(connector.connect(name.clone(), stream).await?, request).await,
            None => ask(stream, request).await,
        }
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while answer.len() < ANSWER_MAX && !answer.contains(&b'\n') {
        match stream.read(&mut piece).await? {
            0 => break,
            length => answer.extend_from_slice(&piece[..length]),
        }
    }
    Ok(answer)
}

/// 2xx: taken. 410: gone, as Standard Webhooks has it; other 4xx but those that pass will not be taken later either.
fn judge(answer: &[u8]) -> Result<(), Undelivered> {
    let line = String::from_utf8_lossy(answer.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    let status =
        line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)).and_then(|word| word.parse().ok());
    let said = || format!("it answered {}", line.chars().filter(|c| !c.is_control()).take(80).collect::<String>());
    match status {
        Some(200..=299) => Ok(()),
        Some(408 | 409 | 425 | 429) => Err(Undelivered::ForNow(said())),
        Some(400..=499) => Err(Undelivered::ForGood(said())),
        Some(_) => Err(Undelivered::ForNow(said())),
        None => Err(Undelivered::ForNow("it does not speak HTTP".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (url, told) in [
            ("https://a.test/x?y=1#z", Some((true, "a.test", None, "a.test", "/x?y=1"))),
            ("http://127.0.0.1:8080", Some((false, "127.0.0.1", Some(8080), "127.0.0.1:8080", "/"))),
            ("http://[::1]:81/a", Some((false, "::1", Some(81), "[::1]:81", "/a"))),
            ("https://a.test?q", Some((true, "a.test", None, "a.test", "/?q"))),
            ("ftp://a.test/", None),
            ("https://user@a.test/", None),
            ("https:///x", None),
            ("https://a.test:99999/", None),
        ] {
            let told = told.map(|(secure, host, port, authority, target)| {
                (secure, host.to_owned(), port, authority.to_owned(), target.to_owned())
            });
            assert_eq!(parts(url), told, "{url}");
        }
    }

    /// The example of the specification (standardwebhooks.com, "Signature scheme").
    #[test]
    fn signs_as_the_specification_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let hook = Webhook::new("http://127.0.0.1/in", Some(&path), None).unwrap();
        let request =
            hook.request("msg_p5jXN8AQM9LWM0D4loKWxJek", Time::from_secs(1_614_265_330), r#"{"test": 2432232314}"#);
        assert!(
            request.contains("webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n"),
            "{request}"
        );
        std::fs::write(&path, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert!(Webhook::new("http://127.0.0.1/in", Some(&path), None).is_err());
    }

    #[test]
    fn answers_say_whether_to_try_again() {
        for (answer, told) in [
            ("HTTP/1.1 204 No Content\r\n", Some(true)),
            ("HTTP/1.1 410 Gone\r\n", None),
            ("HTTP/1.1 404 Not Found\r\n", None),
            ("HTTP/1.1 429 Too Many Requests\r\n", Some(false)),
            ("HTTP/1.0 503 x\r\n", Some(false)),
            ("HTTP/1.1 302 Found\r\n", Some(false)),
            ("SSH-2.0-x\r\n", Some(false)),
            ("", Some(false)),
        ] {
            let judged = judge(answer.as_bytes());
            assert_eq!(judged.is_ok(), told == Some(true), "{answer}");
            assert_eq!(matches!(judged, Err(Undelivered::ForGood(_))), told.is_none(), "{answer}");
        }
    }
}

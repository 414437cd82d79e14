//! One connection's input and output.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use fairban_types::{Effect, Refused, SignIn, Time, Verdict};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::certificate::Certificate;
use super::dialogue::{Dialogue, Next, Reason};
use super::port::Port;
use super::{Explainer, ExplainerLimits};
use crate::counters::count;
use crate::server::Shared;
use crate::{Judge, Wording};

/// How much is read at once.
const READ_LEN: usize = 1024;
/// How much is listened to.
const INPUT_LEN_MAX: usize = 32 * 1024;

/// What all connections share.
pub(super) struct Office {
    pub(super) settings: Explainer,
    pub(super) name: Arc<str>,
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) judge: Arc<dyn Judge>,
    pub(super) shared: Arc<Shared>,
}

impl Office {
    fn limits(&self) -> &ExplainerLimits {
        &self.settings.limits
    }

    /// Why this client is refused, as of now. The account is not asked about: all of them hear the same.
    fn reason(&self, client: IpAddr, port: Port) -> Reason {
        let question = SignIn { client, account: None, service: port.service };
        let refused = match self.judge.may_sign_in(&question) {
            Verdict::Refuse(refused) => Some(refused),
            Verdict::Allow => None,
        };
        let Explainer { message, languages, .. } = &self.settings;
        // The operator's own words are in the first language.
        let others = Wording { text: None, portal: message.portal.clone() };
        let wordings = std::iter::once(message).chain(std::iter::repeat(&others));
        languages.iter().zip(wordings).map(|(language, wording)| text(*language, wording, refused.as_ref())).collect()
    }

    /// Talks to a client that was on its way to that port, for a limited time.
    pub(super) async fn receive<S>(&self, stream: S, client: IpAddr, port: Port)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        self.shared.tally.request(Time::from(SystemTime::now()));
        let mut dialogue = Dialogue::new(port, self.name.clone(), self.certificate.is_some());
        // Who hangs up early is not owed an answer.
        let ended = timeout(self.limits().time, self.converse(stream, &mut dialogue, client, port)).await;
        if ended.is_err() {
            count(&self.shared.tally.limited);
        }
        if dialogue.has_told() {
            count(&self.shared.tally.refused);
        }
    }

    async fn converse<S>(&self, mut stream: S, dialogue: &mut Dialogue, client: IpAddr, port: Port) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let why = || self.reason(client, port);
        let mut out = Vec::new();
        if port.is_tls {
            let Some(certificate) = &self.certificate else { return Ok(()) };
            let mut stream = TlsAcceptor::from(certificate.config()).accept(stream).await?;
            let next = dialogue.greet(&why, &mut out);
            self.talk(&mut stream, dialogue, &why, next, out).await?;
            return self.hang_up(stream).await;
        }
        let next = dialogue.greet(&why, &mut out);
        let next = self.talk(&mut stream, dialogue, &why, next, out).await?;
        let (Next::StartTls, Some(certificate)) = (next, &self.certificate) else {
            return self.hang_up(stream).await;
        };
        let mut stream = TlsAcceptor::from(certificate.config()).accept(stream).await?;
        let mut out = Vec::new();
        let next = dialogue.secured(&why, &mut out);
        self.talk(&mut stream, dialogue, &why, next, out).await?;
        self.hang_up(stream).await
    }

    /// Says what there is to say, and goes on until something else than listening comes next.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        dialogue: &mut Dialogue,
        why: &(dyn Fn() -> Reason + Sync),
        mut next: Next,
        mut out: Vec<u8>,
    ) -> io::Result<Next> {
        let mut buffer = [0; READ_LEN];
        let mut heard = 0;
        loop {
            if !out.is_empty() {
                stream.write_all(&out).await?;
                stream.flush().await?;
                out.clear();
            }
            if next != Next::Listen {
                return Ok(next);
            }
            let Ok(read) = timeout(self.limits().idle_time, stream.read(&mut buffer)).await else {
                count(&self.shared.tally.limited);
                return Ok(Next::End);
            };
            let read = read?;
            heard += read;
            if read == 0 || heard > INPUT_LEN_MAX {
                return Ok(Next::End);
            }
            next = dialogue.hear(&buffer[..read], why, &mut out);
        }
    }

    /// Closes so that the last answer arrives: bytes that nobody read would have the system take back what was sent. They
    /// are not looked at.
    async fn hang_up<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> io::Result<()> {
        stream.shutdown().await?;
        let mut left = INPUT_LEN_MAX;
        let mut buffer = [0; READ_LEN];
        let drained = async {
            while left > 0 {
                match stream.read(&mut buffer).await {
                    Ok(read) if read > 0 => left = left.saturating_sub(read),
                    Ok(_) | Err(_) => break,
                }
            }
        };
        // Who keeps the line is hung up on.
        let _ = timeout(self.limits().closing_time, drained).await;
        Ok(())
    }
}

fn text(language: crate::Language, wording: &Wording, refused: Option<&Refused>) -> String {
    match refused {
        Some(refused) if refused.effect == Effect::Soft => language.later().to_owned(),
        Some(refused) => wording.render_in(language, refused),
        None => language.over().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fairban_types::{Code, Diagnosis, Event, Mailing, SubjectKind};
    use tokio::io::duplex;

    use super::*;
    use crate::{Language, Limits};

    /// Refuses everybody, or nobody.
    struct Judges(bool);

    impl Judge for Judges {
        fn may_sign_in(&self, question: &SignIn<'_>) -> Verdict {
            assert_eq!(question.account, None);
            if !self.0 {
                return Verdict::Allow;
            }
            Verdict::Refuse(Refused {
                code: Code::new(0x12_3456_789a),
                until: None,
                effect: Effect::Explain,
                diagnosis: Diagnosis::PasswordGuessing,
                subject: SubjectKind::Address,
            })
        }

        fn may_send(&self, _: &Mailing<'_>) -> Verdict {
            panic!("nobody sends here")
        }

        fn hear(&self, _: Event<'static>) -> bool {
            panic!("nothing is reported from here")
        }
    }

    fn office(refuses: bool, languages: &[Language]) -> Office {
        let short = Duration::from_millis(50);
        let limits = ExplainerLimits { idle_time: short, closing_time: short, ..ExplainerLimits::default() };
        let settings = Explainer { languages: languages.to_vec(), limits, ..Explainer::new(0, "mail.example.test") };
        let shared = Shared::new("explainer", Limits::default());
        Office {
            settings,
            name: "mail.example.test".into(),
            certificate: None,
            judge: Arc::new(Judges(refuses)),
            shared,
        }
    }

    /// Everything that is said to a client that sends this again and again until nobody listens, or once.
    async fn said(office: &Office, port: u16, sent: &[u8], again: bool) -> String {
        let (here, mut there) = duplex(4096);
        let client = async {
            let mut heard = Vec::new();
            let (mut from, mut to) = tokio::io::split(&mut there);
            let sending = async {
                while to.write_all(sent).await.is_ok() && again {}
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = sending => {}
                _ = from.read_to_end(&mut heard) => {}
            }
            String::from_utf8(heard).unwrap()
        };
        let server = office.receive(here, "192.0.2.7".parse().unwrap(), Port::of(port).unwrap());
        tokio::join!(server, client).1
    }

    #[tokio::test]
    async fn the_reason_is_that_of_the_judge() {
        let office = office(true, &[Language::English, Language::German]);
        let text = said(&office, 110, b"USER alice\r\n", false).await;
        assert_eq!(
            text,
            "+OK Ready\r\n-ERR [SYS/TEMP] Your connection has been blocked (too many wrong passwords; reference 28T5-CY4T) \
             / Ihre Verbindung ist gesperrt (zu viele falsche Passwoerter; Kennung 28T5-CY4T)\r\n"
        );
        assert_eq!(office.shared.tally.read().refused, 1);
    }

    #[tokio::test]
    async fn who_is_blocked_no_more_is_told_to_try_again() {
        let text = said(&office(false, &[Language::English]), 143, b"a LOGIN alice secret\r\n", false).await;
        assert!(text.contains("a NO [ALERT] The block has ended - Try again now\r\n"), "{text}");
    }

    #[tokio::test]
    async fn endless_and_silent_clients_come_to_an_end() {
        let office = office(true, &[Language::English]);
        for (port, sent, again) in [
            (143, &b"x"[..], true),
            (143, b"a NOOP\r\n", true),
            (143, b"a LOGIN b c\r\n", true),
            (587, b"\r\n", true),
            (110, b"CAPA\r\n", true),
            (4190, b"CAPABILITY\r\n", true),
            (143, b"", false),
            (143, b"a LOGIN alice sec", false),
            (993, b"", false),
            (465, b"x", true),
        ] {
            let text = said(&office, port, sent, again).await;
            assert!(text.len() < 8 * 1024, "{port}");
        }
        assert!(office.shared.tally.read().limited >= 2);
    }

    #[tokio::test]
    async fn without_a_certificate_tls_is_not_there() {
        let office = office(true, &[Language::English]);
        assert_eq!(said(&office, 993, b"", false).await, "");
        assert!(!said(&office, 587, b"EHLO x\r\n", false).await.contains("STARTTLS"));
    }
}

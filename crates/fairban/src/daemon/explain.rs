//! The explainer in the daemon: on a thread of its own, so that TLS with the blocked keeps nobody else waiting.

use std::sync::Arc;
use std::sync::mpsc;

use anyhow::Context as _;
use fairban_config::Config;
use fairban_enforce::{EnforceError, Explain, Felt, Layout, Nftables};
use fairban_engine::Engine;
use fairban_protocols::{
    CertificateFiles, Counters, Explainer, Judge, Language, ProtocolError, Running, Wording, explainer,
};
use fairban_types::{Decision, Event, Mailing, Origin, SignIn, Verdict};
use tokio::sync::oneshot;

use super::judge::SharedEngine;
use super::{machine, now};
use crate::control::ExplainerStatus;

/// How a block in the kernel is felt where there is an explainer: who was blocked by hand knows why, and who is blocked
/// for good is not told for years.
pub(super) fn felt(decision: &Decision) -> Felt {
    match decision.origin {
        Origin::Rule(_) if decision.until.is_some() => Felt::Explain,
        Origin::Rule(_) | Origin::Manual(_) => Felt::Drop,
    }
}

/// The explainer, if there is one.
pub(super) struct Explaining {
    at_work: Option<AtWork>,
    port: u16,
    per_minute: u32,
    /// Why there is none, although one is wanted.
    problem: Option<String>,
}

struct AtWork {
    running: Running,
    /// Its thread ends when this is gone.
    _end: oneshot::Sender<()>,
}

impl Explaining {
    /// Starts it, if it is wanted and blocks are put into the kernel, from where alone it is reached. Without it blocked
    /// clients are dropped, so it is no error if it cannot start.
    pub(super) fn start(config: &Config, engine: &SharedEngine, is_enforced: bool) -> Self {
        let (port, per_minute) = (config.explain.port, config.explain.connections_per_minute);
        let mut explaining = Explaining { at_work: None, port, per_minute, problem: None };
        if !config.explain.enabled || !is_enforced {
            return explaining;
        }
        match spawn(settings(config), Arc::new(Reasons(engine.clone()))) {
            Ok(at_work) => {
                tracing::info!(port, "blocked clients are told why");
                explaining.at_work = Some(at_work);
            }
            Err(error) => explaining.give_up(&format!("{error:#}")),
        }
        explaining
    }

    /// Opens the way to the kernel: with redirects to the explainer, and without them where this kernel has none.
    pub(super) fn open(&mut self, layout: Layout) -> Result<Nftables, EnforceError> {
        if self.at_work.is_none() {
            return Nftables::open(layout);
        }
        let explain = Explain { port: self.port, per_minute: self.per_minute };
        let opened = open_explaining(layout.clone(), explain);
        let Err(error) = opened else { return opened };
        self.give_up(&error.to_string());
        Nftables::open(layout)
    }

    fn give_up(&mut self, why: &str) {
        let problem = format!("blocked clients are dropped and not told why ([explain]): {why}");
        tracing::warn!("{problem}");
        self.problem = Some(problem);
        self.at_work = None;
    }

    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    pub(super) fn status(&self) -> Option<ExplainerStatus> {
        let at_work = self.at_work.as_ref()?;
        let Counters { connections, requests, refused, malformed, limited, last_request, .. } =
            at_work.running.counters();
        Some(ExplainerStatus {
            port: self.port,
            connections,
            came: requests,
            told: refused,
            strays: malformed,
            limited,
            last: last_request,
        })
    }

    /// Ends it.
    pub(super) async fn stop(&mut self) {
        if let Some(at_work) = self.at_work.take() {
            at_work.running.stop().await;
        }
    }
}

/// The same layout with redirects. A table that is there already is left alone until it is reconciled, so whether this
/// kernel has what redirects take is tried with a table of another name.
pub(crate) fn open_explaining(layout: Layout, explain: Explain) -> Result<Nftables, EnforceError> {
    use fairban_enforce::Enforcer as _;
    let layout = Layout { explain: Some(explain), ..layout };
    let mut trial = Nftables::open(Layout { table: format!("{}_trial", layout.table), ..layout.clone() })?;
    trial.flush()?;
    Nftables::open(layout)
}

/// The operator's certificate, if one is named.
pub(crate) fn certificate(config: &Config) -> Option<CertificateFiles> {
    let explain = &config.explain;
    let (chain, key) = explain.certificate.clone().zip(explain.key.clone())?;
    Some(CertificateFiles { chain, key })
}

fn settings(config: &Config) -> Explainer {
    let name = config.explain.name.clone().unwrap_or_else(machine::name);
    Explainer {
        certificate: certificate(config),
        message: Wording { text: Some(config.messages.blocked.clone()), portal: config.messages.portal.clone() },
        languages: config.explain.languages.iter().filter_map(|tag| Language::of(tag)).collect(),
        ..Explainer::new(config.explain.port, &name)
    }
}

fn spawn(settings: Explainer, judge: Arc<dyn Judge>) -> anyhow::Result<AtWork> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, ended) = oneshot::channel::<()>();
    let (tell, told) = mpsc::sync_channel::<Result<Running, ProtocolError>>(1);
    std::thread::Builder::new().name("explainer".to_owned()).spawn(move || {
        runtime.block_on(async {
            if tell.send(explainer(settings, judge).await).is_ok() {
                // Nothing is ever sent: the other end goes.
                let _ = ended.await;
            }
        });
    })?;
    let running = told.recv().context("the explainer ended at once")??;
    Ok(AtWork { running, _end: end })
}

/// Answers the explainer. Who comes there is blocked by the kernel; why, the engine knows.
struct Reasons(SharedEngine);

impl Judge for Reasons {
    fn may_sign_in(&self, question: &SignIn<'_>) -> Verdict {
        let engine: &Engine = &self.0.look();
        engine.verdict(now(), question)
    }

    fn may_send(&self, _: &Mailing<'_>) -> Verdict {
        Verdict::Allow
    }

    fn hear(&self, _: Event<'static>) -> bool {
        true
    }
}

#[cfg(test)]
// Clippy knows tests by their attribute, and not what they share.
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::net::IpAddr;

    use fairban_types::{Action, EventKind, Service, Subject};

    use super::*;

    fn engine(mail_servers_ask: bool) -> Engine {
        let mut policy = Config::builtin().policy;
        policy.mail_servers_ask = mail_servers_ask;
        Engine::new(policy)
    }

    /// So many different wrong passwords.
    fn guess(engine: &mut Engine, client: IpAddr) -> Decision {
        let mut decisions = Vec::new();
        for number in 0..5 {
            let event = Event::new(EventKind::LoginFailed, now(), client, Service::Imap).account("alice");
            let event = event.digest(format!("guess-{number}"));
            engine.step(now(), &event, &mut decisions);
        }
        decisions.into_iter().find(|decision| decision.action == Action::Block).unwrap()
    }

    #[test]
    fn whom_the_kernel_sends_here_is_told_the_reason_of_its_block() {
        for mail_servers_ask in [false, true] {
            for client in ["192.0.2.7", "2001:db8::7"] {
                let client: IpAddr = client.parse().unwrap();
                let engine = SharedEngine::new(engine(mail_servers_ask));
                let reasons = Reasons(engine.clone());
                let question = SignIn { client, account: None, service: Service::Imap };
                assert_eq!(reasons.may_sign_in(&question), Verdict::Allow);
                let decision = guess(&mut engine.change(), client);
                assert!(decision.in_kernel, "{decision:?}");
                assert_eq!(felt(&decision), Felt::Explain);
                let Verdict::Refuse(refused) = reasons.may_sign_in(&question) else { panic!("{client} is let in") };
                assert_eq!((refused.code, refused.until), (decision.code, decision.until));
                engine.change().unblock(now(), &decision.subject, "test", "", &mut Vec::new());
                assert_eq!(reasons.may_sign_in(&question), Verdict::Allow);
            }
        }
    }

    #[test]
    fn blocks_by_hand_and_for_good_are_dropped() {
        let mut engine = engine(false);
        let mut decisions = Vec::new();
        let subject = Subject::Network("192.0.2.9/32".parse().unwrap());
        let until = now().after(std::time::Duration::from_secs(60));
        engine.block(now(), subject, Some(until), "test", "", &mut decisions).unwrap();
        assert_eq!(felt(&decisions[0]), Felt::Drop);
        let by_rule = guess(&mut engine, "192.0.2.7".parse().unwrap());
        assert_eq!(felt(&Decision { until: None, ..by_rule }), Felt::Drop);
    }

    #[test]
    fn there_are_words_in_each_language_that_can_be_set() {
        let text = format!("[explain]\nlanguages = {:?}", Language::ALL.iter().map(|it| it.tag()).collect::<Vec<_>>());
        let config = Config::from_toml(&text, "fairban.toml").unwrap();
        assert_eq!(settings(&config).languages, Language::ALL);
    }

    #[test]
    fn one_that_cannot_start_is_a_problem_and_no_error() {
        let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let config = Config::from_toml(&format!("[explain]\nenabled = true\nport = {port}"), "fairban.toml").unwrap();
        let explaining = Explaining::start(&config, &SharedEngine::new(engine(false)), true);
        assert!(explaining.problem().unwrap().contains("dropped"), "{:?}", explaining.problem());
        assert!(explaining.status().is_none());
    }

    #[tokio::test]
    async fn it_is_there_until_it_is_stopped() {
        let free = std::net::TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let config = Config::from_toml(&format!("[explain]\nenabled = true\nport = {free}"), "fairban.toml").unwrap();
        let engine = SharedEngine::new(engine(false));
        assert!(Explaining::start(&config, &engine, false).status().is_none(), "nothing would lead there");
        let mut explaining = Explaining::start(&config, &engine, true);
        assert_eq!(explaining.problem(), None);
        assert_eq!(explaining.status().map(|status| status.port), Some(free));
        assert!(std::net::TcpStream::connect(("127.0.0.1", free)).is_ok());
        explaining.stop().await;
        assert!(std::net::TcpStream::connect(("127.0.0.1", free)).is_err());
    }
}

//! The servers that mail servers ask before they let somebody in.

use std::sync::Arc;

use fairban_config::{Config, Listen as Address, OnBlock};
use fairban_protocols::{
    AuthPolicy, Counters, Limits, Listen, PolicyService, Running, Wording, auth_policy, policy_service,
};
use fairban_store::Reader;
use fairban_types::Time;

use super::judge::Answers;
use super::now;
use crate::control::AskingStatus;

/// Under which name it is remembered that a mail server asked.
const ASKED: &str = "asked before a sign-in";
/// So long it is believed after a restart that the mail server still asks.
const ASKS_FOR: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

/// Whether the mail server asked lately, before this start.
pub(crate) fn has_asked(store: &Reader) -> bool {
    let last = store.cursor(ASKED).ok().flatten().and_then(|text| text.parse::<Time>().ok());
    last.is_some_and(|last| now().since(last) <= ASKS_FOR)
}

/// So long nobody may ask before that is said.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(300);

struct One {
    server: &'static str,
    listen: String,
    running: Running,
}

/// All of them.
pub(crate) struct Asking {
    servers: Vec<One>,
    answers: Answers,
}

impl Asking {
    /// Starts what is configured. A port that cannot be had is an error: blocks would be made that nobody asks about.
    pub(crate) async fn start(config: &Config, answers: Answers) -> anyhow::Result<Self> {
        let mut servers = Vec::new();
        let message = wording(config);
        if let Some(listen) = config.dovecot.listen {
            let settings = AuthPolicy {
                listen,
                api_key: config.dovecot.api_key.as_ref().map(|key| key.reveal().to_owned()),
                message: message.clone(),
                tarpit: config.dovecot.tarpit,
                limits: Limits::default(),
            };
            let running = auth_policy(settings, Arc::new(answers.before_sign_in())).await?;
            servers.push(One { server: "dovecot", listen: listen.to_string(), running });
        }
        if let Some(listen) = &config.postfix.listen {
            let listen = match listen {
                Address::Tcp(address) => Listen::Tcp(*address),
                Address::Unix(path) => Listen::Unix(path.clone(), config.postfix.mode),
            };
            let shown = listen.to_string();
            let settings = PolicyService {
                listen,
                defer: config.postfix.on_block == OnBlock::Defer,
                refuse_at_connect: config.postfix.refuse_at_connect,
                soft_answer: config.send.answer.clone(),
                message,
                tarpit: config.dovecot.tarpit,
                limits: Limits::default(),
            };
            let running = policy_service(settings, Arc::new(answers.clone())).await?;
            servers.push(One { server: "postfix", listen: shown, running });
        }
        for one in &servers {
            tracing::info!(server = one.server, listen = one.listen, "answers a mail server");
        }
        Ok(Asking { servers, answers })
    }

    /// How they are.
    pub(crate) fn status(&self, started: Time) -> Vec<AskingStatus> {
        let status = |one: &One| {
            let Counters { connections, requests, refused, malformed, unauthorized, limited, last_request, .. } =
                one.running.counters();
            let problem = match () {
                () if unauthorized > 0 && requests == 0 => {
                    Some("every request came with a wrong key: see [dovecot] api_key and auth_policy_server_api_header")
                }
                () if requests == 0 && now().since(started) > SILENCE => {
                    Some("no mail server has asked yet: `fairban setup` shows the lines that it needs")
                }
                () => None,
            };
            AskingStatus {
                server: one.server.to_owned(),
                listen: one.listen.clone(),
                connections,
                requests,
                refused,
                malformed: malformed + unauthorized,
                limited,
                last: last_request,
                problem: problem.map(str::to_owned),
            }
        };
        self.servers.iter().map(status).collect()
    }

    /// What to remember: that a mail server asks before a sign-in, and until when that was so.
    pub(crate) fn remember(&self) -> Option<(String, String)> {
        let of_dovecot = self.servers.iter().find(|one| one.server == "dovecot");
        let last = of_dovecot.and_then(|one| one.running.counters().last_request)?;
        self.answers.asked().then(|| (ASKED.to_owned(), last.to_string()))
    }

    /// Reports that were given up because too many waited.
    pub(crate) fn lost(&self) -> u64 {
        self.answers.lost()
    }

    /// Ends them.
    pub(crate) async fn stop(&mut self) {
        for one in self.servers.drain(..) {
            one.running.stop().await;
        }
    }
}

fn wording(config: &Config) -> Wording {
    Wording { text: Some(config.messages.blocked.clone()), portal: config.messages.portal.clone() }
}

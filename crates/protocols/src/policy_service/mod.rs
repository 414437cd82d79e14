//! Postfix's policy delegation: requests of `name=value` lines, answers of one `action=` line.

mod answer;
mod connection;
mod mailing;
mod recent;
mod sign_in;

use std::sync::Arc;
use std::time::Duration;

use crate::server::{Shared, start};
use crate::{Judge, Limits, Listen, ProtocolError, Running, Wording, listen};

/// What a softly blocked sender's recipients are refused with, unless settings say otherwise. Postfix puts
/// `<recipient>: Recipient address rejected:` before the text, so that it reads as any plain refusal does.
pub const SOFT_ANSWER: &str = "550 5.7.1 Access denied";

/// What the policy service is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyService {
    /// Where it listens.
    pub listen: Listen,
    /// Whether blocked clients are told to come back later (421, Postfix then hangs up) or not to (554).
    pub defer: bool,
    /// Whether blocked clients are refused as soon as they connect, before any of them can say who it is.
    pub refuse_at_connect: bool,
    /// What a softly blocked sender's recipients are refused with: a code of SMTP and text.
    pub soft_answer: String,
    /// What others are told who are refused.
    pub message: Wording,
    /// By how much each recipient is delayed where a block delays; Postfix counts whole seconds.
    pub tarpit: Duration,
    /// What peers may take.
    pub limits: Limits,
}

impl PolicyService {
    /// Blocked clients are told to come back later, in Fairban's own words.
    pub fn new(listen: Listen) -> Self {
        PolicyService {
            listen,
            defer: true,
            refuse_at_connect: false,
            soft_answer: SOFT_ANSWER.to_owned(),
            message: Wording::default(),
            tarpit: Duration::from_secs(5),
            limits: Limits::default(),
        }
    }
}

/// Starts the policy service on the present runtime.
pub async fn policy_service(settings: PolicyService, judge: Arc<dyn Judge>) -> Result<Running, ProtocolError> {
    let shared = Shared::new("policy service", settings.limits.clone());
    let service = |settings, shared| connection::Service::new(settings, judge, shared);
    match settings.listen.clone() {
        Listen::Tcp(address) => {
            let listener = listen::tcp(address).await?;
            let address = listener.local_addr().ok();
            Ok(start(listener, address, service(settings, shared.clone()), shared))
        }
        Listen::Unix(path, mode) => {
            let listener = listen::unix(&path, mode)?;
            Ok(start(listener, None, service(settings, shared.clone()), shared))
        }
    }
}

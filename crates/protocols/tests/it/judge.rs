use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use fairban_protocols::Judge;
use fairban_types::{Code, Diagnosis, Effect, Event, Mailing, Refused, SignIn, SubjectKind, Verdict};

/// Refuses by name, and records what it is asked and told: accounts, HELO names and local parts of return-paths such as
/// `soft` are blocked with that effect, and so is everyone but `familiar` at 203.0.113.0/24.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) heard: Mutex<Vec<Event<'static>>>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    pub(crate) fn take_heard(&self) -> Vec<Event<'static>> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

fn effect(name: &str) -> Option<Effect> {
    Some(match name {
        "explain" => Effect::Explain,
        "drop" => Effect::Drop,
        "soft" => Effect::Soft,
        "tarpit" => Effect::Tarpit,
        "observe" => Effect::Observe,
        _ => return None,
    })
}

fn verdict(effect: Option<Effect>, subject: SubjectKind) -> Verdict {
    let refused = |effect| Refused {
        code: Code::new(0x12_3456_789a),
        until: Some("2026-11-21T19:42:00Z".parse().unwrap()),
        effect,
        diagnosis: Diagnosis::PasswordGuessing,
        subject,
    };
    effect.map_or(Verdict::Allow, |effect| Verdict::Refuse(refused(effect)))
}

fn is_blocked(client: IpAddr) -> bool {
    matches!(client, IpAddr::V4(v4) if v4.octets()[..3] == [203, 0, 113])
}

impl Judge for Recorder {
    fn may_sign_in(&self, question: &SignIn<'_>) -> Verdict {
        let account = question.account.unwrap_or("-");
        self.asked.lock().unwrap().push(format!("sign-in {} {account} {}", question.client, question.service));
        let blocked = (is_blocked(question.client) && account != "familiar").then_some(Effect::Explain);
        verdict(blocked.or_else(|| effect(account)), SubjectKind::Address)
    }

    fn may_send(&self, question: &Mailing<'_>) -> Verdict {
        let Mailing { client, account, helo, return_path } = question;
        let account = account.unwrap_or("-");
        self.asked.lock().unwrap().push(format!("send {client} {account} {helo} {}", return_path.unwrap_or("-")));
        let local = return_path.and_then(|path| path.split_once('@')).map_or("", |(local, _)| local);
        verdict(effect(local).or_else(|| effect(helo)), SubjectKind::Sending)
    }

    fn hear(&self, event: Event<'static>) -> bool {
        let is_room = event.account.as_deref() != Some("lost");
        self.heard.lock().unwrap().push(event);
        is_room
    }
}

pub(crate) const TOLD: &str = "(too many wrong passwords; until 2026-11-21 19:42 UTC; reference 28T5-CY4T)";

use fairban_parse::policy::postfix::{Request, State};
use fairban_types::{Effect, Mailing, Refused, Service, SignIn, Verdict};

use super::PolicyService;
use crate::Judge;
use crate::wording::clean;

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing against it.
    GoOn,
    /// Nothing against it, after a while.
    Wait,
    /// No, and nothing else (to a sign-in).
    Reject,
    /// No, as for any recipient that is not served.
    Soft,
    /// No, and why.
    Explained(Refused),
}

impl Answer {
    pub(super) const fn is_refusal(self) -> bool {
        matches!(self, Answer::Reject | Answer::Soft | Answer::Explained(_))
    }
}

/// Decides. `has_asked_recipients`: the recipients of this message were asked about, so that all that is soft is done.
pub(super) fn decide(
    settings: &PolicyService,
    judge: &dyn Judge,
    request: &Request<'_>,
    has_asked_recipients: bool,
) -> Answer {
    let sign_in = |account, service| judge.may_sign_in(&SignIn { client: request.client, account, service });
    match request.state {
        // Who may not send need not sign in where mail is sent.
        State::Auth => match weigh(sign_in(request.account.as_deref(), Service::Submission)).is_refusal()
            || weigh(may_send(judge, request)).is_refusal()
        {
            true => Answer::Reject,
            false => Answer::GoOn,
        },
        State::Connect | State::Helo if !settings.refuse_at_connect => Answer::GoOn,
        State::Connect | State::Helo => loud(weigh(sign_in(None, request.service()))),
        State::Mail | State::Vrfy | State::Etrn | State::Other => {
            loud(weigh(sign_in(request.account.as_deref(), request.service())))
        }
        State::Data | State::EndOfMessage if has_asked_recipients => {
            loud(weigh(sign_in(request.account.as_deref(), request.service())))
        }
        State::Rcpt | State::Data | State::EndOfMessage => {
            let client = weigh(sign_in(request.account.as_deref(), request.service()));
            if client.is_refusal() {
                return client;
            }
            match weigh(may_send(judge, request)) {
                Answer::GoOn => client,
                sending => sending,
            }
        }
    }
}

fn may_send(judge: &dyn Judge, request: &Request<'_>) -> Verdict {
    judge.may_send(&Mailing {
        client: request.client,
        account: request.account.as_deref(),
        helo: request.helo.as_deref().unwrap_or_default(),
        return_path: request.return_path.as_deref(),
    })
}

fn weigh(verdict: Verdict) -> Answer {
    match verdict {
        Verdict::Allow => Answer::GoOn,
        Verdict::Refuse(refused) => match refused.effect {
            Effect::Observe => Answer::GoOn,
            Effect::Tarpit => Answer::Wait,
            Effect::Soft => Answer::Soft,
            Effect::Explain | Effect::Drop => Answer::Explained(refused),
        },
    }
}

/// What is said where nothing soft may show.
const fn loud(answer: Answer) -> Answer {
    match answer {
        Answer::Explained(_) => answer,
        _ => Answer::GoOn,
    }
}

/// Answers as they are written, made once.
pub(super) struct Phrases {
    soft: Vec<u8>,
    wait: Vec<u8>,
    code: &'static str,
}

const GO_ON: &[u8] = b"action=DUNNO\n\n";

impl Phrases {
    pub(super) fn new(settings: &PolicyService) -> Self {
        let seconds = settings.tarpit.as_secs().clamp(1, 600);
        Phrases {
            soft: format!("action={}\n\n", clean(&settings.soft_answer)).into_bytes(),
            wait: format!("action=sleep {seconds}\n\n").into_bytes(),
            code: if settings.defer { "421 4.7.0" } else { "554 5.7.1" },
        }
    }

    /// Appends the answer (access(5) says what Postfix makes of it).
    pub(super) fn write(&self, answer: Answer, settings: &PolicyService, output: &mut Vec<u8>) {
        match answer {
            Answer::GoOn => output.extend_from_slice(GO_ON),
            Answer::Wait => output.extend_from_slice(&self.wait),
            Answer::Soft => output.extend_from_slice(&self.soft),
            Answer::Reject => output.extend_from_slice(b"action=REJECT\n\n"),
            Answer::Explained(refused) => {
                let text = settings.message.render_ascii(&refused);
                output.extend_from_slice(format!("action={} {text}\n\n", self.code).as_bytes());
            }
        }
    }
}

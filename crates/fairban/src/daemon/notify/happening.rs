//! What happened, in the words of occasions.

use std::time::Duration;

use fairban_config::Occasion;
use fairban_types::{Action, Code, Decision, Event, EventKind, Origin, Subject};
use fairban_web::admin::desk::PROGRAM;

use crate::control::server::Shared;
use crate::show::safe_line;

/// Something that may be told.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    pub(super) occasion: Occasion,
    /// To whom or what.
    pub(super) subject: String,
    /// In a sentence.
    pub(super) text: String,
    pub(super) code: Option<Code>,
    /// Whether trouble has ended.
    pub(super) is_over: bool,
    /// What was decided, if that is what happened.
    pub(super) decision: Option<Box<Decision>>,
}

/// What a decision is called, the nearest word first.
pub(super) fn of_decision(decision: &Decision) -> Vec<Happening> {
    let by_rule = matches!(decision.origin, Origin::Rule(_));
    let subject = safe_line(&decision.subject.to_string());
    let end = decision.until.map_or_else(|| "for good".to_owned(), |until| format!("until {until}"));
    let told = |occasion, text: String| Happening {
        occasion,
        subject: subject.clone(),
        text,
        code: Some(decision.code),
        is_over: false,
        decision: Some(Box::new(Decision { events: Vec::new(), ..decision.clone() })),
    };
    let (rule, reason) = (safe_line(decision.origin.rule()), safe_line(&decision.reason));
    let mut words = Vec::new();
    match decision.action {
        Action::Expire => {}
        Action::Release => {
            if let Some(by) = decision.origin.by() {
                words.push(told(Occasion::Released, format!("{subject} was released by {}", safe_line(by))));
            }
        }
        Action::Block | Action::Guard => {
            let text = format!("{subject} is blocked {end} by the rule {rule}: {reason}");
            match &decision.subject {
                Subject::Sending(_) if by_rule => {
                    let text = format!("{subject} is stopped from sending {end}, most probably stolen: {reason}");
                    words.push(told(Occasion::SendingBlocked, text));
                }
                Subject::Account(_) | Subject::Pair(..) if by_rule => {
                    let what = if decision.action == Action::Guard { "guarded" } else { "locked" };
                    let text = format!("{subject} is {what} {end} by the rule {rule}: {reason}");
                    words.push(told(Occasion::AccountGuarded, text));
                }
                Subject::Network(net) if by_rule => {
                    let own = if net.addr().is_ipv4() { 32 } else { 64 };
                    if net.prefix_len() < own {
                        words.push(told(Occasion::NetworkBlocked, text.clone()));
                    }
                }
                Subject::Sending(_) | Subject::Account(_) | Subject::Pair(..) | Subject::Network(_) => {}
            }
            if by_rule && decision.until.is_none() {
                words.push(told(Occasion::BlockPermanent, text.clone()));
            }
            let text = match decision.origin.by() {
                Some(by) => format!("{subject} is blocked {end} by {}: {reason}", safe_line(by)),
                None => text,
            };
            words.push(told(Occasion::Blocked, text));
        }
    }
    words
}

/// An administrator's sign-in.
pub(super) fn of_event(event: &Event<'_>) -> Option<Happening> {
    let is_sign_in = event.kind == EventKind::LoginSucceeded && event.program.as_deref() == Some(PROGRAM);
    let account = event.account.as_deref().filter(|_| is_sign_in)?;
    let (account, client) = (safe_line(account), event.client);
    Some(Happening {
        occasion: Occasion::AdministratorSignedIn,
        subject: format!("{account} from {client}"),
        text: format!("{account} signed in to the administration from {client}, where they never did before"),
        code: None,
        is_over: false,
        decision: None,
    })
}

/// Whether an account was never seen at the network before this event. What cannot be read counts as new.
pub(super) async fn is_new_place(shared: &Shared, event: &Event<'_>) -> bool {
    let account = event.account.as_deref().unwrap_or_default().trim().to_lowercase();
    let (client, since) = (event.client, event.time.before(Duration::from_secs(2)));
    let known = shared.read(move |reader| {
        Ok(reader.familiar_of(&account)?.iter().any(|known| known.net.contains(&client) && known.first < since))
    });
    !known.await.unwrap_or(false)
}

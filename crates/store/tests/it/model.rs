//! What the tests store.
use fairban_store::{Outcome, StoredEvent};
use fairban_types::{
    Action, Code, Decision, Diagnosis, Effect, Event, EventKind, Evidence, Origin, Service, Subject, Time,
};

pub(crate) fn at(secs: i64) -> Time {
    Time::from_secs(1_700_000_000 + secs)
}

pub(crate) fn event(secs: i64, client: &str) -> Event<'static> {
    Event::new(EventKind::LoginFailed, at(secs), client.parse().unwrap(), Service::Imap)
}

pub(crate) fn stored(event: Event<'static>) -> StoredEvent {
    StoredEvent { node: "mx1".into(), outcome: Outcome::Counted, event }
}

pub(crate) fn decision(action: Action, code: u64, secs: i64, subject: &str, until: Option<i64>) -> Decision {
    Decision {
        code: Code::new(code),
        time: at(secs),
        action,
        subject: subject.parse::<Subject>().unwrap(),
        origin: Origin::Rule("login".to_owned()),
        reason: "login_failed 50: 250 points within 20m block the address".to_owned(),
        score: 250,
        threshold: 250,
        until: until.map(at),
        effect: Effect::Drop,
        diagnosis: Diagnosis::PasswordGuessing,
        offence: 1,
        spares_familiar: true,
        in_kernel: false,
        holes: Vec::new(),
        events: vec![Evidence { points: 50, seen: 3, first: Some(at(secs - 9)), event: event(secs, "192.0.2.7") }],
    }
}

pub(crate) fn without_evidence(decision: &Decision) -> Decision {
    Decision { events: Vec::new(), ..decision.clone() }
}

//! What is stored comes back as it was.
use std::borrow::Cow;
use std::net::IpAddr;

use fairban_store::{Batch, Outcome, Store, StoredEvent};
use fairban_types::{
    Action, Code, Decision, Diagnosis, Effect, Event, EventKind, Evidence, Origin, Service, Subject, Time, Witness,
    network_of,
};
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::select;

fn text() -> impl Strategy<Value = String> {
    // NUL, line ends, quotes and other scripts among them.
    prop_oneof!["\\PC{0,12}", "[\u{0}-\u{7f}]{0,12}", Just("backend:report".to_owned()), Just("192.0.2.7".to_owned())]
}

fn optional() -> impl Strategy<Value = Option<Cow<'static, str>>> {
    prop::option::of(text().prop_map(Cow::Owned))
}

fn address() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_map(|address| address.to_canonical())
}

fn network() -> impl Strategy<Value = IpNet> {
    (address(), 0u8..=128).prop_map(|(address, prefix)| network_of(address, prefix, prefix))
}

/// Any moment that RFC 3339 can tell.
fn time() -> impl Strategy<Value = Time> {
    (-62_135_596_800_000i64..253_402_207_200_000).prop_map(Time::from_millis)
}

fn event() -> impl Strategy<Value = Event<'static>> {
    let witness = prop_oneof![
        Just(Witness::Frontend),
        Just(Witness::Report),
        text().prop_map(|driver| Witness::Backend(Cow::Owned(driver))),
    ];
    let texts = prop::array::uniform9(optional());
    let plain = (select(EventKind::ALL), time(), address(), select(Service::ALL), 1u32.., witness);
    (plain, texts).prop_map(|((kind, time, client, service, count, witness), texts)| {
        let [account, digest, session, helo, return_path, recipient, program, method, reason] = texts;
        let base = Event::new(kind, time, client, service);
        Event {
            count,
            witness,
            account,
            digest,
            session,
            helo,
            return_path,
            recipient,
            program,
            method,
            reason,
            ..base
        }
    })
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        network().prop_map(Subject::Network),
        text().prop_map(Subject::Account),
        (text(), network()).prop_map(|(account, net)| Subject::Pair(account, net)),
    ]
}

fn decision() -> impl Strategy<Value = Decision> {
    let action = select(&[Action::Block, Action::Guard, Action::Release, Action::Expire][..]);
    let effect = select(&[Effect::Explain, Effect::Drop, Effect::Soft, Effect::Tarpit, Effect::Observe][..]);
    let diagnosis = select(
        &[
            Diagnosis::StalePassword,
            Diagnosis::PasswordGuessing,
            Diagnosis::PasswordSpraying,
            Diagnosis::CredentialStuffing,
            Diagnosis::FrequentPolling,
            Diagnosis::RelayProbing,
            Diagnosis::AddressHarvesting,
            Diagnosis::SpamRun,
            Diagnosis::Malware,
            Diagnosis::ProtocolAbuse,
            Diagnosis::Manual,
            Diagnosis::Unknown,
        ][..],
    );
    let origin = prop_oneof![text().prop_map(Origin::Rule), text().prop_map(Origin::Manual)];
    let evidence = (any::<u32>(), any::<u32>(), prop::option::of(time()), event())
        .prop_map(|(points, seen, first, event)| Evidence { points, seen, first, event });
    let what = (any::<u64>(), time(), action, subject(), origin, text(), any::<[u32; 3]>());
    let how = (prop::option::of(time()), effect, diagnosis, any::<[bool; 2]>());
    let lists = (prop::collection::vec(network(), 0..3), prop::collection::vec(evidence, 0..3));
    (what, how, lists).prop_map(|(what, how, (holes, events))| {
        let (code, time, action, subject, origin, reason, [score, threshold, offence]) = what;
        let (until, effect, diagnosis, [spares_familiar, in_kernel]) = how;
        Decision {
            code: Code::new(code),
            time,
            action,
            subject,
            origin,
            reason,
            score,
            threshold,
            until,
            effect,
            diagnosis,
            offence,
            spares_familiar,
            in_kernel,
            holes,
            events,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_come_back(
        events in prop::collection::vec((event(), select(Outcome::ALL), "[a-z]{0,3}"), 1..8),
    ) {
        let mut store = Store::in_memory().unwrap();
        let mut batch = Batch::default();
        let events: Vec<StoredEvent> = events
            .into_iter()
            .map(|(event, outcome, node)| StoredEvent { node: node.into(), outcome, event })
            .collect();
        events.iter().for_each(|event| batch.event(event.clone()));
        store.commit(&batch).unwrap();
        for (seq, event) in (1..).zip(&events) {
            prop_assert_eq!(&store.reader().unwrap().event(seq).unwrap().unwrap().stored, event);
        }
    }

    #[test]
    fn decisions_come_back(decisions in prop::collection::vec(decision(), 1..4)) {
        let mut store = Store::in_memory().unwrap();
        let mut batch = Batch::default();
        decisions.iter().for_each(|decision| batch.decision(decision.clone()));
        store.commit(&batch).unwrap();
        for decision in &decisions {
            prop_assert!(store.history(&decision.subject, 9).unwrap().contains(decision));
            prop_assert!(store.story(decision.code).unwrap().contains(decision));
        }
    }
}

#[test]
fn a_receipt_with_a_time_beyond_the_calendar_can_be_read() {
    let mut store = Store::in_memory().unwrap();
    let mut decision = crate::model::decision(Action::Block, 1, 0, "192.0.2.7", None);
    decision.until = Some(Time::from_millis(i64::MAX));
    decision.events[0].first = Some(Time::MIN);
    let mut batch = Batch::default();
    batch.decision(decision.clone());
    store.commit(&batch).unwrap();
    let read = store.decision(decision.code).unwrap().unwrap();
    assert_eq!((read.until, read.events[0].event.time), (decision.until, decision.events[0].event.time));
}

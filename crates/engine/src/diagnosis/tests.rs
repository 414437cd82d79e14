use std::time::Duration;

use fairban_types::{Event, Service};

use super::*;

const START: i64 = 1_800_000_000;

fn failures(times: &[i64], account: &str, digest: impl Fn(usize) -> Option<String>) -> Vec<Evidence> {
    let piece = |(n, secs): (usize, &i64)| {
        let at = Time::from_secs(START + secs);
        let mut event = Event::new(EventKind::LoginFailed, at, [192, 0, 2, 7].into(), Service::Imap);
        event = event.account(account.to_owned());
        event.digest = digest(n).map(Into::into);
        Evidence::from(event)
    };
    times.iter().enumerate().map(piece).collect()
}

fn known(since: i64) -> Option<Familiarity> {
    let at = |secs| Time::from_secs(START + secs);
    Some(Familiarity { first: at(since), last: at(-60), successes: 9 })
}

fn minutes(count: i64) -> Vec<i64> {
    (0..count).map(|n| 60 * n).collect()
}

#[test]
fn one_account_without_digests() {
    let here = Background { here: known(-90_000), ..Background::default() };
    let elsewhere = Background { elsewhere: Elsewhere::Until(Time::from_secs(START - 60)), ..Background::default() };
    let never = Background { elsewhere: Elsewhere::Never, ..Background::default() };
    let owner = Background { owner_is_here: true, ..Background::default() };
    let hurried: Vec<i64> = vec![0, 1, 5, 9, 11, 20, 23, 31];
    let idle: Vec<i64> = vec![0, 40, 400, 520, 1300, 1500];
    for (what, times, background, diagnosis, percent) in [
        ("regular, used here", minutes(5), &here, Diagnosis::StalePassword, 72),
        ("regular, used here, for long", minutes(30), &here, Diagnosis::StalePassword, 77),
        ("regular, its owner is here", minutes(5), &owner, Diagnosis::StalePassword, 72),
        ("regular, used elsewhere", minutes(5), &elsewhere, Diagnosis::StalePassword, 55),
        ("regular, never used", minutes(5), &never, Diagnosis::PasswordGuessing, 55),
        ("hurried", hurried.clone(), &never, Diagnosis::PasswordGuessing, 65),
        ("hurried, where it is used", hurried, &here, Diagnosis::PasswordGuessing, 55),
        ("now and then, where it is used", idle.clone(), &here, Diagnosis::StalePassword, 55),
        ("now and then, used elsewhere", idle.clone(), &elsewhere, Diagnosis::Unknown, 0),
        ("now and then, never used", idle, &never, Diagnosis::PasswordGuessing, 60),
        ("three", minutes(3), &here, Diagnosis::Unknown, 0),
    ] {
        let finding = diagnose(&failures(&times, "alice", |_| None), background);
        assert_eq!((finding.diagnosis, finding.confidence_percent), (diagnosis, percent), "{what}: {finding:?}");
    }
}

#[test]
fn digests_tell_a_device_from_a_guesser() {
    let same = |_| Some("0585".to_owned());
    let other = |n: usize| Some(format!("{n:04}"));
    let mostly = |n: usize| Some(if n < 27 { "0585".to_owned() } else { format!("{n:04}") });
    let nothing = Background::default();
    let here = Background { here: known(-90_000), ..nothing };
    for (what, events, background, diagnosis) in [
        ("one", failures(&minutes(5), "alice", same), nothing, Diagnosis::StalePassword),
        ("two tries", failures(&minutes(2), "alice", same), nothing, Diagnosis::Unknown),
        ("all different", failures(&minutes(5), "alice", other), nothing, Diagnosis::PasswordGuessing),
        ("a person looks for it", failures(&minutes(30), "alice", mostly), here, Diagnosis::StalePassword),
        ("a guesser repeats himself", failures(&minutes(30), "alice", mostly), nothing, Diagnosis::PasswordGuessing),
    ] {
        let finding = diagnose(&events, &background);
        assert_eq!(finding.diagnosis, diagnosis, "{what}: {finding:?}");
    }
}

#[test]
fn what_was_told_once_with_its_repeats_names_its_cadence() {
    let mut events = failures(&[2160], "alice", |_| Some("0585".to_owned()));
    events[0].seen = 37;
    events[0].first = Some(Time::from_secs(START));
    let finding = diagnose(&events, &Background { here: known(-90_000), ..Background::default() });
    assert_eq!((finding.diagnosis, finding.confidence_percent), (Diagnosis::StalePassword, 98));
    assert_eq!(finding.facts[0], Fact::SamePassword { times: 37 });
    assert!(finding.facts.contains(&Fact::OnAverage { every: Duration::from_secs(60) }));
    let device = finding.device().unwrap();
    assert_eq!((device.tries, device.cadence), (37, Some(Duration::from_secs(60))));
}

#[test]
fn equal_parts_of_this_and_that_are_not_explained() {
    let mut events = failures(&minutes(4), "alice", |_| None);
    for n in 0..4 {
        for kind in [EventKind::RelayDenied, EventKind::RecipientUnknown] {
            let at = Time::from_secs(START + n);
            events.push(Event::new(kind, at, [192, 0, 2, 7].into(), Service::Smtp).into());
        }
    }
    let finding = diagnose(&events, &Background::default());
    assert_eq!((finding.diagnosis, &finding.facts[..]), (Diagnosis::Unknown, &[Fact::Mixture { kinds: 3 }][..]));
}

#[test]
fn who_signs_in_too_often_is_told_so() {
    let sign_ins = |gap: i64, count: i64| -> Vec<Event<'static>> {
        let event = |n| {
            let at = Time::from_secs(START + gap * n);
            Event::new(EventKind::LoginSucceeded, at, [192, 0, 2, 7].into(), Service::Pop3).account("alice")
        };
        (0..count).map(event).collect()
    };
    let courtesy = Duration::from_secs(600);
    for (gap, count, found) in [(60, 30, true), (300, 8, true), (600, 30, false), (595, 30, false), (60, 5, false)] {
        let findings = polling(&sign_ins(gap, count), courtesy);
        assert_eq!(findings.iter().any(|it| it.diagnosis == Diagnosis::FrequentPolling), found, "{gap} {count}");
    }
    let finding = polling(&sign_ins(60, 30), courtesy).remove(0);
    assert_eq!(finding.confidence_percent, 95);
    assert_eq!(finding.device().unwrap().cadence, Some(Duration::from_secs(60)));
}

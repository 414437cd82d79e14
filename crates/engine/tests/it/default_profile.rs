//! Whom the default profile stops, and whom it must never hurt.

use crate::Lab;
use fairban_engine::Outcome;
use fairban_types::{Action, Diagnosis, EventKind};

#[test]
fn the_fifth_different_wrong_password_blocks() {
    let mut lab = Lab::new("fairban", true);
    for n in 0..4 {
        assert_eq!(lab.wrong("192.0.2.7", "alice", &format!("{n:04}")), Outcome::Counted);
    }
    assert!(lab.may("192.0.2.7", Some("alice")));
    lab.wrong("192.0.2.7", "alice", "0004");
    assert_eq!(lab.blocks(), ["192.0.2.7 login"]);
    assert_eq!(lab.decisions[0].diagnosis, Diagnosis::PasswordGuessing);
    assert_eq!(lab.decisions[0].events.len(), 5);
    assert!(!lab.may("192.0.2.7", Some("alice")));
    assert!(matches!(lab.wrong("192.0.2.7", "alice", "0005"), Outcome::Stopped(_)));
}

#[test]
fn the_same_wrong_password_for_a_day_is_one_mistake() {
    let mut lab = Lab::new("fairban", true);
    lab.wrong("192.0.2.7", "alice", "0585");
    for _ in 0..24 * 60 {
        lab.wait(60);
        assert_eq!(lab.wrong("192.0.2.7", "alice", "0585"), Outcome::Repeated);
    }
    assert!(lab.decisions.is_empty());
}

#[test]
fn a_guesser_in_an_office_is_stopped_and_the_office_goes_on() {
    let mut lab = Lab::new("fairban", true);
    for account in ["a", "b", "c", "d"] {
        lab.good("192.0.2.7", account);
    }
    for n in 0..5 {
        lab.wrong("192.0.2.7", "boss", &format!("{n:04}"));
    }
    assert_eq!(lab.blocks().len(), 1);
    assert!(lab.decisions[0].spares_familiar && !lab.decisions[0].in_kernel);
    assert!(!lab.may("192.0.2.7", Some("boss")));
    assert!(lab.may("192.0.2.7", Some("b")));
    assert_eq!(lab.good("192.0.2.7", "c"), Outcome::Noted);
}

#[test]
fn where_nobody_asks_an_office_needs_far_more() {
    let mut lab = Lab::new("fairban", false);
    lab.good("192.0.2.7", "a");
    for n in 0..19 {
        lab.wrong("192.0.2.7", "boss", &format!("{n:04}"));
    }
    assert!(lab.blocks().is_empty());
    lab.wrong("192.0.2.7", "boss", "0019");
    assert_eq!(lab.blocks(), ["192.0.2.7 login"]);
    assert!(lab.decisions[0].in_kernel && !lab.decisions[0].spares_familiar);
    assert_eq!(lab.decisions[0].until, Some(lab.now.after(std::time::Duration::from_secs(600))));
}

#[test]
fn slow_guessing_is_stopped_by_the_slow_window() {
    let mut lab = Lab::new("fairban", true);
    let mut through = 0;
    for n in 0..72 {
        if !matches!(lab.wrong("192.0.2.7", "alice", &format!("{n:04}")), Outcome::Stopped(_)) {
            through += 1;
        }
        lab.wait(20 * 60);
    }
    assert!(through <= 6, "{through}");
    assert_eq!(lab.blocks(), ["192.0.2.7 login-slow"]);
}

#[test]
fn typing_mistakes_followed_by_success_are_forgiven_and_nothing_else_is() {
    let mut lab = Lab::new("fairban", true);
    for n in 0..4 {
        lab.wrong("192.0.2.7", "alice", &format!("{n:04}"));
    }
    lab.wrong("192.0.2.7", "mallory", "0000");
    assert_eq!(lab.blocks().len(), 1, "four and one are five");

    let mut lab = Lab::new("fairban", true);
    for n in 0..4 {
        lab.wrong("192.0.2.7", "alice", &format!("{n:04}"));
    }
    lab.good("192.0.2.7", "alice");
    for n in 0..4 {
        lab.wrong("192.0.2.7", "bob", &format!("{n:04}"));
    }
    assert!(lab.blocks().is_empty(), "alice's four are taken back");
    lab.good("192.0.2.7", "alice");
    lab.wrong("192.0.2.7", "bob", "0009");
    assert_eq!(lab.blocks().len(), 1, "alice's success takes back nothing of bob's");
}

#[test]
fn rotation_inside_a_64_is_one_guesser() {
    let mut lab = Lab::new("fairban", true);
    for n in 0..5 {
        lab.wrong(&format!("2001:db8:1:2::{n:x}"), "alice", &format!("{n:04}"));
    }
    assert_eq!(lab.blocks(), ["2001:db8:1:2::/64 login"]);
    assert!(!lab.may("2001:db8:1:2:ffff::1", Some("alice")));
    assert!(lab.may("2001:db8:1:3::1", Some("alice")));
}

#[test]
fn neighbours_widen_the_block_around_who_signs_in() {
    let mut lab = Lab::new("fairban", true);
    for n in 0..12 {
        lab.wrong(&format!("192.0.2.{}", n / 3), "alice", &format!("{n:04}"));
    }
    assert_eq!(lab.blocks(), ["192.0.2.0/24 widen"]);
    assert!(!lab.may("192.0.2.200", None));
    assert!(lab.may("192.0.3.1", None));
}

#[test]
fn a_botnet_raises_a_guard_and_the_owner_goes_on() {
    let mut lab = Lab::new("fairban", true);
    lab.good("198.51.100.7", "alice");
    let mut through = 0;
    for n in 0..200 {
        lab.wait(30);
        let from = format!("203.{n}.113.1");
        if !matches!(lab.wrong(&from, "alice", &format!("{n:04}")), Outcome::Stopped(_)) {
            through += 1;
        }
    }
    assert_eq!(through, 6);
    assert_eq!(lab.decisions[0].action, Action::Guard);
    assert_eq!(lab.decisions[0].subject.to_string(), "alice");
    assert!(lab.may("198.51.100.7", Some("alice")));
    assert!(!lab.may("198.51.200.7", Some("alice")));
    assert!(lab.may("198.51.200.7", Some("bob")));
}

#[test]
fn relay_probing_and_harvesting() {
    let mut lab = Lab::new("fairban", true);
    for n in 0..5 {
        lab.smtp(EventKind::RelayDenied, "192.0.2.7");
        let event = lab.event(EventKind::RecipientUnknown, "192.0.2.8").recipient(format!("r{n}@example.test"));
        lab.step(&event);
    }
    assert_eq!(lab.blocks(), ["192.0.2.7 relay", "192.0.2.8 harvest"]);
    let diagnoses: Vec<Diagnosis> = lab.decisions.iter().map(|decision| decision.diagnosis).collect();
    assert_eq!(diagnoses, [Diagnosis::RelayProbing, Diagnosis::AddressHarvesting]);
}

#[test]
fn a_mail_server_that_delivers_may_miss_more_recipients() {
    let mut lab = Lab::new("fairban", true);
    lab.smtp(EventKind::RecipientAccepted, "192.0.2.8");
    for n in 0..24 {
        let event = lab.event(EventKind::RecipientUnknown, "192.0.2.8").recipient(format!("r{n}@example.test"));
        lab.step(&event);
    }
    assert!(lab.blocks().is_empty());
}

#[test]
fn a_block_lingers_while_refused_guesses_go_on_but_not_for_an_old_password() {
    let mut lab = Lab::new("fairban", true);
    lab.good("192.0.2.7", "a");
    for n in 0..5 {
        lab.wrong("192.0.2.7", "boss", &format!("{n:04}"));
    }
    // An hour by the ladder of shared addresses at most; each new guess keeps the block for three hours more.
    for n in 5..20 {
        lab.wait(25 * 60);
        assert!(matches!(lab.wrong("192.0.2.7", "boss", &format!("{n:04}")), Outcome::Stopped(_)), "{n}");
    }
    let renewed = lab.decisions.last().unwrap().clone();
    assert_eq!((renewed.score, renewed.events.len(), renewed.code), (250, 5, lab.decisions[0].code));
    for _ in 0..40 {
        lab.wait(10 * 60);
        lab.wrong("192.0.2.7", "boss", "0019");
    }
    assert!(lab.may("192.0.2.7", Some("boss")), "the same password again prolongs nothing");
}

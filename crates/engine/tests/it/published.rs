//! The arithmetic of behaviour that others publish.

use crate::Lab;
use fairban_types::{EventKind, Service, Witness};

const HOUR: u64 = 3600;

fn vpop3_attack(lab: &mut Lab, relays: u32, logins: u32, unknown: u32) {
    for _ in 0..relays {
        lab.smtp(EventKind::RelayDenied, "192.0.2.7");
    }
    for n in 0..logins {
        // A mail server tells of SMTP's wrong passwords like of any other's.
        let mut event = lab.event(EventKind::LoginFailed, "192.0.2.7").account(format!("user{n}"));
        event.service = Service::Submission;
        lab.step(&event);
    }
    for _ in 0..unknown {
        lab.smtp(EventKind::RecipientUnknown, "192.0.2.7");
    }
}

#[test]
fn vpop3_blocks_at_1050_points_and_not_at_950() {
    let mut lab = Lab::new("vpop3", false);
    vpop3_attack(&mut lab, 2, 5, 10);
    assert!(lab.blocks().is_empty(), "950 points");
    vpop3_attack(&mut lab, 0, 0, 2);
    assert_eq!(lab.blocks(), ["192.0.2.7 smtp"], "1050 points, of which the last was not needed");
    let block = &lab.decisions[0];
    assert_eq!((block.score, block.threshold), (1000, 1000));
    assert_eq!(block.until, Some(lab.now.after(std::time::Duration::from_secs(1800))));
    assert_eq!(block.events.iter().map(|evidence| evidence.points).sum::<u32>(), 1000);
    assert!(!lab.may("192.0.2.7", None));
    lab.wait(1799);
    assert!(!lab.may("192.0.2.7", None));
    lab.wait(1);
    assert!(lab.may("192.0.2.7", None));
}

#[test]
fn the_window_slides_exactly() {
    let mut lab = Lab::new("vpop3", false);
    vpop3_attack(&mut lab, 5, 0, 0);
    lab.wait(HOUR - 1);
    vpop3_attack(&mut lab, 4, 0, 0);
    assert!(lab.blocks().is_empty());
    // One second later the first five are an hour old, and no longer inside the hour that ends now.
    lab.wait(1);
    vpop3_attack(&mut lab, 1, 0, 0);
    assert!(lab.blocks().is_empty(), "five relays have left the window: 500 points");
    vpop3_attack(&mut lab, 5, 0, 0);
    assert_eq!(lab.blocks().len(), 1);

    let mut lab = Lab::new("vpop3", false);
    vpop3_attack(&mut lab, 5, 0, 0);
    lab.wait(HOUR - 1);
    vpop3_attack(&mut lab, 5, 0, 0);
    assert_eq!(lab.blocks().len(), 1, "ten relays inside an hour less a second");
}

#[test]
fn five_failures_in_twenty_minutes() {
    let mut lab = Lab::new("autoban", false);
    for _ in 0..4 {
        lab.wrong("192.0.2.7", "alice", "0585");
    }
    assert!(lab.blocks().is_empty());
    lab.wrong("192.0.2.7", "alice", "0585");
    assert_eq!(lab.blocks().len(), 1, "the same password counts each time, as it does elsewhere");
}

#[test]
fn a_lock_after_three_failures_in_a_row_holds_for_that_address_only() {
    let mut lab = Lab::new("vpop3", true);
    for _ in 0..2 {
        lab.wrong("192.0.2.7", "alice", "");
    }
    lab.good("192.0.2.7", "alice");
    lab.wrong("192.0.2.7", "alice", "");
    lab.wrong("192.0.2.7", "alice", "");
    assert!(lab.blocks().is_empty(), "not in a row");
    lab.wrong("192.0.2.7", "alice", "");
    assert_eq!(lab.blocks(), ["alice from 192.0.2.7 lock"]);
    assert!(!lab.may("192.0.2.7", Some("alice")));
    assert!(lab.may("192.0.2.7", Some("bob")));
    assert!(lab.may("192.0.2.8", Some("alice")));
}

#[test]
fn a_lock_that_nobody_enforces_shields_nobody() {
    let mut lab = Lab::new("vpop3", false);
    for _ in 0..10 {
        lab.wrong("192.0.2.7", "alice", "");
    }
    assert_eq!(lab.blocks(), ["alice from 192.0.2.7 lock", "192.0.2.7 login"]);
}

#[test]
fn the_service_is_learned_from_who_tells_a_failure_again() {
    let mut lab = Lab::new("vpop3", false);
    vpop3_attack(&mut lab, 9, 0, 1);
    let mut told = lab.event(EventKind::LoginFailed, "192.0.2.7").account("alice");
    told.service = Service::Unknown;
    told.witness = Witness::Backend("pam".into());
    lab.step(&told);
    assert!(lab.blocks().is_empty(), "950 points on SMTP, and a failure of unknown service");
    told.service = Service::Submission;
    told.witness = Witness::Frontend;
    lab.step(&told);
    assert_eq!(lab.blocks(), ["192.0.2.7 smtp"]);
    assert!(lab.decisions[0].events.iter().any(|evidence| evidence.event.service == Service::Submission));
}

#[test]
fn who_is_locked_out_of_one_account_still_counts_against_the_address() {
    let mut lab = Lab::new("vpop3", true);
    vpop3_attack(&mut lab, 2, 0, 11);
    for _ in 0..5 {
        let mut event = lab.event(EventKind::LoginFailed, "192.0.2.7").account("alice");
        event.service = Service::Submission;
        lab.step(&event);
    }
    assert_eq!(lab.blocks(), ["alice from 192.0.2.7 lock", "192.0.2.7 smtp"]);
}

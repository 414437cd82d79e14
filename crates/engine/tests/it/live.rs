//! What mail servers report while it happens.

use crate::Lab;
use fairban_engine::Outcome;
use fairban_types::{Action, Event, EventKind, Service, SignIn, SubjectKind, Verdict, Witness};

impl Lab {
    fn report(&mut self, kind: EventKind, from: &str, account: &'static str, digest: &str) -> Outcome {
        let mut event = self.event(kind, from).account(account).digest(digest.to_owned());
        event.witness = Witness::Report;
        self.step(&event)
    }

    fn logged(&mut self, from: &str, account: &'static str) -> Outcome {
        let event = self.event(EventKind::LoginFailed, from).account(account);
        self.step(&event)
    }

    fn refused(&self, from: &str, account: &str, service: Service) -> Option<SubjectKind> {
        let question = SignIn { client: from.parse().unwrap(), account: Some(account), service };
        match self.engine.verdict(self.now, &question) {
            Verdict::Allow => None,
            Verdict::Refuse(refused) => Some(refused.subject),
        }
    }
}

#[test]
fn own_refusals_never_score() {
    let mut lab = Lab::new("fairban", true);
    for n in 0..100 {
        assert_eq!(lab.report(EventKind::LoginRefused, "192.0.2.7", "alice", &format!("{n:04}")), Outcome::Noted);
    }
    assert!(lab.decisions.is_empty());
    assert_eq!(lab.engine.tracked_len(), 0);
}

#[test]
fn the_log_of_a_reported_try_is_a_duplicate() {
    let mut lab = Lab::new("fairban", true);
    for n in 0..4 {
        assert_eq!(lab.report(EventKind::LoginFailed, "192.0.2.7", "alice", &format!("{n:04}")), Outcome::Counted);
        assert_eq!(lab.logged("192.0.2.7", "alice"), Outcome::Duplicate);
    }
    lab.report(EventKind::LoginFailed, "192.0.2.7", "alice", "0004");
    assert_eq!(lab.blocks(), ["192.0.2.7 login"]);
    assert_eq!(lab.logged("192.0.2.7", "alice"), Outcome::Duplicate);
    // The next try is refused: reported so, and logged as a failure.
    assert!(matches!(lab.report(EventKind::LoginRefused, "192.0.2.7", "alice", "0005"), Outcome::Stopped(_)));
    assert_eq!(lab.logged("192.0.2.7", "alice"), Outcome::Duplicate);
    let mut good = lab.event(EventKind::LoginSucceeded, "198.51.100.7").account("bob");
    good.witness = Witness::Report;
    assert_eq!(lab.step(&good), Outcome::Noted);
    good.witness = Witness::Frontend;
    assert_eq!(lab.step(&good), Outcome::Duplicate);
}

#[test]
fn a_reported_refusal_keeps_the_block_of_a_shared_address_up() {
    let mut lab = Lab::new("fairban", true);
    lab.good("192.0.2.7", "a");
    for n in 0..5 {
        lab.report(EventKind::LoginFailed, "192.0.2.7", "boss", &format!("{n:04}"));
    }
    for n in 5..20 {
        lab.wait(25 * 60);
        let outcome = lab.report(EventKind::LoginRefused, "192.0.2.7", "boss", &format!("{n:04}"));
        assert!(matches!(outcome, Outcome::Stopped(_)), "{n}");
    }
    for _ in 0..40 {
        lab.wait(10 * 60);
        lab.report(EventKind::LoginRefused, "192.0.2.7", "boss", "0019");
    }
    assert!(lab.may("192.0.2.7", Some("boss")), "the same password again prolongs nothing");
}

#[test]
fn a_reported_refusal_prolongs_a_guard() {
    let mut lab = Lab::new("fairban", true);
    for n in 0..6 {
        lab.report(EventKind::LoginFailed, &format!("203.{n}.113.1"), "alice", &format!("{n:04}"));
    }
    assert_eq!(lab.refused("203.9.113.1", "alice", Service::Imap), Some(SubjectKind::Account));
    for n in 6..30 {
        lab.wait(10 * 3600);
        let outcome = lab.report(EventKind::LoginRefused, &format!("203.{n}.113.1"), "alice", &format!("{n:04}"));
        assert!(matches!(outcome, Outcome::Stopped(_)), "{n}");
    }
    assert_eq!(lab.decisions.iter().filter(|decision| decision.action == Action::Expire).count(), 0);
    lab.wait(2 * 86_400);
    assert!(lab.may("203.200.113.1", Some("alice")));
}

/// As mail servers have it: so many failures in a row from one address lock the account for that address.
#[test]
fn the_plain_lock_works_live_and_apart_from_blocks_of_addresses() {
    let mut lab = Lab::new("vpop3", true);
    for n in 0..2 {
        lab.report(EventKind::LoginFailed, "192.0.2.7", "alice", &format!("{n:04}"));
        assert_eq!(lab.logged("192.0.2.7", "alice"), Outcome::Duplicate);
    }
    let mut good = lab.event(EventKind::LoginSucceeded, "192.0.2.7").account("alice");
    good.witness = Witness::Report;
    lab.step(&good);
    for n in 0..3 {
        assert!(lab.may("192.0.2.7", Some("alice")), "{n}");
        lab.report(EventKind::LoginFailed, "192.0.2.7", "alice", &format!("{n:04}"));
    }
    assert_eq!(lab.blocks(), ["alice from 192.0.2.7 lock"]);
    assert_eq!(lab.refused("192.0.2.7", "alice", Service::Imap), Some(SubjectKind::Pair));
    assert!(lab.may("192.0.2.7", Some("bob")) && lab.may("192.0.2.8", Some("alice")));
    lab.wait(30 * 60);
    assert!(lab.may("192.0.2.7", Some("alice")));
}

#[test]
fn who_goes_on_against_a_lock_is_counted_by_the_address() {
    let mut lab = Lab::new("vpop3", true);
    for n in 0..3 {
        lab.report(EventKind::LoginFailed, "192.0.2.7", "alice", &format!("{n:04}"));
    }
    for n in 3..10 {
        let outcome = lab.report(EventKind::LoginRefused, "192.0.2.7", "alice", &format!("{n:04}"));
        assert!(matches!(outcome, Outcome::Stopped(_)), "{n}");
    }
    assert_eq!(lab.blocks(), ["alice from 192.0.2.7 lock", "192.0.2.7 login"]);
}

#[test]
fn failures_on_accounts_that_do_not_exist_count_toward_the_address() {
    for (profile, tries, rule) in [("vpop3", 10, "192.0.2.7 login"), ("fairban", 5, "192.0.2.7 login")] {
        let mut lab = Lab::new(profile, true);
        for n in 0..tries {
            assert!(lab.blocks().is_empty(), "{profile} {n}");
            let name: Event<'static> =
                lab.event(EventKind::LoginUnknownAccount, "192.0.2.7").account(format!("nobody{n}")).digest("0585");
            lab.step(&name);
        }
        assert_eq!(lab.blocks(), [rule], "{profile}");
    }
}

#[test]
fn a_success_never_clears_guesses_against_other_accounts() {
    for (profile, tries) in [("fairban", 4), ("vpop3", 9), ("autoban", 4)] {
        let mut lab = Lab::new(profile, true);
        for n in 0..tries {
            let victim = ["bob", "carol", "dave", "erin", "frank"][n % 5];
            lab.report(EventKind::LoginFailed, "192.0.2.7", victim, &format!("{n:04}"));
            // The guesser owns an account, and signs in to it after each guess.
            let mut own = lab.event(EventKind::LoginSucceeded, "192.0.2.7").account("mallory");
            own.witness = Witness::Report;
            lab.step(&own);
        }
        assert!(lab.blocks().is_empty(), "{profile}");
        lab.report(EventKind::LoginFailed, "192.0.2.7", "grace", "0099");
        assert_eq!(lab.blocks(), ["192.0.2.7 login"], "{profile}");
    }
}

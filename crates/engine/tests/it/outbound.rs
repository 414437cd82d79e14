//! Accounts that send far more than they ever did.

use std::time::Duration;

use crate::Lab;
use expect_test::expect;
use fairban_engine::{Habit, Outcome};
use fairban_types::{
    Action, Diagnosis, Effect, Event, EventKind, Mailing, Refused, Service, SubjectKind, Time, Verdict, Witness,
};
use proptest::prelude::*;

const DAY: u64 = 86_400;

impl Lab {
    fn message(&self, account: &'static str, recipients: u32) -> Event<'static> {
        let mut event = self.event(EventKind::MessageSent, "192.0.2.7").account(account);
        event.service = Service::Submission;
        event.count = recipients;
        event
    }

    fn send(&mut self, account: &'static str, recipients: u32) -> Outcome {
        let event = self.message(account, recipients);
        self.step(&event)
    }

    /// So many days with so many messages each, spread over eight hours; a day ends at midnight.
    fn live(&mut self, account: &'static str, days: u64, messages: u64) {
        for _ in 0..days {
            for _ in 0..messages {
                self.send(account, 1);
                self.wait(8 * 3600 / messages);
            }
            let rest = DAY - self.now.secs().unsigned_abs() % DAY;
            self.wait(rest);
        }
    }

    /// Sends one by one until stopped: how many went through.
    fn spree(&mut self, account: &'static str, recipients: u32, pause: Duration) -> u32 {
        for n in 0..recipients {
            if matches!(self.send(account, 1), Outcome::Stopped(_)) {
                return n;
            }
            self.now = self.now.after(pause);
        }
        recipients
    }

    fn mailing(&self, account: &str) -> Option<Refused> {
        let question =
            Mailing { client: [192, 0, 2, 7].into(), account: Some(account), helo: "x", return_path: Some("a@b.test") };
        match self.engine.may_send(self.now, &question) {
            Verdict::Allow => None,
            Verdict::Refuse(refused) => Some(refused),
        }
    }
}

#[test]
fn months_at_twenty_a_day_then_five_thousand_in_ten_minutes() {
    let mut lab = Lab::new("fairban", true);
    lab.live("Alice", 60, 20);
    assert!(lab.decisions.is_empty());
    let through = lab.spree("Alice", 5000, Duration::from_millis(120));
    assert_eq!(through, 201);
    assert_eq!(lab.blocks(), ["send-outbound:account=alice outbound"]);
    let block = lab.decisions[0].clone();
    expect!["201 recipients within 1h; this account's usual most is 3; limit 200"].assert_eq(&block.reason);
    assert_eq!((block.score, block.threshold, block.offence), (201, 200, 1));
    assert_eq!((block.effect, block.diagnosis, block.in_kernel), (Effect::Soft, Diagnosis::SpamRun, false));
    assert_eq!(block.until, Some(block.time.after(Duration::from_secs(4 * 3600))));
    assert_eq!(block.events.iter().map(|evidence| evidence.points).sum::<u32>(), block.score);

    assert_eq!(lab.mailing("alice").map(|refused| refused.subject), Some(SubjectKind::Sending));
    assert_eq!(lab.sign_in("alice", Service::Submission).map(|refused| refused.effect), Some(Effect::Soft));
    for service in [Service::Imap, Service::Pop3, Service::Sieve, Service::Webmail] {
        assert_eq!(lab.sign_in("alice", service), None, "{service}");
    }
    assert_eq!(lab.mailing("bob"), None);

    assert_eq!(lab.release("send:account=alice"), 1);
    assert_eq!(lab.mailing("alice"), None);
    assert_eq!(lab.engine.offence(&block.subject), None, "the offence is taken back");
    assert_eq!(lab.spree("Alice", 350, Duration::from_secs(1)), 350, "a release forgets, and is patient for a day");
    assert_eq!(lab.spree("Alice", 350, Duration::from_secs(1)), 51, "but not for ever");
}

#[test]
fn a_block_ends_and_what_led_to_it_is_spent() {
    let mut lab = Lab::new("fairban", true);
    lab.live("alice", 10, 20);
    lab.spree("alice", 5000, Duration::from_millis(120));
    lab.wait(4 * 3600);
    assert_eq!(lab.decisions.last().map(|decision| decision.action), Some(Action::Expire));
    assert_eq!(lab.mailing("alice"), None);
    assert_eq!(lab.spree("alice", 150, Duration::from_secs(1)), 150);
    lab.spree("alice", 5000, Duration::from_secs(1));
    let again = lab.decisions.last().unwrap();
    assert_eq!((again.offence, again.until), (2, Some(again.time.after(Duration::from_secs(DAY)))));
}

#[test]
fn a_steady_mailing_list_is_left_alone() {
    let mut lab = Lab::new("fairban", true);
    for hour in 0..21 * 24 {
        for batch in 0..60 {
            // Busier and quieter minutes, newcomers among its networks, and addresses that are gone.
            let mut event = lab.message("list", if batch % 2 == 0 { 80 } else { 20 });
            event.client = [203, 0, (hour % 200) as u8, 1].into();
            lab.step(&event);
            let gone = Event { kind: EventKind::MessageBounced, count: 8, ..event };
            lab.step(&gone);
            lab.wait(60);
        }
    }
    assert!(lab.blocks().iter().all(|block| !block.contains("outbound")), "{:?}", lab.blocks());
}

#[test]
fn old_log_lines_teach_and_never_block() {
    let mut lab = Lab::new("fairban", true);
    let now = lab.now;
    let mut decisions = Vec::new();
    for day in (1..60u32).rev() {
        for (account, recipients) in [("alice", 20), ("list", 72_000)] {
            let mut event = lab.message(account, recipients);
            event.time = now.before(Duration::from_secs(u64::from(day) * DAY + 7200));
            assert_ne!(lab.engine.step(now, &event, &mut decisions), Outcome::Late);
        }
    }
    assert_eq!(decisions, []);
    assert_eq!(lab.spree("alice", 5000, Duration::from_millis(120)), 201);
    for _ in 0..10 {
        assert_eq!(lab.send("list", 300), Outcome::Noted);
        lab.wait(60);
    }
    assert_eq!(lab.engine.sending_habit("list").map(|habit| habit.recipients.most), Some(72_000));
}

#[test]
fn a_new_server_knows_only_the_absolute_limit_and_later_its_newcomers() {
    let mut lab = Lab::new("fairban", true);
    assert_eq!(lab.spree("first", 10_000, Duration::from_millis(1)), 5001);
    lab.live("alice", 8, 20);
    assert_eq!(lab.spree("new", 10_000, Duration::from_millis(1)), 501);
    expect!["501 recipients within 1h; this account has no history yet; limit 500"]
        .assert_eq(&lab.decisions.last().unwrap().reason);
}

#[test]
fn a_slow_run_is_stopped_by_the_day() {
    let mut lab = Lab::new("fairban", true);
    lab.live("alice", 10, 20);
    lab.wait(DAY);
    assert_eq!(lab.spree("alice", 5000, Duration::from_secs(3600 / 180)), 1001);
    assert!(lab.decisions[0].reason.starts_with("1,001 recipients within 1d; "), "{}", lab.decisions[0].reason);
    assert_eq!(lab.decisions[0].events.iter().map(|evidence| evidence.points).sum::<u32>(), 1001);
}

#[test]
fn one_message_to_thousands_is_stopped_while_it_is_told_recipient_by_recipient() {
    let mut lab = Lab::new("fairban", true);
    lab.live("alice", 10, 20);
    let mut told = 0;
    while lab.blocks().is_empty() {
        let mut event = lab.message("alice", 1);
        event.witness = Witness::Report;
        event.session = Some("instance.1".into());
        lab.step(&event);
        told += 1;
    }
    assert_eq!(told, 201);
    assert_eq!(lab.decisions[0].events.len(), 1, "one message");
    assert_eq!(lab.decisions[0].events[0].event.count, 201);
}

#[test]
fn what_is_reported_live_does_not_count_again_from_the_log() {
    let mut lab = Lab::new("fairban", true);
    lab.live("alice", 10, 20);
    for n in 0..200 {
        let mut event = lab.message("alice", 1);
        event.witness = Witness::Report;
        assert_eq!(lab.step(&event), Outcome::Noted, "{n}");
        event.witness = Witness::Frontend;
        assert_eq!(lab.step(&event), Outcome::Duplicate, "{n}");
        assert_eq!(lab.send("bob", 1), Outcome::Noted, "bob's server reports nothing");
    }
    assert!(lab.decisions.is_empty());
    lab.wait(2 * DAY);
    assert_eq!(lab.send("alice", 1), Outcome::Noted, "the policy service was taken away");
}

#[test]
fn signs_of_a_stolen_account_tighten_the_limit() {
    let limit = |prepare: fn(&mut Lab)| {
        let mut lab = Lab::new("fairban", true);
        lab.good("192.0.2.7", "alice");
        // A hundred an hour is usual.
        for _ in 0..10 {
            lab.spree("alice", 100, Duration::from_secs(1));
            lab.wait(DAY - 100);
        }
        prepare(&mut lab);
        while lab.blocks().is_empty() {
            let mut event = lab.message("alice", 1);
            event.client = [203, 0, 113, 9].into();
            lab.step(&event);
        }
        let block = lab.decisions.last().unwrap().clone();
        (block.threshold, block.reason.split("; ").nth(3).unwrap_or_default().to_owned())
    };
    assert_eq!(limit(|_| {}), (1000, String::new()));
    let (new_network, reason) = limit(|lab| {
        lab.good("203.0.113.9", "alice");
    });
    assert_eq!(new_network, 500);
    assert_eq!(reason, "signs of a stolen account: first sign-in from the network of 203.0.113.9 within the last day");
    let (bounces, reason) = limit(|lab| {
        for _ in 0..60 {
            let gone = Event { kind: EventKind::MessageBounced, ..lab.message("alice", 1) };
            lab.send("alice", 1);
            lab.step(&gone);
        }
    });
    assert_eq!(bounces, 500, "{reason}");
    assert!(reason.starts_with("signs of a stolen account: 60 recipients that do not exist"), "{reason}");
}

#[test]
fn a_stolen_account_cannot_teach_quickly() {
    let mut lab = Lab::new("fairban", true);
    lab.live("alice", 10, 20);
    // As much as goes, just below the limit of each day.
    let mut most = Vec::new();
    for _ in 0..4 {
        let before = lab.engine.sending_habit("alice").unwrap();
        let limit = (before.recipients.most * 10).max(200);
        assert_eq!(lab.spree("alice", limit, Duration::from_millis(10)), limit);
        most.push(limit);
        let rest = DAY - lab.now.secs().unsigned_abs() % DAY;
        lab.wait(rest);
        lab.send("alice", 1);
        lab.wait(3600);
    }
    assert_eq!(most, [200, 200, 400, 800], "at most twice as much each day");
}

#[test]
fn habits_are_kept() {
    let mut lab = Lab::new("fairban", true);
    lab.live("Alice", 30, 20);
    lab.send("Alice", 1);
    let changed = lab.engine.take_changed_habits();
    let names: Vec<&str> = changed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["alice"]);
    assert_eq!(lab.engine.take_changed_habits(), []);
    let habit = changed[0].1;
    assert_eq!(lab.engine.sending_habit("ALICE"), Some(habit));
    assert_eq!(habit.to_string().parse::<Habit>(), Ok(habit));
    assert_eq!((habit.recipients.most, habit.daily.most), (3, 40));

    let mut other = Lab::new("fairban", true);
    other.now = lab.now;
    other.engine.restore_habit("alice", habit);
    assert_eq!(other.spree("alice", 5000, Duration::from_millis(120)), 201);
}

#[test]
fn a_restart_forgets_neither_what_was_sent_nor_a_release() {
    let mut lab = Lab::new("fairban", true);
    lab.live("alice", 10, 20);
    let habit = lab.engine.sending_habit("alice").unwrap();
    let mut other = Lab::new("fairban", true);
    other.engine.restore_habit("alice", habit);
    other.now = lab.now;
    for _ in 0..150 {
        other.engine.recall_event(&other.message("alice", 1), fairban_engine::Recalled::Noted);
    }
    assert_eq!(other.spree("alice", 5000, Duration::from_millis(1)), 51);
    other.release("send:account=alice");
    let mut third = Lab::new("fairban", true);
    third.engine.restore_habit("alice", habit);
    third.now = other.now;
    for _ in 0..200 {
        third.engine.recall_event(&third.message("alice", 1), fairban_engine::Recalled::Noted);
    }
    for decision in &other.decisions {
        third.engine.recall_decision(decision);
    }
    assert_eq!(third.spree("alice", 5000, Duration::from_millis(1)), 401, "patience too");
}

#[test]
fn memory_is_bounded_under_any_number_of_accounts() {
    let mut lab = Lab::new("fairban", true);
    let mut policy = lab.engine.policy().clone();
    policy.memory_bytes_max = 4 * 1024 * 1024;
    lab.engine = fairban_engine::Engine::new(policy);
    for n in 0..20_000 {
        let mut event = lab.message("alice", 1);
        event.account = Some(format!("user{n}").into());
        lab.step(&event);
        for hop in 0..if n % 100 == 0 { 300 } else { 1 } {
            lab.wait(1);
            event.time = lab.now;
            event.session = Some(format!("{n}.{hop}").into());
            if matches!(lab.step(&event), Outcome::Stopped(_)) {
                break;
            }
        }
    }
    lab.engine.take_changed_habits();
    assert!(lab.engine.bytes() < 4 * 1024 * 1024, "{}", lab.engine.bytes());
}

#[test]
fn nobody_looks_where_it_is_turned_off() {
    let mut lab = Lab::new("autoban", true);
    lab.live("alice", 10, 20);
    assert_eq!(lab.spree("alice", 20_000, Duration::from_millis(1)), 20_000);
    assert_eq!(lab.engine.sending_habit("alice"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_block_comes_when_a_naive_sum_says_so(
        sent in prop::collection::vec((0u64..600, 1u32..9, 0u64..120), 1..60),
        limit in 5u32..60,
    ) {
        let mut lab = Lab::new("fairban", true);
        let mut policy = lab.engine.policy().clone();
        if let Some(outbound) = policy.outbound.as_mut() {
            outbound.recipients_max = limit;
            outbound.floor = 1;
        }
        lab.engine.reconfigure(lab.now, policy, &mut lab.decisions);
        let mut list: Vec<(Time, u32)> = Vec::new();
        let mut newest = Time::MIN;
        for (wait, recipients, late) in sent {
            lab.wait(wait);
            let mut event = lab.message("alice", recipients);
            event.time = lab.now.before(Duration::from_secs(late));
            list.push((event.time, recipients));
            newest = newest.max(event.time);
            lab.step(&event);
            let start = newest.before(Duration::from_secs(3600));
            let sum: u32 = list.iter().filter(|(at, _)| *at > start).map(|(_, recipients)| recipients).sum();
            prop_assert_eq!(lab.blocks().len(), usize::from(sum > limit), "{} of {}", sum, limit);
            if sum > limit {
                let block = &lab.decisions[0];
                prop_assert_eq!((block.score, block.threshold), (sum, limit));
                prop_assert_eq!(block.events.iter().map(|evidence| evidence.points).sum::<u32>(), sum);
                break;
            }
        }
    }
}

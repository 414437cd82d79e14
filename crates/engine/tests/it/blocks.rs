//! Blocks, the ladder, releases and the never-block list.

use std::time::Duration;

use crate::Lab;
use fairban_engine::{Outcome, Refusal};
use fairban_types::{Action, Subject};

fn attack(lab: &mut Lab, from: &str) {
    for n in 0..5 {
        lab.wrong(from, "alice", &format!("{n:04}"));
    }
}

fn unblock(lab: &mut Lab, subject: &str) -> usize {
    let subject: Subject = subject.parse().unwrap();
    lab.engine.unblock(lab.now, &subject, "admin", "test", &mut lab.decisions)
}

fn never_add(lab: &mut Lab, net: &str) {
    lab.engine.never_add(lab.now, net.parse().unwrap(), "admin", &mut lab.decisions);
}

#[test]
fn the_ladder_climbs_and_forgets() {
    let mut lab = Lab::new("mailcow", false);
    let mut times = Vec::new();
    for _ in 0..3 {
        for _ in 0..10 {
            lab.wrong("192.0.2.7", "alice", "");
        }
        let block = lab.decisions.iter().rev().find(|decision| decision.action == Action::Block).unwrap().clone();
        times.push((block.offence, block.until.unwrap().since(block.time).as_secs() / 60));
        lab.wait(86_400);
    }
    assert_eq!(times, [(1, 30), (2, 60), (3, 120)]);
}

#[test]
fn a_release_forgets_the_events_behind_it() {
    let mut lab = Lab::new("fairban", true);
    attack(&mut lab, "192.0.2.7");
    assert_eq!(unblock(&mut lab, "192.0.2.7"), 1);
    assert_eq!(lab.decisions.last().map(|decision| decision.action), Some(Action::Release));
    assert!(lab.may("192.0.2.7", None));
    for n in 10..14 {
        lab.wrong("192.0.2.7", "alice", &format!("{n:04}"));
    }
    assert_eq!(lab.blocks().len(), 1, "four new ones are not five");
    lab.wrong("192.0.2.7", "alice", "0099");
    assert_eq!(lab.blocks().len(), 2, "if it happens again, it blocks again");
}

#[test]
fn one_address_is_released_from_a_wider_block() {
    let mut lab = Lab::new("fairban", true);
    let net: Subject = "192.0.2.0/24".parse().unwrap();
    lab.engine.block(lab.now, net, None, "admin", "test", &mut lab.decisions).unwrap();
    assert_eq!(unblock(&mut lab, "192.0.2.7"), 1);
    assert!(lab.may("192.0.2.7", None));
    assert!(!lab.may("192.0.2.8", None));
    assert_eq!(unblock(&mut lab, "192.0.0.0/16"), 1);
    assert!(lab.may("192.0.2.8", None));
}

#[test]
fn an_owner_is_let_out_of_one_block_only() {
    let mut lab = Lab::new("fairban", true);
    let let_out = |lab: &mut Lab, code, subject: &str| {
        let subject: Subject = subject.parse().unwrap();
        lab.engine.let_out(lab.now, code, &subject, "portal:alice", "asked", &mut lab.decisions)
    };
    let net: Subject = "192.0.2.0/24".parse().unwrap();
    let by_hand = lab.engine.block(lab.now, net, None, "admin", "test", &mut lab.decisions).unwrap();
    attack(&mut lab, "198.51.100.7");
    let code = lab.decisions.last().unwrap().code;
    assert!(!let_out(&mut lab, by_hand, "198.51.100.7"), "another's reference");
    assert!(!let_out(&mut lab, code, "192.0.2.7"), "another's address");
    assert!(!let_out(&mut lab, code, "198.51.0.0/16"), "more than the block");
    assert!(let_out(&mut lab, code, "198.51.100.7"));
    assert!(!let_out(&mut lab, code, "198.51.100.7"), "it is over");
    assert!(lab.may("198.51.100.7", None));
    for n in 10..15 {
        lab.wrong("198.51.100.7", "alice", &format!("{n:04}"));
    }
    let again = lab.decisions.last().unwrap();
    assert_eq!((again.action, again.offence), (Action::Block, 2), "the ladder climbs on");
    assert!(let_out(&mut lab, by_hand, "192.0.2.7"));
    assert!(!let_out(&mut lab, by_hand, "192.0.2.7"), "the hole is there");
    assert!(lab.may("192.0.2.7", None) && !lab.may("192.0.2.8", None));
}

#[test]
fn never_block_wins_over_every_path() {
    let mut lab = Lab::new("autoban", false);
    attack(&mut lab, "192.0.2.7");
    assert!(!lab.may("192.0.2.7", None));
    never_add(&mut lab, "192.0.2.0/28");
    assert!(lab.may("192.0.2.7", None), "lifted at once");
    assert_eq!(lab.decisions.last().map(|decision| decision.action), Some(Action::Release));
    for n in 0..50 {
        assert_eq!(lab.wrong("192.0.2.7", "alice", &format!("{n:04}")), Outcome::Exempt);
    }
    let address: Subject = "192.0.2.7".parse().unwrap();
    let refused = lab.engine.block(lab.now, address, None, "admin", "", &mut lab.decisions);
    assert_eq!(refused, Err(Refusal::NeverBlock));
    let wide: Subject = "192.0.0.0/16".parse().unwrap();
    lab.engine.block(lab.now, wide, None, "admin", "", &mut lab.decisions).unwrap();
    assert!(lab.may("192.0.2.7", None), "a wider block has a hole there");
    assert!(!lab.may("192.0.2.16", None));
}

#[test]
fn a_block_ends_by_itself() {
    let mut lab = Lab::new("fairban", true);
    let until = lab.now.after(Duration::from_secs(10));
    let subject: Subject = "192.0.2.7".parse().unwrap();
    lab.engine.block(lab.now, subject.clone(), Some(until), "admin", "", &mut lab.decisions).unwrap();
    // A longer block takes the place of the shorter one; the shorter one's end means nothing then.
    let longer = lab.now.after(Duration::from_secs(20));
    lab.engine.block(lab.now, subject, Some(longer), "admin", "", &mut lab.decisions).unwrap();
    lab.wait(10);
    assert!(!lab.may("192.0.2.7", None));
    lab.wait(10);
    assert!(lab.may("192.0.2.7", None));
    let ends: Vec<_> = lab.decisions.iter().filter(|decision| decision.action == Action::Expire).collect();
    assert_eq!(ends.len(), 1);
    assert_eq!(lab.engine.standing_len(), 0);
}

#[test]
fn memory_is_bounded_and_live_blocks_stand() {
    let mut lab = Lab::new("fairban", true);
    let mut policy = lab.engine.policy().clone();
    policy.memory_bytes_max = 4 * 1024 * 1024;
    lab.engine = fairban_engine::Engine::new(policy.clone());
    lab.engine.reconfigure(lab.now, policy, &mut lab.decisions);
    attack(&mut lab, "192.0.2.7");
    for n in 0u32..100_000 {
        let from = std::net::IpAddr::from((0x0b00_0000 + n * 263).to_be_bytes());
        let event = lab.event(fairban_types::EventKind::LoginFailed, &from.to_string()).account(format!("user{n}"));
        lab.step(&event);
    }
    assert!(lab.engine.bytes() < 4 * 1024 * 1024, "{}", lab.engine.bytes());
    assert!(lab.engine.tracked_len() > 1000);
    assert!(!lab.may("192.0.2.7", None));
}

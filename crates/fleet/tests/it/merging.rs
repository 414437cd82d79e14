//! The merge logic by hand-made histories.

use std::time::Duration;

use fairban_fleet::{Change, Fact, HEAD_START, Merge, Trust, Wish};
use fairban_types::{Action, Code, Decision, Diagnosis, Effect, Origin, Subject, Time};

pub(crate) const BY: Wish<'static> = Wish { by: "admin", reason: "test" };

pub(crate) fn at(secs: i64) -> Time {
    Time::from_secs(1_800_000_000 + secs)
}

pub(crate) fn block(subject: &str, code: u64, time: Time, until: Option<Time>) -> Decision {
    Decision {
        code: Code::new(code),
        time,
        action: Action::Block,
        subject: subject.parse().unwrap(),
        origin: Origin::Rule("login".to_owned()),
        reason: "test".to_owned(),
        score: 5,
        threshold: 5,
        until,
        effect: Effect::Drop,
        diagnosis: Diagnosis::PasswordGuessing,
        offence: 1,
        spares_familiar: false,
        in_kernel: true,
        holes: Vec::new(),
        events: Vec::new(),
    }
}

fn node(name: &str) -> Merge {
    Merge::new(name, Trust::default())
}

fn told(from: &Merge, key: &str) -> Fact {
    from.fact(key).unwrap().clone()
}

fn blocks(merge: &Merge, now: Time) -> Vec<String> {
    let show = |found: &fairban_fleet::Effective<'_>| {
        let holes: Vec<String> = found.holes.iter().map(ToString::to_string).collect();
        let holes = if holes.is_empty() { String::new() } else { format!(" but {}", holes.join(", ")) };
        format!("{}{holes}", found.decision.subject)
    };
    merge.in_force(now).iter().map(show).collect()
}

/// Every order of some facts, each of them twice.
fn every_order(facts: &[Fact], mut check: impl FnMut(Merge)) {
    let mut orders: Vec<Vec<usize>> = vec![vec![]];
    for index in 0..facts.len() {
        orders = orders
            .into_iter()
            .flat_map(|order| {
                (0..=order.len()).map(move |place| {
                    let mut order = order.clone();
                    order.insert(place, index);
                    order
                })
            })
            .collect();
    }
    for order in orders {
        let mut merge = node("reader");
        for index in order.iter().chain(order.iter().rev()) {
            merge.absorb(facts[*index].clone(), at(0));
        }
        check(merge);
    }
}

#[test]
fn a_release_wins_over_an_older_block_that_arrives_late() {
    // The clocks differ by five seconds either way; the releaser has not seen the block.
    for skew in [-5, 0, 5] {
        let (mut one, mut other) = (node("mx1"), node("mx2"));
        let blocked = one.decided(&block("192.0.2.7", 1, at(0), Some(at(3600))), at(skew)).unwrap();
        let released = other.released(&"192.0.2.7".parse().unwrap(), BY, at(1));
        every_order(&[told(&one, &blocked), told(&other, &released)], |mut merge| {
            assert_eq!(blocks(&merge, at(2)), [""; 0], "skew {skew}");
            assert!(!merge.take(at(2)).iter().any(|change| matches!(change, Change::Block { .. })));
        });
    }
}

#[test]
fn a_block_that_knows_of_the_release_stands_whatever_the_clock() {
    let (mut one, mut other) = (node("mx1"), node("mx2"));
    let released = one.released(&"192.0.2.7".parse().unwrap(), BY, at(5));
    other.absorb(told(&one, &released), at(0));
    let blocked = other.decided(&block("192.0.2.7", 1, at(0), None), at(0)).unwrap();
    every_order(&[told(&one, &released), told(&other, &blocked)], |merge| {
        assert_eq!(blocks(&merge, at(2)), ["192.0.2.7"]);
    });
}

#[test]
fn a_prolonged_block_is_no_newer() {
    let (mut one, mut other) = (node("mx1"), node("mx2"));
    let blocked = one.decided(&block("192.0.2.7", 1, at(0), Some(at(600))), at(0)).unwrap();
    let first = told(&one, &blocked);
    other.absorb(first.clone(), at(1));
    let released = other.released(&"192.0.2.7".parse().unwrap(), BY, at(2));
    // Cut off, the first node goes on for minutes.
    one.decided(&block("192.0.2.7", 1, at(300), Some(at(900))), at(300)).unwrap();
    every_order(&[first, told(&one, &blocked), told(&other, &released)], |merge| {
        assert_eq!(blocks(&merge, at(301)), [""; 0]);
    });
}

#[test]
fn a_block_after_its_release_is_a_new_one_though_the_clock_stood_still() {
    let (mut one, mut other) = (node("mx1"), node("mx2"));
    let first = one.decided(&block("192.0.2.7", 1, at(0), None), at(0)).unwrap();
    other.absorb(told(&one, &first), at(0));
    other.take(at(0));
    let released = other.released(&"192.0.2.7".parse().unwrap(), BY, at(0));
    // References are computed of subject, rule and time.
    let again = other.decided(&block("192.0.2.7", 1, at(0), None), at(0)).unwrap();
    let facts = [told(&one, &first), told(&other, &released), told(&other, &again)];
    every_order(&facts, |merge| assert_eq!(blocks(&merge, at(2)), ["192.0.2.7"]));
}

#[test]
fn a_much_later_block_stands_though_it_did_not_know_of_the_release() {
    let (mut one, mut other) = (node("mx1"), node("mx2"));
    let released = other.released(&"192.0.2.7".parse().unwrap(), BY, at(0));
    let later = at(0).after(HEAD_START).after(Duration::from_secs(1));
    let blocked = one.decided(&block("192.0.2.7", 1, later, None), later).unwrap();
    every_order(&[told(&one, &blocked), told(&other, &released)], |merge| {
        assert_eq!(blocks(&merge, later), ["192.0.2.7"]);
    });
}

#[test]
fn releases_reach_what_is_narrower_and_punch_what_is_wider() {
    let (mut one, mut other) = (node("mx1"), node("mx2"));
    let keys: Vec<String> =
        ["192.0.2.0/24", "192.0.2.7", "alice from 192.0.2.7", "198.51.100.1", "alice", "send-inbound:bob@example.test"]
            .iter()
            .enumerate()
            .map(|(code, subject)| one.decided(&block(subject, code as u64, at(0), None), at(0)).unwrap())
            .collect();
    for (released, left) in [
        ("192.0.2.7", vec!["192.0.2.0/24 but 192.0.2.7/32", "198.51.100.1", "alice", "send-inbound:bob@example.test"]),
        ("192.0.0.0/16", vec!["198.51.100.1", "alice", "send-inbound:bob@example.test"]),
        ("alice", vec!["192.0.2.0/24", "192.0.2.7", "198.51.100.1", "send-inbound:bob@example.test"]),
        ("send:bob@example.test", vec!["192.0.2.0/24", "192.0.2.7", "198.51.100.1", "alice", "alice from 192.0.2.7"]),
    ] {
        let mut fresh = node("mx3");
        let release = other.released(&released.parse().unwrap(), BY, at(1));
        fresh.absorb(told(&other, &release), at(1));
        for key in &keys {
            fresh.absorb(told(&one, key), at(1));
        }
        let (mut found, mut left) = (blocks(&fresh, at(2)), left);
        found.sort_unstable();
        left.sort_unstable();
        assert_eq!(found, left, "{released}");
    }
}

#[test]
fn let_out_is_of_one_block_only() {
    let (mut one, mut other) = (node("mx1"), node("mx2"));
    let wide = one.decided(&block("192.0.2.0/24", 1, at(0), None), at(0)).unwrap();
    let out = other.let_out(Code::new(1), &"192.0.2.7".parse().unwrap(), BY, at(1));
    let facts = [told(&one, &wide), told(&other, &out)];
    every_order(&facts, |merge| assert_eq!(blocks(&merge, at(2)), ["192.0.2.0/24 but 192.0.2.7/32"]));
    let another = one.decided(&block("192.0.2.7", 2, at(0), None), at(0)).unwrap();
    let facts = [told(&one, &wide), told(&other, &out), told(&one, &another)];
    every_order(&facts, |merge| assert_eq!(blocks(&merge, at(2)).len(), 2));
}

#[test]
fn never_block_wins_and_gives_back_what_it_covered() {
    let (mut one, mut other) = (node("mx1"), node("mx2"));
    let blocked = one.decided(&block("192.0.2.7", 1, at(0), None), at(0)).unwrap();
    let listed = other.never("192.0.2.0/24".parse().unwrap(), true, None, BY, at(1));
    let facts = [told(&one, &blocked), told(&other, &listed)];
    every_order(&facts, |merge| assert_eq!(blocks(&merge, at(2)), [""; 0]));
    let removed = other.never("192.0.2.0/24".parse().unwrap(), false, None, BY, at(3));
    every_order(&[facts[0].clone(), facts[1].clone(), told(&other, &removed)], |mut merge| {
        assert_eq!(blocks(&merge, at(4)), ["192.0.2.7"]);
        assert!(merge.take(at(4)).iter().any(|change| matches!(change, Change::Block { .. })));
    });
}

#[test]
fn a_burst_is_held_back_alike_everywhere_until_it_is_accepted() {
    let trust = Trust { blocks_per_minute: 3, ..Trust::default() };
    let mut poisoned = node("mx9");
    let facts: Vec<Fact> = (0..6)
        .map(|n| {
            let key = poisoned.decided(&block(&format!("192.0.2.{n}"), n, at(0), None), at(0)).unwrap();
            told(&poisoned, &key)
        })
        .collect();
    assert_eq!(blocks(&poisoned, at(1)).len(), 6, "its own decisions apply to itself");
    let read = |order: Vec<&Fact>| {
        let mut merge = Merge::new("mx1", trust.clone());
        let mut standing = std::collections::BTreeSet::new();
        for fact in order {
            merge.absorb(fact.clone(), at(1));
            for change in merge.take(at(1)) {
                match change {
                    Change::Block { decision, .. } => standing.insert(decision.subject.clone()),
                    Change::Lift { subject, .. } => standing.remove(&subject),
                    other => panic!("{other:?}"),
                };
            }
        }
        (merge, standing)
    };
    let (merge, forward) = read(facts.iter().collect());
    assert_eq!(forward, read(facts.iter().rev().collect()).1);
    assert_eq!(forward.len(), 3);
    assert_eq!(merge.held_back(), [("mx9".to_owned(), 3)]);
    let mut admin = node("mx2");
    let key = admin.accept("mx9", BY, at(5));
    let mut merge = merge;
    merge.absorb(told(&admin, &key), at(5));
    assert_eq!(merge.take(at(5)).len(), 3);
    assert_eq!((blocks(&merge, at(5)).len(), merge.held_back().len()), (6, 0));
}

#[test]
fn a_limited_node_decides_for_itself_only() {
    let trust = Trust { limited: ["mx9".to_owned()].into(), ..Trust::default() };
    let (mut limited, mut one) = (node("mx9"), node("mx1"));
    let mut merge = Merge::new("mx2", trust);
    let good = one.decided(&block("192.0.2.7", 1, at(0), None), at(0)).unwrap();
    let facts = [
        told(&one, &good),
        {
            let key = limited.decided(&block("198.51.100.1", 2, at(0), None), at(0)).unwrap();
            told(&limited, &key)
        },
        {
            let key = limited.released(&"192.0.2.7".parse().unwrap(), BY, at(1));
            told(&limited, &key)
        },
        {
            let key = limited.never("192.0.2.0/24".parse().unwrap(), true, None, BY, at(1));
            told(&limited, &key)
        },
    ];
    for fact in facts {
        merge.absorb(fact, at(1));
    }
    let changes = merge.take(at(1));
    assert!(matches!(&changes[..], [Change::Block { node, .. }] if node == "mx1"), "{changes:?}");
    assert_eq!(blocks(&merge, at(2)), ["192.0.2.7"]);
}

#[test]
fn the_newer_value_wins_and_one_that_is_taken_back_stays_so() {
    let (mut one, mut other) = (node("mx1"), node("mx2"));
    let set = |merge: &mut Merge, value, secs| {
        let key = merge.value("rule:login", value, BY, at(secs));
        told(merge, &key)
    };
    let facts = [set(&mut one, Some("150"), 0), set(&mut other, Some("200"), 1), set(&mut one, None, 2)];
    let values = |merge: &Merge| merge.values().into_iter().map(|(_, value, _)| value).collect::<Vec<_>>();
    every_order(&facts[..2], |mut merge| {
        assert_eq!(values(&merge), [Some("200".to_owned())]);
        assert!(merge.take(at(3)).contains(&Change::Value { name: "rule:login".to_owned() }));
    });
    every_order(&facts, |merge| assert_eq!(values(&merge), [None]));
    // Who knows of a value sets the newer one, though their clock be behind.
    other.absorb(facts[2].clone(), at(0));
    let latest = set(&mut other, Some("300"), -5);
    every_order(&[facts[2].clone(), latest.clone()], |merge| assert_eq!(values(&merge), [Some("300".to_owned())]));
    // A limited node sets its own only.
    let mut merge = Merge::new("mx3", Trust { limited: ["mx2".to_owned()].into(), ..Trust::default() });
    merge.absorb(latest, at(0));
    assert_eq!((merge.values(), merge.take(at(0))), (vec![], vec![]));
}

#[test]
fn an_old_release_that_comes_late_spares_what_is_newer() {
    let (mut one, mut other) = (node("mx1"), node("mx2"));
    let release = one.released(&"192.0.2.0/24".parse().unwrap(), BY, at(0));
    other.absorb(told(&one, &release), at(0));
    let newer = other.decided(&block("192.0.2.7", 2, at(9), None), at(9)).unwrap();
    let older = one.decided(&block("192.0.2.8", 1, at(-99), None), at(-99));
    drop(older);
    let mut merge = node("mx3");
    merge.absorb(told(&other, &newer), at(9));
    assert_eq!(merge.take(at(9)).len(), 1);
    merge.absorb(told(&one, &release), at(10));
    assert_eq!(merge.take(at(10)), [], "the newer block is not touched");
    assert_eq!(blocks(&merge, at(11)), ["192.0.2.7"]);
}

#[test]
fn who_was_away_too_long_believes_the_server() {
    let mut merge = node("mx1");
    merge.decided(&block("192.0.2.7", 1, at(0), None), at(0)).unwrap();
    merge.decided(&block("192.0.2.8", 2, at(1000), None), at(1000)).unwrap();
    assert_eq!(merge.unsent_len(), 2);
    let in_step_until = u64::try_from(at(500).millis()).unwrap();
    assert!(merge.compare(&Default::default(), Some(in_step_until)).is_empty());
    let gone: Subject = "192.0.2.7".parse().unwrap();
    assert!(matches!(&merge.take(at(2000))[..], [Change::Lift { subject, .. }] if *subject == gone));
    assert_eq!(blocks(&merge, at(2000)), ["192.0.2.8"]);
    assert_eq!(merge.unsent(9).len(), 1, "what it decided alone is told");
}

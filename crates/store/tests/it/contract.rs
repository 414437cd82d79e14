//! What a store promises, asked of the file and of its twin in memory alike.
use std::time::Duration;

use fairban_store::{
    AuditEntry, AuditState, Batch, BlockFilter, BlockState, EndKind, EventFilter, Familiar, Habit, NeverChange,
    NeverEntry, Offence, Outcome, RecallItem, Store, StoreError,
};
use fairban_types::{Action, Code, EventKind, Origin, Subject, Time};

use crate::model::{at, decision, event, stored, without_evidence};

/// Runs a test on an empty store of each make.
fn each(test: impl Fn(&mut Store)) {
    let folder = tempfile::tempdir().unwrap();
    test(&mut Store::open(folder.path()).unwrap());
    test(&mut Store::in_memory().unwrap());
}

fn commit(store: &mut Store, fill: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::default();
    fill(&mut batch);
    store.commit(&batch).unwrap();
}

fn clients(store: &Store, filter: &EventFilter) -> Vec<String> {
    store.events(filter, 100, None).unwrap().iter().map(|logged| logged.stored.event.client.to_string()).collect()
}

#[test]
fn events_are_numbered_without_gaps_across_batches() {
    each(|store| {
        let mut batch = Batch::default();
        assert_eq!(store.commit(&batch).unwrap().seq, 0);
        batch.event(stored(event(1, "192.0.2.1")));
        batch.event(stored(event(2, "192.0.2.2")));
        let info = store.commit(&batch).unwrap();
        assert_eq!((info.seq, info.events), (2, 2));
        batch.clear();
        assert!(batch.is_empty());
        batch.event(stored(event(3, "192.0.2.3")));
        assert_eq!(store.commit(&batch).unwrap().seq, 3);
        let newest = store.events(&EventFilter::default(), 2, None).unwrap();
        assert_eq!(newest.iter().map(|logged| logged.seq).collect::<Vec<_>>(), [3, 2]);
        let before = store.events(&EventFilter::default(), 2, Some(2)).unwrap();
        assert_eq!(before.iter().map(|logged| logged.seq).collect::<Vec<_>>(), [1]);
        assert_eq!(store.event(3).unwrap().unwrap().stored.event, event(3, "192.0.2.3"));
        assert_eq!(store.event(4).unwrap(), None);
    });
}

#[test]
fn events_are_found_by_every_filter() {
    each(|store| {
        commit(store, |batch| {
            batch.event(stored(event(1, "192.0.2.7").account("Alice@example.test")));
            let mut relay = stored(event(2, "198.51.100.1"));
            relay.event.kind = EventKind::RelayDenied;
            relay.outcome = Outcome::Stopped;
            batch.event(relay);
            let mut other = stored(event(3, "2001:db8::7").account("bob"));
            other.node = "mx2".into();
            batch.event(other);
            // Begins with the bytes of 192.0.2.7.
            batch.event(stored(event(4, "c000:207::1")));
        });
        let all = EventFilter::default;
        for (filter, expected) in [
            (EventFilter { client: Some("192.0.2.7/32".parse().unwrap()), ..all() }, vec!["192.0.2.7"]),
            (EventFilter { client: Some("192.0.2.0/24".parse().unwrap()), ..all() }, vec!["192.0.2.7"]),
            (EventFilter { client: Some("0.0.0.0/0".parse().unwrap()), ..all() }, vec!["198.51.100.1", "192.0.2.7"]),
            (EventFilter { client: Some("2001:db8::/32".parse().unwrap()), ..all() }, vec!["2001:db8::7"]),
            (EventFilter { account: Some("alice@EXAMPLE.test".to_owned()), ..all() }, vec!["192.0.2.7"]),
            (EventFilter { account: Some("alice".to_owned()), ..all() }, vec![]),
            (EventFilter { kind: Some(EventKind::RelayDenied), ..all() }, vec!["198.51.100.1"]),
            (
                EventFilter {
                    client: Some("2001:db8::/64".parse().unwrap()),
                    account: Some("bob".to_owned()),
                    kind: Some(EventKind::LoginFailed),
                    ..all()
                },
                vec!["2001:db8::7"],
            ),
            (EventFilter { since: Some(at(2)), until: Some(at(3)), ..all() }, vec!["198.51.100.1"]),
            (EventFilter { since: Some(at(5)), ..all() }, vec![]),
            (EventFilter { until: Some(at(1)), ..all() }, vec![]),
            (EventFilter { node: Some("mx2".to_owned()), ..all() }, vec!["2001:db8::7"]),
            (EventFilter { node: Some("mx3".to_owned()), ..all() }, vec![]),
            (EventFilter { outcome: Some(Outcome::Stopped), ..all() }, vec!["198.51.100.1"]),
        ] {
            assert_eq!(clients(store, &filter), expected, "{filter:?}");
        }
    });
}

#[test]
fn a_question_spans_segments() {
    each(|store| {
        for start in (0..40_000).step_by(4000) {
            commit(store, |batch| {
                for secs in start..start + 4000 {
                    let client = if secs % 10_000 == 0 { "192.0.2.7" } else { "198.51.100.1" };
                    batch.event(stored(event(secs, client)));
                }
            });
        }
        let filter = EventFilter { client: Some("192.0.2.7/32".parse().unwrap()), ..EventFilter::default() };
        let found = store.events(&filter, 3, Some(30_001)).unwrap();
        assert_eq!(found.iter().map(|logged| logged.seq).collect::<Vec<_>>(), [20_001, 10_001, 1]);
        let filter = EventFilter { since: Some(at(100)), until: Some(at(102)), ..EventFilter::default() };
        assert_eq!(store.events(&filter, 10, None).unwrap().len(), 2);
        assert_eq!(store.info().unwrap().events, 40_000);
    });
}

#[test]
fn a_block_stands_until_its_end() {
    each(|store| {
        let block = decision(Action::Block, 1, 0, "192.0.2.7", Some(60));
        let permanent = decision(Action::Block, 2, 1, "198.51.100.0/24", None);
        commit(store, |batch| [&block, &permanent].iter().for_each(|d| batch.decision((*d).clone())));
        assert_eq!(store.standing(at(59)).unwrap(), [without_evidence(&block), without_evidence(&permanent)]);
        assert_eq!(store.standing(at(60)).unwrap(), [without_evidence(&permanent)]);
        assert_eq!(store.standing_with_evidence(at(59)).unwrap(), [block.clone(), permanent]);
        assert_eq!(store.decision(Code::new(1)).unwrap(), Some(block));
        assert_eq!(store.decision(Code::new(3)).unwrap(), None);
        assert_eq!(store.block(Code::new(3)).unwrap(), None);
    });
}

#[test]
fn a_release_ends_its_block_and_nothing_else() {
    each(|store| {
        let block = decision(Action::Block, 1, 0, "192.0.2.7", Some(600));
        let guard = decision(Action::Guard, 2, 0, "alice@example.test", Some(600));
        let mut release = decision(Action::Release, 1, 5, "192.0.2.7", None);
        release.origin = Origin::Manual("anna".to_owned());
        commit(store, |batch| [&block, &guard].iter().for_each(|d| batch.decision((*d).clone())));
        let mut batch = Batch::default();
        batch.decision(release.clone());
        let info = store.commit(&batch).unwrap();
        assert_eq!((info.blocks, info.ended), (0, 1));
        assert_eq!(store.standing(at(6)).unwrap(), [without_evidence(&guard)]);
        let ended = store.block(Code::new(1)).unwrap().unwrap();
        let end = ended.end.unwrap();
        assert_eq!((end.time, end.how, end.by.as_str()), (at(5), EndKind::Released, "anna"));
        assert_eq!(ended.decision, without_evidence(&block));
        assert_eq!(store.decision(Code::new(1)).unwrap(), Some(block.clone()), "the receipt outlives the release");
        assert_eq!(store.story(Code::new(1)).unwrap(), [block.clone(), release.clone()]);
        assert_eq!(store.history(&block.subject, 1).unwrap(), [release]);
    });
}

#[test]
fn a_release_wins_over_an_older_block_that_arrives_late() {
    each(|store| {
        let late = decision(Action::Block, 1, 0, "192.0.2.7", Some(600));
        for happening in [
            decision(Action::Release, 1, 5, "192.0.2.7", None),
            late.clone(),
            decision(Action::Block, 2, 0, "192.0.2.8", Some(600)),
            decision(Action::Release, 2, 5, "192.0.2.8", None),
            decision(Action::Block, 2, 4, "192.0.2.8", Some(900)),
        ] {
            commit(store, |batch| batch.decision(happening));
        }
        assert_eq!(store.standing(at(6)).unwrap(), []);
        assert_eq!(store.decision(Code::new(1)).unwrap(), Some(late), "its receipt is kept");
    });
}

#[test]
fn a_block_is_changed_or_replaced() {
    each(|store| {
        let longer = decision(Action::Block, 1, 10, "192.0.2.7", Some(900));
        let other = decision(Action::Block, 2, 20, "192.0.2.7", Some(1200));
        commit(store, |batch| {
            batch.decision(decision(Action::Block, 1, 0, "192.0.2.7", Some(600)));
            batch.decision(longer.clone());
        });
        let block = store.block(Code::new(1)).unwrap().unwrap();
        assert_eq!((block.start, block.decision), (at(0), without_evidence(&longer)));
        commit(store, |batch| batch.decision(other.clone()));
        assert_eq!(store.standing(at(21)).unwrap(), [without_evidence(&other)], "one block per subject");
        let end = store.block(Code::new(1)).unwrap().unwrap().end.unwrap();
        assert_eq!((end.time, end.how, end.by), (at(20), EndKind::Replaced, Code::new(2).to_string()));
        // One that was over already was not replaced.
        commit(store, |batch| batch.decision(decision(Action::Block, 3, 5000, "192.0.2.7", None)));
        let end = store.block(Code::new(2)).unwrap().unwrap().end.unwrap();
        assert_eq!((end.time, end.how), (at(1200), EndKind::Expired));
    });
}

#[test]
fn blocks_are_listed_by_filter() {
    each(|store| {
        commit(store, |batch| {
            batch.decision(decision(Action::Block, 1, 0, "192.0.2.7", Some(60)));
            batch.decision(decision(Action::Block, 2, 1, "192.0.2.8", None));
            batch.decision(decision(Action::Guard, 3, 2, "alice", Some(900)));
            let mut manual = decision(Action::Block, 4, 3, "192.0.2.9", Some(900));
            manual.origin = Origin::Manual("anna".to_owned());
            batch.decision(manual);
            batch.decision(decision(Action::Expire, 1, 60, "192.0.2.7", None));
        });
        let all = BlockFilter::default;
        for (filter, expected) in [
            (all(), vec![4, 3, 2, 1]),
            (BlockFilter { state: BlockState::Standing(at(899)), ..all() }, vec![4, 3, 2]),
            (BlockFilter { state: BlockState::Standing(at(900)), ..all() }, vec![2]),
            (BlockFilter { state: BlockState::Over(at(900)), ..all() }, vec![4, 3, 1]),
            (BlockFilter { action: Some(Action::Guard), ..all() }, vec![3]),
            (BlockFilter { rule: Some("manual".to_owned()), ..all() }, vec![4]),
            (BlockFilter { subject: Some("192.0.2.8".parse().unwrap()), ..all() }, vec![2]),
            (BlockFilter { since: Some(at(2)), ..all() }, vec![4, 3]),
        ] {
            let found = store.blocks(&filter, 10, 0).unwrap();
            let codes: Vec<u64> = found.iter().map(|block| block.decision.code.number()).collect();
            assert_eq!(codes, expected, "{filter:?}");
            assert_eq!(store.count_blocks(&filter).unwrap(), expected.len() as u64, "{filter:?}");
        }
        let page = store.blocks(&all(), 2, 1).unwrap();
        assert_eq!(page.iter().map(|block| block.decision.code.number()).collect::<Vec<_>>(), [3, 2]);
    });
}

#[test]
fn blocks_are_found_around_and_inside_a_network() {
    each(|store| {
        let subjects = [
            "192.0.2.7",
            "192.0.2.0/24",
            "192.0.0.0/16",
            "192.0.3.0/24",
            "2001:db8::/64",
            "0.0.0.0/0",
            "bob from 192.0.2.9",
            "192.0.2.7",
            "alice",
        ];
        commit(store, |batch| {
            for (code, subject) in (1..).zip(subjects) {
                batch.decision(decision(Action::Block, code, 0, subject, None));
            }
        });
        for (net, expected) in [
            ("192.0.2.7/32", vec![8, 6, 3, 2, 1]),
            ("192.0.2.0/24", vec![8, 7, 6, 3, 2, 1]),
            ("192.0.2.9/32", vec![7, 6, 3, 2]),
            ("192.0.0.0/15", vec![8, 7, 6, 4, 3, 2, 1]),
            ("0.0.0.0/0", vec![8, 7, 6, 4, 3, 2, 1]),
            ("2001:db8::1/128", vec![5]),
            ("2001:db8::/32", vec![5]),
            ("203.0.113.0/24", vec![6]),
        ] {
            let found = store.overlapping(net.parse().unwrap(), 100).unwrap();
            let codes: Vec<u64> = found.iter().map(|block| block.decision.code.number()).collect();
            assert_eq!(codes, expected, "{net}");
        }
        assert_eq!(store.overlapping("192.0.2.7/32".parse().unwrap(), 2).unwrap().len(), 2);
    });
}

#[test]
fn an_account_named_like_an_address_blocks_no_address() {
    each(|store| {
        let mut guard = decision(Action::Guard, 1, 0, "alice", None);
        guard.subject = Subject::Account("192.0.2.7".to_owned());
        commit(store, |batch| {
            batch.decision(guard.clone());
            batch.offences.push(Offence { subject: guard.subject.clone(), count: 1, last: at(0) });
        });
        assert_eq!(store.standing(at(1)).unwrap()[0].subject, guard.subject);
        assert_eq!(store.offences().unwrap()[0].subject, guard.subject);
        assert_eq!(store.overlapping("192.0.2.7/32".parse().unwrap(), 9).unwrap(), []);
        assert_eq!(store.history(&"192.0.2.7".parse().unwrap(), 9).unwrap(), []);
    });
}

#[test]
fn what_the_engine_remembers_is_replaced() {
    each(|store| {
        let familiar = |account: &str, last| Familiar {
            account: account.to_owned(),
            net: "192.0.2.0/24".parse().unwrap(),
            first: at(0),
            last: at(last),
            successes: 4,
        };
        let offence = |subject: &str, count| Offence { subject: subject.parse().unwrap(), count, last: at(9) };
        let habit =
            |account: &str, last| Habit { account: account.to_owned(), habit: format!("[{last}]"), last: at(last) };
        for last in [1, 50] {
            commit(store, |batch| {
                batch.familiar = vec![familiar("alice", last), familiar("bob", 2)];
                batch.offences = vec![offence("192.0.2.7", 1), offence("2001:db8::/64", 2)];
                batch.habits = vec![habit("alice", last), habit("bob", 2)];
                batch.cursors = vec![("a.log".to_owned(), format!("{{\"at\":{last}}}"))];
            });
        }
        commit(store, |batch| batch.offences = vec![offence("192.0.2.7", 0)]);
        let mut all = Vec::new();
        store.familiar(|familiar| all.push(familiar)).unwrap();
        assert_eq!(all, [familiar("alice", 50), familiar("bob", 2)]);
        assert_eq!(store.offences().unwrap(), [offence("2001:db8::/64", 2)]);
        assert_eq!(store.cursor("a.log").unwrap().as_deref(), Some("{\"at\":50}"));
        assert_eq!(store.cursor("b.log").unwrap(), None);
        assert_eq!(store.cursors().unwrap().len(), 1);

        assert_eq!(store.prune_familiar(at(60), Duration::from_secs(20), 10).unwrap(), 1);
        let mut left = Vec::new();
        store.familiar(|familiar| left.push(familiar.account)).unwrap();
        assert_eq!(left, ["alice"]);
        assert_eq!(store.prune_habits(at(60), Duration::from_secs(20), 10).unwrap(), 1);
        let mut habits = Vec::new();
        store.habits(|habit| habits.push(habit)).unwrap();
        assert_eq!(habits, [habit("alice", 50)]);
    });
}

#[test]
fn the_never_block_list_is_kept() {
    each(|store| {
        let entry = |net: &str, until: Option<i64>| NeverEntry {
            net: net.parse().unwrap(),
            reason: "our office".to_owned(),
            by: "anna".to_owned(),
            added: at(0),
            until: until.map(at),
        };
        commit(store, |batch| {
            batch.never = vec![
                NeverChange::Add(entry("2001:db8::/32", None)),
                NeverChange::Add(entry("192.0.2.0/24", Some(3))),
                NeverChange::Add(entry("192.0.2.0/24", Some(60))),
                NeverChange::Add(entry("192.0.2.0/25", None)),
                NeverChange::Remove("192.0.2.0/25".parse().unwrap()),
            ];
        });
        assert_eq!(store.never(at(59)).unwrap(), [entry("192.0.2.0/24", Some(60)), entry("2001:db8::/32", None)]);
        assert_eq!(store.never(at(60)).unwrap(), [entry("2001:db8::/32", None)]);
    });
}

#[test]
fn the_audit_is_a_chain() {
    each(|store| {
        assert_eq!(store.verify_audit().unwrap(), AuditState::Intact { entries: 0, head: [0; 32] });
        for number in 0..3 {
            let entry = AuditEntry {
                time: at(number),
                actor: "anna".to_owned(),
                act: "release".to_owned(),
                subject: "192.0.2.7".to_owned(),
                detail: number.to_string(),
            };
            commit(store, |batch| batch.audit = vec![entry.clone(), entry]);
        }
        let newest = store.audit(2, None).unwrap();
        assert_eq!(newest.iter().map(|audit| audit.seq).collect::<Vec<_>>(), [6, 5]);
        assert_eq!(store.verify_audit().unwrap(), AuditState::Intact { entries: 6, head: newest[0].hash });
        assert_eq!(store.audit(9, Some(2)).unwrap()[0].entry.detail, "0");
        let mut lately = Vec::new();
        store.audit_since(at(1), |entry| lately.push(entry.detail)).unwrap();
        assert_eq!(lately, ["2", "2", "1", "1"], "newest first");
    });
}

#[test]
fn things_are_recalled_in_the_order_in_which_they_happened() {
    each(|store| {
        let block = decision(Action::Block, 1, 3, "192.0.2.7", Some(600));
        let guard = decision(Action::Guard, 2, 4, "alice", Some(600));
        let release = decision(Action::Release, 1, 6, "192.0.2.7", None);
        commit(store, |batch| {
            batch.event(stored(event(1, "192.0.2.7")));
            batch.event(stored(event(3, "192.0.2.7")));
            batch.decision(block.clone());
            batch.decision(guard.clone());
            // Late: its own clock is behind.
            batch.event(stored(event(2, "192.0.2.8")));
        });
        commit(store, |batch| {
            batch.decision(release.clone());
            batch.event(stored(event(7, "192.0.2.7")));
        });
        let recall = |since: Time| {
            let mut all = Vec::new();
            store
                .recall(since, |item| {
                    all.push(match item {
                        RecallItem::Event { seq, stored } => format!("{seq} {}", stored.event.client),
                        RecallItem::Decision { seq, decision } => {
                            assert!(decision.events.is_empty());
                            format!("{seq} {} {}", decision.action.as_str(), decision.subject)
                        }
                    });
                })
                .unwrap();
            all
        };
        let all = [
            "1 192.0.2.7",
            "2 192.0.2.7",
            "2 block 192.0.2.7",
            "2 guard alice",
            "3 192.0.2.8",
            "3 release 192.0.2.7",
            "4 192.0.2.7",
        ];
        assert_eq!(recall(Time::MIN), all);
        assert_eq!(recall(at(3)), [&all[1..4], &all[5..]].concat());
        assert_eq!(recall(at(8)), [""; 0]);
    });
}

#[test]
fn retention_takes_the_oldest_in_small_steps() {
    each(|store| {
        for start in [0, 1000, 2000] {
            commit(store, |batch| (start..start + 1000).for_each(|secs| batch.event(stored(event(secs, "192.0.2.7")))));
        }
        let keep = Duration::from_secs(100);
        assert_eq!(store.prune(at(3000), Duration::from_secs(3000), 500).unwrap().rows, 0);
        let mut left = 3000;
        while left > 0 {
            let pruned = store.prune(at(4000), keep, 700).unwrap();
            assert_eq!(pruned.rows, left.min(700));
            left -= pruned.rows;
            assert_eq!(pruned.more, left > 0);
            assert_eq!(store.info().unwrap().events, left as u64);
            assert_eq!(store.events(&EventFilter::default(), 5000, None).unwrap().len(), left);
        }
        assert_eq!(store.prune(at(4000), keep, 700).unwrap().rows, 0);
        commit(store, |batch| batch.event(stored(event(5000, "192.0.2.7"))));
        assert_eq!(store.info().unwrap().seq, 3001, "no number is given out twice");
    });
}

#[test]
fn retention_takes_events_dated_in_the_future() {
    each(|store| {
        commit(store, |batch| batch.event(stored(event(1_000_000_000, "192.0.2.7"))));
        let far = Time::from(std::time::SystemTime::now()).after(Duration::from_secs(3600));
        assert_eq!(store.prune(far, Duration::from_secs(7200), 10).unwrap().rows, 0);
        assert_eq!(store.prune(far, Duration::from_secs(60), 10).unwrap().rows, 1);
    });
}

#[test]
fn retention_takes_blocks_with_their_story_and_leaves_those_that_stand() {
    each(|store| {
        commit(store, |batch| {
            batch.decision(decision(Action::Block, 1, 0, "192.0.2.7", Some(60)));
            batch.decision(decision(Action::Expire, 1, 60, "192.0.2.7", None));
            batch.decision(decision(Action::Block, 2, 0, "192.0.2.8", Some(60)));
            batch.decision(decision(Action::Block, 3, 0, "192.0.2.9", None));
        });
        assert_eq!(store.prune_blocks(at(160), Duration::from_secs(100), 10).unwrap().rows, 0);
        let pruned = store.prune_blocks(at(161), Duration::from_secs(100), 1).unwrap();
        assert!(pruned.more);
        store.prune_blocks(at(161), Duration::from_secs(100), 10).unwrap();
        assert_eq!(store.story(Code::new(1)).unwrap(), []);
        assert_eq!(store.story(Code::new(2)).unwrap(), []);
        assert_eq!(store.standing(at(161)).unwrap().len(), 1);
    });
}

#[test]
fn a_failed_batch_leaves_nothing_and_can_be_committed_again() {
    each(|store| {
        commit(store, |batch| batch.event(stored(event(0, "192.0.2.7"))));
        let mut batch = Batch::default();
        (0..20_000).for_each(|secs| {
            let mut event = stored(event(secs, "192.0.2.8"));
            event.node = "mx2".into();
            batch.event(event);
        });
        batch.decision(decision(Action::Block, 1, 0, "192.0.2.8", None));
        batch.cursors.push(("a.log".to_owned(), "1".to_owned()));
        store.set_bytes_max(Some(store.info().unwrap().bytes)).unwrap();
        for _ in 0..2 {
            assert!(matches!(store.commit(&batch), Err(StoreError::Full)));
            assert_eq!(store.events(&EventFilter::default(), 10, None).unwrap().len(), 1);
            assert_eq!(store.standing(at(0)).unwrap(), []);
            assert_eq!(store.cursor("a.log").unwrap(), None);
        }
        store.set_bytes_max(None).unwrap();
        assert_eq!(store.commit(&batch).unwrap().seq, 20_001);
        let filter = EventFilter { node: Some("mx2".to_owned()), ..EventFilter::default() };
        assert_eq!(store.events(&filter, 30_000, None).unwrap().len(), 20_000);
        assert_eq!(store.standing(at(0)).unwrap().len(), 1);
    });
}

#[test]
fn a_reader_sees_what_was_committed_and_cannot_write() {
    each(|store| {
        store.set_node("mx1").unwrap();
        let reader = store.reader().unwrap();
        assert_eq!(reader.info().unwrap().node.as_deref(), Some("mx1"));
        commit(store, |batch| batch.event(stored(event(0, "192.0.2.7"))));
        let seen = std::thread::spawn(move || reader.events(&EventFilter::default(), 9, None).unwrap().len());
        assert_eq!(seen.join().unwrap(), 1);
    });
}

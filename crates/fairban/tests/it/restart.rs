//! A daemon that is killed and started again.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;

use crate::node::{Node, until};

fn standing(node: &Node) -> BTreeSet<String> {
    let blocks = node.json(&["blocks"]);
    blocks.iter().map(|block| format!("{} {} {}", block["subject"], block["code"], block["until"])).collect()
}

#[test]
fn blocks_and_releases_survive_a_kill() {
    let mut node = Node::start("");
    node.attack("alice@example.test", "198.51.100.7");
    node.attack("bob@example.test", "2001:db8::7");
    assert_eq!(node.fairban(&["block", "203.0.113.0/24", "--permanent"]).status, 0);
    assert_eq!(node.fairban(&["block", "carol@example.test"]).status, 0);
    assert_eq!(node.fairban(&["block", "198.51.100.99"]).status, 0);
    assert_eq!(node.fairban(&["unblock", "198.51.100.99"]).status, 0);
    assert_eq!(node.fairban(&["never", "add", "192.0.2.0/24"]).status, 0);
    let before = standing(&node);
    assert_eq!(before.len(), 4, "{before:?}");
    node.end(Signal::SIGKILL);
    assert_eq!(node.fairban(&["status"]).status, 3);
    // Written while nobody listens: the fourth and fifth.
    (0..5).for_each(|_| node.fail("dave@example.test", "198.51.100.50"));
    node.run();
    until("what was written meanwhile is read", || (node.events() == 15).then_some(()));
    let mut after = standing(&node);
    after.retain(|block| !block.contains("198.51.100.50"));
    assert_eq!(before, after);
    assert_eq!(node.json(&["why", "198.51.100.7"])[0]["standing"][0]["events"].as_array().unwrap().len(), 5);
    assert_eq!(node.fairban(&["block", "192.0.2.9"]).status, 1, "the never-block list survives");
}

#[test]
fn scores_survive_a_kill() {
    let mut node = Node::start("");
    (0..4).for_each(|_| node.fail("alice@example.test", "198.51.100.7"));
    until("four events", || (node.events() == 4).then_some(()));
    node.end(Signal::SIGKILL);
    node.run();
    assert!(node.json(&["blocks"]).is_empty());
    node.fail("alice@example.test", "198.51.100.7");
    until("the fifth failure blocks", || (!node.json(&["blocks"]).is_empty()).then_some(()));
}

#[test]
fn a_kill_in_the_middle_neither_loses_nor_doubles() {
    let mut node = Node::start("");
    let total = 4000;
    let text: Vec<String> =
        (0..total).map(|n| crate::node::failure("alice", &format!("198.18.{}.{}", n / 250, n % 250 + 1))).collect();
    for (round, lines) in text.chunks(total / 4).enumerate() {
        node.write(lines.join("\n").as_bytes());
        until("some were read", || (node.events() > round * total / 4).then_some(()));
        node.end(Signal::SIGKILL);
        node.run();
    }
    let events = until("all were read", || {
        let events = node.json(&["events", "--limit", "1000000"]);
        (events.len() >= total).then_some(events)
    });
    let digests: BTreeSet<&str> = events.iter().filter_map(|event| event["digest"].as_str()).collect();
    assert_eq!((events.len(), digests.len()), (total, total));
}

#[test]
fn an_orderly_end_leaves_no_socket() {
    let mut node = Node::start("");
    node.end(Signal::SIGTERM);
    assert!(!node.path("control.sock").exists());
    assert!(node.stderr().contains("blocks stay in the kernel until their time is over"), "{}", node.stderr());
    node.run();
}

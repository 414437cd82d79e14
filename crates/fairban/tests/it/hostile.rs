//! Names that attackers choose, in everything that a terminal shows.

use crate::node::{Node, Said, fairban, until};

const NAMES: [&str; 9] = [
    "\u{1b}[2J\u{1b}[31mroot",
    "\u{1b}]0;title\u{7}x",
    "<script>alert(1)</script>",
    "a\u{202e}tset.elpmaxe",
    "$(reboot)`reboot`;reboot",
    "x from 192.0.2.1",
    "192.0.2.1",
    "line\rfeed\u{b}\u{9b}31m",
    "=cmd|' /C calc'!A0",
];

fn is_harmless(said: &Said, what: &str) {
    for text in [&said.out, &said.err] {
        let bad = text.chars().find(|letter| (letter.is_control() && *letter != '\n') || *letter == '\u{202e}');
        assert_eq!(bad, None, "{what}: {text:?}");
    }
}

/// Failures under every name, and under one of three hundred letters.
fn attack(node: &Node) -> usize {
    let long = "é".repeat(150);
    for name in NAMES.into_iter().chain([long.as_str()]) {
        node.fail(name, "198.51.100.7");
    }
    NAMES.len() + 1
}

#[test]
fn nothing_that_a_client_chose_steers_a_terminal() {
    let node = Node::start("");
    let count = attack(&node);
    node.write(b"2026-11-21T19:12:05Z mx dovecot: auth: passwd-file(\xff\xfe\x1b[1m,198.51.100.8): unknown user");
    until("they are read", || (node.events() >= count).then_some(()));
    until("they are blocked", || (!node.json(&["blocks"]).is_empty()).then_some(()));
    for args in [
        &["events"][..],
        &["blocks"],
        &["blocks", "--all"],
        &["why", "198.51.100.7"],
        &["why", "\u{1b}[2j\u{1b}[31mroot"],
        &["status"],
        &["unblock", "198.51.100.7", "--reason", "\u{1b}[31mx\ny"],
        &["why", "198.51.100.7"],
        &["block", "203.0.113.9", "--reason", "\u{1b}[31mx\ny"],
        &["why", "203.0.113.9"],
        &["never", "add", "203.0.113.9", "--reason", "\u{1b}[31mx\ny"],
        &["never", "list"],
        &["block", "\u{1b}[31m"],
        &["unblock", "\u{1b}[31m"],
        &["blocks", "--all"],
    ] {
        is_harmless(&node.fairban(args), &format!("{args:?}"));
    }
    let log = node.path("mail.log");
    let log = log.to_str().unwrap();
    for args in [&["parse", log][..], &["replay", log]] {
        is_harmless(&fairban(args, b""), &format!("{args:?}"));
    }
    assert!(!node.stderr().contains("\u{1b}[2J"));
}

#[test]
fn one_event_is_one_line() {
    let node = Node::start("");
    let count = attack(&node);
    until("they are read", || (node.events() == count).then_some(()));
    assert_eq!(node.fairban(&["events"]).out.lines().count(), count);
    assert!(node.json(&["events"]).iter().all(|event| event["client"] == "198.51.100.7"));
}

#[test]
fn an_account_that_looks_like_an_address_blocks_no_address() {
    let node = Node::start("");
    for name in ["192.0.2.1", "x from 192.0.2.1"] {
        (0..5).for_each(|_| node.fail(name, "198.51.100.7"));
    }
    until("the attacker is blocked", || (!node.json(&["blocks"]).is_empty()).then_some(()));
    let blocks = node.json(&["blocks"]);
    assert!(blocks.iter().all(|block| block["subject"] == "198.51.100.7"), "{blocks:?}");
    assert_eq!(node.fairban(&["why", "192.0.2.1"]).status, 1);
}

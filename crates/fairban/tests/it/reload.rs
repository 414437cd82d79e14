//! SIGHUP: a good file comes into force, a bad one changes nothing and that is said.

use nix::sys::signal::Signal;

use crate::node::{Node, until};

#[test]
fn a_good_file_comes_into_force_and_state_stays() {
    let node = Node::start("");
    node.attack("alice@example.test", "198.51.100.7");
    node.attack("bob@example.test", "203.0.113.7");
    node.configure("never = [\"203.0.113.0/24\"]\n");
    node.signal(Signal::SIGHUP);
    until("the file is in force", || node.stderr().contains("is in force").then_some(()));
    let blocks = node.json(&["blocks"]);
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    assert_eq!(blocks[0]["subject"], "198.51.100.7");
    let status = node.json(&["status"]).remove(0);
    assert_eq!(status["counts"]["events"], 10, "what was counted stays");
    assert_eq!(status["sources"][0]["events"], 10);
}

#[test]
fn a_bad_file_keeps_the_old_one_and_says_so() {
    let node = Node::start("never = [\"203.0.113.0/24\"]\n");
    node.configure("nevr = []\n");
    node.signal(Signal::SIGHUP);
    let status = until("the status tells of it", || {
        let said = node.fairban(&["status"]);
        (said.status == 1).then_some(said)
    });
    for part in ["PROBLEM: ", "fairban.toml:1", "nevr", "the old one stays"] {
        assert!(status.out.contains(part), "no '{part}' in\n{}", status.out);
    }
    assert!(node.stderr().contains("the old one stays"), "{}", node.stderr());
    assert_eq!(node.fairban(&["block", "203.0.113.7"]).status, 1, "the old list is in force");
    node.configure("");
    node.signal(Signal::SIGHUP);
    until("a good file mends it", || (node.fairban(&["status"]).status == 0).then_some(()));
    assert_eq!(node.fairban(&["block", "203.0.113.7"]).status, 0);
}

#[test]
fn sources_can_come_and_go() {
    let node = Node::start("");
    let other = node.path("other.log");
    std::fs::write(&other, "").unwrap();
    node.configure(&format!("[[source]]\nfile = \"{}\"\n", other.display()));
    node.signal(Signal::SIGHUP);
    until("the other log is read", || {
        let status = node.json(&["status"]).remove(0);
        let sources = status["sources"].as_array().unwrap().clone();
        (sources.len() == 1 && sources[0]["name"].as_str().unwrap().ends_with("other.log")).then_some(())
    });
}

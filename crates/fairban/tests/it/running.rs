//! A running daemon: what it decides from a log, and what people decide.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::node::{Node, PATIENCE, until};

#[test]
fn five_failures_block_and_every_one_is_told() {
    let node = Node::start("");
    let block = node.attack("alice@example.test", "198.51.100.7");
    assert_eq!((&block["subject"], &block["rule"]), (&"198.51.100.7".into(), &"login".into()));
    assert_eq!((&block["score"], &block["offence"]), (&250.into(), &1.into()));
    let why = node.json(&["why", "198.51.100.7"]).remove(0);
    assert_eq!(why["blocked"], true);
    assert_eq!(why["standing"][0]["events"].as_array().unwrap().len(), 5);
    let told = node.fairban(&["why", block["code"].as_str().unwrap()]);
    assert_eq!(told.status, 0);
    for part in [
        "198.51.100.7 is blocked.  Reference: ",
        " UTC, ",
        " from now",
        "password guessing",
        "5 × wrong password, for alice@example.test",
        "250 points, 250 are enough (rule login, first offence)",
        "The 5 events behind it",
        "Fairban only observes here",
        "fairban unblock 198.51.100.7\n",
        "fairban never add 198.51.100.7\n",
    ] {
        assert!(told.out.contains(part), "no '{part}' in\n{}", told.out);
    }
    assert!(!told.out.contains('\u{1b}'), "colours without a terminal");
    let rows = node.fairban(&["blocks"]).out;
    assert!(rows.lines().count() == 2 && rows.contains("198.51.100.7"), "{rows}");
}

#[test]
fn support_asks_by_account() {
    let node = Node::start("");
    node.attack("alice@example.test", "198.51.100.7");
    let said = node.fairban(&["why", "Alice@Example.test"]);
    assert_eq!(said.status, 1, "the account is not blocked, an address is: {said:?}");
    for part in ["alice@example.test is not blocked.", "1 blocked place", "198.51.100.7  block"] {
        assert!(said.out.contains(part), "no '{part}' in\n{}", said.out);
    }
}

#[test]
fn an_old_phone_at_home_is_spared_and_support_is_told() {
    let node = Node::start("");
    let now = fairban_types::Time::from(std::time::SystemTime::now());
    node.write(
        format!(
            "{now} mx dovecot: imap-login: Login: user=<grace>, method=PLAIN, rip=192.0.2.10, lip=203.0.113.1, mpid=7, \
             session=<home>"
        )
        .as_bytes(),
    );
    let failure = crate::node::failure("grace", "192.0.2.10");
    for number in 0..12 {
        node.write(failure.replace("<s", &format!("<{number}s")).as_bytes());
    }
    until("all are read", || (node.events() == 13).then_some(()));
    assert!(node.json(&["blocks"]).is_empty());
    let said = node.fairban(&["why", "grace"]);
    for part in
        ["grace is not blocked.", "[spared] do not count against the address", "the device that still has an old"]
    {
        assert!(said.out.contains(part), "no '{part}' in\n{}", said.out);
    }
}

#[test]
fn what_is_unknown_is_said_to_be() {
    let node = Node::start("");
    let address = node.fairban(&["why", "198.51.100.7"]);
    assert_eq!(address.status, 1);
    assert!(address.out.contains("Nothing is known of 198.51.100.7."), "{}", address.out);
    assert!(node.fairban(&["why", "K7Q2-M9XD"]).out.contains("is it spelled so?"));
    assert_eq!(node.fairban(&["why", "1.2.3"]).status, 2);
    assert_eq!(node.fairban(&["blocks"]).out, "nobody is blocked\n");
}

#[test]
fn a_release_lets_in_and_forgets() {
    let node = Node::start("");
    let block = node.attack("alice@example.test", "198.51.100.7");
    let done = node.fairban(&["unblock", "198.51.100.7", "--reason", "called us"]);
    assert_eq!(done.status, 0, "{done:?}");
    assert!(done.out.contains("198.51.100.7 is released"), "{}", done.out);
    assert!(node.json(&["blocks"]).is_empty());
    let why = node.fairban(&["why", "198.51.100.7"]);
    assert_eq!(why.status, 1);
    assert!(why.out.contains("is not blocked") && why.out.contains("was released"), "{}", why.out);
    let past = node.json(&["blocks", "--all"]).remove(0);
    assert_eq!((&past["code"], &past["ended"]["how"]), (&block["code"], &"released".into()));
    let asked = node.fairban(&["why", block["code"].as_str().unwrap()]);
    assert!(asked.out.contains("198.51.100.7 was blocked."), "{}", asked.out);
    assert!(asked.out.contains("The 5 events behind it"), "{}", asked.out);
    let again = node.fairban(&["unblock", "198.51.100.7"]);
    assert_eq!(again.status, 1);
    // Four more are not enough: what was before is forgotten.
    (0..4).for_each(|_| node.fail("alice@example.test", "198.51.100.7"));
    until("nine events", || (node.events() == 9).then_some(()));
    assert!(node.json(&["blocks"]).is_empty());
}

#[test]
fn the_never_block_list_wins() {
    let node = Node::start("never = [\"203.0.113.0/24\"]\n");
    node.attack("alice@example.test", "198.51.100.7");
    let added = node.fairban(&["never", "add", "198.51.100.0/24", "--reason", "our office"]);
    assert_eq!(added.out, "198.51.100.0/24 is now on the never-block list; 1 block was lifted\n");
    assert!(node.json(&["blocks"]).is_empty());
    let why = node.fairban(&["why", "198.51.100.7"]);
    assert!(why.out.contains("198.51.100.0/24 is on the never-block list") && why.status == 1, "{}", why.out);
    for (subject, word) in [
        ("198.51.100.7", "fairban never remove 198.51.100.0/24"),
        ("203.0.113.7", "configuration file"),
        ("127.0.0.1", "nothing can block it"),
    ] {
        let refused = node.fairban(&["block", subject]);
        assert!(refused.status == 1 && refused.err.contains(word), "{refused:?}");
    }
    let list = node.json(&["never", "list"]);
    let by = |net: &str| list.iter().find(|entry| entry["net"] == net).map(|entry| entry["by"].clone());
    assert_eq!(by("203.0.113.0/24"), Some("configuration".into()));
    assert_eq!(by("127.0.0.0/8"), Some("this machine".into()));
    assert!(by("198.51.100.0/24").is_some());
    assert_eq!(node.fairban(&["never", "remove", "203.0.113.0/24"]).status, 1);
    assert_eq!(node.fairban(&["never", "remove", "198.51.100.0/24"]).status, 0);
    assert_eq!(node.fairban(&["never", "remove", "198.51.100.0/24"]).status, 1);
    node.attack("alice@example.test", "198.51.100.7");
}

#[test]
fn what_is_for_a_time_ends_by_itself() {
    let node = Node::start("");
    assert_eq!(node.fairban(&["block", "198.51.100.7", "--for", "1s"]).status, 0);
    assert_eq!(node.fairban(&["never", "add", "203.0.113.9", "--for", "1s"]).status, 0);
    until("the block has ended", || node.json(&["blocks"]).is_empty().then_some(()));
    until("its end is recorded", || {
        let all = node.json(&["blocks", "--all"]);
        (all[0]["ended"]["how"] == "expired").then_some(())
    });
    until("the entry has ended", || (node.fairban(&["block", "203.0.113.9"]).status == 0).then_some(()));
}

#[test]
fn a_hole_in_a_wide_block_is_free_and_the_rest_keeps_its_evidence() {
    let node = Node::start("");
    for client in ["198.51.100.7", "198.51.100.8", "198.51.100.9", "198.51.100.10", "198.51.100.11"] {
        (0..4).for_each(|_| node.fail("alice@example.test", client));
    }
    let wide = until("the block widens", || {
        node.json(&["blocks"]).into_iter().find(|block| block["subject"] == "198.51.100.0/24")
    });
    let evidence = |subject: &str| node.json(&["why", subject]).remove(0)["standing"][0].clone();
    let before = evidence("198.51.100.0/24");
    assert!(!before["events"].as_array().unwrap().is_empty());
    assert_eq!(node.fairban(&["unblock", "198.51.100.200"]).status, 0);
    let free = node.fairban(&["why", "198.51.100.200"]);
    assert!(free.status == 1 && free.out.contains("198.51.100.200 is not blocked"), "{free:?}");
    let told = node.fairban(&["why", "198.51.100.201"]).out;
    assert!(told.contains("To release it alone: fairban unblock 198.51.100.201"), "{told}");
    let after = evidence("198.51.100.201");
    assert_eq!((&after["code"], &after["events"]), (&wide["code"], &before["events"]));
    assert_eq!((&after["score"], &after["diagnosis"]), (&before["score"], &before["diagnosis"]));
    assert_eq!(after["holes"][0], "198.51.100.200/32");
}

#[test]
fn followers_see_events_and_decisions() {
    let node = Node::start("");
    let socket = node.path("control.sock");
    let mut follower = node
        .command()
        .arg("--control")
        .arg(socket)
        .args(["events", "--follow", "--json", "198.51.100.7"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let (send, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
    let next = || received.recv_timeout(PATIENCE).expect("the follower tells more");
    node.fail("alice", "203.0.113.9");
    node.fail("alice", "198.51.100.7");
    // Once it has told one event, whichever way, it misses nothing that happens after it.
    let mut told = vec![next()];
    (0..4).for_each(|_| node.fail("alice", "198.51.100.7"));
    told.extend((0..5).map(|_| next()));
    follower.kill().unwrap();
    follower.wait().unwrap();
    let seen: Vec<serde_json::Value> = told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events = seen.iter().filter(|line| line["client"] == "198.51.100.7").count();
    let blocks = seen.iter().filter(|line| line["decision"]["action"] == "block").count();
    assert_eq!((events, blocks), (5, 1), "{seen:?}");
}

#[test]
fn status_tells_how_it_is() {
    let node = Node::start("");
    let fresh = node.fairban(&["status"]);
    assert_eq!(fresh.status, 0, "{fresh:?}");
    for part in ["Fairban ", "profile fairban", "in force", "observe", "mail.log"] {
        assert!(fresh.out.contains(part), "no '{part}' in\n{}", fresh.out);
    }
    (0..25).for_each(|number| node.write(format!("2026-11-21T19:12:05Z mx cron[1]: job {number}").as_bytes()));
    let warned = until("a log of something else is noticed", || {
        let said = node.fairban(&["status"]);
        said.out.contains("none told what a mail client did").then_some(said)
    });
    assert_eq!(warned.status, 0, "a note is no problem");
    node.fail("alice", "198.51.100.7");
    until("one event is enough", || (!node.fairban(&["status"]).out.contains("none told")).then_some(()));
}

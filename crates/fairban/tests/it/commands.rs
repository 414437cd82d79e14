//! Commands without a daemon: exit status, and what is said of wrong use.

use std::process::Stdio;

use crate::node::{Node, fairban};

#[test]
fn without_a_daemon_commands_say_so() {
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["blocks"],
        &["blocks", "--json"],
        &["events"],
        &["events", "--follow"],
        &["why", "192.0.2.7"],
        &["block", "192.0.2.7"],
        &["unblock", "192.0.2.7"],
        &["never", "add", "192.0.2.7"],
        &["never", "remove", "192.0.2.7"],
        &["never", "list"],
    ] {
        let said = Node::idle("").fairban(args);
        assert_eq!((said.status, said.out.as_str()), (3, ""), "{args:?}: {said:?}");
        assert!(said.err.starts_with("fairban: no daemon is running here"), "{args:?}: {said:?}");
        assert!(said.err.contains("fairban run") && said.err.lines().count() == 1, "{args:?}: {said:?}");
    }
}

#[test]
fn wrong_use_names_what_is_wrong() {
    for (args, word) in [
        (&["block", "1.2.3"][..], "'1.2.3'"),
        (&["block", "192.0.2.7", "--for", "5"], "30m"),
        (&["block", "192.0.2.7", "--for", "5m", "--permanent"], "--permanent"),
        (&["block", "a\u{1b}[2Jb"], "neither an address"),
        (&["never", "add", "example.test"], "'example.test'"),
        (&["never", "add", "192.0.2.0/33"], "192.0.2.0/24"),
        (&["events", "--kind", "login"], "login_failed"),
        (&["replay"], "FILE"),
        (&["replay", "no-such-file"], "no-such-file"),
        (&["replay", "/"], "folder"),
        (&["replay", "--profile", "autban", "-"], "did you mean 'autoban'?"),
        (&["parse", "--zone", "Europe/Nowhere", "-"], "Europe/Nowhere"),
        (&["run", "--demo-for", "3s"], "--demo"),
        (&["run", "--config", "no-such-file"], "no-such-file"),
        (&["completions", "cmd"], "bash"),
        (&["frobnicate"], "frobnicate"),
        (&[], "Usage"),
    ] {
        let said = fairban(args, b"");
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{args:?}: {said:?}");
        assert!(said.err.contains(word), "{args:?} does not say {word}: {}", said.err);
        assert!(!said.err.contains('\u{1b}'), "{said:?}");
    }
}

#[test]
fn a_cause_is_told_once() {
    let said = fairban(&["check", "--config", "no-such-file"], b"");
    assert_eq!(said.status, 1);
    assert_eq!(said.out.matches("No such file").count(), 1, "{}", said.out);
}

#[test]
fn check_tells_good_from_bad() {
    let node = Node::idle("");
    let config = node.path("fairban.toml");
    let check = || fairban(&["check", "--config", config.to_str().unwrap()], b"");
    let good = check();
    assert_eq!(good.status, 0, "{good:?}");
    assert!(good.out.ends_with("Everything is in order.\n"), "{}", good.out);

    std::fs::remove_file(node.path("mail.log")).unwrap();
    let missing = check();
    assert_eq!(missing.status, 1);
    assert!(missing.out.contains("PROBLEM") && missing.out.contains("mail.log"), "{}", missing.out);
    assert!(missing.out.ends_with("1 problem to solve.\n"), "{}", missing.out);

    std::fs::write(&config, "profile = \"fairban\"\nnevr = []\n").unwrap();
    let wrong = check();
    assert_eq!(wrong.status, 1);
    for part in ["fairban.toml:2", "nevr", "never"] {
        assert!(wrong.out.contains(part), "no '{part}' in {}", wrong.out);
    }
}

#[test]
fn help_completions_manual_and_reference_are_there() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = fairban(&["completions", shell], b"");
        assert!(said.status == 0 && said.out.contains("unblock"), "{shell}");
    }
    for command in ["run", "check", "parse", "replay", "status", "blocks", "events", "top", "why", "block", "unblock"] {
        assert_eq!(fairban(&[command, "--help"], b"").status, 0, "{command}");
    }
    assert!(fairban(&["reference"], b"").out.contains("# Configuration"));
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("new/folder");
    assert_eq!(fairban(&["man", pages.to_str().unwrap()], b"").status, 0);
    assert!(pages.join("fairban.1").is_file() && pages.join("fairban-never-add.1").is_file());
    assert_eq!(fairban(&["man", "/dev/null/x"], b"").status, 2);
}

#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    let node = Node::start("");
    for _ in 0..300 {
        node.fail("alice", "192.0.2.7");
    }
    let log = node.path("mail.log");
    let (log, socket) = (log.to_str().unwrap(), node.path("control.sock"));
    for args in [
        &["completions", "bash"][..],
        &["reference"],
        &["parse", log],
        &["parse", "--json", log],
        &["replay", log],
        &["replay", "--json", log],
        &["status"],
        &["blocks", "--all"],
        &["events"],
        &["events", "--json"],
        &["why", "192.0.2.7"],
        &["never", "list"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = node.command();
        command.arg("--control").arg(&socket).args(args).stdout(writer).stderr(Stdio::piped());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{args:?}: {said}");
    }
}

#[test]
fn a_live_view_needs_a_terminal() {
    let said = Node::start("").fairban(&["top"]);
    assert_eq!(said.status, 2);
    assert!(said.err.contains("events --follow"), "{said:?}");
}

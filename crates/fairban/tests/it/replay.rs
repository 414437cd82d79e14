//! `fairban replay`: the form that scripts rely on.

use std::fmt::Write;

use serde_json::Value;

use crate::node::{Said, fairban};

/// A failure with a password of its own, at a second of one hour.
fn failure(second: u32, client: &str) -> String {
    format!(
        "2026-11-21T19:{:02}:{:02}+00:00 mx dovecot: auth: passwd-file(alice,{client},<s{second}>): Password mismatch \
         (SHA1 of given password: {second:06x})\n",
        second / 60,
        second % 60
    )
}

fn log(seconds: impl IntoIterator<Item = u32>, client: &str) -> String {
    seconds.into_iter().fold(String::new(), |mut text, second| {
        let _ = write!(text, "{}", failure(second, client));
        text
    })
}

fn decisions(said: &Said) -> (Vec<Value>, Value) {
    assert_eq!((said.status, said.err.as_str()), (0, ""), "{said:?}");
    let mut lines = said.json();
    let summary = lines.pop().unwrap();
    (lines, summary["summary"].clone())
}

#[test]
fn decisions_in_order_of_time_and_then_a_summary() {
    let text = log(0..5, "192.0.2.7") + &log(600..607, "198.51.100.9");
    let (lines, summary) = decisions(&fairban(&["replay", "--json", "-"], text.as_bytes()));
    let blocks: Vec<&Value> = lines.iter().filter(|line| line["action"] == "block").collect();
    assert_eq!(blocks.len(), 2, "{lines:?}");
    let keys = [
        "time",
        "action",
        "subject",
        "rule",
        "score",
        "threshold",
        "until",
        "diagnosis",
        "offence",
        "spares_familiar",
        "events",
    ];
    for line in &lines {
        for key in keys {
            assert!(line.get(key).is_some(), "no {key} in {line}");
        }
    }
    let first = blocks[0];
    assert_eq!((&first["subject"], &first["rule"]), (&"192.0.2.7".into(), &"login".into()));
    assert_eq!((&first["score"], &first["threshold"], &first["offence"]), (&250.into(), &250.into(), &1.into()));
    assert_eq!(first["time"], "2026-11-21T19:00:04Z");
    assert_eq!(first["events"].as_array().unwrap().len(), 5);
    assert_eq!(first["events"][0]["points"], 50);
    let times: Vec<&str> = lines.iter().map(|line| line["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    for (key, count) in [("lines", 12), ("events", 12), ("stopped", 2), ("blocks", 2)] {
        assert_eq!(summary[key], count, "{key} of {summary}");
    }
    assert!(summary["seconds"].is_number() && summary["lines_per_second"].is_number());
}

#[test]
fn several_logs_are_one_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let (odd, even) = (folder.path().join("odd.log"), folder.path().join("even.log"));
    std::fs::write(&odd, log([1, 3, 5], "192.0.2.7")).unwrap();
    std::fs::write(&even, log([2, 4, 6], "192.0.2.7")).unwrap();
    let args = ["replay", "--json", odd.to_str().unwrap(), even.to_str().unwrap()];
    let (lines, summary) = decisions(&fairban(&args, b""));
    assert_eq!((&lines[0]["action"], &lines[0]["time"]), (&"block".into(), &"2026-11-21T19:00:05Z".into()));
    assert_eq!((&summary["lines"], &summary["stopped"]), (&6.into(), &1.into()));
}

#[test]
fn the_same_log_gives_the_same_decisions() {
    let text = log(0..40, "192.0.2.7") + &log(100..140, "2001:db8::7");
    let told = |args: &[&str]| decisions(&fairban(args, text.as_bytes())).0;
    assert_eq!(told(&["replay", "--json", "-"]), told(&["replay", "--json", "-"]));
}

#[test]
fn profiles_and_years_can_be_told() {
    let text = "Feb 28 19:12:05 mx dovecot: auth: passwd-file(alice,192.0.2.7): unknown user\n".repeat(10);
    let (lines, summary) = decisions(&fairban(
        &["replay", "--json", "--profile", "fail2ban", "--year", "2024", "--log-only", "--zone", "UTC", "-"],
        text.as_bytes(),
    ));
    assert_eq!(summary["profile"], "fail2ban");
    assert!(lines.iter().all(|line| line["time"].as_str().unwrap().starts_with("2024-02-2")), "{lines:?}");
}

#[test]
fn people_get_a_summary_that_they_can_use() {
    let said = fairban(&["replay", "-"], log(0..9, "192.0.2.7").as_bytes());
    for part in ["BLOCK   192.0.2.7 for 30m, rule login", "9 lines, 9 events", "by rule: login 1"] {
        assert!(said.out.contains(part), "no '{part}' in {}", said.out);
    }
}

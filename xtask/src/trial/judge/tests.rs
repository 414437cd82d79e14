use std::collections::VecDeque;
use std::fmt::Write as _;

use fairban_simulator::{Settings, Truth, simulate};

use super::*;
use crate::trial::table::Shares;

fn at(seconds: i64) -> Time {
    Time::from_secs(1_000_000 + seconds)
}

fn label(line: usize, seconds: i64, account: &str, address: &str, right: bool) -> Label {
    Label {
        line,
        time: at(seconds),
        who: String::new(),
        class: "someone".to_owned(),
        truth: if right { Truth::Good } else { Truth::Guess },
        deed: Deed::SignIn,
        address: address.parse().unwrap(),
        typed: account.to_owned(),
        account: account.to_owned(),
        right,
        tries: 1,
    }
}

/// Which lines are stopped, by the narrow and the wide reading, as a string of x and -.
fn stopped(asking: bool, decisions: &[String], labels: &[Label]) -> (String, String) {
    let mut judge = Judge::new(asking);
    for decision in decisions {
        judge.read(decision).unwrap();
    }
    let verdicts = judge.judge(labels);
    let show = |stops: Vec<Option<String>>| stops.iter().map(|by| if by.is_some() { 'x' } else { '-' }).collect();
    (show(verdicts.narrow), show(verdicts.wide))
}

fn decision(seconds: i64, action: &str, subject: &str, until: Option<i64>, more: &str) -> String {
    let until = until.map_or("null".to_owned(), |until| format!("\"{}\"", at(until)));
    let time = at(seconds);
    format!(r#"{{"time":"{time}","action":"{action}","subject":"{subject}","rule":"login","until":{until}{more}}}"#)
}

#[test]
fn blocks_stop_from_after_their_time_to_their_end() {
    let labels: Vec<Label> =
        [10, 11, 40, 41].iter().enumerate().map(|(n, s)| label(n, *s, "a", "192.0.2.7", false)).collect();
    let both = |text: &str| (text.to_owned(), text.to_owned());
    for subject in ["192.0.2.7", "192.0.2.0/24", "a from 192.0.2.7"] {
        assert_eq!(stopped(true, &[decision(10, "block", subject, Some(41), "")], &labels), both("-xx-"), "{subject}");
    }
    let released = [decision(10, "block", "192.0.2.7", None, ""), decision(11, "release", "192.0.2.7", None, "")];
    assert_eq!(stopped(true, &released, &labels), both("-x--"));
    let longer = [decision(10, "block", "192.0.2.7", Some(12), ""), decision(11, "block", "192.0.2.7", Some(99), "")];
    assert_eq!(stopped(true, &longer, &labels), both("-xxx"));
    let hole = [decision(10, "block", "192.0.2.0/24", Some(99), r#","holes":["192.0.2.7/32"]"#)];
    assert_eq!(stopped(true, &hole, &labels), both("----"));
    let observed = [decision(10, "block", "192.0.2.7", Some(99), r#","effect":"observe""#)];
    assert_eq!(stopped(true, &observed, &labels), both("----"));
    assert_eq!(stopped(true, &[decision(10, "block", "192.0.2.8", Some(99), "")], &labels), both("----"));
}

#[test]
fn the_deciding_line_is_through_and_the_next_in_that_second_is_not() {
    let labels = [label(1, 10, "a", "192.0.2.7", false), label(2, 10, "b", "192.0.2.7", false)];
    let cause = format!(r#","events":[{{"time":"{}","client":"192.0.2.9"}}]"#, at(10));
    let other = [label(0, 10, "z", "192.0.2.9", false), labels[0].clone()];
    let block = [decision(10, "block", "192.0.2.0/24", Some(99), &cause)];
    assert_eq!(stopped(true, &block, &other).0, "-x");
}

#[test]
fn familiar_accounts_are_spared_where_servers_ask() {
    let labels = [
        label(1, 1, "alice", "192.0.2.7", true),
        label(2, 20, "alice", "192.0.2.7", true),
        label(3, 21, "alice", "192.0.2.8", true),
        label(4, 22, "bob", "192.0.2.7", true),
        label(5, 23, "alice", "198.51.100.1", true),
    ];
    let block = [
        decision(10, "block", "192.0.2.7", Some(99), r#","spares_familiar":true"#),
        decision(10, "block", "192.0.2.8", Some(99), r#","spares_familiar":true"#),
    ];
    assert_eq!(stopped(true, &block, &labels), ("--xx-".to_owned(), "---x-".to_owned()));
    assert_eq!(stopped(false, &block, &labels).0, "-xxx-");
    let guard = [decision(10, "guard", "alice", Some(99), "")];
    assert_eq!(stopped(true, &guard, &labels), ("--x-x".to_owned(), "----x".to_owned()));
    assert_eq!(stopped(false, &guard, &labels).0, "-----");
}

/// Five failures in twenty minutes block an address for thirty.
fn baseline(labels: &[Label]) -> Vec<String> {
    let mut failures: HashMap<IpAddr, VecDeque<Time>> = HashMap::new();
    let mut blocked: HashMap<IpAddr, Time> = HashMap::new();
    let mut decisions = Vec::new();
    for label in labels.iter().filter(|label| label.deed == Deed::SignIn && !label.right) {
        if blocked.get(&label.address).is_some_and(|until| label.time < *until) {
            continue;
        }
        let window = failures.entry(label.address).or_default();
        window.extend(std::iter::repeat_n(label.time, label.tries as usize));
        while window.front().is_some_and(|first| label.time.since(*first).as_secs() >= 1200) {
            window.pop_front();
        }
        if window.len() >= 5 {
            window.clear();
            let until = label.time.after(std::time::Duration::from_secs(1800));
            blocked.insert(label.address, until);
            let mut text = String::new();
            let (time, address) = (label.time, label.address);
            write!(text, r#"{{"time":"{time}","action":"block","subject":"{address}","until":"{until}""#).unwrap();
            write!(text, r#","events":[{{"time":"{time}","client":"{address}"}}]}}"#).unwrap();
            decisions.push(text);
        }
    }
    decisions
}

#[test]
fn plain_counting_lets_half_through_and_refuses_some_percent() {
    let population = simulate(&Settings { days: 4, scale: 0.5, ..Settings::new(3) });
    let mut judge = Judge::new(true);
    for decision in baseline(&population.labels) {
        judge.read(&decision).unwrap();
    }
    let shares = Shares::of(&population, &judge.judge(&population.labels));
    println!("{:#?}", shares);
    assert!((25.0..75.0).contains(&shares.guesses.percent()), "{:?}", shares.guesses);
    assert!((0.5..10.0).contains(&shares.good.percent()), "{:?}", shares.good);
}

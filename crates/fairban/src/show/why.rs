//! All about a subject, for support.

use std::fmt::Write;

use fairban_types::{Subject, Time};

use super::line::{blocks, left, seen};
use super::receipt::{Setting, evidence_table, receipt};
use super::{clock, counted, safe_line, zone};
use crate::control::{Seen, Why};
use crate::terminal::{Tone, tone};

/// From so many of the same wrong password on, an old one on a device is the likely cause.
const REPEATS_TOLD: usize = 3;

/// What is in force against the subject first, what might be next, and then the past.
pub(crate) fn why(why: &Why, now: Time) -> String {
    let mut text = String::new();
    let setting = Setting { now, enforcing: why.enforcing, mail_servers_ask: why.mail_servers_ask, ended: None };
    if let Some(asked) = &why.asked {
        let ended = asked.ended.as_ref();
        text.push_str(&receipt(&asked.decision, Setting { ended, ..setting }));
        text.push('\n');
    }
    write_place(&mut text, why);
    for decision in &why.standing {
        text.push_str(&receipt(decision, setting));
        text.push('\n');
    }
    if !why.blocked {
        write_not_blocked(&mut text, why);
        write_scores(&mut text, why);
    }
    write_related(&mut text, why, now);
    write_past(&mut text, why, now);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// An address may be blocked only with the network around it, and released alone.
fn write_place(text: &mut String, why: &Why) {
    let Ok(Subject::Network(asked)) = why.subject.parse::<Subject>() else { return };
    let nets = || why.standing.iter().filter_map(|decision| decision.subject.network());
    let Some(wide) = nets().find(|net| net.contains(&asked) && *net != asked) else { return };
    if why.blocked && !nets().any(|net| net == asked) {
        let asked = Subject::Network(asked);
        let _ = writeln!(text, "{asked} lies in {wide}. To release it alone: fairban unblock {asked}\n");
    }
}

fn write_not_blocked(text: &mut String, why: &Why) {
    let subject = safe_line(&why.subject);
    let _ = writeln!(text, "{}", tone(&format!("{subject} is not blocked."), Tone::Strong));
    if let Some(entry) = why.never.first() {
        let reason = if entry.reason.is_empty() { String::new() } else { format!(": {}", safe_line(&entry.reason)) };
        let _ = writeln!(text, "It cannot be: {} is on the never-block list, by {}{reason}.", entry.net, entry.by);
    } else if let (true, Ok(Subject::Network(net))) = (why.events.is_empty(), subject.parse::<Subject>()) {
        let _ = writeln!(text, "Nothing is known of {}.", Subject::Network(net));
    } else if why.events.is_empty() && why.history.is_empty() {
        let _ = writeln!(text, "Nothing is known of an account or a reference of this name: is it spelled so?");
    }
    write_patience(text, why);
    text.push('\n');
}

/// Why failures have led to nothing.
fn write_patience(text: &mut String, why: &Why) {
    if why.events.iter().any(|seen| seen.outcome == "spared" && seen.event.kind.is_login_failure()) {
        text.push_str("Failures marked [spared] do not count against the address: the account signs in from there.\n");
    }
    let digests: Vec<&str> = why.events.iter().filter_map(|seen| seen.event.digest.as_deref()).collect();
    let often = |digest: &&str| digests.iter().filter(|other| *other == digest).count() >= REPEATS_TOLD;
    if digests.iter().any(often) {
        text.push_str("The same wrong password comes again and again: find the device that still has an old one.\n");
    }
}

fn write_scores(text: &mut String, why: &Why) {
    for score in &why.scores {
        let rule = safe_line(&score.rule);
        let _ = writeln!(text, "Rule {rule} counts {} of the {} points that block it:", score.score, score.threshold);
        text.push_str(&evidence_table(&score.events));
        text.push('\n');
    }
}

fn write_related(text: &mut String, why: &Why, now: Time) {
    if why.related.is_empty() {
        return;
    }
    let many = counted(why.related.len(), "blocked place");
    let _ = writeln!(text, "This account was lately tried from {many}:");
    for line in blocks(&why.related, now).lines() {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str("If its owner is there: fairban why SUBJECT tells more, fairban unblock SUBJECT lets them in.\n\n");
}

fn write_past(text: &mut String, why: &Why, now: Time) {
    if !why.history.is_empty() {
        text.push_str("Before:\n");
        for block in &why.history {
            let (since, why) = (clock(block.since), block.diagnosis.in_words());
            let (rule, end) = (safe_line(&block.rule), left(block, now));
            let _ = writeln!(text, "  {since}  {}  rule {rule}: {why}  ({end})", block.code);
        }
        text.push('\n');
    }
    let is_told = |seen: &&Seen| {
        let mut evidence = why.standing.iter().flat_map(|decision| &decision.events);
        evidence.any(|evidence| evidence.event == seen.event)
    };
    let others: Vec<&Seen> = why.events.iter().filter(|seen| !is_told(seen)).collect();
    if let Some(last) = others.last() {
        let title = if why.standing.is_empty() { "Latest events" } else { "Other events" };
        let _ = writeln!(text, "{title} (times are {}):", zone(last.event.time));
        for event in others {
            let _ = writeln!(text, "  {}", seen(event));
        }
    }
}

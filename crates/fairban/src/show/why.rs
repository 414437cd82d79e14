//! All about a subject, for support.

use std::fmt::Write;

use fairban_types::{Code, Diagnosis, Finding, Subject, Time};

use super::finding::{device, diagnosis, facts};
use super::line::{blocks, left, seen};
use super::receipt::{Setting, evidence_table, named, receipt};
use super::words::{remedy, rounded};
use super::{ago, clock, counted, safe_line, table, zone};
use crate::control::{Involved, Seen, Why};
use crate::terminal::{Tone, tone};

/// One story: what is in force against the subject, what might be next, who else has to do with it, and then the past.
pub(crate) fn why(why: &Why, now: Time) -> String {
    let mut text = String::new();
    let setting =
        Setting { now, enforcing: why.enforcing, mail_servers_ask: why.mail_servers_ask, ended: None, finding: None };
    let finding = |code: Code| why.findings.iter().find(|found| found.code == code).map(|found| &found.finding);
    if let Some(asked) = &why.asked {
        let ended = asked.ended.as_ref();
        text.push_str(&receipt(&asked.decision, Setting { ended, finding: finding(asked.decision.code), ..setting }));
        text.push('\n');
    }
    write_place(&mut text, why);
    for decision in &why.standing {
        text.push_str(&receipt(decision, Setting { finding: finding(decision.code), ..setting }));
        text.push('\n');
    }
    if !why.blocked {
        write_not_blocked(&mut text, why);
        write_scores(&mut text, why);
        write_suspicion(&mut text, why);
    }
    write_polling(&mut text, why);
    write_involved(&mut text, why, now);
    write_familiar(&mut text, why, now);
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
}

fn write_scores(text: &mut String, why: &Why) {
    for score in &why.scores {
        let rule = safe_line(&score.rule);
        let _ = writeln!(text, "Rule {rule} counts {} of the {} points that block it:", score.score, score.threshold);
        text.push_str(&evidence_table(&score.events));
        text.push('\n');
    }
}

/// What lies behind failures that have led to nothing yet: the device to find before it blocks.
fn write_suspicion(text: &mut String, why: &Why) {
    let Some(finding) = &why.suspicion else { return };
    if finding.diagnosis == Diagnosis::Unknown {
        let reasons = facts(finding).join("; ");
        let _ = writeln!(text, "What went wrong in the last day does not tell its cause ({reasons}).\n");
        return;
    }
    let _ = writeln!(text, "What went wrong in the last day: {}.", diagnosis(finding));
    write_finding(text, finding);
    let _ = writeln!(text, "What to do: {}\n", remedy(finding.diagnosis));
}

fn write_finding(text: &mut String, finding: &Finding) {
    for fact in facts(finding) {
        let _ = writeln!(text, "  because  {fact}");
    }
    if let Some(one) = finding.device() {
        let _ = writeln!(text, "  device   {}", device(one));
    }
}

fn write_polling(text: &mut String, why: &Why) {
    for finding in &why.polling {
        let _ = writeln!(text, "Asks too often, and is not blocked for it: {}.", diagnosis(finding));
        write_finding(text, finding);
        let _ = writeln!(text, "What to do: {}\n", remedy(finding.diagnosis));
    }
}

fn write_involved(text: &mut String, why: &Why, now: Time) {
    let is_address = matches!(why.involved.first().map(|one| &one.who), Some(Subject::Account(_)));
    // That one address was there, the receipt has told.
    if why.involved.is_empty() {
        return;
    }
    let (title, head) = if is_address {
        ("Accounts at this address in the last seven days", "account")
    } else {
        ("Addresses that used this account in the last seven days", "address")
    };
    let _ = writeln!(text, "{title}:");
    let last = |time: Option<Time>| time.map_or_else(|| "-".to_owned(), |time| ago(time, now));
    let row = |one: &Involved| {
        vec![
            one.who.to_string(),
            one.failures.to_string(),
            last(one.last_failure),
            one.successes.to_string(),
            last(one.last_success),
        ]
    };
    let rows: Vec<Vec<String>> = why.involved.iter().map(row).collect();
    for line in table(&[head, "failed", "last", "signed in", "last"], &rows).lines() {
        let _ = writeln!(text, "  {line}");
    }
    if why.involved_others > 0 {
        let _ = writeln!(text, "  and {} more", why.involved_others);
    }
    text.push('\n');
}

fn write_familiar(text: &mut String, why: &Why, now: Time) {
    if why.familiar.is_empty() {
        return;
    }
    text.push_str("It usually signs in from:\n");
    for place in &why.familiar {
        let (network, sign_ins) = (&place.network, counted(place.sign_ins as usize, "sign-in"));
        let (last, known) = (ago(place.last, now), rounded(now.since(place.since)));
        let _ = writeln!(text, "  {network}  {sign_ins}, last {last}, known for {known}");
    }
    text.push('\n');
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
    text.push_str("If its owner is there:\n");
    for block in &why.related {
        let subject = named(&block.subject, block.code);
        let _ = writeln!(text, "  to know more      fairban why {subject}");
        let _ = writeln!(text, "  to let them in    fairban unblock {subject}");
    }
    text.push('\n');
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

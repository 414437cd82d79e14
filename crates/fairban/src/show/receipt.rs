//! A receipt as support can read it out on the telephone.

use std::fmt::Write;

use fairban_types::{Action, Decision, Diagnosis, Origin, Subject, Time, format_duration};

use super::{clock, event, in_words, safe, safe_line};

/// A block told in full: what, since when, until when, why, each event with its points, and what to do.
pub(crate) fn receipt(decision: &Decision, now: Time) -> String {
    let mut text = String::new();
    let subject = safe_line(&decision.subject.to_string());
    let what = if decision.action == Action::Guard { "guarded" } else { "blocked" };
    let _ = writeln!(text, "{subject} is {what}.  Reference {}", decision.code);
    let _ = writeln!(text, "  since    {}", clock(decision.time));
    let until = match decision.until {
        Some(until) if until > now => format!("{} (in {})", clock(until), format_duration(until.since(now))),
        Some(until) => format!("{} (over)", clock(until)),
        None => "it is released: the block is permanent".to_owned(),
    };
    let _ = writeln!(text, "  until    {until}");
    let _ = writeln!(text, "  because  {}", decision.diagnosis.in_words());
    match &decision.origin {
        Origin::Rule(rule) => {
            let _ = writeln!(text, "  rule     {}: {}", safe_line(rule), safe_line(&decision.reason));
            let _ = writeln!(text, "  score    {} of {} points", decision.score, decision.threshold);
        }
        Origin::Manual(by) => {
            let _ = writeln!(text, "  by       {}: {}", safe_line(by), safe_line(&decision.reason));
        }
    }
    if decision.offence > 1 {
        let _ = writeln!(text, "  offence  number {}: each lasts longer", decision.offence);
    }
    let reach = match (decision.in_kernel, decision.spares_familiar) {
        (true, _) => "its connections to the mail ports are dropped",
        (false, true) => "refused at sign-in, except accounts that usually sign in from there",
        (false, false) => "recorded; the mail server must ask for it to be felt",
    };
    let _ = writeln!(text, "  effect   {reach}");
    for hole in &decision.holes {
        let _ = writeln!(text, "  except   {hole}, where people sign in");
    }
    write_events(&mut text, decision);
    let _ = writeln!(text, "\n{}", advice(decision));
    text
}

fn write_events(text: &mut String, decision: &Decision) {
    if decision.events.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nThe {} events behind it:", decision.events.len());
    for evidence in &decision.events {
        let _ = writeln!(text, "  {:>4}  {}", evidence.points, event(&evidence.event));
        if let (Some(first), true) = (evidence.first, evidence.seen > 1) {
            let _ = writeln!(text, "        seen {} times, first at {}", evidence.seen, clock(first));
        }
    }
    let total: u32 = decision.events.iter().map(|evidence| evidence.points).sum();
    let _ = writeln!(text, "  {total:>4}  in all");
    let kinds: std::collections::BTreeSet<_> = decision.events.iter().map(|evidence| evidence.event.kind).collect();
    let words: Vec<&str> = kinds.into_iter().map(in_words).collect();
    let _ = writeln!(text, "In words: {}.", words.join("; "));
}

fn advice(decision: &Decision) -> String {
    let subject = match &decision.subject {
        Subject::Pair(account, _) => account.clone(),
        other => other.to_string(),
    };
    let subject = safe(&subject);
    let cure = match decision.diagnosis {
        Diagnosis::StalePassword => "Find the device that still has the old password, and give it the new one. ",
        Diagnosis::PasswordGuessing | Diagnosis::PasswordSpraying | Diagnosis::CredentialStuffing => {
            "If this is a customer: one of their devices is infected or misconfigured. "
        }
        _ => "",
    };
    format!("{cure}To release it: fairban unblock '{subject}'.  Never to block it: fairban never add.")
}

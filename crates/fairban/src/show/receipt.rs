//! A receipt as support can read it out on the telephone.

use std::collections::BTreeMap;
use std::fmt::Write;

use fairban_types::{Action, Code, Decision, Effect, Evidence, Finding, Origin, Subject, Time};

use super::finding::{device, diagnosis, facts};
use super::words::{advice, details, effect, kind, rounded, service};
use super::{ago, clock, counted, safe_line, table, zone};
use crate::control::Ended;
use crate::terminal::{Tone, tone};

/// So many devices are named.
const DEVICES_MAX: usize = 3;

/// What a receipt must know beside the decision.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) now: Time,
    /// Whether blocks are put into the kernel.
    pub(super) enforcing: bool,
    /// Whether mail servers ask before a sign-in.
    pub(super) mail_servers_ask: bool,
    /// How the block ended, if it has.
    pub(super) ended: Option<&'a Ended>,
    /// What lies behind it; `None`: no more is known than the decision tells.
    pub(super) finding: Option<&'a Finding>,
}

/// A block told in full: who, since when, until when, why, each event with its points, and what to do.
pub(super) fn receipt(decision: &Decision, setting: Setting<'_>) -> String {
    let mut text = format!("{}\n\n", head(decision, setting));
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<8}  {value}");
    };
    line("since", format!("{} {}, {}", clock(decision.time), zone(decision.time), ago(decision.time, setting.now)));
    line("until", until(decision, setting));
    match setting.finding {
        Some(finding) => {
            line("why", diagnosis(finding));
            for (n, fact) in facts(finding).into_iter().enumerate() {
                line(if n == 0 { "because" } else { "" }, fact);
            }
            for (n, one) in finding.devices.iter().take(DEVICES_MAX).enumerate() {
                line(if n == 0 { "device" } else { "" }, device(one));
            }
            if finding.devices.len() > DEVICES_MAX {
                line("", format!("and {}", counted(finding.devices.len() - DEVICES_MAX, "other account")));
            }
        }
        None => line("why", decision.diagnosis.in_words().to_owned()),
    }
    if !decision.events.is_empty() {
        line("in short", in_short(&decision.events));
    }
    match &decision.origin {
        Origin::Rule(rule) => {
            line("score", score(decision, rule));
            line("rule", safe_line(&decision.reason));
        }
        Origin::Manual(by) => line("by", format!("{}: {}", safe_line(by), safe_line(&decision.reason))),
    }
    line("effect", reach(decision, setting));
    for hole in &decision.holes {
        line("except", format!("{hole} is left alone"));
    }
    write_events(&mut text, decision);
    if !is_over(decision, setting) {
        write_advice(&mut text, decision, setting.finding);
    }
    text
}

fn is_over(decision: &Decision, setting: Setting<'_>) -> bool {
    setting.ended.is_some() || decision.until.is_some_and(|until| until <= setting.now)
}

fn head(decision: &Decision, setting: Setting<'_>) -> String {
    let is = if is_over(decision, setting) { "was" } else { "is" };
    let what = if decision.action == Action::Guard { "guarded" } else { "blocked" };
    let sentence = format!("{} {is} {what}.", safe_line(&decision.subject.to_string()));
    format!("{}  Reference: {}", tone(&sentence, Tone::Strong), decision.code)
}

fn until(decision: &Decision, setting: Setting<'_>) -> String {
    match (setting.ended, decision.until) {
        (Some(ended), _) => format!(
            "{} {}, when it {} by {}",
            clock(ended.time),
            zone(ended.time),
            ended.how_in_words(),
            safe_line(&ended.by)
        ),
        (None, None) => "somebody releases it: it is permanent".to_owned(),
        (None, Some(until)) if until <= setting.now => format!("{} {}: it is over", clock(until), zone(until)),
        (None, Some(until)) => {
            format!("{} {}, {} from now", clock(until), zone(until), rounded(until.since(setting.now)))
        }
    }
}

fn score(decision: &Decision, rule: &str) -> String {
    let offence = match decision.offence {
        0 => String::new(),
        1 => ", first offence".to_owned(),
        number => format!(", offence number {number}: each lasts longer"),
    };
    format!("{} points, {} are enough (rule {}{offence})", decision.score, decision.threshold, safe_line(rule))
}

/// How a send block is felt.
const SENDING: &str = "softly: AUTH fails like a wrong password, recipients are refused; reading mail goes on";

/// How the block is felt on this machine.
fn reach(decision: &Decision, setting: Setting<'_>) -> String {
    let dropped = "its connections to the mail ports are dropped";
    let spared = "refused at sign-in, except for accounts that usually sign in from there";
    match decision {
        Decision { action: Action::Guard, .. } if setting.mail_servers_ask => {
            "sign-ins from unfamiliar networks are refused; the owner's usual places go on working".to_owned()
        }
        Decision { subject: Subject::Sending(_), .. } => SENDING.to_owned(),
        Decision { in_kernel: true, .. } if setting.enforcing => dropped.to_owned(),
        Decision { in_kernel: true, .. } if setting.mail_servers_ask => {
            "refused at sign-in; the kernel is not used here".to_owned()
        }
        Decision { in_kernel: true, .. } => format!("none: Fairban only observes here (else {dropped})"),
        Decision { effect: Effect::Observe, .. } => effect(Effect::Observe).to_owned(),
        Decision { spares_familiar: true, .. } if setting.mail_servers_ask => spared.to_owned(),
        Decision { effect: other, .. } if setting.mail_servers_ask => format!("at sign-in: {}", effect(*other)),
        _ => "none yet: the mail server does not ask Fairban before a sign-in".to_owned(),
    }
}

/// What happened, in one breath: `5 × wrong password, for alice@example.test`.
fn in_short(events: &[Evidence]) -> String {
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    let mut accounts: Vec<&str> = Vec::new();
    for evidence in events {
        *kinds.entry(kind(evidence.event.kind)).or_default() += evidence.seen.max(evidence.event.count);
        if let Some(account) = evidence.event.account.as_deref().filter(|account| !accounts.contains(account)) {
            accounts.push(account);
        }
    }
    let kinds: Vec<String> = kinds.into_iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    let tried = match accounts.as_slice() {
        [] => String::new(),
        [one] => format!(", for {}", super::table::clipped(one)),
        [first, rest @ ..] => {
            format!(", for {} and {}", super::table::clipped(first), counted(rest.len(), "other account"))
        }
    };
    format!("{}{tried}", kinds.join(", "))
}

fn write_events(text: &mut String, decision: &Decision) {
    if decision.events.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nThe {} behind it:", counted(decision.events.len(), "event"));
    let total: u32 = decision.events.iter().map(|evidence| evidence.points).sum();
    text.push_str(&evidence_table(&decision.events));
    let _ = writeln!(text, "  {total:>6}  points in all");
}

/// Events with their points, one on a line.
pub(super) fn evidence_table(events: &[Evidence]) -> String {
    let first = events.first().map(|evidence| evidence.event.client);
    let has_clients = events.iter().any(|evidence| Some(evidence.event.client) != first);
    let row = |evidence: &Evidence| {
        let event = &evidence.event;
        let mut row = vec![format!("{:>6}", evidence.points), clock(event.time), kind(event.kind).to_owned()];
        row.push(service(event.service).to_owned());
        if has_clients {
            row.push(event.client.to_string());
        }
        row.push(event.account.as_deref().unwrap_or("-").to_owned());
        row.push(again(evidence));
        row
    };
    let rows: Vec<Vec<String>> = events.iter().map(row).collect();
    let zone = events.first().map_or_else(|| "UTC".to_owned(), |evidence| zone(evidence.event.time));
    let time = format!("time ({zone})");
    let mut head = vec!["points", time.as_str(), "what", "service"];
    if has_clients {
        head.push("from");
    }
    head.extend(["account", "detail"]);
    table(&head, &rows).lines().fold(String::new(), |text, line| format!("{text}  {line}\n"))
}

/// The details of a piece of evidence, and how often the same was seen.
fn again(evidence: &Evidence) -> String {
    let details = details(&evidence.event);
    match evidence.first {
        Some(first) if evidence.seen > 1 => {
            format!("{details} (the same {} times since {})", evidence.seen, clock(first)).trim_start().to_owned()
        }
        _ => details,
    }
}

fn write_advice(text: &mut String, decision: &Decision, finding: Option<&Finding>) {
    let diagnosis = finding.map_or(decision.diagnosis, |finding| finding.diagnosis);
    let _ = writeln!(text, "\nWhat to do: {}", advice(diagnosis));
    let _ = writeln!(text, "  to release it       fairban unblock {}", named(&decision.subject, decision.code));
    if let Subject::Network(net) | Subject::Pair(_, net) = &decision.subject {
        let _ = writeln!(text, "  never to block it   fairban never add {}", Subject::Network(*net));
    }
}

/// The subject as it can be pasted into a shell. Clients choose the names of accounts, so only plain ones are; the
/// reference stands for the others.
pub(super) fn named(subject: &Subject, code: Code) -> String {
    let name = subject.to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._:/+-".contains(&byte);
    if name.bytes().all(is_plain) && !name.starts_with('-') { name } else { code.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairban_types::{Diagnosis, Event, EventKind, Service};

    fn block(subject: Subject, events: Vec<Evidence>) -> Decision {
        Decision {
            code: Code::new(7),
            time: Time::from_secs(1000),
            action: Action::Block,
            subject,
            origin: Origin::Rule("login".to_owned()),
            reason: "login_failed 50".to_owned(),
            score: 250,
            threshold: 250,
            until: Some(Time::from_secs(2800)),
            effect: Effect::Drop,
            diagnosis: Diagnosis::PasswordGuessing,
            offence: 2,
            spares_familiar: false,
            in_kernel: true,
            holes: Vec::new(),
            events,
        }
    }

    const SETTING: Setting<'_> =
        Setting { now: Time::from_secs(1060), enforcing: true, mail_servers_ask: false, ended: None, finding: None };

    #[test]
    fn tells_who_when_why_and_what_to_do() {
        let client = "192.0.2.7".parse().unwrap();
        let event = Event::new(EventKind::LoginFailed, Time::from_secs(990), client, Service::Imap).account("alice");
        let events = vec![Evidence { points: 50, seen: 3, first: Some(Time::from_secs(980)), event }];
        let text = receipt(&block(Subject::address(client), events), SETTING);
        for part in [
            "192.0.2.7 is blocked.  Reference: 0000-0007",
            "1m ago",
            "29m from now",
            "password guessing",
            "3 × wrong password, for alice",
            "offence number 2",
            "connections to the mail ports are dropped",
            "the same 3 times since",
            "fairban unblock 192.0.2.7",
            "fairban never add 192.0.2.7",
        ] {
            assert!(text.contains(part), "no '{part}' in:\n{text}");
        }
    }

    #[test]
    fn commands_to_paste_hold_no_text_that_a_client_chose_freely() {
        for name in ["x'; reboot; '", "$(reboot)", "-rf", "a b", "a\nb"] {
            let text = receipt(&block(Subject::Account(name.to_owned()), Vec::new()), SETTING);
            assert!(text.contains("fairban unblock 0000-0007"), "{text}");
        }
    }
}

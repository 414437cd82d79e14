//! One thing on one line, and lists of such.

use std::fmt::Write;

use fairban_types::{Action, Decision, Event, Subject, Time, format_duration};

use super::words::{details, rounded, service};
use super::{clock, safe_line, table};
use crate::control::{Listed, Seen};

/// An event in one line.
pub(crate) fn event(event: &Event<'_>) -> String {
    let mut line =
        format!("{}  {:<21} {:<15} {:<10}", clock(event.time), event.kind, event.client, service(event.service));
    for text in [event.account.as_deref().map(safe_line), Some(details(event))].into_iter().flatten() {
        if !text.is_empty() {
            let _ = write!(line, " {text}");
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// An event with what became of it.
pub(crate) fn seen(seen: &Seen) -> String {
    format!("{}  [{}]", event(&seen.event), safe_line(&seen.outcome))
}

/// A decision in one line.
pub(crate) fn decision(decision: &Decision) -> String {
    let subject = safe_line(&decision.subject.to_string());
    let verb = match decision.action {
        Action::Block => "BLOCK",
        Action::Guard => "GUARD",
        Action::Release => "RELEASE",
        Action::Expire => "END",
    };
    let mut line = format!("{}  {verb:<7} {subject}", clock(decision.time));
    if matches!(decision.action, Action::Block | Action::Guard) {
        let until = match decision.until {
            Some(until) => format!("for {}", format_duration(until.since(decision.time))),
            None => "permanently".to_owned(),
        };
        let _ = write!(line, " {until}, rule {}", safe_line(decision.origin.rule()));
        if decision.threshold > 0 {
            let _ = write!(line, ", {} of {} points", decision.score, decision.threshold);
        }
        if decision.offence > 1 {
            let _ = write!(line, ", offence {}", decision.offence);
        }
        let _ = write!(line, ": {}", decision.diagnosis.in_words());
    }
    let _ = write!(line, "  [{}]", decision.code);
    line
}

/// How long a block has left, or how it ended.
pub(super) fn left(listed: &Listed, now: Time) -> String {
    match (&listed.ended, listed.until) {
        (Some(ended), _) => format!("{} {} by {}", ended.how_in_words(), clock(ended.time), safe_line(&ended.by)),
        (None, None) => "permanent".to_owned(),
        (None, Some(until)) if until <= now => format!("ended {}", clock(until)),
        (None, Some(until)) => rounded(until.since(now)),
    }
}

/// The columns of [`send_block`].
pub(crate) const SEND_BLOCK: &[&str] = &["sender", "direction", "since", "left", "by", "reason", "code"];

/// A send block as a row.
pub(crate) fn send_block(block: &Listed, now: Time) -> Option<Vec<String>> {
    let Subject::Sending(sending) = &block.subject else { return None };
    Some(vec![
        sending.sender.to_string(),
        sending.direction.to_string(),
        clock(block.since),
        left(block, now),
        block.by.clone().unwrap_or_else(|| format!("rule {}", block.rule)),
        block.reason.clone(),
        block.code.to_string(),
    ])
}

/// Blocks as a table.
pub(crate) fn blocks(blocks: &[Listed], now: Time) -> String {
    let row = |block: &Listed| {
        vec![
            block.subject.to_string(),
            if block.action == Action::Guard { "guard" } else { "block" }.to_owned(),
            clock(block.since),
            left(block, now),
            block.rule.clone(),
            if block.offence > 0 { block.offence.to_string() } else { "-".to_owned() },
            block.code.to_string(),
            block.diagnosis.in_words().split(':').next().unwrap_or_default().to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = blocks.iter().map(row).collect();
    table(&["subject", "what", "since", "left", "rule", "offence", "code", "why"], &rows)
}

/// Numbers as a row of bars.
pub(crate) fn sparkline(values: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let bar = |value: &u64| if *value == 0 { ' ' } else { BARS[((value * 7).div_ceil(most)).min(7) as usize] };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_grow_with_the_numbers() {
        assert_eq!(sparkline(&[0, 1, 4, 8]), " ▂▅█");
    }
}

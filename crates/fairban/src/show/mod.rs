//! Events, decisions and receipts as text for a terminal. Everything that a client chose is made harmless here.

mod receipt;
mod status;
mod table;
pub(crate) mod top;

use std::fmt::Write;

use fairban_types::{Action, Decision, Event, EventKind, Time, format_duration};

pub(crate) use receipt::receipt;
pub(crate) use status::status;
pub(crate) use table::table;

/// An error with an exit status of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Exit {
    pub(crate) status: u8,
    pub(crate) message: String,
}

/// Text that a client chose, for a terminal: control characters, and those that reorder or hide text, are escaped.
pub(crate) fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        let reorders = matches!(letter,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if (letter.is_control() && letter != '\n') || reorders {
            let _ = write!(shown, "{}", letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// The same in one line.
pub(crate) fn safe_line(text: &str) -> String {
    safe(text).replace('\n', "\\n")
}

/// An event in one line.
pub(crate) fn event(event: &Event<'_>) -> String {
    let mut line = format!("{}  {:<22} {:<15} {:<10}", clock(event.time), event.kind, event.client, event.service);
    let texts = [
        ("", &event.account),
        ("return-path ", &event.return_path),
        ("to ", &event.recipient),
        ("HELO ", &event.helo),
        ("digest ", &event.digest),
        ("by ", &event.program),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            let shown = if text.is_empty() { "<>".to_owned() } else { safe_line(text) };
            let _ = write!(line, " {name}{shown}");
        }
    }
    if event.count > 1 {
        let _ = write!(line, " ({} times)", event.count);
    }
    line
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

/// A moment in local time, to the second.
pub(crate) fn clock(time: Time) -> String {
    match jiff::Timestamp::from_millisecond(time.millis()) {
        Ok(stamp) => stamp.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_string(),
    }
}

/// An event kind as a person would say it.
pub(crate) fn in_words(kind: EventKind) -> &'static str {
    match kind {
        EventKind::LoginFailed => "wrong password",
        EventKind::LoginUnknownAccount => "sign-in to an account that does not exist",
        EventKind::LoginSucceeded => "successful sign-in",
        EventKind::RelayDenied => "attempt to relay mail",
        EventKind::RecipientUnknown => "mail to an address that does not exist",
        other => other.meaning(),
    }
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
    fn what_clients_chose_cannot_steer_a_terminal() {
        assert_eq!(safe_line("a\u{1b}[2Jb\r\nc\u{202e}d"), "a\\u{1b}[2Jb\\u{d}\\nc\\u{202e}d");
        assert_eq!(safe("grüße ✓"), "grüße ✓");
    }

    #[test]
    fn bars_grow_with_the_numbers() {
        assert_eq!(sparkline(&[0, 1, 4, 8]), " ▂▅█");
    }
}

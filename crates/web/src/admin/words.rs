//! How things are said on pages.

use std::time::Duration;

use fairban_types::{Action, Diagnosis, Event, EventKind, Subject, Time};
use jiff::tz::TimeZone;

use super::view::BlockRow;

/// Text that a client chose, on one line: control characters, and those that turn writing around, are shown as marks.
pub(crate) fn clean(text: &str) -> String {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().map(|c| if is_odd(c) { '\u{fffd}' } else { c }).collect()
}

/// The same, cut where it gets long.
pub(crate) fn short(text: &str) -> String {
    const MOST: usize = 80;
    let text = clean(text);
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST - 1).chain(['…']).collect() }
}

/// A moment as people read it.
pub(crate) fn moment(time: Time, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(time.millis()) {
        Ok(stamp) => stamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "never".to_owned(),
    }
}

/// The name of a zone now.
pub(crate) fn zone_name(time: Time, zone: &TimeZone) -> String {
    let stamp = jiff::Timestamp::from_millisecond(time.millis());
    stamp.map_or_else(|_| "UTC".to_owned(), |stamp| stamp.to_zoned(zone.clone()).strftime("%Z").to_string())
}

/// A stretch of time in its two largest units.
pub(crate) fn span(span: Duration) -> String {
    let mut secs = span.as_secs();
    let mut parts = Vec::new();
    for (unit, size) in [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)] {
        if secs >= size && parts.len() < 2 {
            parts.push(format!("{} {unit}", secs / size));
            secs %= size;
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// How long ago.
pub(crate) fn ago(time: Time, now: Time) -> String {
    match now.since(time).as_secs() {
        0..=9 => "just now".to_owned(),
        _ => format!("{} ago", span(now.since(time))),
    }
}

/// When a block ends, in words.
pub(crate) fn left(block: &BlockRow, now: Time) -> String {
    match (&block.ended, block.until) {
        (Some(ended), _) => format!("{} {}", ended.how, ago(ended.time, now)),
        (None, None) => "permanent".to_owned(),
        (None, Some(until)) if until <= now => format!("expired {}", ago(until, now)),
        (None, Some(until)) => format!("{} left", span(until.since(now))),
    }
}

/// Whether a block is in force.
pub(crate) fn is_standing(block: &BlockRow, now: Time) -> bool {
    block.ended.is_none() && block.until.is_none_or(|until| until > now)
}

/// What is blocked, in a word.
pub(crate) fn kind_of(subject: &Subject, action: Action) -> &'static str {
    match (subject, action) {
        (Subject::Account(_), Action::Guard) => "guard",
        (Subject::Network(net), _) if net.prefix_len() == net.max_prefix_len() => "address",
        (Subject::Network(_), _) => "network",
        (Subject::Account(_), _) => "account",
        (Subject::Pair(..), _) => "account at an address",
        (Subject::Sending(_), _) => "sending",
    }
}

/// A number with thin spaces between its thousands.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// What is to be done, by what lies behind a block.
pub(crate) fn advice(diagnosis: Diagnosis) -> &'static str {
    match diagnosis {
        Diagnosis::StalePassword => {
            "Find the device that still has the old password, give it the new one, and then release the block."
        }
        Diagnosis::PasswordGuessing | Diagnosis::PasswordSpraying | Diagnosis::CredentialStuffing => {
            "Somebody tries passwords. If a customer uses this address, one of their devices is infected or has wrong \
             settings: find it before you release the block."
        }
        Diagnosis::FrequentPolling => "Have the device fetch mail less often, and then release the block.",
        Diagnosis::RelayProbing => {
            "Somebody looks for a server that sends mail for anyone. A customer's program that does this must sign in \
             before it sends."
        }
        Diagnosis::AddressHarvesting => {
            "Somebody tries which addresses exist. A customer who mails an old list has to clean it first."
        }
        Diagnosis::SpamRun | Diagnosis::Malware => {
            "Spam or viruses come from there: have the device cleaned before you release the block."
        }
        Diagnosis::ProtocolAbuse => "The program speaks broken mail protocol: see what it is, and update it.",
        Diagnosis::Manual => "A person decided it: ask them before you release the block.",
        Diagnosis::Unknown => "Look at the events before you release the block.",
    }
}

/// What an event is, in words.
pub(crate) fn event_kind(kind: EventKind) -> String {
    match kind {
        EventKind::LoginFailed => "wrong password".to_owned(),
        EventKind::LoginUnknownAccount => "no such account".to_owned(),
        EventKind::LoginSucceeded => "signed in".to_owned(),
        EventKind::LoginRefused => "sign-in refused".to_owned(),
        other => other.as_str().replace('_', " "),
    }
}

/// What an event tells beside time, client, service and account.
pub(crate) fn details(event: &Event<'_>) -> String {
    let texts = [
        ("return-path", &event.return_path),
        ("to", &event.recipient),
        ("HELO", &event.helo),
        ("password", &event.digest),
        ("with", &event.program),
        ("by", &event.method),
        ("because", &event.reason),
    ];
    let tell = |(name, text): (&str, &Option<std::borrow::Cow<'_, str>>)| {
        let text = text.as_deref()?;
        Some(if text.is_empty() { format!("{name} <>") } else { format!("{name} {}", short(text)) })
    };
    let mut parts: Vec<String> = texts.into_iter().filter_map(tell).collect();
    if event.count > 1 {
        parts.push(format!("{} times", event.count));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_characters_are_shown_as_marks() {
        assert_eq!(clean("a\u{202e}b\u{1b}[31m\n"), "a\u{fffd}b\u{fffd}[31m\u{fffd}");
        assert_eq!(short(&"x".repeat(100)).chars().count(), 80);
    }

    #[test]
    fn times_and_numbers() {
        for (secs, text) in [(0, "0 s"), (59, "59 s"), (3600, "1 h"), (5432, "1 h 30 min"), (90_061, "1 d 1 h")] {
            assert_eq!(span(Duration::from_secs(secs)), text);
        }
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(12), "12");
    }
}

//! Times, numbers and names as people say them.

use std::time::Duration;

use fairban_types::{Diagnosis, Effect, Event, EventKind, Service, Time, format_duration};

use super::safe_line;
use crate::zone;

/// A moment in local time, to the second.
pub(crate) fn clock(time: Time) -> String {
    match jiff::Timestamp::from_millisecond(time.millis()) {
        Ok(stamp) => stamp.to_zoned(zone::of_machine()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_string(),
    }
}

/// The name of local time at a moment, such as `CET`.
pub(crate) fn zone(time: Time) -> String {
    match jiff::Timestamp::from_millisecond(time.millis()) {
        Ok(stamp) => stamp.to_zoned(zone::of_machine()).strftime("%Z").to_string(),
        Err(_) => "UTC".to_owned(),
    }
}

/// How long ago a moment was.
pub(crate) fn ago(time: Time, now: Time) -> String {
    let passed = now.since(time);
    if passed < Duration::from_secs(1) { "just now".to_owned() } else { format!("{} ago", rounded(passed)) }
}

/// A duration in its two largest units.
pub(crate) fn rounded(duration: Duration) -> String {
    let secs = duration.as_secs();
    let coarse = match secs {
        0..3600 => secs,
        3600..86_400 => secs / 60 * 60,
        _ => secs / 3600 * 3600,
    };
    format_duration(Duration::from_secs(coarse))
}

/// `1 block`, `2 blocks`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// An event kind as a person would say it.
pub(super) fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::LoginFailed => "wrong password",
        EventKind::LoginUnknownAccount => "no such account",
        EventKind::LoginSucceeded => "signed in",
        EventKind::LoginRefused => "sign-in refused",
        EventKind::PlaintextRefused => "sign-in without TLS",
        EventKind::RelayDenied => "relay attempt",
        EventKind::RelayAllowed => "mail relayed",
        EventKind::RecipientUnknown => "no such recipient",
        EventKind::RecipientAccepted => "mail accepted",
        EventKind::RecipientRejected => "recipient refused",
        EventKind::Spam => "spam",
        EventKind::Virus => "virus",
        EventKind::ContentRejected => "forbidden content",
        EventKind::AttachmentBlocked => "forbidden attachment",
        EventKind::PartialMessage => "message in fragments",
        EventKind::DnsblListed => "on a DNS block list",
        EventKind::SpfFailed => "SPF, DKIM or DMARC failed",
        EventKind::PolicyRejected => "refused by policy",
        EventKind::Greylisted => "greylisted",
        EventKind::HeloRejected => "HELO name refused",
        EventKind::SenderRejected => "return-path refused",
        EventKind::ClientRejected => "client refused",
        EventKind::SyntaxError => "protocol error",
        EventKind::MessageTooBig => "message too big",
        EventKind::RateExceeded => "too fast or too much",
        EventKind::ConnectionAborted => "connection dropped",
        EventKind::MessageSent => "mail sent",
        EventKind::MessageBounced => "mail came back",
    }
}

/// The service, or a dash where the source does not tell.
pub(super) fn service(service: Service) -> &'static str {
    if service == Service::Unknown { "-" } else { service.as_str() }
}

/// What an event tells beside time, client, kind, service and account.
pub(super) fn details(event: &Event<'_>) -> String {
    let texts = [
        ("return-path", &event.return_path),
        ("to", &event.recipient),
        ("HELO", &event.helo),
        ("digest", &event.digest),
        ("with", &event.program),
    ];
    let mut parts: Vec<String> = Vec::new();
    for (name, text) in texts {
        if let Some(text) = text {
            parts.push(if text.is_empty() { format!("{name} <>") } else { format!("{name} {}", safe_line(text)) });
        }
    }
    if event.count > 1 {
        parts.push(format!("({} times)", event.count));
    }
    parts.join(" ")
}

/// What an effect means.
pub(super) fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Explain => "refused, and told why by the mail server",
        Effect::Drop => "dropped",
        Effect::Soft => "sign-ins fail as with a wrong password, recipients are refused",
        Effect::Tarpit => "answers are delayed",
        Effect::Observe => "recorded only",
    }
}

/// What support tells the person, by what lies behind the block.
pub(super) fn advice(diagnosis: Diagnosis) -> &'static str {
    match diagnosis {
        Diagnosis::StalePassword => {
            "Find the device that still has the old password and give it the new one; then release the block."
        }
        Diagnosis::PasswordGuessing | Diagnosis::PasswordSpraying | Diagnosis::CredentialStuffing => {
            "Somebody tries passwords. If the person on the phone uses this address, one of their devices is infected \
             or has wrong settings: find it before you release the block."
        }
        Diagnosis::FrequentPolling => "Have the device fetch mail less often; then release the block.",
        Diagnosis::RelayProbing => {
            "Somebody looks for a server that sends mail for anyone. A mail program that does this must sign in before \
             it sends."
        }
        Diagnosis::AddressHarvesting => {
            "Somebody tries which addresses exist. A customer who mails an old list must clean it first."
        }
        Diagnosis::SpamRun => "Spam or viruses come from there: have the device cleaned before you release the block.",
        Diagnosis::Malware => {
            "A device there is infected: have it cleaned, and its passwords changed from another, before you release the \
             block."
        }
        Diagnosis::ProtocolAbuse => "The program speaks broken mail protocol: look at what it is, and update it.",
        Diagnosis::Manual => "An administrator decided it: ask them before you release the block.",
        Diagnosis::Unknown => "Look at the events before you release the block.",
    }
}

/// The same where nothing is blocked yet.
pub(super) fn remedy(diagnosis: Diagnosis) -> &'static str {
    match diagnosis {
        Diagnosis::StalePassword => "find the device that still has an old password, and give it the new one.",
        Diagnosis::PasswordGuessing | Diagnosis::PasswordSpraying | Diagnosis::CredentialStuffing => {
            "nothing, unless the person on the phone was it: then a new password is better than more tries."
        }
        Diagnosis::FrequentPolling => "have the device fetch mail less often.",
        Diagnosis::RelayProbing => "a mail program that does this must sign in before it sends.",
        Diagnosis::AddressHarvesting => "a customer who mails an old list must clean it.",
        Diagnosis::SpamRun | Diagnosis::Malware => "have the device cleaned, and change its passwords from another.",
        Diagnosis::ProtocolAbuse => "look at which program it is, and update it.",
        Diagnosis::Manual | Diagnosis::Unknown => "look at the events.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_are_told_in_two_units() {
        for (secs, shown) in [(0, "0s"), (59, "59s"), (1788, "29m48s"), (5432, "1h30m"), (90_061, "1d1h")] {
            assert_eq!(rounded(Duration::from_secs(secs)), shown);
        }
        assert_eq!((counted(1, "block"), counted(2, "block")), ("1 block".to_owned(), "2 blocks".to_owned()));
    }
}

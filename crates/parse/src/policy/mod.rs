//! What mail servers ask while a client waits: Dovecot's auth policy requests and Postfix's policy delegation requests.
//!
//! Readers only: pure, linear in the length of the request, and total. What a server is told in answer is decided
//! elsewhere.

pub mod dovecot;
pub mod postfix;

use std::borrow::Cow;

use fairban_types::Service;

/// The longest text that is taken from a request, in bytes; more is cut off. As for log lines, so that an account cut
/// short is the same account wherever it is told of.
pub const TEXT_LEN_MAX: usize = 320;

/// Cut to what is taken, at a boundary between letters.
fn bounded(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= TEXT_LEN_MAX {
        return text;
    }
    let end = text.floor_char_boundary(TEXT_LEN_MAX);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

/// Text that says something.
fn told(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then(|| bounded(text))
}

/// The service of a port that mail clients sign in or send at.
fn service_of_port(port: u16) -> Option<Service> {
    match port {
        25 => Some(Service::Smtp),
        465 | 587 => Some(Service::Submission),
        143 | 993 => Some(Service::Imap),
        110 | 995 => Some(Service::Pop3),
        4190 => Some(Service::Sieve),
        24 => Some(Service::Lmtp),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

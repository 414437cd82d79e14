//! Lines as real Postfix and Dovecot servers write them. Every function appends whole lines' bytes to a `String`,
//! one line per call, with its line feed.
//!
//! What a client chose (user names, HELO names, return-paths) is written as those servers write it: bytes that do not
//! print become `?`, and nothing else is changed.

mod dovecot;
mod postfix;

use std::fmt::Write as _;

use fairban_types::Time;

pub use dovecot::{
    AuthFailure, Driver, dovecot_auth_failed, dovecot_disconnected_auth_failed, dovecot_disconnected_no_auth,
    dovecot_logged_out, dovecot_login,
};
pub use postfix::{
    Mail, Smtpd, client_accepted, client_signed_in, connected, disconnected, postfix_sasl_failed, queued, relay_denied,
    unknown_recipient,
};

/// How a host's syslog writes the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// `Nov 21 19:12:05`: UTC, no year, whole seconds (RFC 3164, 4.1.2).
    Rfc3164,
    /// `2026-11-21T20:12:05.123000+01:00`, with the offset from UTC in seconds (RFC 3339).
    Iso {
        /// Seconds east of UTC.
        offset_secs: i32,
    },
}

impl Stamp {
    /// The time as a reader of the line gets it: whole seconds for [`Stamp::Rfc3164`].
    pub fn as_written(self, at: Time) -> Time {
        match self {
            Stamp::Rfc3164 => Time::from_secs(at.secs()),
            Stamp::Iso { .. } => at,
        }
    }
}

/// What stands before a server's own words.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// When.
    pub at: Time,
    /// The host that writes.
    pub host: &'a str,
    /// How it writes the time.
    pub stamp: Stamp,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Head<'_> {
    /// Appends the time, the host and a space.
    fn write(&self, out: &mut String) {
        let offset_secs = match self.stamp {
            Stamp::Rfc3164 => 0,
            Stamp::Iso { offset_secs } => offset_secs,
        };
        let stamp = jiff::Timestamp::from_millisecond(self.at.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let offset = jiff::tz::Offset::from_seconds(offset_secs).unwrap_or(jiff::tz::Offset::UTC);
        let at = offset.to_datetime(stamp);
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        let written = match self.stamp {
            Stamp::Rfc3164 => {
                let month = MONTHS[usize::from(at.month().unsigned_abs().saturating_sub(1)) % 12];
                write!(out, "{month} {:2} {hour:02}:{minute:02}:{second:02} {} ", at.day(), self.host)
            }
            Stamp::Iso { offset_secs } => write!(
                out,
                "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{:03}000{}{:02}:{:02} {} ",
                at.year(),
                at.month(),
                at.day(),
                at.millisecond(),
                if offset_secs < 0 { '-' } else { '+' },
                offset_secs.abs() / 3600,
                offset_secs.abs() % 3600 / 60,
                self.host
            ),
        };
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
}

/// Text that a client chose, as Postfix and Dovecot log it: control characters as `?`.
struct Printable<'a>(&'a str);

impl std::fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|letter| f.write_char(if letter.is_control() { '?' } else { letter }))
    }
}

/// Appends one line: head, words, line feed.
fn line(out: &mut String, head: &Head<'_>, words: std::fmt::Arguments<'_>) {
    head.write(out);
    let written = out.write_fmt(words);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    out.push('\n');
}

#[cfg(test)]
mod tests;

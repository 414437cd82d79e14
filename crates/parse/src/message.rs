//! A log line taken apart: what stands before the server's own words, and the words.

use std::borrow::Cow;

use fairban_types::Time;

/// A line after its prefix (syslog header, journald field, time stamp) was taken off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// When, by the prefix, or the context's reference where it has none.
    pub(crate) time: Time,
    /// The syslog tag without its process id, such as `postfix/submission/smtpd` or `dovecot`; empty where the line has
    /// none.
    pub(crate) program: &'a [u8],
    /// The server's own words.
    pub(crate) text: &'a [u8],
}

/// The longest field that is kept of a line, in bytes. RFC 5321, 4.5.3.1 allows paths of 256 octets.
const FIELD_MAX: usize = 320;

/// A field as text: cut at [`FIELD_MAX`], invalid UTF-8 replaced. Control characters stay; who shows a field escapes it.
#[inline]
pub(crate) fn field(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = &bytes[..bytes.len().min(FIELD_MAX)];
    // Almost all fields are sound, and this check is the faster one.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// A field that mostly holds one of a server's own words, such as a method or a reason.
#[inline]
pub(crate) fn word(bytes: &[u8]) -> Cow<'_, str> {
    Cow::Borrowed(match bytes {
        b"PLAIN" => "PLAIN",
        b"LOGIN" => "LOGIN",
        b"Login" => "Login",
        b"Password mismatch" => "Password mismatch",
        b"authentication failure" => "authentication failure",
        _ => return field(bytes),
    })
}

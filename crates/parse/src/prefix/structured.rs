//! The header of RFC 5424.

/// What matters of the header, and the message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) stamp: &'a [u8],
    pub(super) program: &'a [u8],
    pub(super) text: &'a [u8],
}

/// The line behind `<34>`.
pub(super) fn after_priority(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"<")?;
    let (digits, _) = crate::scan::leading_number(rest);
    if !(1..=3).contains(&digits) {
        return None;
    }
    rest[digits..].strip_prefix(b">")
}

/// Reads `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`.
pub(super) fn header(text: &[u8]) -> Option<Header<'_>> {
    let (stamp, rest) = word(text)?;
    let (_host, rest) = word(rest)?;
    let (program, rest) = word(rest)?;
    let (_process, rest) = word(rest)?;
    let (_message_id, rest) = word(rest)?;
    let rest = after_structured_data(rest)?;
    let text = rest.strip_prefix(b" ").unwrap_or(rest);
    Some(Header { stamp, program, text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) })
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', text)?;
    Some((&text[..end], &text[end + 1..]))
}

/// Skips `-` or elements in brackets, whose values are quoted with backslash escapes (RFC 5424, 6.3.3).
fn after_structured_data(mut text: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = text.strip_prefix(b"-") {
        return Some(rest);
    }
    text.starts_with(b"[").then_some(())?;
    while text.starts_with(b"[") {
        let mut at = 1;
        loop {
            at += memchr::memchr2(b'"', b']', text.get(at..)?)?;
            if text[at] == b']' {
                break;
            }
            at += crate::scan::quoted_len(&text[at..])?;
        }
        text = &text[at + 1..];
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_where_the_message_begins() {
        let text = b"2026-11-21T19:12:05Z mail postfix/smtpd 77 - [a@1 b=\"x] y \\\" z\"][c@2] \xef\xbb\xbfconnect";
        let expected = Header { stamp: b"2026-11-21T19:12:05Z", program: b"postfix/smtpd", text: b"connect" };
        assert_eq!(header(text), Some(expected));
        for text in ["", "- - - - -", "- - - - - [a b=\"", "- - - - - x"] {
            assert_eq!(header(text.as_bytes()), None, "{text}");
        }
        assert_eq!(after_priority(b"<34>1 x"), Some(&b"1 x"[..]));
        assert_eq!(after_priority(b"<>x"), None);
    }
}

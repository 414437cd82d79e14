//! Small searches in bytes. All are linear in what they look at.

use std::net::{IpAddr, Ipv4Addr};

/// Where the needle stands first. For needles and texts of a log line's size this is faster than a searcher that is made
/// for each call.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let last = text.len().checked_sub(needle.len())?;
    let (offset, byte) = rare(needle);
    memchr::memchr_iter(byte, &text[offset..last + offset + usize::from(!needle.is_empty())])
        .find(|at| text[*at..].starts_with(needle))
}

/// Where the needle stands last.
pub(crate) fn rfind(text: &[u8], needle: &[u8]) -> Option<usize> {
    let last = text.len().checked_sub(needle.len())?;
    let (offset, byte) = rare(needle);
    memchr::memrchr_iter(byte, &text[offset..last + offset + usize::from(!needle.is_empty())])
        .find(|at| text[*at..].starts_with(needle))
}

/// Every place of the needle, from left to right.
pub(crate) fn find_each<'a>(text: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + find(text.get(from..)?, needle)?;
        from = at + 1;
        Some(at)
    })
}

/// A byte of the needle that stands seldom in log lines, and its place.
fn rare(needle: &[u8]) -> (usize, u8) {
    let is_rare = |byte: &u8| matches!(byte, b'<' | b'=' | b';' | b'(' | b')' | b'"' | b'>' | b'H' | b'A'..=b'F');
    let at = needle.iter().position(is_rare).or_else(|| needle.iter().position(|byte| *byte != b' ')).unwrap_or(0);
    (at, needle.get(at).copied().unwrap_or(0))
}

/// What stands before and after the needle's first place.
pub(crate) fn split_once<'a>(text: &'a [u8], needle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(text, needle)?;
    Some((&text[..at], &text[at + needle.len()..]))
}

/// Whether the text holds the needle, written in lower case, in whatever case.
pub(crate) fn mentions(text: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    memchr::memchr2_iter(*first, first.to_ascii_uppercase(), text)
        .any(|at| text.get(at + 1..at + needle.len()).is_some_and(|tail| tail.eq_ignore_ascii_case(rest)))
}

/// Whether the text holds one of the needles, written in lower case, in whatever case.
pub(crate) fn mentions_any(text: &[u8], needles: &[&[u8]]) -> bool {
    needles.iter().any(|needle| mentions(text, needle))
}

/// How many decimal digits the text begins with, and their number, which stops growing at the limit of `u32`.
pub(crate) fn leading_number(text: &[u8]) -> (usize, u32) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = text[..digits]
        .iter()
        .fold(0u32, |number, digit| number.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    (digits, number)
}

/// The longest text form of an address: IPv6 with an IPv4 tail.
const ADDRESS_LEN_MAX: usize = 45;

/// The bytes as an address and nothing else. An IPv4-mapped IPv6 address is the IPv4 address.
pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    if bytes.len() > ADDRESS_LEN_MAX {
        return None;
    }
    if let Some(address) = ipv4(bytes) {
        return Some(IpAddr::V4(address));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.parse::<IpAddr>().ok()?.to_canonical())
}

/// Four decimal numbers without leading zeros, as the standard library reads them.
fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = [0_u8; 4];
    let (mut part, mut number, mut digits) = (0, 0_u16, 0);
    for byte in bytes {
        match byte {
            b'0'..=b'9' if digits == 0 || number != 0 => {
                number = number * 10 + u16::from(byte - b'0');
                digits += 1;
                if number > 255 {
                    return None;
                }
            }
            b'.' if digits > 0 && part < 3 => {
                parts[part] = u8::try_from(number).ok()?;
                part += 1;
                (number, digits) = (0, 0);
            }
            _ => return None,
        }
    }
    if part != 3 || digits == 0 {
        return None;
    }
    parts[3] = u8::try_from(number).ok()?;
    Some(Ipv4Addr::from(parts))
}

/// The address that the text begins with, up to the first byte that cannot belong to one, and what follows.
pub(crate) fn leading_address(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let end = text
        .iter()
        .take(ADDRESS_LEN_MAX + 1)
        .take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':'))
        .count();
    Some((address(&text[..end])?, &text[end..]))
}

/// `[address]` at the beginning, and what follows.
pub(crate) fn bracketed_address(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let inner = text.strip_prefix(b"[")?;
    let end = memchr::memchr(b']', &inner[..inner.len().min(ADDRESS_LEN_MAX + 8)])?;
    let written = &inner[..end];
    Some((address(written.strip_prefix(b"IPv6:").unwrap_or(written))?, &inner[end + 1..]))
}

/// A mail path whose `<` was taken off: what stands inside and what follows the `>`. Inside a quoted local part
/// (RFC 5321, 4.1.2) a `>` does not end it.
pub(crate) fn path(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let from = quoted_len(text).unwrap_or(0);
    let end = from + memchr::memchr(b'>', &text[from..])?;
    Some((&text[..end], &text[end + 1..]))
}

/// The length of the quoted string that the text begins with, with its quotes.
pub(crate) fn quoted_len(text: &[u8]) -> Option<usize> {
    let inner = text.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', &inner[at..])?;
        if inner[at] == b'"' {
            return Some(at + 2);
        }
        at += 2;
        if at > inner.len() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_end_where_the_server_ended_them() {
        for (text, inner, rest) in [
            (&b"a@b> x"[..], &b"a@b"[..], &b" x"[..]),
            (b"\"a> to=<b\"@c> x", b"\"a> to=<b\"@c", b" x"),
            (b"\"a\\\"> b\"@c>", b"\"a\\\"> b\"@c", b""),
            (b"\"never closed> x", b"\"never closed", b" x"),
            (b"> x", b"", b" x"),
        ] {
            assert_eq!(path(text), Some((inner, rest)));
        }
        for text in [&b"a@b"[..], b"\"\\", b"\"a\\", b""] {
            assert_eq!(path(text), None);
        }
    }

    #[test]
    fn needles_are_found_where_they_stand() {
        let text = b"a, rip=1, rip=2, x from y from z";
        for needle in
            [&b", rip="[..], b" from ", b"a", b"z", b"a, rip=1, rip=2, x from y from z", b"q", b", rip=3", b"zz"]
        {
            assert_eq!(find(text, needle), memchr::memmem::find(text, needle));
            assert_eq!(rfind(text, needle), memchr::memmem::rfind(text, needle));
        }
        assert_eq!((find(b"", b"x"), find(b"x", b"xy"), rfind(b"", b"x")), (None, None, None));
    }

    #[test]
    fn ipv4_is_read_as_the_standard_library_does() {
        for text in [
            "1.2.3.4",
            "255.255.255.255",
            "0.0.0.0",
            "256.1.1.1",
            "01.2.3.4",
            "00.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "1..3.4",
            ".1.2.3",
            "1.2.3.",
            "",
            "a",
        ] {
            assert_eq!(ipv4(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn needles_are_found_in_any_case() {
        assert!(mentions(b"Message GREYlisted", b"greylist"));
        assert!(!mentions(b"grey", b"greylist"));
        assert!(!mentions(b"", b"x"));
    }

    #[test]
    fn addresses_are_whole() {
        assert_eq!(bracketed_address(b"[::ffff:192.0.2.7]:25"), Some(("192.0.2.7".parse().unwrap(), &b":25"[..])));
        assert_eq!(leading_address(b"192.0.2.7, lip"), Some(("192.0.2.7".parse().unwrap(), &b", lip"[..])));
        for text in [&b"[unknown]"[..], b"[192.0.2.7", b"[]", b"[192.0.2.7 ]", b"[192.0.2.256]"] {
            assert_eq!(bracketed_address(text), None);
        }
        assert_eq!(leading_address(b"192.0.2.77777777777777777777777777777777777777777777777777777777"), None);
    }
}

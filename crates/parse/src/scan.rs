//! Small searches in bytes. All are linear in what they look at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes to be found, with the one of them that stands most seldom in log lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needle<'n> {
    bytes: &'n [u8],
    /// The place of the rare byte.
    offset: usize,
    rare: u8,
}

/// A [`Needle`] that is known when compiled: to choose its rare byte takes longer than most searches.
macro_rules! needle {
    ($bytes:expr) => {
        const { crate::scan::Needle::new($bytes) }
    };
}
pub(crate) use needle;

impl<'n> Needle<'n> {
    /// The bytes must not be empty.
    pub(crate) const fn new(bytes: &'n [u8]) -> Self {
        let mut best = 0;
        let mut at = 1;
        while at < bytes.len() {
            if commonness(bytes[at]) < commonness(bytes[best]) {
                best = at;
            }
            at += 1;
        }
        Needle { bytes, offset: best, rare: bytes[best] }
    }
}

/// Where the needle stands first. For needles and texts of a log line's size this is faster than a searcher that is made
/// for each call.
#[inline(always)]
pub(crate) fn find(text: &[u8], needle: Needle<'_>) -> Option<usize> {
    let last = text.len().checked_sub(needle.bytes.len())?;
    let mut from = 0;
    loop {
        from += memchr::memchr(needle.rare, text.get(from + needle.offset..=last + needle.offset)?)?;
        if text[from..].starts_with(needle.bytes) {
            return Some(from);
        }
        from += 1;
    }
}

/// Where the needle stands last.
#[inline(always)]
pub(crate) fn rfind(text: &[u8], needle: Needle<'_>) -> Option<usize> {
    let last = text.len().checked_sub(needle.bytes.len())?;
    let mut end = last + 1;
    loop {
        end = memchr::memrchr(needle.rare, text.get(needle.offset..end + needle.offset)?)?;
        if text[end..].starts_with(needle.bytes) {
            return Some(end);
        }
    }
}

/// Every place of the needle, from left to right.
#[inline(always)]
pub(crate) fn find_each<'a>(text: &'a [u8], needle: Needle<'a>) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + find(text.get(from..)?, needle)?;
        from = at + 1;
        Some(at)
    })
}

/// How often a byte stands in log lines, roughly.
#[inline(always)]
const fn commonness(byte: u8) -> u8 {
    match byte {
        b'"' | b';' | b'(' | b')' => 0,
        b'<' | b'>' | b'A'..=b'Z' | b'*' | b'|' | b'#' => 1,
        b'_' | b'j' | b'k' | b'p' | b'q' | b'v' | b'w' | b'x' | b'y' | b'z' => 2,
        b'=' | b',' | b'f' | b'g' | b'b' => 3,
        b' ' => 6,
        b'e' | b's' | b't' | b'0'..=b'9' | b'.' | b':' => 5,
        _ => 4,
    }
}

/// What stands before and after the needle's first place.
#[inline(always)]
pub(crate) fn split_once<'a>(text: &'a [u8], needle: Needle<'_>) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(text, needle)?;
    Some((&text[..at], &text[at + needle.bytes.len()..]))
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

/// How many of eight bytes, the first of them lowest, are decimal digits before the first that is none. All are looked at
/// at once: how long a number is, no processor can foresee.
#[inline(always)]
fn digits_in(word: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let digits = word ^ (ONES * u64::from(b'0'));
    // In each byte the highest bit is set where it is more than nine.
    let others = (((digits & (ONES * 0x7f)) + ONES * (0x7f - 9)) | digits) & (ONES * 0x80);
    (others.trailing_zeros() / 8) as usize
}

/// How many decimal digits the text begins with.
#[inline(always)]
pub(crate) fn leading_digits(text: &[u8]) -> usize {
    match text.first_chunk().map(|chunk| digits_in(u64::from_le_bytes(*chunk))) {
        Some(digits) if digits < 8 => digits,
        _ => text.iter().take_while(|byte| byte.is_ascii_digit()).count(),
    }
}

/// How many decimal digits the text begins with, and their number, which stops growing at the limit of `u32`.
pub(crate) fn leading_number(text: &[u8]) -> (usize, u32) {
    let digits = leading_digits(text);
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
    if let Some(address) = ipv6(bytes) {
        return Some(IpAddr::V6(address).to_canonical());
    }
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.parse::<IpAddr>().ok()?.to_canonical())
}

/// Groups of hexadecimal digits with at most one gap. `None` also for the rarer forms, which the standard library reads.
fn ipv6(bytes: &[u8]) -> Option<Ipv6Addr> {
    let mut groups = [0_u16; 8];
    let (mut count, mut gap, mut at) = (0, None, 0);
    if bytes.starts_with(b"::") {
        (gap, at) = (Some(0), 2);
    }
    while at < bytes.len() {
        let (digits, group) = hexadecimal_group(&bytes[at..]);
        *groups.get_mut(count).filter(|_| digits > 0)? = group;
        count += 1;
        at += digits;
        match &bytes[at..] {
            [] => {}
            [b':', b':', ..] if gap.is_none() => {
                gap = Some(count);
                at += 2;
            }
            [b':', next, ..] if *next != b':' => at += 1,
            _ => return None,
        }
    }
    match gap {
        Some(gap) if count < 8 => {
            groups[gap..].rotate_right(8 - count);
            Some(Ipv6Addr::from(groups))
        }
        None if count == 8 => Some(Ipv6Addr::from(groups)),
        _ => None,
    }
}

/// Up to four hexadecimal digits: how many, and their number.
fn hexadecimal_group(text: &[u8]) -> (usize, u16) {
    let mut group = 0;
    for (digits, byte) in text.iter().take(4).enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return (digits, group),
        };
        group = group << 4 | u16::from(digit);
    }
    (text.len().min(4), group)
}

/// Four decimal numbers without leading zeros, as the standard library reads them.
fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let (address, rest) = leading_ipv4(bytes)?;
    rest.is_empty().then_some(address)
}

/// The same at the beginning, and what follows the last digit that can belong to it.
#[inline]
fn leading_ipv4(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    match text.first_chunk() {
        Some(chunk) => {
            let (address, len) = ipv4_of(chunk)?;
            Some((address, &text[len..]))
        }
        None => short_ipv4(text),
    }
}

/// The address that sixteen bytes begin with, and its length: fifteen at most.
#[inline(always)]
fn ipv4_of(text: &[u8; 16]) -> Option<(Ipv4Addr, usize)> {
    let (mut octets, mut at) = ([0; 4], 0);
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let (number, digits) = decimal_byte_of(u32::from_le_bytes(*text.get(at..)?.first_chunk()?))?;
        *octet = number;
        at += digits;
    }
    Some((Ipv4Addr::from(octets), at))
}

/// The same as [`decimal_byte`], of four bytes, the first of them lowest; and how many digits it has.
#[inline(always)]
fn decimal_byte_of(word: u32) -> Option<(u8, usize)> {
    let digits = if word as u8 == b'0' { 1 } else { digits_in(u64::from(word)).min(3) };
    // The last digit highest; shifting by all bits, where there is none, is refused.
    let number = (word & 0x0f0f_0f0f).checked_shl(32 - 8 * digits as u32)?;
    let number = (number >> 24) + (number >> 16 & 0xff) * 10 + (number >> 8 & 0xff) * 100;
    Some((u8::try_from(number).ok()?, digits))
}

/// The same as [`leading_ipv4`], of a short text.
fn short_ipv4(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let (a, rest) = decimal_byte(text)?;
    let (b, rest) = decimal_byte(rest.strip_prefix(b".")?)?;
    let (c, rest) = decimal_byte(rest.strip_prefix(b".")?)?;
    let (d, rest) = decimal_byte(rest.strip_prefix(b".")?)?;
    Some((Ipv4Addr::new(a, b, c, d), rest))
}

/// A number up to 255 without leading zeros, and what follows.
#[inline(always)]
fn decimal_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let (number, rest) = match text {
        [b'0', rest @ ..] => (0, rest),
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            (u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'), rest)
        }
        [a @ b'1'..=b'9', b @ b'0'..=b'9', rest @ ..] => (u16::from(a - b'0') * 10 + u16::from(b - b'0'), rest),
        [a @ b'1'..=b'9', rest @ ..] => (u16::from(a - b'0'), rest),
        _ => return None,
    };
    Some((u8::try_from(number).ok()?, rest))
}

/// The address that the text begins with, up to the first byte that cannot belong to one, and what follows.
pub(crate) fn leading_address(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    if let Some((address, rest)) = leading_ipv4(text)
        && rest.first().is_none_or(|byte| !IN_ADDRESS[usize::from(*byte)])
    {
        return Some((IpAddr::V4(address), rest));
    }
    let window = &text[..text.len().min(ADDRESS_LEN_MAX + 1)];
    let end = window.iter().position(|byte| !IN_ADDRESS[usize::from(*byte)]).unwrap_or(window.len());
    Some((address(&text[..end])?, &text[end..]))
}

/// The bytes that an address is written with.
const IN_ADDRESS: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        bytes[byte as usize] = byte.is_ascii_hexdigit() || byte == b'.' || byte == b':';
        byte += 1;
    }
    bytes
};

/// Letters, digits and these.
pub(crate) const fn table(others: &[u8]) -> [bool; 256] {
    let mut bytes = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        bytes[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        bytes[others[at] as usize] = true;
        at += 1;
    }
    bytes
}

/// `[address]` at the beginning, and what follows.
pub(crate) fn bracketed_address(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let inner = text.strip_prefix(b"[")?;
    if let Some((address, [b']', rest @ ..])) = leading_ipv4(inner) {
        return Some((IpAddr::V4(address), rest));
    }
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
            assert_eq!(find(text, Needle::new(needle)), memchr::memmem::find(text, needle));
            assert_eq!(rfind(text, Needle::new(needle)), memchr::memmem::rfind(text, needle));
        }
        assert_eq!(
            (find(b"", needle!(b"x")), find(b"x", needle!(b"xy")), rfind(b"", needle!(b"x"))),
            (None, None, None)
        );
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
    fn ipv4_is_read_alike_in_short_and_long_texts() {
        let parts = ["", "0", "00", "7", "10", "09", "99", "100", "255", "256", "1000", "a", "1a", "/", ":", "\u{3a}"];
        for number in 0..parts.len().pow(4) {
            let part = |place: u32| parts[number / parts.len().pow(place) % parts.len()];
            for end in ["", " ", ".", "]: 12345678901234567"] {
                let text = format!("{}.{}.{}.{}{end}", part(0), part(1), part(2), part(3));
                let (long, short) = (format!("{text}{}", " ".repeat(16)), text.as_bytes());
                let found = |text: &[u8], address: Option<(Ipv4Addr, &[u8])>| {
                    address.map(|(address, rest)| (address, text.len() - rest.len()))
                };
                let expected = found(short, short_ipv4(short));
                assert_eq!(found(short, leading_ipv4(short)), expected, "{text}");
                assert_eq!(found(long.as_bytes(), leading_ipv4(long.as_bytes())), expected, "{text}");
            }
        }
    }

    #[test]
    fn digits_are_counted() {
        for digits in 0..20 {
            for end in ["", "/", ":", "]: x", "\u{b2}", " 1234567890"] {
                let text = format!("{}{end}", "1234567890".repeat(2).split_at(digits).0);
                assert_eq!(leading_digits(text.as_bytes()), digits, "{text}");
            }
        }
        for byte in 0..=255_u8 {
            assert_eq!(leading_digits(&[b'0', byte, b'x', 0, 0xff, 0, 0, 0]) == 2, byte.is_ascii_digit(), "{byte}");
        }
    }

    #[test]
    fn ipv6_is_read_as_the_standard_library_does() {
        let parts = ["", ":", "::", "0", "1", "db8", "00ab", "12345", "ffff", "G", "1.2.3.4"];
        for text in ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "2001:db8::A:b", "::", "1::", "::1"] {
            assert_eq!(ipv6(text.as_bytes()), Some(text.parse().unwrap()), "{text}");
        }
        // Every mixture of seven of the parts: what is read at all is read alike.
        for number in 0..parts.len().pow(6) {
            let mut rest = number;
            let mut text = String::from("1:2:");
            for _ in 0..6 {
                text.push_str(parts[rest % parts.len()]);
                text.push_str(if rest % 3 == 0 { "" } else { ":" });
                rest /= parts.len();
            }
            let text = &text[if number % 2 == 0 { 0 } else { 4 }..];
            if let Some(address) = ipv6(text.as_bytes()) {
                assert_eq!(text.parse(), Ok(address), "{text}");
            }
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

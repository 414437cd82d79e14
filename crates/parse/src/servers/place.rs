//! Where a client's address stands in a line: read as the server wrote it, never searched for in what a client wrote.

use std::net::IpAddr;

use memchr::memmem;

/// The longest text of an address: 39 characters of IPv6, more with an embedded IPv4 address.
const ADDRESS_MAX: usize = 45;

/// The longest name in front of an address (RFC 1035, 2.3.4), with room for an RFC 1413 user.
const NAME_MAX: usize = 320;

/// The text as an address; an IPv4-mapped one is the IPv4 address. `IPv6:` in front (RFC 5321, 4.1.3) and a zone behind
/// (RFC 4007) are taken off.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = text.strip_prefix(b"IPv6:").unwrap_or(text);
    let text = match memchr::memchr(b'%', text) {
        Some(zone) if memchr::memchr(b':', text).is_some() => &text[..zone],
        _ => text,
    };
    if text.is_empty() || text.len() > ADDRESS_MAX {
        return None;
    }
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// An address at the start of the text, as long as its characters go on, and what follows it.
pub(super) fn leading(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let tag = if text.starts_with(b"IPv6:") { 5 } else { 0 };
    let digits = text[tag..].iter().take(ADDRESS_MAX + 1).take_while(|byte| is_of_address(**byte)).count();
    let (text, rest) = text.split_at(tag + digits);
    Some((address(text)?, rest))
}

/// An address in brackets at the start of the text, and what follows them.
pub(super) fn bracketed(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let inside = text.strip_prefix(b"[")?;
    let end = memchr::memchr(b']', &inside[..inside.len().min(ADDRESS_MAX + 20)])?;
    Some((address(&inside[..end])?, &inside[end + 1..]))
}

/// `name [address]`, `name[address]` or `[address]` at the start of the text, and what follows. A name has no spaces and
/// no brackets, whatever the DNS of the client's network says.
pub(super) fn peer(text: &[u8]) -> Option<(IpAddr, &[u8])> {
    let name = text.iter().take(NAME_MAX).take_while(|byte| is_of_name(**byte)).count();
    let rest = &text[name..];
    bracketed(rest.strip_prefix(b" ").filter(|_| name > 0).unwrap_or(rest))
}

/// What stands around an address.
pub(super) struct Found<'a> {
    /// The text up to the marker in front of the address.
    pub(super) left: &'a [u8],
    /// The address.
    pub(super) client: IpAddr,
    /// The text behind the address.
    pub(super) right: &'a [u8],
}

/// The address in a field that has client's text on both sides: the place where `marker` is followed by what `read`
/// takes for an address, and that by what `follows` expects.
///
/// A client can write such a place into its own text, but not take away the server's. So where several places name
/// different addresses nothing is known, and where the text on the left is longer than `left_max` the server's own
/// place may have been cut off: both are `None`.
pub(super) fn only<'a>(
    text: &'a [u8],
    marker: &[u8],
    left_max: usize,
    read: impl Fn(&'a [u8]) -> Option<(IpAddr, &'a [u8])>,
    follows: impl Fn(&[u8]) -> bool,
) -> Option<Found<'a>> {
    let mut found: Option<Found<'a>> = None;
    for at in memmem::find_iter(text, marker) {
        let Some((client, right)) = read(&text[at + marker.len()..]).filter(|(_, right)| follows(right)) else {
            continue;
        };
        match &found {
            Some(other) if other.client != client => return None,
            Some(_) => {}
            None => found = Some(Found { left: &text[..at], client, right }),
        }
    }
    found.filter(|found| found.left.len() <= left_max)
}

/// The text before and after the last `marker`.
pub(super) fn split_last<'a>(text: &'a [u8], marker: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::rfind(text, marker)?;
    Some((&text[..at], &text[at + marker.len()..]))
}

/// The text before and after the first `marker`.
pub(super) fn split_first<'a>(text: &'a [u8], marker: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find(text, marker)?;
    Some((&text[..at], &text[at + marker.len()..]))
}

/// The text between angle brackets, if it is wholly inside them.
pub(super) fn without_angles(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">")).unwrap_or(text)
}

fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@' | b'+' | b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_as_servers_write_them() {
        for (text, expected) in [
            ("192.0.2.7", Some("192.0.2.7")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("IPv6:2001:db8::1", Some("2001:db8::1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("192.0.2.7%eth0", None),
            ("192.0.2.256", None),
            ("192.0.2.7 ", None),
            ("", None),
        ] {
            assert_eq!(address(text.as_bytes()), expected.map(|text| text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn two_places_with_different_addresses_are_none() {
        let read = |text: &str| {
            only(text.as_bytes(), b" from ", 300, leading, |right| right.is_empty() || right.starts_with(b" ("))
                .map(|found| found.client.to_string())
        };
        assert_eq!(read("alice from 192.0.2.7"), Some("192.0.2.7".to_owned()));
        assert_eq!(read("alice from afar from 192.0.2.7"), Some("192.0.2.7".to_owned()));
        assert_eq!(read("alice from 198.51.100.1 (x from 192.0.2.7"), None);
        assert_eq!(read(&format!("{} from 192.0.2.7", "a".repeat(400))), None);
    }
}

//! The client as Exim writes it: `name (helo) [address]:port`, the first two optional.

use std::net::IpAddr;

use crate::Defect;
use crate::scan::{bracketed_address, find, find_each, needle};

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host<'a> {
    pub(super) client: IpAddr,
    pub(super) helo: Option<&'a [u8]>,
    /// What follows the address and its port.
    pub(super) rest: &'a [u8],
}

/// Reads the client that the text begins with, after an optional `H=`.
///
/// # Errors
/// [`Defect::Client`] where none stands here, or where the text holds another place of the same form with another
/// address, so that one of them is a client's text.
pub(super) fn read(text: &[u8]) -> Result<Host<'_>, Defect> {
    let text = text.strip_prefix(b"H=").unwrap_or(text);
    let host = at_start(text).ok_or(Defect::Client)?;
    agrees(host.rest, host.client).then_some(host).ok_or(Defect::Client)
}

/// Reads the client behind the first `H=`, where a client's text may stand before it.
pub(super) fn find_flagged(text: &[u8]) -> Result<Host<'_>, Defect> {
    let mut found: Option<Host<'_>> = None;
    for at in find_each(text, needle!(b" H=")) {
        let Some(host) = at_start(&text[at + 3..]) else { continue };
        match found {
            Some(before) if before.client != host.client => return Err(Defect::Client),
            Some(_) => {}
            None => found = Some(host),
        }
    }
    let host = found.ok_or(Defect::Client)?;
    agrees(text, host.client).then_some(host).ok_or(Defect::Client)
}

fn at_start(text: &[u8]) -> Option<Host<'_>> {
    const NAME_LEN_MAX: usize = 255;
    const HELO_LEN_MAX: usize = 1024;
    let mut rest = text;
    if !matches!(rest.first()?, b'[' | b'(') {
        let end = memchr::memchr(b' ', &rest[..rest.len().min(NAME_LEN_MAX + 1)])?;
        if rest[..end].iter().any(|byte| matches!(byte, b'[' | b']' | b'(' | b')' | b'<' | b'>' | b'"')) {
            return None;
        }
        rest = &rest[end + 1..];
    }
    let mut helo = None;
    if let Some(inner) = rest.strip_prefix(b"(") {
        let end = find(&inner[..inner.len().min(HELO_LEN_MAX)], needle!(b") ["))?;
        helo = Some(&inner[..end]);
        rest = &inner[end + 2..];
    }
    let (client, rest) = bracketed_address(rest)?;
    let rest = match rest {
        [b':', digits @ ..] => {
            let (len, _) = crate::scan::leading_number(digits);
            if len == 0 { rest } else { &digits[len..] }
        }
        _ => rest,
    };
    Some(Host { client, helo, rest })
}

/// Whether no `) [address]` of another address follows.
fn agrees(text: &[u8], client: IpAddr) -> bool {
    find_each(text, needle!(b") ["))
        .all(|at| bracketed_address(&text[at + 2..]).is_none_or(|(other, _)| other == client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_client() {
        for (text, client, helo, rest) in [
            ("H=[192.0.2.7] x", "192.0.2.7", None, " x"),
            ("(me) [192.0.2.7]:25 I=[192.0.2.1]:25: x", "192.0.2.7", Some("me"), " I=[192.0.2.1]:25: x"),
            ("H=mx.example ([10.0.0.1]) [2001:db8::1]: x", "2001:db8::1", Some("[10.0.0.1]"), ": x"),
            ("mx.example [192.0.2.7]", "192.0.2.7", None, ""),
        ] {
            let host = read(text.as_bytes()).unwrap();
            assert_eq!(host.client, client.parse::<IpAddr>().unwrap());
            assert_eq!(host.helo, helo.map(str::as_bytes));
            assert_eq!(host.rest, rest.as_bytes());
        }
        for text in
            ["(a) [192.0.2.7] F=<\"(b) [10.0.0.1]\"@c>", "a<b [192.0.2.7]", "", "(a [192.0.2.7]", "a b [1.2.3.4]"]
        {
            assert_eq!(read(text.as_bytes()), Err(Defect::Client), "{text}");
        }
    }
}

//! The client as Postfix writes it.

use std::net::IpAddr;

use crate::Defect;
use crate::scan::bracketed_address;

/// The longest `name` of `name[address]`: RFC 1035, 2.3.4.
const NAME_LEN_MAX: usize = 255;

/// A client without a name.
const UNKNOWN: &[u8] = b"unknown[";

/// The bytes that no host name holds.
const ENDS_NAME: [bool; 256] = {
    let mut bytes = [false; 256];
    bytes[b'[' as usize] = true;
    bytes[b' ' as usize] = true;
    bytes[b']' as usize] = true;
    bytes
};

/// Reads `name[address]` or `[address]`, each with an optional `:port`, and what follows.
pub(super) fn read(text: &[u8]) -> Result<(IpAddr, &[u8]), Defect> {
    let open = match text.starts_with(UNKNOWN) {
        // Most clients that are of interest.
        true => UNKNOWN.len() - 1,
        false => text
            .iter()
            .take(NAME_LEN_MAX + 1)
            .position(|byte| ENDS_NAME[usize::from(*byte)])
            .filter(|at| text[*at] == b'[')
            .ok_or(Defect::Client)?,
    };
    let (address, rest) = bracketed_address(&text[open..]).ok_or(Defect::Client)?;
    Ok((address, after_port(rest)))
}

fn after_port(text: &[u8]) -> &[u8] {
    let Some(rest) = text.strip_prefix(b":") else { return text };
    let (digits, _) = crate::scan::leading_number(rest);
    if digits == 0 { text } else { &rest[digits..] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bracket_holds_the_address() {
        for (text, address, rest) in [
            ("unknown[192.0.2.7]: SASL", "192.0.2.7", ": SASL"),
            ("mx.example[192.0.2.7]:4711: x", "192.0.2.7", ": x"),
            ("[2001:db8::1]:4711: x[10.0.0.1]", "2001:db8::1", ": x[10.0.0.1]"),
        ] {
            assert_eq!(read(text.as_bytes()), Ok((address.parse().unwrap(), rest.as_bytes())));
        }
        for text in ["unknown[unknown]", "a b[10.0.0.1]", "", "x", "x]y[10.0.0.1]"] {
            assert_eq!(read(text.as_bytes()), Err(Defect::Client), "{text}");
        }
    }
}

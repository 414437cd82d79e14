//! The second factor: codes of an authenticator app (TOTP, RFC 6238), and the picture by which the app learns the secret.

use std::fmt::Write as _;

use fairban_types::Time;
use qrcodegen::{QrCode, QrCodeEcc};
use totp_rs::{Algorithm, Secret, TOTP};

use crate::{WebError, random};

const STEP_SECS: u64 = 30;
/// A code of one step earlier or later counts as well: clocks differ.
const STEPS_OFF: u64 = 1;

/// A new secret: 160 bits in base 32.
pub(crate) fn new_secret() -> Result<String, WebError> {
    Ok(Secret::Raw(random::bytes()?[..20].to_vec()).to_encoded().to_string())
}

fn totp(secret: &str) -> Option<TOTP> {
    let bytes = Secret::Encoded(secret.to_owned()).to_bytes().ok()?;
    TOTP::new(Algorithm::SHA1, 6, 1, STEP_SECS, bytes).ok()
}

/// The time step of a code, if it is right and later than the one that was used last.
pub(crate) fn step_of(secret: &str, code: &str, now: Time, used: u64) -> Option<u64> {
    let totp = totp(secret)?;
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let present = now.secs().max(0).unsigned_abs() / STEP_SECS;
    let steps = present.saturating_sub(STEPS_OFF)..=present + STEPS_OFF;
    steps.filter(|step| *step > used).find(|step| {
        let right = totp.generate(step * STEP_SECS);
        is_same(right.as_bytes(), code.as_bytes())
    })
}

/// Compares without telling by the time it takes where they differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |odd, (a, b)| odd | (a ^ b)) == 0
}

/// The link that an app reads (the key URI format of authenticator apps).
pub(crate) fn link(secret: &str, user: &str, host: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    format!("otpauth://totp/Fairban:{}?secret={secret}&issuer={}", encode(user), encode(&format!("Fairban {host}")))
}

/// The link as a picture: an SVG of black squares on white, whatever the page's colours.
pub(crate) fn picture(link: &str) -> String {
    let Ok(code) = QrCode::encode_text(link, QrCodeEcc::Medium) else { return String::new() };
    let size = code.size();
    let side = size + 8;
    let mut path = String::new();
    for y in 0..size {
        for x in (0..size).filter(|x| code.get_module(*x, y)) {
            let _ = write!(path, "M{},{}h1v1h-1z", x + 4, y + 4);
        }
    }
    format!(
        "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"QR code for an authenticator app\" \
         shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\" \
         fill=\"#000\"/></svg>"
    )
}

/// The code of a moment, for tests.
#[doc(hidden)]
pub fn code_at(secret: &str, now: Time) -> String {
    totp(secret).map_or_else(String::new, |totp| totp.generate(now.secs().max(0).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, for SHA-1: the last six of its eight digits.
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (secs, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            assert_eq!(code_at(RFC, Time::from_secs(secs)), code);
            assert_eq!(step_of(RFC, code, Time::from_secs(secs), 0), Some(secs.unsigned_abs() / 30));
        }
    }

    #[test]
    fn a_code_counts_once_and_only_about_its_time() {
        let now = Time::from_secs(1_111_111_109);
        let step = step_of(RFC, " 081 804 ", now, 0).unwrap();
        assert_eq!(step_of(RFC, "081804", now, step), None, "used");
        assert_eq!(step_of(RFC, "081804", Time::from_secs(now.secs() + 30), 0), Some(step), "one step later");
        assert_eq!(step_of(RFC, "081804", Time::from_secs(now.secs() + 90), 0), None);
        for bad in ["", "000000", "08180", "0818040", "ä"] {
            assert_eq!(step_of(RFC, bad, now, 0), None, "{bad}");
        }
        assert_eq!(step_of("not base 32!", "081804", now, 0), None);
    }

    #[test]
    fn apps_get_a_secret_of_160_bits() {
        let secret = new_secret().unwrap();
        assert_eq!(secret.len(), 32);
        let link = link(&secret, "a&b", "mx1.test");
        assert!(link.starts_with("otpauth://totp/Fairban:a%26b?secret="), "{link}");
        assert!(picture(&link).contains("<path"));
    }
}

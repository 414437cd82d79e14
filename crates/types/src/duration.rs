use std::time::Duration;

/// A duration that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a duration: write a number with s, m, h, d or w, such as 30m or 1h30m")]
pub struct DurationError(pub String);

const UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// Reads `90s`, `30m`, `4h`, `1d`, `2w`, `1h30m`; bare numbers are refused, since their unit would be a guess.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let wrong = || DurationError(text.chars().take(40).collect());
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = UNITS.iter().find(|(name, _)| *name == &rest[..letters]).ok_or_else(wrong)?;
        rest = rest[letters..].trim_start();
        total = number.checked_mul(unit.1).and_then(|secs| total.checked_add(secs)).ok_or_else(wrong)?;
    }
    Ok(Duration::from_secs(total))
}

/// Shows a duration as [`parse_duration`] reads it, rounded down to seconds: `1h30m`.
pub fn format_duration(duration: Duration) -> String {
    let mut secs = duration.as_secs();
    let mut text = String::new();
    for (name, size) in UNITS {
        // Two weeks read better as 14d than as 2w; the letter is understood, not written.
        if name == "w" {
            continue;
        }
        if secs >= size {
            text.push_str(&format!("{}{name}", secs / size));
            secs %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows() {
        for (text, secs, shown) in [
            ("30m", 1800, "30m"),
            ("1h30m", 5400, "1h30m"),
            ("2w", 1_209_600, "14d"),
            ("90s", 90, "1m30s"),
            ("0s", 0, "0s"),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(secs)));
            assert_eq!(format_duration(Duration::from_secs(secs)), shown);
        }
        for text in ["", "5", "m", "5x", "-5m", "99999999999999999999d", "1e3s", "5m3"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}

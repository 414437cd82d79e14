//! Times as fail2ban writes them: seconds, or numbers with units, summed up.

const YEAR: u64 = 31_557_600;
const UNITS: [(&str, u64); 7] = [
    ("seconds", 1),
    ("minutes", 60),
    ("hours", 3600),
    ("days", 86_400),
    ("weeks", 604_800),
    ("months", YEAR / 12),
    ("years", YEAR),
];

/// How long; `Forever` is written as a negative number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Seconds(u64),
    Forever,
}

pub(super) fn span(text: &str) -> Option<Span> {
    let text = text.trim();
    if let Some(negative) = text.strip_prefix('-') {
        return negative.parse::<u64>().ok().map(|_| Span::Forever);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let size = unit(&rest[..letters])?;
        rest = rest[letters..].trim_start();
        total = number.checked_mul(size).and_then(|seconds| total.checked_add(seconds))?;
    }
    (!text.is_empty()).then_some(Span::Seconds(total))
}

/// A unit is any beginning of its name; `m` is minutes, and `mm`, `hh` and the like are doubled first letters.
fn unit(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let once = if text.len() == 2 && text.as_bytes()[0] == text.as_bytes()[1] { &text[..1] } else { text.as_str() };
    if once.is_empty() {
        return Some(1);
    }
    UNITS.iter().find(|(name, _)| name.starts_with(once)).map(|(_, size)| *size)
}

/// Seconds as our configuration writes them.
pub(super) fn written(seconds: u64) -> String {
    fairban_types::format_duration(std::time::Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        for (text, read) in [
            ("600", Some(Span::Seconds(600))),
            ("10m", Some(Span::Seconds(600))),
            ("1h 30min", Some(Span::Seconds(5400))),
            ("1w2d", Some(Span::Seconds(777_600))),
            ("1mo", Some(Span::Seconds(2_629_800))),
            ("2 years", Some(Span::Seconds(63_115_200))),
            ("5mm", Some(Span::Seconds(300))),
            ("-1", Some(Span::Forever)),
            ("", None),
            ("m", None),
            ("10 parsecs", None),
            ("99999999999999999w", None),
            ("-x", None),
        ] {
            assert_eq!(span(text), read, "{text}");
        }
    }
}

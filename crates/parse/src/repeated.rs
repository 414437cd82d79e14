//! Lines that say that a message was repeated.

use crate::scan::leading_number;

/// More repetitions than this in one line are not believed.
const COUNT_MAX: u32 = 100_000;

/// The count of `last message repeated 3 times`, as BSD's syslogd writes it in place of equal lines.
pub(crate) fn last_message(text: &[u8]) -> Option<u32> {
    let rest = text.strip_prefix(b"last message ")?;
    let (count, rest) = times(rest)?;
    rest.is_empty().then_some(count)
}

/// The count and the words of `message repeated 3 times: [ words]`, as rsyslog writes it.
pub(crate) fn with_words(text: &[u8]) -> Option<(u32, &[u8])> {
    if text.first() != Some(&b'm') {
        return None;
    }
    let (count, rest) = times(text.strip_prefix(b"message ")?)?;
    let words = rest.strip_prefix(b": [")?.strip_suffix(b"]")?;
    Some((count, words.strip_prefix(b" ").unwrap_or(words)))
}

fn times(text: &[u8]) -> Option<(u32, &[u8])> {
    let rest = text.strip_prefix(b"repeated ")?;
    let (digits, count) = leading_number(rest);
    let rest = &rest[digits..];
    let rest = rest.strip_prefix(b" times").or_else(|| rest.strip_prefix(b" time"))?;
    (digits > 0).then_some((count.clamp(1, COUNT_MAX), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        assert_eq!(last_message(b"last message repeated 3 times"), Some(3));
        assert_eq!(last_message(b"last message repeated 3 times "), None);
        assert_eq!(with_words(b"message repeated 2 times: [ a ]b]"), Some((2, &b"a ]b"[..])));
        assert_eq!(with_words(b"message repeated 99999999999 times: [ a]"), Some((COUNT_MAX, &b"a"[..])));
        assert_eq!(with_words(b"message repeated times: [ a]"), None);
    }
}

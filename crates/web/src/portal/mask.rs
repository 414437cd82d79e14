//! What may be shown of what clients wrote.

/// Longer texts are cut.
const LENGTH_MAX: usize = 120;

/// Text of a client without what could steer a page or a reader: control characters, and those that turn the direction
/// of writing or cannot be seen. (HTML is escaped by the templates.)
pub(crate) fn clean(text: &str) -> String {
    let mut letters = text.chars().filter(|c| !is_steering(*c));
    let mut clean: String = letters.by_ref().take(LENGTH_MAX).collect();
    if letters.next().is_some() {
        clean.push('…');
    }
    clean
}

fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Somebody else's account: `a•••@…`. Neither its length nor its domain is told.
pub(crate) fn masked(account: &str) -> String {
    let first = account.chars().find(|c| c.is_alphanumeric()).map_or(String::new(), String::from);
    if account.contains('@') { format!("{first}•••@…") } else { format!("{first}•••") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_masked() {
        for (account, shown) in [
            ("alice@example.test", "a•••@…"),
            ("bob", "b•••"),
            ("", "•••"),
            ("<script>", "s•••"),
            ("\u{202e}x@y", "x•••@…"),
        ] {
            assert_eq!(masked(account), shown);
        }
    }

    #[test]
    fn nothing_steers_a_page() {
        assert_eq!(clean("a\u{202e}b\n\u{7}c\u{200b}"), "abc");
        assert_eq!(clean(&"x".repeat(500)).chars().count(), LENGTH_MAX + 1);
    }
}

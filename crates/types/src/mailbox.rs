use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Longer than any address that a server takes (RFC 5321, 4.5.3.1: 64 + 1 + 255, in UTF-8).
const LENGTH_MAX: usize = 1024;

/// A return-path or recipient as it is compared: what two ways of writing one mailbox have in common.
///
/// - A source route is taken away, quotes that say nothing too (RFC 5321, 4.1.1.3 and 4.1.2).
/// - The domain is in lower case and in its ASCII form (RFC 5890), without a final dot.
/// - The local part is in lower case and composed (NFC, RFC 6532). Its case may matter by the letter of RFC 5321, but
///   then `Bob` and `bob` would be two people, and no server in use keeps them apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox {
    text: String,
    at: usize,
}

impl Mailbox {
    /// Reads an address with or without angle brackets. `None`: the null return-path, or no address at all.
    pub fn parse(text: &str) -> Option<Mailbox> {
        let text = text.trim();
        if text.len() > LENGTH_MAX {
            return None;
        }
        let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
        let (local, domain) = without_route(text).rsplit_once('@')?;
        let (local, domain) = (unquoted(local), domain_ascii(domain));
        if local.is_empty() || domain.is_empty() {
            return None;
        }
        let local = lower(&local);
        Some(Mailbox { at: local.len(), text: format!("{local}@{domain}") })
    }

    /// The whole, such as `bob@example.test`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The mailbox that a sub-address belongs to: `bob+news@example.test` is `bob@example.test`. `None`: it is not one.
    pub fn without_detail(&self, delimiters: &str) -> Option<String> {
        let (place, _) = self.local().char_indices().find(|(place, c)| *place > 0 && delimiters.contains(*c))?;
        Some(format!("{}@{}", &self.text[..place], self.domain()))
    }
}

/// `@one.test,@two.test:bob@example.test` is `bob@example.test`: routes are read and ignored.
fn without_route(text: &str) -> &str {
    match text.split_once(':') {
        Some((route, rest)) if route.starts_with('@') && !route.contains('"') => rest,
        _ => text,
    }
}

/// `"bob"` is `bob`, `"b\ob"` too.
fn unquoted(local: &str) -> Cow<'_, str> {
    let Some(inner) = local.strip_prefix('"').and_then(|local| local.strip_suffix('"')) else { return local.into() };
    if !inner.contains('\\') {
        return inner.into();
    }
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    plain.into()
}

/// In lower case and composed.
fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower = text.to_lowercase();
    if is_nfc(&lower) { lower } else { lower.nfc().collect() }
}

/// A domain or HELO name as it is compared: lower case, ASCII form, no final dot.
pub fn domain_ascii(domain: &str) -> String {
    let domain = domain.trim();
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.is_ascii() && !domain.contains("xn--") {
        return domain.to_ascii_lowercase();
    }
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase())
}

/// The domain of an account's name, as typed but for what stands around it. `None`: the name has none.
pub fn domain_of(account: &str) -> Option<&str> {
    let (_, domain) = account.trim().rsplit_once('@')?;
    Some(domain.trim_end_matches('.')).filter(|domain| !domain.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_writing_one_mailbox() {
        for (text, mailbox) in [
            ("bob@example.test", "bob@example.test"),
            ("<Bob@Example.TEST>", "bob@example.test"),
            ("\"bob\"@example.test", "bob@example.test"),
            ("\"b\\ob\"@example.test.", "bob@example.test"),
            ("<@relay.test,@other.test:bob@example.test>", "bob@example.test"),
            ("\"odd@local\"@example.test", "odd@local@example.test"),
            ("bob@BÜCHER.test", "bob@xn--bcher-kva.test"),
            ("bob@xn--BCHER-kva.test", "bob@xn--bcher-kva.test"),
            ("JOSE\u{301}@example.test", "jos\u{e9}@example.test"),
            ("bob@[192.0.2.1]", "bob@[192.0.2.1]"),
        ] {
            assert_eq!(Mailbox::parse(text).as_ref().map(Mailbox::as_str), Some(mailbox), "{text}");
        }
        for text in ["", "<>", "bob", "@example.test", "bob@", "<@relay.test:>"] {
            assert_eq!(Mailbox::parse(text), None, "{text}");
        }
    }

    #[test]
    fn details_belong_to_their_mailbox() {
        let detail = |text: &str| Mailbox::parse(text).unwrap().without_detail("+");
        assert_eq!(detail("bob+news+more@example.test").as_deref(), Some("bob@example.test"));
        assert_eq!(detail("bob@example.test"), None);
        assert_eq!(detail("+bob@example.test"), None, "nothing is left before it");
        assert_eq!(Mailbox::parse("bob-x@a.test").unwrap().without_detail("+-").as_deref(), Some("bob@a.test"));
    }
}

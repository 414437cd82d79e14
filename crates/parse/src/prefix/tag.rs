//! The program's name between the time stamp and its words.

/// The longest program name that is read.
const TAG_LEN_MAX: usize = 96;

/// The bytes that end a program's name.
const ENDS: [bool; 256] = {
    let mut ends = [false; 256];
    ends[b':' as usize] = true;
    ends[b'[' as usize] = true;
    ends[b'(' as usize] = true;
    ends[b' ' as usize] = true;
    ends[b'<' as usize] = true;
    ends
};

/// The program and its words, where the text begins with a syslog tag: `name: `, `name[pid]: ` or, in Dovecot's form,
/// `name(user)<pid>: ` (there the words begin with the parenthesis).
#[inline(always)]
pub(super) fn read(text: &[u8]) -> Option<(&[u8], &[u8])> {
    behind(text, end(text)?)
}

/// Where the first word that could be a tag ends.
#[inline(always)]
pub(super) fn end(text: &[u8]) -> Option<usize> {
    text[..text.len().min(TAG_LEN_MAX)].iter().position(|byte| ENDS[usize::from(*byte)])
}

/// The same as [`read`], for who knows the [`end`] of the first word.
#[inline(always)]
pub(super) fn behind(text: &[u8], end: usize) -> Option<(&[u8], &[u8])> {
    if end == 0 {
        return None;
    }
    let (name, rest) = text.split_at(end);
    match rest[0] {
        b':' => Some((name, words(&rest[1..])?)),
        b'(' => Some((name, rest)),
        b'[' => {
            // Mostly a process id; some programs write more into the brackets.
            let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let close = match rest.get(digits + 1) {
                Some(b']') if digits < 23 => digits + 1,
                _ => rest.iter().take(24).position(|byte| *byte == b']')?,
            };
            let rest = rest[close + 1..].strip_prefix(b":")?;
            Some((name, words(rest)?))
        }
        _ => None,
    }
}

/// What follows the colon of a tag: nothing, or a blank and the words.
#[inline(always)]
fn words(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [] => Some(rest),
        [b' ', words @ ..] => Some(words),
        _ => None,
    }
}

/// The text behind its first word, which takes the place of a host name.
pub(super) fn skip_host(text: &[u8]) -> Option<&[u8]> {
    const HOST_LEN_MAX: usize = 255;
    let end = memchr::memchr(b' ', &text[..text.len().min(HOST_LEN_MAX + 1)])?;
    Some(&text[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_from_hosts() {
        for (text, expected) in [
            ("postfix/smtpd[1]: x y", Some(("postfix/smtpd", "x y"))),
            ("dovecot: auth: x", Some(("dovecot", "auth: x"))),
            ("auth(a b,192.0.2.7)<s>: Info: x", Some(("auth", "(a b,192.0.2.7)<s>: Info: x"))),
            ("exim[1]:", Some(("exim", ""))),
            ("mail postfix/smtpd[1]: x", None),
            ("fd99::1 postfix/smtpd[1]: x", None),
            ("sogod [123]: x", None),
            ("[123]: x", None),
            ("", None),
        ] {
            let got = read(text.as_bytes());
            assert_eq!(got, expected.map(|(name, words)| (name.as_bytes(), words.as_bytes())), "{text}");
        }
    }
}

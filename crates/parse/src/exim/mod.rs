//! Exim 4: its main and reject logs, in files or by syslog.
//!
//! Exim writes a client as `H=name (helo) [address]`. The HELO name may hold anything where `helo_accept_junk_hosts`
//! says so, and addresses of mail hold anything in quotes. So every place that has the form is looked at, and when they
//! do not agree, none is taken.

mod host;
mod lines;
mod reject;

use fairban_types::Time;

use crate::Outcome;

/// Reads the words behind the time stamp of a file of Exim's.
pub(crate) fn read(time: Time, text: &[u8]) -> Outcome<'_> {
    lines::read(time, after_message_id(after_process_id(text)))
}

/// Reads Exim's words from syslog, where its own time stamp is written once more unless `syslog_timestamp` is off.
pub(crate) fn read_syslog(time: Time, text: &[u8]) -> Outcome<'_> {
    read(time, after_stamp(text))
}

fn after_stamp(text: &[u8]) -> &[u8] {
    match text {
        [b'2', b'0', _, _, b'-', _, _, b'-', _, _, b' ', _, _, b':', _, _, b':', rest @ ..] => {
            let end = memchr::memchr(b' ', rest).map_or(rest.len(), |at| at + 1);
            let rest = &rest[end..];
            match rest {
                [b'+' | b'-', a, b, c, d, b' ', rest @ ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) => {
                    rest
                }
                _ => rest,
            }
        }
        _ => text,
    }
}

/// `[77] ` with `log_selector = +pid`.
fn after_process_id(text: &[u8]) -> &[u8] {
    let Some(rest) = text.strip_prefix(b"[") else { return text };
    let (digits, _) = crate::scan::leading_number(rest);
    if digits == 0 {
        return text;
    }
    rest[digits..].strip_prefix(b"] ").unwrap_or(text)
}

/// `1vMabc-000000001Ab-1xyz ` or, before 4.97, `1vMabc-0001Ab-1x `.
fn after_message_id(text: &[u8]) -> &[u8] {
    let Some(end) = memchr::memchr(b' ', &text[..text.len().min(25)]) else { return text };
    let id = &text[..end];
    let second_dash = match end {
        16 => 13,
        23 => 18,
        _ => return text,
    };
    let is_id = id.iter().enumerate().all(|(at, byte)| match byte {
        b'-' => at == 6 || at == second_dash,
        _ => byte.is_ascii_alphanumeric(),
    });
    if is_id && id[6] == b'-' { &text[end + 1..] } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_behind_all_that_may_stand_before() {
        for text in [
            "2026-11-21 19:12:05 x y",
            "2026-11-21 19:12:05.123 +0100 [77] x y",
            "1vMabc-0001Ab-1x x y",
            "[77] 1vMabc-000000001Ab-1xyz x y",
            "x y",
        ] {
            assert_eq!(after_message_id(after_process_id(after_stamp(text.as_bytes()))), b"x y", "{text}");
        }
    }
}

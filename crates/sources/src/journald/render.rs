use std::io::Write;

use super::export::Entry;

/// An entry as a line: `2026-11-21T19:12:05.123456+00:00 host prog[pid]: message`. No part of it can begin a new line, and
/// no name can pass for another part.
pub(crate) fn render(entry: &Entry, line: &mut Vec<u8>) {
    line.clear();
    time(&entry.realtime, line);
    line.push(b' ');
    word(&entry.hostname, b"-", line);
    line.push(b' ');
    let program = if entry.identifier.is_empty() { &entry.command } else { &entry.identifier };
    word(program, b"-", line);
    let pid = if entry.syslog_pid.is_empty() { &entry.pid } else { &entry.syslog_pid };
    if !pid.is_empty() && pid.iter().all(u8::is_ascii_digit) {
        line.push(b'[');
        line.extend_from_slice(pid);
        line.push(b']');
    }
    line.extend_from_slice(b": ");
    let message = entry.message.len() - entry.message.iter().rev().take_while(|byte| **byte == b'\n').count();
    line.extend(entry.message[..message].iter().map(|byte| harmless(*byte)));
}

/// Control characters become spaces: a line stays one line.
pub(crate) fn harmless(byte: u8) -> u8 {
    if byte.is_ascii_control() && byte != b'\t' { b' ' } else { byte }
}

fn time(micros: &[u8], line: &mut Vec<u8>) {
    let micros = std::str::from_utf8(micros).ok().and_then(|micros| micros.parse::<i64>().ok()).unwrap_or(0);
    let stamp = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    // Writing to memory does not fail.
    let _ = write!(line, "{stamp:.6}");
    if line.last() == Some(&b'Z') {
        line.pop();
        line.extend_from_slice(b"+00:00");
    }
}

fn word(bytes: &[u8], absent: &[u8], line: &mut Vec<u8>) {
    let bytes = if bytes.is_empty() { absent } else { bytes };
    let is_plain = |byte: u8| byte > b' ' && byte != 0x7f && !b":[]".contains(&byte);
    line.extend(bytes.iter().map(|byte| if is_plain(*byte) { *byte } else { b'_' }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cannot_be_forged() {
        let entry = Entry {
            realtime: b"1795288325123456".to_vec(),
            hostname: b"mx1".to_vec(),
            identifier: b"postfix/smtpd".to_vec(),
            pid: b"77".to_vec(),
            message: b"warning: a\nb\r\x1b[0m\tc\n".to_vec(),
            ..Entry::default()
        };
        for (entry, expected) in [
            (entry.clone(), "2026-11-21T19:12:05.123456+00:00 mx1 postfix/smtpd[77]: warning: a b  [0m\tc"),
            (
                Entry { identifier: b"a b[1]: x\n".to_vec(), realtime: b"1795288325000000".to_vec(), ..entry.clone() },
                "2026-11-21T19:12:05.000000+00:00 mx1 a_b_1___x_[77]: warning: a b  [0m\tc",
            ),
            (
                Entry { message: b"x".to_vec(), realtime: b"junk".to_vec(), ..Entry::default() },
                "1970-01-01T00:00:00.000000+00:00 - -: x",
            ),
        ] {
            let mut line = b"what was here before".to_vec();
            render(&entry, &mut line);
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }
}

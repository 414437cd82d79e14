//! Time stamps of the servers' own log files.

use fairban_types::Time;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::Context;

/// An RFC 3339 time stamp at the start of the line (`2026-11-21T19:12:05.250Z`, `…+01:00`), and what follows the space
/// behind it.
pub(super) fn rfc3339(line: &[u8]) -> Option<(Time, &[u8])> {
    if line.len() < 20 || !line[0].is_ascii_digit() || line[4] != b'-' || line[10] != b'T' {
        return None;
    }
    let end = memchr::memchr(b' ', &line[..line.len().min(36)])?;
    let stamp: jiff::Timestamp = std::str::from_utf8(&line[..end]).ok()?.parse().ok()?;
    Some((Time::from_millis(stamp.as_millisecond()), &line[end + 1..]))
}

/// `[21-Nov-2026 19:12:05 +0000]: ` (Roundcube's default; a fraction of the second is skipped; where it names no zone, in the given one),
/// and what follows it.
pub(super) fn bracketed<'a>(line: &'a [u8], zone: &TimeZone) -> Option<(Option<Time>, &'a [u8])> {
    let inside = line.strip_prefix(b"[")?;
    let end = memchr::memchr(b']', &inside[..inside.len().min(48)])?;
    let rest = inside[end + 1..].strip_prefix(b": ")?;
    Some((day_month_year(&inside[..end], zone), rest))
}

fn day_month_year(text: &[u8], zone: &TimeZone) -> Option<Time> {
    let mut parts = text.split(|byte| *byte == b' ');
    let mut date = parts.next()?.split(|byte| *byte == b'-');
    let (day, month, year) = (number(date.next()?)?, month(date.next()?)?, number(date.next()?)?);
    let clock = clock(parts.next()?)?;
    let zone = match parts.next() {
        Some(zone) => TimeZone::fixed(offset(zone)?),
        None => zone.clone(),
    };
    at(year, month, day, clock, zone)
}

/// `Nov 21 19:12:05 ` at the start of the line: local time of the year that the context tells, and what follows.
pub(super) fn yearless<'a>(line: &'a [u8], context: &Context) -> Option<(Option<Time>, &'a [u8])> {
    if line.len() < 16 || line[3] != b' ' || line[6] != b' ' || line[15] != b' ' || line[9] != b':' {
        return None;
    }
    let day = if line[4] == b' ' { &line[5..6] } else { &line[4..6] };
    let time = nearest(month(&line[..3])?, number(day)?, clock(&line[7..15])?, context);
    Some((time, &line[16..]))
}

/// The latest such moment that is not more than a day after the context's reference.
fn nearest(month: i8, day: i16, clock: [i8; 3], context: &Context) -> Option<Time> {
    let zone = context.zone.clone();
    if let Some(year) = context.year {
        return at(year, month, day, clock, zone);
    }
    let reference = jiff::Timestamp::from_millisecond(context.reference.millis()).ok()?;
    let year = reference.to_zoned(zone.clone()).year();
    let latest = context.reference.after(std::time::Duration::from_secs(86_400));
    // The next year counts on the last day of December; leap days may be four years back.
    (year - 8..=year + 1)
        .rev()
        .find_map(|year| at(year, month, day, clock, zone.clone()).filter(|time| *time <= latest))
}

/// `11/21/2026 19:12:05` at the start of the text: UTC, as the SquirrelMail logger writes by default; and what follows.
pub(super) fn month_day_year(text: &[u8]) -> Option<(Time, &[u8])> {
    if text.len() < 19 || text[2] != b'/' || text[5] != b'/' || text[10] != b' ' {
        return None;
    }
    let month = i8::try_from(number(&text[..2])?).ok()?;
    let time = at(number(&text[6..10])?, month, number(&text[3..5])?, clock(&text[11..19])?, TimeZone::UTC)?;
    Some((time, &text[19..]))
}

fn at(year: i16, month: i8, day: i16, [hour, minute, second]: [i8; 3], zone: TimeZone) -> Option<Time> {
    // A leap second is read as the second before it.
    let civil = DateTime::new(year, month, i8::try_from(day).ok()?, hour, minute, second.min(59), 0).ok()?;
    let stamp = civil.to_zoned(zone).ok()?.timestamp();
    Some(Time::from_millis(stamp.as_millisecond()))
}

fn clock(text: &[u8]) -> Option<[i8; 3]> {
    let (text, fraction) = text.split_at_checked(8)?;
    if text[2] != b':' || text[5] != b':' || !(fraction.is_empty() || fraction[0] == b'.') {
        return None;
    }
    let part = |from: usize| number(&text[from..from + 2]).and_then(|part| i8::try_from(part).ok());
    Some([part(0)?, part(3)?, part(6)?])
}

fn offset(text: &[u8]) -> Option<Offset> {
    let (sign, digits) = match text.split_first()? {
        (b'+', digits) => (1, digits),
        (b'-', digits) => (-1, digits),
        _ => return None,
    };
    if digits.len() != 4 {
        return None;
    }
    let (hours, minutes) = (i32::from(number(&digits[..2])?), i32::from(number(&digits[2..])?));
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

fn month(text: &[u8]) -> Option<i8> {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    (1..).zip(MONTHS).find_map(|(number, name)| (name == text).then_some(number))
}

fn number(digits: &[u8]) -> Option<i16> {
    if digits.is_empty() || digits.len() > 4 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + i16::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_servers_stamps() {
        let shown = |time: Option<Time>| time.map(|time| time.to_string());
        let expected = Some("2026-11-21T19:12:05Z".to_owned());
        assert_eq!(shown(bracketed(b"[21-Nov-2026 19:12:05 +0000]: x", &TimeZone::UTC).unwrap().0), expected);
        assert_eq!(shown(bracketed(b"[21-Nov-2026 20:12:05.123456 +0100]: x", &TimeZone::UTC).unwrap().0), expected);
        assert_eq!(shown(bracketed(b"[31-Feb-2026 20:12:05 +0100]: x", &TimeZone::UTC).unwrap().0), None);
        assert_eq!(shown(rfc3339(b"2026-11-21T20:12:05+01:00 x").map(|found| found.0)), expected);
        assert_eq!(shown(month_day_year(b"11/21/2026 19:12:05: x").map(|found| found.0)), expected);
        assert!(bracketed(b"[NOTICE] [uuid] [core] connect", &TimeZone::UTC).is_none());
        let stamps: [&[u8]; 5] = [b"", b"2026-11-21T19:12:05Z", b"Nov 21", b"[", b"11/21/2026"];
        for stamp in stamps {
            assert!(
                rfc3339(stamp).is_none()
                    && month_day_year(stamp).is_none()
                    && bracketed(stamp, &TimeZone::UTC).is_none()
            );
        }
    }

    #[test]
    fn a_yearless_date_is_the_latest_one_possible() {
        let context =
            |reference: &str| Context { reference: reference.parse().unwrap(), year: None, zone: TimeZone::UTC };
        let year = |line: &[u8], reference: &str| {
            let (time, rest) = yearless(line, &context(reference)).unwrap();
            assert_eq!(rest, b"sogod");
            time.map(|time| time.after(std::time::Duration::from_secs(43_200)).to_string()[..4].to_owned())
        };
        assert_eq!(year(b"Nov 21 12:00:00 sogod", "2026-11-21T19:12:05Z").as_deref(), Some("2026"));
        assert_eq!(year(b"Dec 30 12:00:00 sogod", "2026-01-02T19:12:05Z").as_deref(), Some("2025"));
        assert_eq!(year(b"Feb 29 12:00:00 sogod", "2027-01-02T19:12:05Z").as_deref(), Some("2024"));
        assert_eq!(year(b"Nov 99 12:00:00 sogod", "2027-01-02T19:12:05Z"), None);
    }
}

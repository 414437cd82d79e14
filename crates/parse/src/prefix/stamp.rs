//! The time stamp at the beginning of a line.

use fairban_types::Time;

use super::civil::Minute;
use crate::{Context, Defect};

/// How the time is written. It says what may follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// RFC 3164: `Nov 21 19:12:05`, the form of syslog and of Dovecot's own file.
    #[default]
    Syslog,
    /// ISO 8601 with a `T`.
    Iso,
    /// Date and time with a space between, the form of Exim's own files.
    Spaced,
    /// TAI64N, as multilog and s6-log write it.
    Tai,
    /// Seconds since the epoch, or since the machine's start.
    Seconds,
}

/// A stamp that was found, and the line behind it without the blanks between.
#[derive(Debug)]
pub(super) struct Stamp<'a> {
    pub(super) form: Form,
    pub(super) time: Result<Time, Defect>,
    pub(super) rest: &'a [u8],
}

/// The longest written minute: `2026-11-21T19:12`.
const KEY_LEN_MAX: usize = 16;

/// Remembers the last written minutes, since the lines of a log mostly share them with their neighbours. Several, since
/// the machines that write one log may each have a form of their own.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The one learnt last first.
    minutes: [Remembered; MINUTES_LEN],
}

const MINUTES_LEN: usize = 4;

/// A written minute and what it means.
#[derive(Clone, Copy, Debug, Default)]
struct Remembered {
    /// Its bytes as one number, zeros behind them.
    key: u128,
    /// The bits of the key that count; none in what was never learnt.
    mask: u128,
    len: usize,
    form: Form,
    offset: Offset,
    millis: i64,
    reference: Time,
}

/// A year-less minute is taken as the same one only while the reference has not moved further than this.
const REFERENCE_DRIFT_MILLIS_MAX: u64 = 3_600_000;

impl Clock {
    /// Reads the stamp that the line begins with, or `None` if it begins with none.
    pub(super) fn read<'a>(&mut self, line: &'a [u8], context: &Context) -> Option<Stamp<'a>> {
        if let Some(stamp) = self.remembered(line, context) {
            return Some(stamp);
        }
        match line.first()? {
            b'@' => tai(line),
            b'[' => bracketed_seconds(line, context),
            b'0'..=b'9' => self.dated(line, context).or_else(|| seconds(line)),
            _ => self.syslog(line, context).or_else(|| self.after_weekday(line, context)),
        }
    }

    #[inline(always)]
    pub(super) fn remembered<'a>(&self, line: &'a [u8], context: &Context) -> Option<Stamp<'a>> {
        let head = u128::from_le_bytes(*line.first_chunk::<KEY_LEN_MAX>()?);
        let minute = self.minutes.iter().find(|minute| head & minute.mask == minute.key && minute.mask != 0)?;
        if context.reference.millis().abs_diff(minute.reference.millis()) > REFERENCE_DRIFT_MILLIS_MAX {
            return None;
        }
        let rest = &line[minute.len..];
        // The form of most lines, read without regard to fractions and offsets, which it has not.
        if minute.form == Form::Syslog
            && let [b':', a @ b'0'..=b'5', b @ b'0'..=b'9', b' ', text @ ..] = rest
            && text.first() != Some(&b' ')
        {
            let seconds = i64::from(a - b'0') * 10 + i64::from(b - b'0');
            return Some(Stamp {
                form: Form::Syslog,
                time: Ok(Time::from_millis(minute.millis + seconds * 1000)),
                rest: text,
            });
        }
        finish(minute.form, rest, minute.millis, minute.offset)
    }

    /// Remembers the minute in place of the one learnt first.
    fn remember(&mut self, line: &[u8], minute: Remembered) {
        let Some(head) = line.first_chunk::<KEY_LEN_MAX>() else { return };
        let Some(unused) = KEY_LEN_MAX.checked_sub(minute.len) else { return };
        let mask = u128::MAX >> (8 * unused);
        let key = u128::from_le_bytes(*head) & mask;
        self.minutes.rotate_right(1);
        self.minutes[0] = Remembered { key, mask, ..minute };
    }

    /// `Nov 21 19:12:05`, with a day of one or two digits, padded or not.
    fn syslog<'a>(&mut self, line: &'a [u8], context: &Context) -> Option<Stamp<'a>> {
        let month = month(line.get(..3)?)?;
        let mut at = 3 + blanks(&line[3..])?;
        let (len, day) = digits(&line[at..], 2)?;
        at += len;
        at += blanks(&line[at..])?;
        let (hour, minute) = hour_and_minute(line.get(at..at + 5)?)?;
        at += 5;
        let written = Minute { year: None, month, day, hour, minute };
        self.learn(Form::Syslog, line, at, written, context)
    }

    /// `Sat 2026-11-21 19:12:05 UTC`, the form of `journalctl -o short-full`.
    fn after_weekday<'a>(&mut self, line: &'a [u8], context: &Context) -> Option<Stamp<'a>> {
        const DAYS: [&[u8]; 7] = [b"Mon ", b"Tue ", b"Wed ", b"Thu ", b"Fri ", b"Sat ", b"Sun "];
        let rest = DAYS.iter().find_map(|day| line.strip_prefix(*day))?;
        let mut stamp = self.dated(rest, context)?;
        // The zone's name stands for the zone of the machine, except that UTC is always UTC.
        let name = stamp.rest.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
        if name > 0 && stamp.rest.get(name) == Some(&b' ') {
            if stamp.rest.starts_with(b"UTC ") {
                stamp = dated_utc(rest)?;
            }
            stamp.rest = &stamp.rest[name + 1..];
        }
        stamp.form = Form::Syslog;
        Some(stamp)
    }

    /// `2026-11-21T19:12:05.123456+01:00` and `2026-11-21 19:12:05`, each with or without fraction and zone.
    fn dated<'a>(&mut self, line: &'a [u8], context: &Context) -> Option<Stamp<'a>> {
        let (form, written) = dated_minute(line)?;
        // With an offset in the line, no zone is asked.
        if let Some(rest) = line.get(KEY_LEN_MAX..)
            && let Some((_, _, offset_millis)) = seconds_and_offset(form, rest)
            && offset_millis.is_some()
        {
            let base = written.millis_utc();
            return match base {
                Some(base) => {
                    let stamp = finish(form, rest, base, Offset::Subtracted)?;
                    let (offset, reference) = (Offset::Subtracted, context.reference);
                    let minute =
                        Remembered { len: KEY_LEN_MAX, form, offset, millis: base, reference, ..Remembered::default() };
                    self.remember(line, minute);
                    Some(stamp)
                }
                None => finish(form, rest, 0, Offset::Subtracted).map(impossible),
            };
        }
        self.learn(form, line, KEY_LEN_MAX, written, context)
    }

    fn learn<'a>(
        &mut self,
        form: Form,
        line: &'a [u8],
        len: usize,
        written: Minute,
        context: &Context,
    ) -> Option<Stamp<'a>> {
        let rest = &line[len..];
        let Some(base) = written.millis(context) else {
            return finish(form, rest, 0, Offset::Refused).map(impossible);
        };
        let stamp = finish(form, rest, base, Offset::Refused)?;
        let (offset, reference) = (Offset::Refused, context.reference);
        self.remember(line, Remembered { len, form, offset, millis: base, reference, ..Remembered::default() });
        Some(stamp)
    }
}

/// What an offset from UTC behind the seconds means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Offset {
    /// The minute is written in that offset; a line without one is not of this form.
    Subtracted,
    /// The minute was already placed by the machine's zone, so the line is not of this form.
    #[default]
    Refused,
}

/// Reads `:05.123+01:00 ` behind a minute that begins at `base_millis`.
fn finish(form: Form, rest: &[u8], base_millis: i64, meaning: Offset) -> Option<Stamp<'_>> {
    let (len, millis, offset) = seconds_and_offset(form, rest)?;
    if offset.is_some() != (meaning == Offset::Subtracted) {
        return None;
    }
    let rest = match &rest[len..] {
        [] => &b""[..],
        [b' ', b' ', rest @ ..] => rest.trim_ascii_start(),
        [b' ', rest @ ..] => rest,
        _ => return None,
    };
    // A leap second is second 60.
    let time = if millis > 60_999 {
        Err(Defect::Time)
    } else {
        Ok(Time::from_millis(base_millis + millis - offset.unwrap_or(0)))
    };
    Some(Stamp { form, time, rest })
}

/// A stamp that is in UTC though it does not say so itself.
fn dated_utc(line: &[u8]) -> Option<Stamp<'_>> {
    let (form, written) = dated_minute(line)?;
    finish(form, line.get(KEY_LEN_MAX..)?, written.millis_utc()?, Offset::Refused)
}

fn impossible(stamp: Stamp<'_>) -> Stamp<'_> {
    Stamp { time: Err(Defect::Time), ..stamp }
}

fn month(name: &[u8]) -> Option<i8> {
    Some(match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// How many blanks stand here: one or two.
fn blanks(text: &[u8]) -> Option<usize> {
    match text {
        [b' ', b' ', ..] => Some(2),
        [b' ', ..] => Some(1),
        _ => None,
    }
}

/// One up to `max` digits, as their count and number.
fn digits(text: &[u8], max: usize) -> Option<(usize, i8)> {
    let len = text.iter().take(max).take_while(|byte| byte.is_ascii_digit()).count();
    let number = text[..len].iter().fold(0i8, |number, digit| number * 10 + (digit - b'0').cast_signed());
    (len > 0).then_some((len, number))
}

fn two(text: &[u8]) -> Option<i8> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(((a - b'0') * 10 + (b - b'0')).cast_signed()),
        _ => None,
    }
}

fn hour_and_minute(text: &[u8]) -> Option<(i8, i8)> {
    (text[2] == b':').then_some(())?;
    Some((two(&text[..2])?, two(&text[3..])?))
}

fn dated_minute(line: &[u8]) -> Option<(Form, Minute)> {
    let text = line.get(..KEY_LEN_MAX)?;
    let form = match text[10] {
        b'T' => Form::Iso,
        b' ' => Form::Spaced,
        _ => return None,
    };
    (text[4] == b'-' && text[7] == b'-').then_some(())?;
    let year = i16::from(two(&text[..2])?) * 100 + i16::from(two(&text[2..4])?);
    let (month, day) = (two(&text[5..7])?, two(&text[8..10])?);
    let (hour, minute) = hour_and_minute(&text[11..])?;
    Some((form, Minute { year: Some(year), month, day, hour, minute }))
}

/// Behind the minute: the length of what is read, the milliseconds into the minute, and the offset from UTC in
/// milliseconds where one is written.
#[inline]
fn seconds_and_offset(form: Form, rest: &[u8]) -> Option<(usize, i64, Option<i64>)> {
    if rest.first() != Some(&b':') {
        return None;
    }
    let mut millis = i64::from(two(rest.get(1..3)?)?) * 1000;
    let mut len = 3;
    if let [b'.' | b',', first @ b'0'..=b'9', ..] = &rest[len..] {
        millis += i64::from(first - b'0') * 100;
        let fraction = rest[len + 1..].iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
        for (digit, worth) in rest[len + 2..len + 1 + fraction].iter().zip([10, 1]) {
            millis += i64::from(digit - b'0') * worth;
        }
        len += 1 + fraction;
    }
    let (offset_len, offset) = match form {
        Form::Iso => offset(&rest[len..]),
        Form::Spaced => spaced_offset(&rest[len..]),
        _ => (0, None),
    };
    Some((len + offset_len, millis, offset))
}

/// `Z`, `+01:00`, `+0100` or `+01`.
fn offset(text: &[u8]) -> (usize, Option<i64>) {
    let sign = match text.first() {
        Some(b'Z') => return (1, Some(0)),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return (0, None),
    };
    let Some(hours) = text.get(1..3).and_then(two) else { return (0, None) };
    let colon = usize::from(text.get(3) == Some(&b':'));
    let (len, minutes) = match text.get(3 + colon..5 + colon).and_then(two) {
        Some(minutes) => (5 + colon, minutes),
        None => (3, 0),
    };
    (len, Some(sign * (i64::from(hours) * 3_600_000 + i64::from(minutes) * 60_000)))
}

/// ` +0100 ` as Exim writes it with `log_timezone`.
fn spaced_offset(text: &[u8]) -> (usize, Option<i64>) {
    match text {
        [b' ', b'+' | b'-', rest @ ..] if rest.len() >= 4 && rest[..4].iter().all(u8::is_ascii_digit) => {
            match offset(&text[1..]) {
                (len, Some(millis)) => (len + 1, Some(millis)),
                _ => (0, None),
            }
        }
        _ => offset(text),
    }
}

/// `@` and 24 hexadecimal digits: 2^62 + seconds of TAI, then nanoseconds. TAI64 labels as multilog writes them are ten
/// seconds ahead of the epoch's count.
fn tai(line: &[u8]) -> Option<Stamp<'_>> {
    const EPOCH: u64 = (1 << 62) + 10;
    let label = line.get(1..25)?;
    let seconds = hexadecimal(&label[..16])?;
    let nanos = hexadecimal(&label[16..])?;
    let rest = line[25..].strip_prefix(b" ")?;
    let time = match i64::try_from(seconds.wrapping_sub(EPOCH)) {
        Ok(secs) if secs < 1 << 40 && nanos < 1_000_000_000 => {
            Ok(Time::from_millis(secs * 1000 + (nanos / 1_000_000).cast_signed()))
        }
        _ => Err(Defect::Time),
    };
    Some(Stamp { form: Form::Tai, time, rest })
}

fn hexadecimal(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number << 4 | u64::from(digit))
    })
}

/// `1795288325` or `1795288325.123456`, ten digits.
fn seconds(line: &[u8]) -> Option<Stamp<'_>> {
    let (len, secs) = crate::scan::leading_number(line);
    if len != 10 {
        return None;
    }
    let mut rest = &line[len..];
    let mut millis = 0;
    if let [b'.' | b',', fraction @ ..] = rest {
        let len = fraction.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
        for (digit, worth) in fraction[..len].iter().zip([100, 10, 1]) {
            millis += i64::from(digit - b'0') * worth;
        }
        rest = &fraction[len..];
    }
    let rest = rest.strip_prefix(b" ")?;
    Some(Stamp { form: Form::Seconds, time: Ok(Time::from_millis(i64::from(secs) * 1000 + millis)), rest })
}

/// `[   12.345678] `, seconds since the machine's start, which is not known here.
fn bracketed_seconds<'a>(line: &'a [u8], context: &Context) -> Option<Stamp<'a>> {
    let inner = &line[1..];
    let end = memchr::memchr(b']', &inner[..inner.len().min(24)])?;
    let number = inner[..end].trim_ascii_start();
    let (len, _) = crate::scan::leading_number(number);
    let fraction = number[len..].strip_prefix(b".")?;
    (len > 0 && fraction.iter().all(u8::is_ascii_digit)).then_some(())?;
    let rest = inner[end + 1..].strip_prefix(b" ")?;
    Some(Stamp { form: Form::Seconds, time: Ok(context.reference), rest })
}

//! What a key takes: the words for it and the reading of it, in one place each.

mod net;
mod size;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use fairban_types::parse_duration;

pub(crate) use net::{client, domain, host, listen, networks, port, ports, redis_url, socket, syslog};
pub(crate) use size::memory;

use crate::near;
use crate::reader::{Reader, found};
use crate::settings::Secret;
use crate::tree::{Item, Value};

type Read<V> = Box<dyn Fn(&Item, &mut Reader) -> Option<V>>;

/// What a key takes, as a value of type `V`.
pub(crate) struct Takes<V> {
    /// In words, such as `a whole number from 1 to 10`.
    pub(crate) allowed: String,
    read: Read<V>,
}

impl<V: 'static> Takes<V> {
    /// The value, or a problem that is told.
    pub(crate) fn read(&self, item: &Item, reader: &mut Reader) -> Option<V> {
        (self.read)(item, reader)
    }

    /// From a reading that tells its problems itself.
    pub(crate) fn reading(
        allowed: impl Into<String>,
        read: impl Fn(&Item, &mut Reader) -> Option<V> + 'static,
    ) -> Self {
        Takes { allowed: allowed.into(), read: Box::new(read) }
    }

    /// From a function that knows right values; its error is a hint, or empty.
    pub(crate) fn scalar(allowed: impl Into<String>, value: impl Fn(&Value) -> Result<V, String> + 'static) -> Self {
        let allowed = allowed.into();
        let takes = allowed.clone();
        Takes::reading(allowed, move |item, reader| match value(&item.value) {
            Ok(value) => Some(value),
            Err(hint) => {
                reader.problem(&item.at, format!("takes {takes}, not {}{hint}", found(&item.value)));
                None
            }
        })
    }
}

/// `true` or `false`.
pub(crate) fn flag() -> Takes<bool> {
    Takes::scalar("`true` or `false`", |value| match value {
        Value::Flag(flag) => Ok(*flag),
        Value::Text(text) if text == "true" || text == "false" => Err("; write it without quotes".to_owned()),
        _ => Err(String::new()),
    })
}

/// A whole number.
pub(crate) fn count(range: RangeInclusive<u32>) -> Takes<u32> {
    Takes::scalar(format!("a whole number from {} to {}", range.start(), range.end()), move |value| match value {
        Value::Whole(number) => {
            u32::try_from(*number).ok().filter(|number| range.contains(number)).ok_or_else(String::new)
        }
        Value::Text(text) if text.parse::<u32>().is_ok() => Err("; write it without quotes".to_owned()),
        _ => Err(String::new()),
    })
}

/// A prefix length.
pub(crate) fn prefix(range: RangeInclusive<u8>) -> Takes<u8> {
    let text = format!("a prefix length from {} to {}", range.start(), range.end());
    Takes::scalar(text, move |value| match value {
        Value::Whole(number) => {
            u8::try_from(*number).ok().filter(|number| range.contains(number)).ok_or_else(String::new)
        }
        _ => Err("; write the bare number".to_owned()),
    })
}

/// A whole number that may be negative.
pub(crate) fn signed(range: RangeInclusive<i32>) -> Takes<i32> {
    Takes::scalar(format!("a whole number from {} to {}", range.start(), range.end()), move |value| match value {
        Value::Whole(number) => {
            i32::try_from(*number).ok().filter(|number| range.contains(number)).ok_or_else(String::new)
        }
        _ => Err(String::new()),
    })
}

/// A duration between two that are written as in a file.
pub(crate) fn duration(min: &'static str, max: &'static str) -> Takes<Duration> {
    Takes::scalar(format!("a duration from \"{min}\" to \"{max}\""), move |value| match value {
        Value::Text(text) => {
            let length = parse_duration(text)
                .map_err(|_| ", which is none: write it as in \"90s\", \"20m\", \"1h30m\", \"7d\"")?;
            let is_within = |bound: &str| parse_duration(bound).ok();
            match (is_within(min), is_within(max)) {
                (Some(min), Some(max)) if (min..=max).contains(&length) => Ok(length),
                _ => Err(String::new()),
            }
        }
        Value::Whole(number) => Err(format!("; with its unit it is \"{number}s\", \"{number}m\" or \"{number}h\"")),
        _ => Err(String::new()),
    })
}

/// One of a few words.
pub(crate) fn choice<V: Copy + 'static>(words: &[(&'static str, V)]) -> Takes<V> {
    let quoted: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    member(either(&quoted), words)
}

/// One of many words, which together have a name.
pub(crate) fn member<V: Copy + 'static>(allowed: impl Into<String>, words: &[(&'static str, V)]) -> Takes<V> {
    let words = words.to_vec();
    Takes::scalar(allowed, move |value| {
        let Value::Text(text) = value else { return Err(String::new()) };
        let right = words.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
        right.ok_or_else(|| did_you_mean(text, words.iter().map(|(word, _)| *word)))
    })
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn either(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn did_you_mean<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> String {
    near::nearest(wrong, right).map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default()
}

/// A list whose members are of one sort.
pub(crate) fn list<V: 'static>(of: Takes<V>, lengths: RangeInclusive<usize>) -> Takes<Vec<V>> {
    let allowed = match *lengths.start() {
        0 => format!("a list, each {}", of.allowed),
        _ => format!("a list that is not empty, each {}", of.allowed),
    };
    let takes = allowed.clone();
    Takes::reading(allowed, move |item, reader| {
        let Value::List(items) = &item.value else {
            reader.problem(&item.at, format!("takes {takes}, not {}", found(&item.value)));
            return None;
        };
        if !lengths.contains(&items.len()) {
            let [min, max] = [lengths.start(), lengths.end()];
            reader.problem(&item.at, format!("takes {min} to {max} members, not {}", items.len()));
            return None;
        }
        let values: Vec<Option<V>> = items.iter().map(|item| of.read(item, reader)).collect();
        values.into_iter().collect()
    })
}

/// A name of few plain characters.
pub(crate) fn name(chars_max: usize) -> Takes<String> {
    let allowed = format!("a name of 1 to {chars_max} letters, digits, '.', '_' or '-'");
    Takes::scalar(allowed, move |value| match value {
        Value::Text(text) if is_name(text, chars_max) => Ok(text.clone()),
        _ => Err(String::new()),
    })
}

/// Whether a text is a name of few plain characters.
pub(crate) fn is_name(text: &str, chars_max: usize) -> bool {
    (1..=chars_max).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// A text of one or more lines.
pub(crate) fn text(chars_max: usize) -> Takes<String> {
    Takes::scalar(format!("a text of 1 to {chars_max} characters"), move |value| match value {
        Value::Text(text) if !text.is_empty() && text.chars().count() <= chars_max => Ok(text.clone()),
        _ => Err(String::new()),
    })
}

/// A line that every protocol can carry.
pub(crate) fn line(chars_max: usize) -> Takes<String> {
    Takes::scalar(format!("a line of 1 to {chars_max} ASCII characters"), move |value| match value {
        Value::Text(text) if is_line(text, chars_max) => Ok(text.clone()),
        _ => Err(String::new()),
    })
}

fn is_line(text: &str, chars_max: usize) -> bool {
    (1..=chars_max).contains(&text.len())
        && text.trim() == text
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// An SMTP reply of one line that refuses (RFC 5321, 4.2; RFC 3463).
pub(crate) fn reply() -> Takes<String> {
    let allowed = "an SMTP reply that refuses, such as \"550 5.7.1 Access denied\"";
    Takes::scalar(allowed, |value| match value {
        Value::Text(text) if is_line(text, 400) && refuses(text) => Ok(text.clone()),
        _ => Err(String::new()),
    })
}

fn refuses(reply: &str) -> bool {
    let Some((code, rest)) = reply.split_once(' ') else { return false };
    let class = match code.as_bytes() {
        [class @ (b'4' | b'5'), rest @ ..] if rest.len() == 2 && rest.iter().all(u8::is_ascii_digit) => *class,
        _ => return false,
    };
    // An enhanced code says the same as the code before it.
    let enhanced = rest.split(' ').next().unwrap_or_default();
    let is_enhanced = enhanced.split('.').count() == 3 && enhanced.split('.').all(|part| part.parse::<u16>().is_ok());
    !rest.is_empty() && (!is_enhanced || enhanced.as_bytes().first() == Some(&class))
}

/// The address of a web page.
pub(crate) fn web_url() -> Takes<String> {
    Takes::scalar("a URL that begins with \"https://\" or \"http://\"", |value| match value {
        Value::Text(text) if is_web_url(text) => Ok(text.clone()),
        _ => Err(String::new()),
    })
}

fn is_web_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.len() <= 200
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\<>".contains(&byte))
}

/// A text that is not shown again.
pub(crate) fn secret() -> Takes<Secret> {
    let allowed = "a text of up to 1024 visible characters";
    Takes::reading(allowed, move |item, reader| match &item.value {
        Value::Text(text) if (1..=1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Some(Secret::new(text.clone()))
        }
        _ => {
            reader.problem(&item.at, format!("takes {allowed}"));
            None
        }
    })
}

/// A path from the root, so that it means the same wherever the daemon is started.
pub(crate) fn path() -> Takes<PathBuf> {
    Takes::scalar("an absolute path", |value| match value {
        Value::Text(text) => absolute(text).ok_or_else(String::new),
        _ => Err(String::new()),
    })
}

fn absolute(text: &str) -> Option<PathBuf> {
    (text.starts_with('/') && text.len() < 4096 && !text.contains('\0')).then(|| PathBuf::from(text))
}

/// File permissions, as `"0660"` or `0o660`.
pub(crate) fn mode() -> Takes<u32> {
    Takes::scalar("permissions from \"0600\" to \"0777\"", |value| {
        let mode = match value {
            Value::Text(text) => u32::from_str_radix(text, 8).ok(),
            Value::Whole(number) => u32::try_from(*number).ok(),
            _ => None,
        };
        mode.filter(|mode| (0o600..=0o777).contains(mode)).ok_or_else(String::new)
    })
}

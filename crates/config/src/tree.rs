//! A TOML document as values that know where they were written, and one document laid over another.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::remark::{Place, Problem, Problems};

/// How many syntax errors of one file are told: most follow from the first.
const SYNTAX_PROBLEMS_MAX: usize = 10;

/// A text with the name under which problems in it are told.
#[derive(Debug, PartialEq)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A stretch of a file, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct At {
    file: Arc<File>,
    span: Range<usize>,
}

impl At {
    /// Where the stretch begins, for people.
    pub(crate) fn place(&self) -> Place {
        let before = self.file.text.get(..self.span.start).unwrap_or(&self.file.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place {
            file: self.file.name.clone(),
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The stretch as it was written.
    pub(crate) fn written(&self) -> &str {
        self.file.text.get(self.span.clone()).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Whole(i128),
    Flag(bool),
    List(Vec<Item>),
    Table(Table),
    /// What no key takes: fractions and dates.
    Other(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) at: At,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: At,
    pub(crate) item: Item,
}

/// The entries of a table in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(pub(crate) Vec<Entry>);

impl Table {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    /// The entry at the end of a path of keys.
    pub(crate) fn find(&self, path: &[&str]) -> Option<&Entry> {
        let (first, rest) = path.split_first()?;
        let entry = self.get(first)?;
        match (&entry.item.value, rest) {
            (_, []) => Some(entry),
            (Value::Table(table), rest) => table.find(rest),
            _ => None,
        }
    }

    /// This table with another laid over it: tables are joined, every other value of `top` wins.
    pub(crate) fn under(mut self, top: Table) -> Table {
        let known = self.0.len();
        for entry in top.0 {
            match self.0[..known].iter_mut().find(|below| below.key == entry.key) {
                Some(below) => below.lay_over(entry),
                None => self.0.push(entry),
            }
        }
        self
    }
}

impl Entry {
    fn lay_over(&mut self, top: Entry) {
        self.key_at = top.key_at;
        match (&mut self.item.value, top.item.value) {
            (Value::Table(below), Value::Table(over)) => {
                *below = std::mem::take(below).under(over);
                self.item.at = top.item.at;
            }
            (below, value) => {
                *below = value;
                self.item.at = top.item.at;
            }
        }
    }
}

/// Reads a document; tells every place that is not TOML.
pub(crate) fn parse(name: &str, text: &str) -> Result<Table, Problems> {
    let file = Arc::new(File { name: name.to_owned(), text: text.to_owned() });
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table_of(&file, table.get_ref()));
    }
    let mut list: Vec<Problem> =
        errors.iter().take(SYNTAX_PROBLEMS_MAX).map(|error| syntax_problem(&file, error)).collect();
    list.sort();
    list.dedup();
    Err(Problems { list, more: errors.len().saturating_sub(SYNTAX_PROBLEMS_MAX) })
}

fn syntax_problem(file: &Arc<File>, error: &toml::de::Error) -> Problem {
    Problem {
        place: At { file: Arc::clone(file), span: error.span().unwrap_or(0..0) }.place(),
        key: String::new(),
        message: format!("not valid TOML: {}", in_plain_words(error.message().trim_end())),
    }
}

/// The parser takes whatever begins like no other value for a number.
fn in_plain_words(message: &str) -> &str {
    if message.starts_with("invalid float") { "this is no value; is a list before it not closed?" } else { message }
}

/// Reads one value, as the right side of `key = value`.
pub(crate) fn parse_value(name: &str, text: &str) -> Option<Item> {
    let file = Arc::new(File { name: name.to_owned(), text: text.to_owned() });
    DeValue::parse(text).ok().map(|value| item_of(&file, &value))
}

fn table_of(file: &Arc<File>, table: &DeTable<'_>) -> Table {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_at: At { file: Arc::clone(file), span: key.span() },
            item: item_of(file, value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_at.span.start);
    Table(entries)
}

fn item_of(file: &Arc<File>, value: &Spanned<DeValue<'_>>) -> Item {
    let at = At { file: Arc::clone(file), span: value.span() };
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            Value::Whole(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
        }
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Array(list) => Value::List(list.iter().map(|item| item_of(file, item)).collect()),
        DeValue::Table(table) => Value::Table(table_of(file, table)),
        DeValue::Float(_) => Value::Other("a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
    };
    Item { at, value }
}

//! What is gathered while a document is read: where we are, and what is to be told.

use crate::near;
use crate::remark::{Problem, Problems, Remark, Warning};
use crate::takes::either;
use crate::tree::{At, Value};

/// How many problems, and how many warnings, of one file are told.
const REMARKS_MAX: usize = 100;
/// Shorter words are near to too many keys to look for them in other sections.
const NEAR_CHARS_MIN: usize = 5;
const SHOWN_CHARS_MAX: usize = 40;

pub(crate) struct Reader {
    path: Vec<String>,
    problems: Vec<(At, String, String)>,
    problems_more: usize,
    warnings: Vec<(At, String, String)>,
    /// The profile in force.
    pub(crate) profile: String,
    /// The rules that it has.
    pub(crate) profile_rules: Vec<String>,
    /// Whether the profile is another than the file was written for, so that what it says of rules which only its own
    /// profile has is left out with a warning.
    pub(crate) is_other_profile: bool,
    /// Which section has which key, for keys in the wrong section. Asked only then: most files have none.
    whereabouts: fn() -> Vec<(&'static str, String)>,
}

impl Reader {
    pub(crate) fn new(profile: &str, whereabouts: fn() -> Vec<(&'static str, String)>) -> Self {
        Reader {
            path: Vec::new(),
            problems: Vec::new(),
            problems_more: 0,
            warnings: Vec::new(),
            profile: profile.to_owned(),
            profile_rules: Vec::new(),
            is_other_profile: false,
            whereabouts,
        }
    }

    /// Reads what is below a key.
    pub(crate) fn within<R>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        self.path.push(shown(key));
        let result = read(self);
        self.path.pop();
        result
    }

    pub(crate) fn problem(&mut self, at: &At, message: impl Into<String>) {
        if self.problems.len() < REMARKS_MAX {
            self.problems.push((at.clone(), self.path.join("."), message.into()));
        } else {
            self.problems_more += 1;
        }
    }

    pub(crate) fn warn(&mut self, at: &At, message: impl Into<String>) {
        if self.warnings.len() < REMARKS_MAX {
            self.warnings.push((at.clone(), self.path.join("."), message.into()));
        }
    }

    /// How many problems there are so far, so that what follows from one is not told again.
    pub(crate) fn problem_count(&self) -> usize {
        self.problems.len() + self.problems_more
    }

    /// Refuses a key of the section at hand, whose right keys are given.
    pub(crate) fn unknown_key(&mut self, at: &At, key: &str, known: &[&'static str]) {
        // The right key of each of a hundred thousand wrong ones would take long to find.
        if self.problems.len() >= REMARKS_MAX {
            self.problems_more += 1;
            return;
        }
        let hint = self.right_key(key, known);
        self.within(key, |reader| reader.problem(at, format!("unknown key; {hint}")));
    }

    fn right_key(&self, key: &str, known: &[&'static str]) -> String {
        if let Some(near) = near::nearest(key, known.iter().copied()) {
            return format!("did you mean '{near}'?");
        }
        let wanted = near::translated(key).unwrap_or(key);
        if known.contains(&wanted) {
            return format!("did you mean '{wanted}'?");
        }
        self.right_section(wanted).unwrap_or_else(|| format!("known here: {}", known.join(", ")))
    }

    /// Where a key, or the one nearest to it, belongs.
    fn right_section(&self, key: &str) -> Option<String> {
        let whereabouts = (self.whereabouts)();
        let names = || whereabouts.iter().map(|(name, _)| *name);
        let near = names().find(|name| *name == key).or_else(|| near::nearest(key, names()))?;
        if near != key && key.len() < NEAR_CHARS_MIN {
            return None;
        }
        let homes = whereabouts.iter().filter(|(name, _)| *name == near);
        let homes: Vec<String> = homes.map(|(_, home)| home.clone()).collect();
        Some(format!("'{near}' belongs {}", either(&homes)))
    }

    /// The warnings, or the problems if there are any.
    pub(crate) fn finish(self) -> Result<Vec<Warning>, Problems> {
        if self.problems.is_empty() {
            return Ok(placed(self.warnings));
        }
        Err(Problems { list: placed(self.problems), more: self.problems_more })
    }
}

fn placed(remarks: Vec<(At, String, String)>) -> Vec<Problem> {
    let mut list: Vec<Remark> =
        remarks.into_iter().map(|(at, key, message)| Remark { place: at.place(), key, message }).collect();
    list.sort_by(|a, b| a.place.cmp(&b.place));
    list
}

/// A text of the file, safe and short enough for a message.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// What was found in place of what a key takes.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("\"{}\"", shown(text)),
        Value::Whole(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Other(what) => (*what).to_owned(),
    }
}

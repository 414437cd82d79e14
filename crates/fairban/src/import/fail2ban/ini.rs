//! Sections of keys and values as Python's `configparser` reads them, as far as jails need it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::import::found::Place;

/// The section that all others inherit from.
pub(super) const DEFAULT: &str = "DEFAULT";
/// A value names others at most so deep, and grows at most so long.
const DEPTH_MAX: usize = 8;
const VALUE_MAX: usize = 64 * 1024;
/// More sections than anybody has.
const SECTIONS_MAX: usize = 4096;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) place: Place,
}

type Section = BTreeMap<String, Value>;

/// Several files, each laid over the one before.
#[derive(Debug, Default)]
pub(super) struct Ini {
    sections: BTreeMap<String, Section>,
}

impl Ini {
    /// Lays a file over what is there. Returns the lines that are no part of such a file.
    pub(super) fn lay(&mut self, file: &Path, text: &str) -> Vec<Place> {
        let mut wrong = Vec::new();
        let mut section: Option<String> = None;
        let mut key: Option<String> = None;
        for (at, line) in text.lines().enumerate() {
            let place = Place::of(file, at + 1);
            // A comment after a value begins with a semicolon that follows a space.
            let line = line.split_once(" ;").map_or(line, |(value, _)| value).trim_end();
            let trimmed = line.trim_start();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            let goes_on = line.starts_with([' ', '\t']);
            if let (true, Some(section), Some(key)) = (goes_on, &section, &key) {
                self.append(section, key, trimmed);
            } else if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                let name = name.trim().to_owned();
                key = None;
                section = (self.sections.contains_key(&name) || self.sections.len() < SECTIONS_MAX).then_some(name);
                if let Some(name) = &section {
                    self.sections.entry(name.clone()).or_default();
                }
            } else if let (Some(section), Some(at)) = (&section, trimmed.find(['=', ':'])) {
                let name = trimmed[..at].trim().to_lowercase();
                let value = Value { text: trimmed[at + 1..].trim().to_owned(), place };
                self.sections.entry(section.clone()).or_default().insert(name.clone(), value);
                key = Some(name);
            } else {
                wrong.push(place);
            }
        }
        wrong
    }

    fn append(&mut self, section: &str, key: &str, more: &str) {
        if let Some(value) = self.sections.get_mut(section).and_then(|section| section.get_mut(key))
            && value.text.len() + more.len() < VALUE_MAX
        {
            value.text.push('\n');
            value.text.push_str(more);
        }
    }

    /// The sections that are jails.
    pub(super) fn jails(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str).filter(|name| ![DEFAULT, "INCLUDES"].contains(name))
    }

    pub(super) fn has(&self, section: &str) -> bool {
        self.sections.contains_key(section)
    }

    /// A value with all that it names put in; what cannot be resolved stays as it is written.
    pub(super) fn get(&self, section: &str, key: &str) -> Option<Value> {
        let value = self.raw(section, key)?;
        Some(Value { text: self.resolve(section, &value.text, DEPTH_MAX), place: value.place.clone() })
    }

    /// The value of the section itself, not one that it inherits.
    pub(super) fn own(&self, section: &str, key: &str) -> Option<&Value> {
        self.sections.get(section)?.get(key)
    }

    fn raw(&self, section: &str, key: &str) -> Option<&Value> {
        self.own(section, key).or_else(|| self.own(DEFAULT, key))
    }

    fn resolve(&self, section: &str, text: &str, depth: usize) -> String {
        let mut resolved = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("%(").filter(|_| depth > 0 && resolved.len() < VALUE_MAX) {
            let Some(end) = rest[at..].find(")s") else { break };
            let name = &rest[at + 2..at + end];
            resolved.push_str(&rest[..at]);
            match self.raw(section, &name.to_lowercase()) {
                _ if name == "__name__" => resolved.push_str(section),
                Some(value) => resolved.push_str(&self.resolve(section, &value.text, depth - 1)),
                None => resolved.push_str(&rest[at..at + end + 2]),
            }
            rest = &rest[at + end + 2..];
        }
        resolved.push_str(rest);
        // Values that name one another many times grow by powers.
        if resolved.len() > VALUE_MAX {
            let end = (0..=VALUE_MAX).rev().find(|at| resolved.is_char_boundary(*at)).unwrap_or(0);
            resolved.truncate(end);
        }
        resolved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ini(texts: &[&str]) -> Ini {
        let mut ini = Ini::default();
        for text in texts {
            assert_eq!(ini.lay(Path::new("jail.conf"), text), []);
        }
        ini
    }

    #[test]
    fn files_are_laid_over_one_another() {
        let ini = ini(&[
            "# a\n[DEFAULT]\nbantime = 10m ; short\nignoreip = 192.0.2.1\n    192.0.2.2\nport=smtp\n[dovecot]\nport: %(port)s,imap\n",
            "[DEFAULT]\nbantime=%(long)s\nlong = 1h\n[dovecot]\nenabled = true\n",
        ]);
        let get = |key| ini.get("dovecot", key).unwrap().text;
        assert_eq!((get("bantime"), get("ignoreip")), ("1h".to_owned(), "192.0.2.1\n192.0.2.2".to_owned()));
        assert_eq!(get("enabled"), "true");
        assert_eq!(ini.get("dovecot", "enabled").unwrap().place.to_string(), "jail.conf:5");
    }

    #[test]
    fn values_that_name_themselves_end() {
        let text = format!("[DEFAULT]\na = {}\nb = %(c)s\nc = %(b)s\n[x]\n", "%(a)s".repeat(100));
        let ini = ini(&[&text]);
        assert!(ini.get("x", "a").unwrap().text.len() <= VALUE_MAX);
        assert!(ini.get("x", "b").unwrap().text.len() < 10);
        let mut ini = Ini::default();
        assert_eq!(ini.lay(Path::new("x"), "a = 1\n[x]\nnonsense\n").len(), 2);
    }
}

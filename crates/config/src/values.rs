//! Values of the rules one by one: as they stand, where each comes from, and with some of them set elsewhere than in the
//! file.

use std::collections::BTreeMap;

use crate::keys;
use crate::load::resolve;
use crate::profile;
use crate::remark::Problems;
use crate::schema::{Absent, Outline, Row};
use crate::settings::Config;
use crate::tree::{self, Entry, Item, Table, Value};

/// The sections whose values can be set while the daemon runs, and apart from the file.
const SECTIONS: [&str; 7] = ["rule.NAME", "address", "familiar", "widen", "guard", "outbound", "diagnosis"];

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// The profile, or the key's own default.
    Profile,
    /// The file.
    File,
    /// It was set elsewhere.
    Set,
}

/// One value of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigValue {
    /// The whole key, such as `rule.login.threshold`.
    pub key: String,
    /// Its section, such as `rule.login`.
    pub section: String,
    /// Its name there.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What it takes, in words.
    pub takes: String,
    /// The value, as TOML; empty: none is set.
    pub value: String,
    /// What the profile has, as TOML; empty: nothing.
    pub default: String,
    /// Where the value comes from.
    pub source: ValueSource,
}

/// The parts of a whole key: a rule's name may have dots of its own.
fn path(key: &str) -> Option<Vec<&str>> {
    let (section, name) = key.rsplit_once('.')?;
    match section.split_once('.') {
        Some(("rule", rule)) if !rule.is_empty() => Some(vec!["rule", rule, name]),
        None if SECTIONS.contains(&section) => Some(vec![section, name]),
        _ => None,
    }
}

/// A value as TOML on one line.
fn written(item: &Item) -> String {
    match &item.value {
        Value::Table(table) => {
            let entries: Vec<String> =
                table.0.iter().map(|entry| format!("{} = {}", entry.key, written(&entry.item))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        _ => item.at.written().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// The documents that a configuration is made of.
struct Layers {
    profile: Table,
    file: Table,
    set: Table,
}

impl Layers {
    fn of(config: &Config, set: &BTreeMap<String, String>) -> Result<Layers, Problems> {
        let profile = profile::document(&config.policy.profile)?;
        let file = tree::parse(&config.origin.file, &config.origin.text)?;
        let below = profile.clone().under(file.clone());
        let mut tables = Table::default();
        for (key, value) in set {
            tables = tables.under(one(key, value, &below)?);
        }
        Ok(Layers { profile, file, set: tables })
    }

    fn whole(&self) -> Table {
        self.profile.clone().under(self.file.clone()).under(self.set.clone())
    }
}

/// A document with this one value.
fn one(key: &str, value: &str, below: &Table) -> Result<Table, Problems> {
    let path = path(key).ok_or_else(|| Problems::one(key, "is no value that can be set here".to_owned()))?;
    let not_toml = || {
        let message = "is not a TOML value: write 250, true, \"20m\" or [\"30m\", \"4h\"]".to_owned();
        Problems::one(key, message)
    };
    let mut item = tree::parse_value(key, value).ok_or_else(not_toml)?;
    // A table that is set is the whole table: what it does not name counts nothing.
    if let (Value::Table(table), Some(entry)) = (&mut item.value, below.find(&path))
        && let Value::Table(known) = &entry.item.value
    {
        let missing: Vec<&Entry> = known.0.iter().filter(|entry| table.get(&entry.key).is_none()).collect();
        let zeros = missing.into_iter().filter_map(|entry| {
            Some(Entry { key: entry.key.clone(), key_at: entry.key_at.clone(), item: tree::parse_value(key, "0")? })
        });
        table.0.extend(zeros.collect::<Vec<_>>());
    }
    let at = item.at.clone();
    let entry = |name: &str, item: Item| Entry { key: name.to_owned(), key_at: at.clone(), item };
    let whole = path.iter().rev().fold(None, |inner: Option<Item>, name| {
        let item = match inner {
            None => item.clone(),
            Some(item) => item,
        };
        Some(Item { at: at.clone(), value: Value::Table(Table(vec![entry(name, item)])) })
    });
    match whole.map(|item| item.value) {
        Some(Value::Table(table)) => Ok(table),
        _ => Err(not_toml()),
    }
}

fn default_of(row: &Row, in_profile: Option<&Entry>) -> String {
    match (in_profile, row.absent) {
        (Some(entry), _) => written(&entry.item),
        (None, Absent::Is(text)) => text.to_owned(),
        (None, Absent::Means(_) | Absent::Profile | Absent::Needed) => String::new(),
    }
}

fn rows(outline: &Outline, section: &str, at: &[&str], layers: &Layers, whole: &Table) -> Vec<ConfigValue> {
    let value = |row: &Row| {
        let path: Vec<&str> = at.iter().copied().chain([row.name]).collect();
        let source = match (layers.set.find(&path), layers.file.find(&path)) {
            (Some(_), _) => ValueSource::Set,
            (None, Some(_)) => ValueSource::File,
            (None, None) => ValueSource::Profile,
        };
        let default = default_of(row, layers.profile.find(&path));
        ConfigValue {
            key: format!("{section}.{}", row.name),
            section: section.to_owned(),
            name: row.name,
            meaning: row.meaning,
            takes: row.allowed.clone(),
            value: whole.find(&path).map_or_else(|| default.clone(), |entry| written(&entry.item)),
            default,
            source,
        }
    };
    outline.rows.iter().map(value).collect()
}

impl Config {
    /// The same file with these values set over it: whole keys, and values as TOML.
    ///
    /// # Errors
    /// A key that cannot be set, a value that makes no sense, or values that do not go together.
    pub fn with_values(&self, set: &BTreeMap<String, String>) -> Result<Config, Problems> {
        let layers = Layers::of(self, set)?;
        resolve(self.origin.clone(), None, layers.set)
    }

    /// Every value of the rules, with these set over the file.
    pub fn values(&self, set: &BTreeMap<String, String>) -> Vec<ConfigValue> {
        let Ok(layers) = Layers::of(self, set) else { return Vec::new() };
        let whole = layers.whole();
        let mut values = Vec::new();
        for outline in keys::outlines() {
            let title = outline.title.trim_matches(['[', ']']);
            if !SECTIONS.contains(&title) {
                continue;
            }
            if title != "rule.NAME" {
                values.extend(rows(&outline, title, &[title], &layers, &whole));
                continue;
            }
            let Some(Value::Table(rules)) = whole.get("rule").map(|entry| &entry.item.value) else { continue };
            for rule in &rules.0 {
                let section = format!("rule.{}", rule.key);
                values.extend(rows(&outline, &section, &["rule", &rule.key], &layers, &whole));
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_are_set_over_the_file() {
        let config = Config::from_toml("[rule.login]\nthreshold = 300\nperiod = \"30m\"\n", "fairban.toml").unwrap();
        let here = set(&[("rule.login.threshold", "400"), ("guard.enabled", "false")]);
        let changed = config.with_values(&here).unwrap();
        let rule = changed.policy.rules.iter().find(|rule| rule.name == "login").unwrap();
        assert_eq!((rule.threshold, rule.period.as_secs()), (400, 1800));
        assert!(changed.policy.guard.is_none() && config.policy.guard.is_some());
        let values = config.values(&here);
        let told = |key: &str| {
            let value = values.iter().find(|value| value.key == key).unwrap();
            (value.value.as_str(), value.default.as_str(), value.source)
        };
        assert_eq!(told("rule.login.threshold"), ("400", "250", ValueSource::Set));
        assert_eq!(told("rule.login.period"), ("\"30m\"", "\"20m\"", ValueSource::File));
        assert_eq!(told("rule.login.linger"), ("\"3h\"", "\"3h\"", ValueSource::Profile));
        assert_eq!(told("rule.relay.services").0, "\"all\"");
        assert_eq!(told("guard.enabled"), ("false", "true", ValueSource::Set));
        assert!(values.iter().all(|value| !value.key.starts_with("web.") && !value.key.starts_with("store.")));
    }

    #[test]
    fn every_value_can_be_set_to_what_it_is() {
        let config = Config::builtin();
        for value in config.values(&BTreeMap::new()).into_iter().filter(|value| !value.value.is_empty()) {
            let again = config.with_values(&set(&[(&value.key, &value.value)]));
            assert_eq!(again.map(|config| config.policy), Ok(config.policy.clone()), "{}", value.key);
        }
    }

    #[test]
    fn points_that_are_not_named_count_nothing() {
        let config = Config::builtin().with_values(&set(&[("rule.login.points", "{ login_failed = 10 }")])).unwrap();
        let points = &config.policy.rules[0].points;
        assert_eq!(points.iter().collect::<Vec<_>>(), [(fairban_types::EventKind::LoginFailed, 10)]);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let config = Config::builtin();
        for (key, value) in [
            ("rule.login.threshold", "many"),
            ("rule.login.threshold", "-1"),
            ("rule.login.threshold", "1\nperiod = \"1s\""),
            ("rule.login.nothing", "1"),
            ("rule.none.threshold", "1"),
            ("web.listen", "\"0.0.0.0:1\""),
            ("profile", "\"autoban\""),
            ("never", "[]"),
            ("", "1"),
        ] {
            assert!(config.with_values(&set(&[(key, value)])).is_err(), "{key} = {value}");
        }
    }
}

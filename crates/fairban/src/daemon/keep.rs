//! What the administrator's pages have the core keep: users and tokens, and values of rules.

use std::collections::BTreeMap;

use fairban_config::Config;
use fairban_store::{AuditEntry, Kept, Reader, StoreError};
use fairban_web::access::Change;
use fairban_web::admin::view::ChangedValue;

use super::core::{Core, now};
use crate::control::Reply;

/// Under which values of rules are kept, and the act of setting them.
const RULE: &str = "rule";
pub(super) const SET: &str = "set";

/// The values that were set apart from the configuration file.
pub(super) fn set_values(reader: &Reader) -> Result<BTreeMap<String, String>, StoreError> {
    Ok(reader.all_kept(RULE)?.into_iter().collect())
}

/// The configuration with what was set apart from its file. What no longer fits the file is left out, and said.
pub(super) fn with_set_values(mut config: Config, reader: &Reader) -> Result<Config, StoreError> {
    let set = set_values(reader)?;
    if set.is_empty() {
        return Ok(config);
    }
    match config.with_values(&set) {
        Ok(changed) => config.policy = changed.policy,
        Err(problems) => {
            tracing::error!(
                "the values of rules that were set in the browser do not fit the configuration file, which holds alone: {problems}"
            );
        }
    }
    Ok(config)
}

/// What is told of a change in the audit.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct SetDetail {
    pub(super) reason: String,
    pub(super) changed: Vec<ChangedValue>,
}

impl Core {
    /// Keeps texts, if what is there is what was thought to be.
    pub(super) fn keep(&mut self, change: Change) -> Reply {
        for entry in &change.entries {
            match self.store.kept(&entry.space, &entry.key) {
                Ok(present) if present == entry.before => {}
                Ok(_) => return Reply::NotInForce,
                Err(error) => return Reply::No(error.to_string()),
            }
        }
        let kept =
            change.entries.into_iter().map(|entry| Kept { space: entry.space, key: entry.key, value: entry.after });
        self.waiting.kept.extend(kept);
        if let Some((act, subject, detail)) = &change.audit {
            self.audit(&change.by, act, subject, detail);
        }
        Reply::Done(String::new())
    }

    /// Sets values of rules, all or none.
    pub(super) fn set(&mut self, settings: &[(String, Option<String>)], reason: &str, by: &str) -> Reply {
        let before = match set_values(&self.store) {
            Ok(before) => before,
            Err(error) => return Reply::No(error.to_string()),
        };
        let mut after = before.clone();
        for (key, value) in settings {
            match value {
                Some(value) => after.insert(key.clone(), value.clone()),
                None => after.remove(key),
            };
        }
        let changed = match self.config.with_values(&after) {
            Ok(changed) => changed,
            Err(problems) => return Reply::No(problems.to_string()),
        };
        let mut config = self.config.clone();
        config.policy = changed.policy;
        if let Err(error) = self.reconfigure(config) {
            return Reply::No(format!("{error:#}"));
        }
        let (was, is) = (self.config.values(&before), self.config.values(&after));
        let value = |values: &[fairban_config::ConfigValue], key: &str| {
            values.iter().find(|value| value.key == key).map_or_else(String::new, |value| value.value.clone())
        };
        let changed = settings.iter().map(|(key, _)| ChangedValue {
            key: key.clone(),
            before: before.get(key).cloned(),
            after: after.get(key).cloned(),
            value_before: value(&was, key),
            value_after: value(&is, key),
        });
        let detail = SetDetail { reason: reason.to_owned(), changed: changed.collect() };
        let keys: Vec<&str> = settings.iter().map(|(key, _)| key.as_str()).collect();
        self.waiting.kept.extend(settings.iter().map(|(key, value)| Kept {
            space: RULE.to_owned(),
            key: key.clone(),
            value: value.clone(),
        }));
        self.waiting.audit.push(AuditEntry {
            time: now(),
            actor: by.to_owned(),
            act: SET.to_owned(),
            subject: keys.join(", "),
            detail: serde_json::to_string(&detail).unwrap_or_default(),
        });
        Reply::Done(match keys.as_slice() {
            [one] => format!("{one} is in force as set"),
            many => format!("{} values are in force as set", many.len()),
        })
    }
}

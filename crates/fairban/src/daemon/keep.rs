//! What the administrator's pages have the core keep: users and tokens, and values of rules.

use std::collections::BTreeMap;

use fairban_config::Config;
use fairban_fleet::Told;
use fairban_store::{AuditEntry, Kept, Reader, StoreError};
use fairban_web::access::Change;
use fairban_web::admin::view::ChangedValue;

use super::core::{Core, now};
use super::fleet;
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

    /// Sets values of rules, all or none, here and on all nodes of the fleet.
    pub(super) fn set(&mut self, settings: &[(String, Option<String>)], reason: &str, by: &str) -> Reply {
        let changed = match self.put(settings) {
            Ok(changed) => changed,
            Err(error) => return Reply::No(error),
        };
        self.note_set(changed, reason, by);
        self.tell_values(settings, by, reason);
        Reply::Done(match settings {
            [(one, _)] => format!("{one} is in force as set"),
            many => format!("{} values are in force as set", many.len()),
        })
    }

    /// Has the values that are set be these. They go together, since one may not do without another; what does not fit
    /// this node's configuration file is left out, and said.
    pub(super) fn put_shared(&mut self, shared: Vec<(String, Option<String>, Told)>) {
        let here = match self.set_so_far() {
            Ok(here) => here,
            Err(error) => return tracing::error!(%error, "values of rules that were set elsewhere are not taken over"),
        };
        let is_news = |(key, value, _): &(String, Option<String>, Told)| here.get(key) != value.as_ref();
        let mut news: Vec<_> = shared.into_iter().filter(is_news).collect();
        if news.is_empty() {
            return;
        }
        let settings = |some: &[(String, Option<String>, Told)]| -> Vec<(String, Option<String>)> {
            some.iter().map(|(key, value, _)| (key.clone(), value.clone())).collect()
        };
        match self.put(&settings(&news)) {
            Ok(changed) => {
                for (changed, (.., told)) in changed.into_iter().zip(&news) {
                    self.note_set(vec![changed], &fleet::reason(told), &fleet::by(told));
                }
            }
            Err(_) => {
                for one in news.drain(..) {
                    match self.put(&settings(std::slice::from_ref(&one))) {
                        Ok(changed) => self.note_set(changed, &fleet::reason(&one.2), &fleet::by(&one.2)),
                        Err(problem) => tracing::error!(
                            key = one.0,
                            node = one.2.node,
                            "a value that was set elsewhere does not fit the rules here, which stay as they are: {problem}"
                        ),
                    }
                }
            }
        }
    }

    /// The values that are set, those included that wait to be stored.
    fn set_so_far(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let mut set = set_values(&self.store)?;
        for kept in self.waiting.kept.iter().filter(|kept| kept.space == RULE) {
            match &kept.value {
                Some(value) => set.insert(kept.key.clone(), value.clone()),
                None => set.remove(&kept.key),
            };
        }
        Ok(set)
    }

    /// Puts values in force and has them kept, all or none.
    fn put(&mut self, settings: &[(String, Option<String>)]) -> Result<Vec<ChangedValue>, String> {
        let before = self.set_so_far().map_err(|error| error.to_string())?;
        let mut after = before.clone();
        for (key, value) in settings {
            match value {
                Some(value) => after.insert(key.clone(), value.clone()),
                None => after.remove(key),
            };
        }
        let changed = self.config.with_values(&after).map_err(|problems| problems.to_string())?;
        let mut config = self.config.clone();
        config.policy = changed.policy;
        self.reconfigure(config).map_err(|error| format!("{error:#}"))?;
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
        self.waiting.kept.extend(settings.iter().map(|(key, value)| Kept {
            space: RULE.to_owned(),
            key: key.clone(),
            value: value.clone(),
        }));
        Ok(changed.collect())
    }

    /// Remembers who set values.
    fn note_set(&mut self, changed: Vec<ChangedValue>, reason: &str, by: &str) {
        let keys: Vec<&str> = changed.iter().map(|changed| changed.key.as_str()).collect();
        let subject = keys.join(", ");
        let detail = SetDetail { reason: reason.to_owned(), changed };
        self.waiting.audit.push(AuditEntry {
            time: now(),
            actor: by.to_owned(),
            act: SET.to_owned(),
            subject,
            detail: serde_json::to_string(&detail).unwrap_or_default(),
        });
    }
}

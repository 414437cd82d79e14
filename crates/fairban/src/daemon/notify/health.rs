//! Trouble of the daemon's parts, as it begins and ends.

use std::collections::BTreeMap;

use fairban_config::Occasion;

use super::happening::Happening;
use crate::control::Status;

/// What was wrong when it was looked last.
#[derive(Default)]
pub(super) struct Health {
    troubles: BTreeMap<(Occasion, String), String>,
    mended: Option<u64>,
}

fn troubles(status: &Status) -> BTreeMap<(Occasion, String), String> {
    let mut all = BTreeMap::new();
    for source in &status.sources {
        if let Some(problem) = &source.problem {
            all.insert((Occasion::SourceFailed, source.name.clone()), problem.clone());
        }
    }
    if let Some(error) = &status.enforcement.error {
        all.insert((Occasion::KernelTrouble, "kernel".to_owned()), format!("blocks are not in the kernel: {error}"));
    }
    if let Some(error) = &status.store.error {
        all.insert((Occasion::StoreTrouble, "store".to_owned()), format!("nothing can be stored: {error}"));
    }
    if let Some(problem) = status.fleet.as_ref().and_then(|fleet| fleet.problem.clone()) {
        all.insert((Occasion::FleetTrouble, "fleet".to_owned()), format!("this node goes on without it: {problem}"));
    }
    all
}

fn told(occasion: Occasion, subject: String, text: String, is_over: bool) -> Happening {
    Happening { occasion, subject, text, code: None, is_over, decision: None }
}

impl Health {
    /// What has changed since it was looked last.
    pub(super) fn changes(&mut self, status: &Status) -> Vec<Happening> {
        let now = troubles(status);
        let mut changes = Vec::new();
        for ((occasion, name), text) in now.iter().filter(|(key, _)| !self.troubles.contains_key(*key)) {
            changes.push(told(*occasion, name.clone(), format!("{name}: {text}"), false));
        }
        for (occasion, name) in self.troubles.keys().filter(|key| !now.contains_key(*key)) {
            changes.push(told(*occasion, name.clone(), format!("{name} is well again"), true));
        }
        self.troubles = now;
        let mended = status.enforcement.mended;
        if let Some(before) = self.mended.replace(mended).filter(|before| *before < mended) {
            let count = mended - before;
            let text = format!("somebody else changed the kernel's tables: {count} differences were mended");
            changes.push(told(Occasion::KernelTrouble, "kernel tables".to_owned(), text, false));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::SourceStatus;

    #[test]
    fn trouble_is_told_when_it_begins_and_when_it_ends() {
        let mut health = Health::default();
        let well = Status::default();
        let source = SourceStatus { name: "mail.log".into(), problem: Some("gone".into()), ..SourceStatus::default() };
        let mut ill = Status { sources: vec![source], ..Status::default() };
        ill.enforcement.mended = 3;
        let told = |changes: Vec<Happening>| -> Vec<(Occasion, bool)> {
            changes.iter().map(|one| (one.occasion, one.is_over)).collect()
        };
        assert_eq!(told(health.changes(&well)), []);
        let (source, kernel) = ((Occasion::SourceFailed, false), (Occasion::KernelTrouble, false));
        assert_eq!(told(health.changes(&ill)), [source, kernel]);
        assert_eq!(told(health.changes(&ill)), []);
        let mended = Status { enforcement: ill.enforcement.clone(), ..well };
        assert_eq!(told(health.changes(&mended)), [(Occasion::SourceFailed, true)]);
    }
}

//! How the daemon is, and what is wrong with it.

use std::time::Duration;

use super::now;
use super::serve::Daemon;
use crate::control::{AskingStatus, Enforcement, SourceStatus, Status, StoreStatus};

/// So long may sources stay silent before that is said.
const SILENCE: Duration = Duration::from_secs(60);
/// So many lines without one event are said to be strange.
const LINES_WITHOUT_EVENTS: u64 = 20;

/// Said when the operator wants blocks in the kernel and the machine does not allow it.
const CANNOT_ENFORCE: &str = "blocks are recorded but not enforced, since the kernel's tables may not be changed: run \
                              as root or with CAP_NET_ADMIN, or set [enforce] mode = \"observe\"";

impl Daemon {
    pub(super) fn status(&self) -> Status {
        let engine = self.core.engine.look();
        let policy = engine.policy();
        let enforcement = self.core.kernel.state();
        let store = self.store_status();
        let asking = self.asking.status(super::started());
        let sources = self.sources.status(|name| self.core.events_of(name));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.core.node.to_string(),
            started: super::started(),
            profile: policy.profile.clone(),
            mail_servers_ask: policy.mail_servers_ask,
            standing: engine.standing_len(),
            tracked: engine.tracked_len(),
            memory_bytes: engine.bytes(),
            memory_bytes_max: policy.memory_bytes_max,
            counts: self.core.counts,
            problems: self.problems(&enforcement, &store, &sources),
            warnings: self.warnings(&store, &sources, &asking),
            enforcement,
            store,
            asking,
            explainer: self.explaining.status(),
            portal: self.portal.as_ref().map(|portal| portal.local_addr().to_string()),
            sources,
            notify: self.notifier.as_ref().map(|notifier| notifier.status()).unwrap_or_default(),
            fleet: self.core.member.as_ref().map(|member| member.fleet.status()),
        }
    }

    fn store_status(&self) -> StoreStatus {
        let info = self.core.store.info();
        let error = self.core.store_error.clone().or_else(|| info.as_ref().err().map(ToString::to_string));
        let (events, bytes) = info.map_or((0, 0), |info| (info.events, info.bytes));
        let waiting = self.core.waiting.happenings.len();
        StoreStatus { path: self.store_path.clone(), events, bytes, waiting, error }
    }

    fn problems(&self, kernel: &Enforcement, store: &StoreStatus, sources: &[SourceStatus]) -> Vec<String> {
        let mut problems = Vec::new();
        if self.cannot_enforce {
            problems.push(CANNOT_ENFORCE.to_owned());
        }
        problems.extend(self.explaining.problem().map(str::to_owned));
        problems.extend(kernel.error.as_ref().map(|error| format!("blocks are not in the kernel: {error}")));
        problems.extend(
            store
                .error
                .as_ref()
                .map(|error| format!("nothing can be stored, blocks go on and wait in memory to be stored: {error}")),
        );
        problems.extend(self.reload_error.as_ref().map(|error| {
            format!("the configuration file was changed and is wrong, the old one stays in force: {error}")
        }));
        let fleet = self.core.member.as_ref().map(|member| member.fleet.status());
        problems.extend(
            fleet.and_then(|fleet| fleet.problem).map(|why| format!("this node goes on without its fleet: {why}")),
        );
        let failing = |source: &SourceStatus| source.problem.as_ref().map(|why| format!("{}: {why}", source.name));
        problems.extend(sources.iter().filter_map(failing));
        if sources.is_empty() {
            problems
                .push("no mail log was found here: name one with [[source]] file = \"/var/log/mail.log\"".to_owned());
        }
        problems
    }

    fn warnings(&self, store: &StoreStatus, sources: &[SourceStatus], asking: &[AskingStatus]) -> Vec<String> {
        let mut warnings: Vec<String> = self.core.config.warnings.iter().map(ToString::to_string).collect();
        warnings.extend(self.core.member.iter().flat_map(|member| member.fleet.status().warnings));
        let unasked =
            |one: &AskingStatus| one.problem.as_ref().map(|why| format!("{} at {}: {why}", one.server, one.listen));
        warnings.extend(asking.iter().filter_map(unasked));
        for told in self.notifier.iter().flat_map(|notifier| notifier.status()) {
            warnings.extend(told.problem.map(|why| format!("{}: notifications by {} fail: {why}", told.name, told.by)));
        }
        if self.asking.lost() > 0 {
            warnings
                .push(format!("{} reports of mail servers came faster than they could be stored", self.asking.lost()));
        }
        let lines: u64 = sources.iter().map(|source| source.lines).sum();
        let has_events = store.events > 0 || sources.iter().any(|source| source.events > 0);
        let is_silent = lines == 0 && now().since(super::started()) >= SILENCE;
        if has_events || sources.is_empty() {
            return warnings;
        }
        if lines >= LINES_WITHOUT_EVENTS {
            warnings.push(format!(
                "{lines} lines were read, but none told what a mail client did: are these the mail server's logs? \
                 `fairban parse FILE` shows how each line is read"
            ));
        } else if is_silent {
            warnings.push("no line was read yet: does the mail server write to the sources below?".to_owned());
        }
        for source in sources.iter().filter(|source| source.state == "waiting for the file") {
            warnings.push(format!("{} is not there yet: check its path", source.name));
        }
        warnings
    }
}

//! The daemon's part in a fleet: what the core decides is told, and what others decided is carried out by the core.

use std::collections::BTreeSet;
use std::time::Duration;

use fairban_config::Config;
use fairban_fleet::{Change, Confirmation, Failure, Fleet, Heard, Settings, Ticket, Told, Trust, Wish};
use fairban_store::{NeverChange, NeverEntry};
use fairban_types::{Action, Decision, Direction, Event, EventKind, Sender, Sending, Subject, Time, network_of};
use ipnet::IpNet;
use tokio::sync::mpsc::Receiver;

use super::core::{Core, now};
use super::kernel::Order;

/// The journal's name in the folder of the store.
const JOURNAL: &str = "fleet.journal";
/// What the names of values of rules begin with.
const RULE_VALUE: &str = "rule:";
/// How long a release waits for the other nodes before it says which it has not reached.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// This node's part in the fleet.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) fleet: Fleet,
    /// Rules whose blocks stay here.
    local_rules: BTreeSet<String>,
    /// Whether values of rules that are set in the browser are those of all nodes.
    shares_rules: bool,
}

/// How the fleet is joined by this configuration; `None`: it is not.
pub(crate) fn settings(config: &Config, node: &str) -> Option<Settings> {
    let fleet = &config.fleet;
    let url = fleet.url.as_ref()?.reveal();
    let policy = &config.policy;
    let period = policy.rules.iter().map(|rule| rule.period).max().unwrap_or_default();
    Some(Settings {
        password_file: fleet.password_file.clone(),
        authority: fleet.authority.clone(),
        name: fleet.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        trust: Trust {
            limited: fleet.limited.iter().cloned().collect(),
            blocks_per_minute: fleet.blocks_per_minute as usize,
        },
        takes_values: fleet.share_rules,
        count_for: period.max(Duration::from_secs(60)),
        familiar_for: policy.familiar.forget.max(Duration::from_secs(60)),
        ..Settings::new(url, node)
    })
}

/// Joins the fleet, if there is one. It is never waited for.
pub(crate) fn start(config: &Config, core: &mut Core, forgetful: bool) -> anyhow::Result<Option<Receiver<Heard>>> {
    let Some(settings) = settings(config, &core.node) else { return Ok(None) };
    let journal = (!forgetful).then(|| config.store.path.join(JOURNAL));
    let local_rules: BTreeSet<String> = config.fleet.local_rules.iter().cloned().collect();
    let mut standing = core.store.standing_with_evidence(now())?;
    standing.retain(|decision| !local_rules.contains(decision.origin.rule()));
    let (fleet, heard) = Fleet::start(Settings { journal, ..settings }, &standing)?;
    core.member = Some(Member { fleet, local_rules, shares_rules: config.fleet.share_rules });
    // What an earlier run took, but did not come to.
    core.take_values();
    Ok(Some(heard))
}

/// Waits until others have decided something; for ever, where there is no fleet.
pub(crate) async fn changed(member: Option<Member>) {
    match member {
        Some(member) => member.fleet.changed().await,
        None => std::future::pending().await,
    }
}

/// What others saw; never, where there is no fleet.
pub(crate) async fn hear(heard: &mut Option<Receiver<Heard>>) -> Heard {
    match heard {
        Some(inbox) => match inbox.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// Whom a wish has reached, in words.
pub(crate) fn in_words(confirmation: &Confirmation) -> String {
    let reached = confirmation.reached.join(", ");
    match confirmation.unreached.is_empty() {
        true => format!("; in effect on {reached}"),
        false => format!(
            "; in effect on {reached}, but NOT YET on {}: it follows as soon as they are reached",
            confirmation.unreached.join(", ")
        ),
    }
}

/// Who said so elsewhere, as it is stored and audited.
pub(super) fn by(told: &Told) -> String {
    match (told.by.as_str(), told.node.as_str()) {
        ("", "") => "the fleet".to_owned(),
        ("", node) => node.to_owned(),
        (by, _) => by.to_owned(),
    }
}

pub(super) fn reason(told: &Told) -> String {
    if told.node.is_empty() { told.reason.clone() } else { format!("{} (on {})", told.reason, told.node) }
}

impl Member {
    /// Tells what this node decided itself.
    pub(crate) fn tell(&self, decision: &Decision) {
        if !matches!(decision.action, Action::Block | Action::Guard)
            || self.local_rules.contains(decision.origin.rule())
        {
            return;
        }
        self.fleet.decided(decision);
        if decision.action == Action::Block {
            self.fleet.spend(&decision.subject);
        }
    }

    /// Tells that a subject was released here.
    pub(crate) fn released(&self, subject: &Subject, by: &str, reason: &str) -> Option<Ticket> {
        self.fleet.spend(subject);
        self.fleet.released(subject, Wish { by, reason })
    }
}

impl Core {
    /// Tells the others which values of rules were set here; the answer waits for them.
    pub(super) fn tell_values(&mut self, settings: &[(String, Option<String>)], by: &str, reason: &str) {
        let Some(member) = self.member.as_ref().filter(|member| member.shares_rules) else { return };
        for (key, value) in settings {
            let wish = Wish { by, reason };
            self.ticket = member.fleet.value(&format!("{RULE_VALUE}{key}"), value.as_deref(), wish);
        }
    }

    /// Has the rules agree with the values that were set on any node.
    pub(crate) fn take_values(&mut self) {
        let Some(member) = self.member.clone().filter(|member| member.shares_rules) else { return };
        let of_rule = |(name, value, told): (String, Option<String>, Told)| {
            Some((name.strip_prefix(RULE_VALUE)?.to_owned(), value, told))
        };
        self.put_shared(member.fleet.values().into_iter().filter_map(of_rule).collect());
    }

    /// Tells the others of a failure that counted here.
    pub(crate) fn tell_failure(&self, event: &Event<'_>) {
        let Some(member) = &self.member else { return };
        let (home, neighbourhood) = {
            let engine = self.engine.look();
            let policy = engine.policy();
            let home = network_of(event.client, policy.address.ipv4_prefix, policy.address.ipv6_prefix);
            let wide = policy.widen.as_ref();
            (home, wide.map(|widen| network_of(event.client, widen.ipv4_prefix, widen.ipv6_prefix)))
        };
        member.fleet.count(Failure { event: event.clone().into_owned(), home, neighbourhood });
    }

    /// Tells the others that an account has signed in from somewhere.
    pub(crate) fn tell_familiar(&self, account: &str, client: std::net::IpAddr, last: Time) {
        let Some(member) = &self.member else { return };
        let address = self.engine.look().policy().address;
        let home = network_of(client, address.ipv4_prefix, address.ipv6_prefix);
        member.fleet.greet(account, client, home, last);
    }

    /// Carries out what others decided.
    pub(crate) fn take_from_fleet(&mut self) {
        let Some(member) = self.member.clone() else { return };
        self.is_foreign = true;
        let mut has_values = false;
        for change in member.fleet.take() {
            has_values |= matches!(change, Change::Value { .. });
            self.take_change(change);
        }
        if has_values {
            self.take_values();
        }
        self.is_foreign = false;
    }

    fn take_change(&mut self, change: Change) {
        match change {
            Change::Block { mut decision, node } => {
                if node != *self.node && !decision.reason.contains("; decided by ") {
                    decision.reason = format!("{}; decided by {node}", decision.reason);
                }
                if let (Subject::Network(net), true, Some(member)) =
                    (&decision.subject, decision.spares_familiar, &self.member)
                {
                    member.fleet.ask(*net);
                }
                self.change(|engine, now, out| engine.impose(now, *decision, out));
            }
            Change::Lift { subject, by: told } => {
                let (by, reason) = (by(&told), reason(&told));
                self.change(|engine, now, out| engine.lift(now, &subject, &by, &reason, out));
            }
            Change::Release { subject, by: told } => {
                let (by, reason) = (by(&told), reason(&told));
                self.release_everywhere_here(&subject, &by, &reason);
                self.audit(&by, "release", &subject.to_string(), &reason);
            }
            Change::LetOut { code, subject, by: told } => {
                let (by, reason) = (by(&told), reason(&told));
                self.change(|engine, now, out| engine.let_out(now, code, &subject, &by, &reason, out));
                // As the portal's own releases, so that they count against the same limits.
                self.audit(&by, "release", &subject.to_string(), &told.reason);
            }
            Change::Never { net, listed, until, by: told } => self.take_never(net, listed, until, &told),
            Change::Value { .. } => {}
        }
    }

    /// Releases a subject, and with an account what it sends.
    pub(crate) fn release_everywhere_here(&mut self, subject: &Subject, by: &str, reason: &str) -> usize {
        let mut count = self.change(|engine, now, out| engine.unblock(now, subject, by, reason, out));
        if let Subject::Account(name) = subject {
            let sending = Sending { sender: Sender::Account(name.clone()), direction: Direction::Both };
            let sending = Subject::Sending(sending);
            count += self.change(|engine, now, out| engine.unblock(now, &sending, by, reason, out));
        }
        count
    }

    fn take_never(&mut self, net: IpNet, listed: bool, until: Option<Time>, told: &Told) {
        let (by, reason) = (by(told), reason(told));
        if listed {
            self.kernel.tell(Order::Never { net, add: true });
            self.change(|engine, now, out| engine.never_add(now, net, &by, out));
            self.audit(&by, "never_add", &net.to_string(), &reason);
            self.waiting.never.push(NeverChange::Add(NeverEntry { net, reason, by, added: now(), until }));
            return;
        }
        let is_own = self.config.policy.never.iter().any(|entry| entry.trunc() == net)
            || super::restore::own_networks().contains(&net);
        if !is_own && self.engine.change().never_remove(net) {
            self.kernel.tell(Order::Never { net, add: false });
        }
        self.waiting.never.push(NeverChange::Remove(net));
        self.audit(&by, "never_remove", &net.to_string(), &reason);
    }

    /// Takes what other nodes saw of those who failed here.
    pub(crate) fn hear_from_fleet(&mut self, heard: &Heard) {
        for (account, client, last) in &heard.familiar {
            self.engine.change().learn_familiar(now(), account, *client, *last);
        }
        for (number, event) in &heard.failures {
            if !self.was_released_after(event) {
                self.change(|engine, now, out| engine.hear(now, event, *number, out));
            }
        }
    }

    /// A release forgets events, on whichever node.
    fn was_released_after(&self, event: &Event<'_>) -> bool {
        let Some(member) = &self.member else { return false };
        let account = event.account.as_deref().map(|name| Subject::Account(name.trim().to_lowercase()));
        let subjects = std::iter::once(Subject::address(event.client)).chain(account);
        subjects.filter_map(|subject| member.fleet.released_at(&subject)).any(|at| at >= event.time)
    }
}

/// Whether others should hear of an event that counted here.
pub(crate) fn is_shared(event: &Event<'_>) -> bool {
    event.kind != EventKind::LoginSucceeded && event.kind != EventKind::MessageSent
}

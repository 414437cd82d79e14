//! What the engine promises, with explicit times.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod blocks;
mod default_profile;
mod fleet;
mod live;
mod outbound;
mod properties;
mod published;
mod restart;
mod scenarios;
mod sending;

use std::net::IpAddr;
use std::time::Duration;

use fairban_config::Config;
use fairban_engine::{Engine, Outcome};
use fairban_types::{Action, Decision, Event, EventKind, Service, SignIn, Time, Verdict};

/// An engine with a clock and a memory of what it decided.
struct Lab {
    engine: Engine,
    now: Time,
    decisions: Vec<Decision>,
}

impl Lab {
    fn new(profile: &str, asks: bool) -> Self {
        let config = Config::builtin().with_profile(profile).unwrap();
        let mut policy = config.policy;
        policy.mail_servers_ask = asks;
        Lab { engine: Engine::new(policy), now: Time::from_secs(1_800_000_000), decisions: Vec::new() }
    }

    fn wait(&mut self, secs: u64) -> &mut Self {
        self.now = self.now.after(Duration::from_secs(secs));
        self.engine.advance(self.now, &mut self.decisions);
        self
    }

    fn step(&mut self, event: &Event<'_>) -> Outcome {
        self.engine.step(self.now, event, &mut self.decisions)
    }

    fn event(&self, kind: EventKind, from: &str) -> Event<'static> {
        Event::new(kind, self.now, from.parse().unwrap(), Service::Imap)
    }

    fn wrong(&mut self, from: &str, account: &'static str, digest: &str) -> Outcome {
        let event = self.event(EventKind::LoginFailed, from).account(account);
        let event = if digest.is_empty() { event } else { event.digest(digest.to_owned()) };
        self.step(&event)
    }

    fn good(&mut self, from: &str, account: &'static str) -> Outcome {
        let event = self.event(EventKind::LoginSucceeded, from).account(account);
        self.step(&event)
    }

    fn smtp(&mut self, kind: EventKind, from: &str) -> Outcome {
        let mut event = self.event(kind, from);
        event.service = Service::Smtp;
        self.step(&event)
    }

    fn may(&self, from: &str, account: Option<&str>) -> bool {
        let client: IpAddr = from.parse().unwrap();
        self.engine.verdict(self.now, &SignIn { client, account, service: Service::Imap }) == Verdict::Allow
    }

    fn blocks(&self) -> Vec<String> {
        let begun = self.decisions.iter().filter(|decision| decision.action == Action::Block);
        begun.map(|decision| format!("{} {}", decision.subject, decision.origin.rule())).collect()
    }
}

//! What people wish of the daemon, carried out by the core.

use std::time::Duration;

use fairban_engine::Refusal;
use fairban_store::{NeverChange, NeverEntry};
use fairban_types::{Code, Subject, format_duration};
use ipnet::IpNet;

use crate::control::{Reply, Request, Scored};
use crate::daemon::core::{Core, now, scored_address};
use crate::daemon::kernel::Order;

impl Core {
    /// Carries out a wish of somebody. The answer may be given once the core has committed and the kernel is in step.
    pub(crate) fn carry_out(&mut self, request: Request, by: &str) -> Reply {
        match request {
            Request::Block { subject, seconds, reason } => self.block(subject, seconds, &reason, by),
            Request::Unblock { subject, reason } => self.unblock(&subject, &reason, by),
            Request::NeverAdd { net, reason, seconds } => self.never_add(net, reason, seconds, by),
            Request::NeverRemove { net } => self.never_remove(net, by),
            Request::Scores { subject } => Reply::Scores(self.scores(&subject)),
            _ => Reply::Wrong("this is not the core's to answer".to_owned()),
        }
    }

    fn scores(&self, subject: &Subject) -> Vec<Scored> {
        let Some(address) = scored_address(subject) else { return Vec::new() };
        let scores = self.engine.scores(now(), address).into_iter();
        scores.map(|s| Scored { rule: s.rule, score: s.score, threshold: s.threshold, events: s.events }).collect()
    }

    fn block(&mut self, subject: Subject, seconds: Option<u64>, reason: &str, by: &str) -> Reply {
        let until = seconds.map(|seconds| now().after(Duration::from_secs(seconds)));
        let name = subject.to_string();
        let done = self.change(|engine, now, out| engine.block(now, subject, until, by, reason, out));
        match done {
            Ok(code) => {
                let time = seconds.map_or("permanently".to_owned(), |seconds| {
                    format!("for {}", format_duration(Duration::from_secs(seconds)))
                });
                self.audit(by, "block", &name, &format!("{time}: {reason}"));
                Reply::Done(format!("{name} is blocked {time}. Reference {code}"))
            }
            Err(Refusal::NeverBlock) => Reply::No(format!(
                "{name} is on the never-block list, which wins. Take it off first: fairban never remove"
            )),
        }
    }

    fn unblock(&mut self, text: &str, reason: &str, by: &str) -> Reply {
        let subject = match self.named(text) {
            Ok(subject) => subject,
            Err(reply) => return reply,
        };
        let count = self.change(|engine, now, out| engine.unblock(now, &subject, by, reason, out));
        self.audit(by, "release", &subject.to_string(), reason);
        match count {
            0 => Reply::No(format!("{subject} is not blocked; what was held against it is forgotten")),
            1 => Reply::Done(format!("{subject} is released, and the events behind it are forgotten")),
            count => Reply::Done(format!("{count} blocks of {subject} are released, and their events forgotten")),
        }
    }

    /// A subject by its own name or by a block's code.
    fn named(&self, text: &str) -> Result<Subject, Reply> {
        if let Ok(code) = text.parse::<Code>()
            && let Ok(Some(decision)) = self.store.decision(code)
        {
            return Ok(decision.subject);
        }
        text.parse().map_err(|error| Reply::Wrong(format!("{error}, nor the code of a block")))
    }

    fn never_add(&mut self, net: IpNet, reason: String, seconds: Option<u64>, by: &str) -> Reply {
        let net = net.trunc();
        let until = seconds.map(|seconds| now().after(Duration::from_secs(seconds)));
        // In the kernel first: from here on nothing of it is dropped.
        self.kernel.tell(Order::Never { net, add: true });
        let before = self.counts.releases;
        let is_new = self.change(|engine, now, out| engine.never_add(now, net, by, out));
        let lifted = self.counts.releases - before;
        self.audit(by, "never_add", &net.to_string(), &reason);
        let entry = NeverEntry { net, reason, by: by.to_owned(), added: now(), until };
        self.waiting.never.push(NeverChange::Add(entry));
        let was = if is_new { "is now" } else { "was already" };
        let wide = net.prefix_len() < if net.addr().is_ipv4() { 16 } else { 32 };
        let warning = if wide { "  This is a very wide range." } else { "" };
        Reply::Done(format!("{net} {was} on the never-block list; {lifted} blocks lifted.{warning}"))
    }

    fn never_remove(&mut self, net: IpNet, by: &str) -> Reply {
        let net = net.trunc();
        if self.config.policy.never.iter().any(|entry| entry.trunc() == net) {
            return Reply::No(format!("{net} is in the configuration file: take it out there, then reload"));
        }
        if super::restore::own_networks().contains(&net) {
            return Reply::No(format!("{net} is this machine's own and stays on the never-block list"));
        }
        if !self.engine.never_remove(net) {
            return Reply::No(format!("{net} is not on the never-block list"));
        }
        self.kernel.tell(Order::Never { net, add: false });
        self.waiting.never.push(NeverChange::Remove(net));
        self.audit(by, "never_remove", &net.to_string(), "");
        Reply::Done(format!("{net} is no longer on the never-block list"))
    }

    /// Takes off the list what was only for a time.
    pub(crate) fn end_never(&mut self) -> Result<(), fairban_store::StoreError> {
        let kept: Vec<IpNet> = self.store.never(now())?.into_iter().map(|entry| entry.net).collect();
        let own = super::restore::own_networks();
        let configured = &self.config.policy.never;
        let over: Vec<IpNet> = self.engine.never().into_iter().filter(|net| {
            !kept.contains(net) && !own.contains(net) && !configured.iter().any(|entry| entry.trunc() == *net)
        }).collect();
        for net in over {
            self.engine.never_remove(net);
            self.kernel.tell(Order::Never { net, add: false });
            self.waiting.never.push(NeverChange::Remove(net));
        }
        Ok(())
    }
}

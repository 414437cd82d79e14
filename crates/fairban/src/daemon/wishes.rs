//! What people wish of the daemon, carried out by the core.

use std::collections::HashSet;
use std::time::Duration;

use fairban_engine::Refusal;
use fairban_store::{NeverChange, NeverEntry, StoreError};
use fairban_types::{Code, Direction, Sender, Sending, Subject, format_duration};
use fairban_web::portal::{Owner, Release};
use ipnet::IpNet;

use crate::control::{Known, MANY_MAX, Never, Reply, Request, Scored};
use crate::daemon::core::{Core, now, scored_address};
use crate::daemon::house::audited;
use crate::daemon::kernel::Order;

impl Core {
    /// Carries out a wish of somebody. The answer may be given once the core has committed and the kernel is in step.
    pub(crate) fn carry_out(&mut self, request: Request, by: &str) -> Reply {
        match request {
            Request::Block { subject, seconds, reason } => self.block(subject, seconds, &reason, by),
            Request::Unblock { subject, reason } => self.unblock(&subject, &reason, by),
            Request::NeverAdd { net, reason, seconds } => self.never_add(net, reason, seconds, by),
            Request::NeverRemove { net } => self.never_remove(net, by),
            Request::SendBlockAdd { sending, reason, seconds } => self.send_block(sending, seconds, &reason, by),
            Request::SendBlockRemove { sender, reason } => self.send_unblock(&sender, &reason, by),
            Request::LetOut { code, subject, account, client } => {
                self.let_out(&Release { code, subject, owner: Owner { account, client } }, by)
            }
            Request::FleetAccept { node } => self.accept_held_back(&node, by),
            Request::Release { subject, reason } => self.release(&subject, &reason, by),
            Request::Keep(change) => self.keep(*change),
            Request::Set { settings, reason } => self.set(&settings, &reason, by),
            Request::Config => Reply::Config(Box::new(self.config.clone())),
            Request::Many(requests) => self.carry_out_many(requests, by),
            Request::NeverList => self.never_list().map_or_else(|error| Reply::No(error.to_string()), Reply::NeverList),
            Request::Known { subject } => self
                .known(&subject)
                .map_or_else(|error| Reply::No(error.to_string()), |known| Reply::Known(Box::new(known))),
            _ => Reply::Wrong("this is not the core's to answer".to_owned()),
        }
    }

    fn carry_out_many(&mut self, requests: Vec<Request>, by: &str) -> Reply {
        let is_allowed = |request: &Request| matches!(request, Request::Block { .. } | Request::NeverAdd { .. });
        if requests.len() > MANY_MAX || !requests.iter().all(is_allowed) {
            return Reply::Wrong(format!("at most {MANY_MAX} blocks and never-block entries at once"));
        }
        Reply::Many(requests.into_iter().map(|request| self.carry_out(request, by)).collect())
    }

    fn known(&self, subject: &Subject) -> Result<Known, StoreError> {
        let mut never = self.never_list()?;
        let net = match subject {
            Subject::Network(net) | Subject::Pair(_, net) => Some(*net),
            Subject::Account(_) | Subject::Sending(_) => None,
        };
        never.retain(|entry| net.is_some_and(|net| entry.net.contains(&net)));
        let kernel = self.kernel.state();
        Ok(Known {
            scores: self.scores(subject),
            never,
            enforcing: !kernel.is_observing() && kernel.error.is_none(),
            mail_servers_ask: self.engine.look().policy().mail_servers_ask,
            courtesy: self.engine.look().policy().courtesy_interval,
        })
    }

    /// What people added, what the configuration file holds, and this machine's own networks.
    fn never_list(&self) -> Result<Vec<Never>, StoreError> {
        let unnamed = |by: &str, reason: &str| {
            let (by, reason) = (by.to_owned(), reason.to_owned());
            move |net: IpNet| Never { net, reason: reason.clone(), by: by.clone(), added: None, until: None }
        };
        let added = self.store.never(now())?.into_iter().map(|entry| Never {
            net: entry.net,
            reason: entry.reason,
            by: entry.by,
            added: Some(entry.added),
            until: entry.until,
        });
        let configured = self.config.policy.never.iter().map(IpNet::trunc);
        let own = super::restore::own_networks().into_iter();
        let list = added
            .chain(configured.map(unnamed("configuration", "")))
            .chain(own.map(unnamed("this machine", "its own address, or loopback")));
        Ok(list.collect())
    }

    fn scores(&self, subject: &Subject) -> Vec<Scored> {
        let Some(address) = scored_address(subject) else { return Vec::new() };
        let scores = self.engine.look().scores(now(), address).into_iter();
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
            Err(Refusal::NeverBlock) => Reply::No(self.exempt(&name)),
        }
    }

    fn send_block(&mut self, sending: Sending, seconds: Option<u64>, reason: &str, by: &str) -> Reply {
        match self.block(Subject::Sending(sending), seconds, reason, by) {
            Reply::Done(text) if self.config.postfix.listen.is_none() => Reply::Done(format!(
                "{text}. But no mail server asks here: set [postfix] listen, and see `fairban setup`"
            )),
            reply => reply,
        }
    }

    fn send_unblock(&mut self, sender: &Sender, reason: &str, by: &str) -> Reply {
        let mut count = 0;
        for direction in Direction::ALL {
            let subject = Subject::Sending(Sending { sender: sender.clone(), direction: *direction });
            let released = self.change(|engine, now, out| engine.unblock(now, &subject, by, reason, out));
            self.tell_release(&subject, by, reason);
            if released > 0 {
                self.audit(by, "release", &subject.to_string(), reason);
            }
            count += released;
        }
        match count {
            0 => Reply::No(format!("sending by {sender} is not blocked: `fairban send-block list` shows what is")),
            _ => Reply::Done(format!("{sender} may send again")),
        }
    }

    /// Why a subject cannot be blocked, and what to do.
    fn exempt(&self, name: &str) -> String {
        let net = name.parse::<Subject>().ok().and_then(|subject| subject.network());
        let list = self.never_list().unwrap_or_default();
        let entry = list.into_iter().find(|entry| net.is_some_and(|net| entry.net.contains(&net)));
        let Some(Never { net, by, .. }) = entry else {
            return format!("{name} is on the never-block list, which wins");
        };
        let cure = match by.as_str() {
            "this machine" => "nothing can block it".to_owned(),
            "configuration" => "take it out of the configuration file and reload first".to_owned(),
            _ => format!("take it off first: fairban never remove {net}"),
        };
        format!("{name} is not blocked: {net} is on the never-block list (by {by}), which wins; {cure}")
    }

    fn unblock(&mut self, text: &str, reason: &str, by: &str) -> Reply {
        let subject = match self.named(text) {
            Ok(subject) => subject,
            Err(reply) => return reply,
        };
        self.release(&subject, reason, by)
    }

    /// Releases this very subject.
    fn release(&mut self, subject: &Subject, reason: &str, by: &str) -> Reply {
        let count = self.release_everywhere_here(subject, by, reason);
        self.tell_release(subject, by, reason);
        self.audit(by, "release", &subject.to_string(), reason);
        match count {
            0 => Reply::No(format!("{subject} is not blocked; what was held against it is forgotten")),
            1 => Reply::Done(format!("{subject} is released, and the events behind it are forgotten")),
            count => Reply::Done(format!("{count} blocks of {subject} are released, and their events forgotten")),
        }
    }

    /// Lets an owner out of this one block.
    fn let_out(&mut self, release: &Release, by: &str) -> Reply {
        // Releases are counted by what is stored.
        if let Some(error) = &self.store_error {
            return Reply::No(format!("nothing can be stored, so no owner is let out: {error}"));
        }
        let Release { code, subject, .. } = release;
        let reason = "its owner asked for it in the portal";
        if !self.change(|engine, now, out| engine.let_out(now, *code, subject, by, reason, out)) {
            return Reply::NotInForce;
        }
        let entry = audited(release);
        if let Some(member) = &self.member {
            let wish = fairban_fleet::Wish { by, reason: &entry.detail };
            self.ticket = member.fleet.let_out(*code, subject, wish);
            member.fleet.spend(subject);
        }
        self.waiting.audit.push(entry);
        Reply::Done(format!("{subject} is let out of {code}"))
    }

    fn accept_held_back(&mut self, node: &str, by: &str) -> Reply {
        let Some(member) = self.member.clone() else {
            return Reply::No("this node is in no fleet: set [fleet] url, or `fairban fleet join`".to_owned());
        };
        self.ticket = member.fleet.accept(node, fairban_fleet::Wish { by, reason: "" });
        self.take_from_fleet();
        self.audit(by, "fleet_accept", node, "");
        Reply::Done(format!("the blocks by {node} that were held back are let through"))
    }

    /// Tells the fleet of a release, whose answer waits for the other nodes.
    fn tell_release(&mut self, subject: &Subject, by: &str, reason: &str) {
        if let Some(member) = &self.member {
            self.ticket = member.released(subject, by, reason);
        }
    }

    /// A subject by its own name or by a block's code.
    fn named(&self, text: &str) -> Result<Subject, Reply> {
        if let Ok(code) = text.parse::<Code>()
            && let Ok(Some(decision)) = self.store.decision(code)
        {
            return Ok(decision.subject);
        }
        text.parse().map_err(|error| Reply::Wrong(format!("{error}, nor the reference of a block")))
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
        if let Some(member) = &self.member {
            self.ticket = member.fleet.never(net, true, until, fairban_fleet::Wish { by, reason: &reason });
        }
        let entry = NeverEntry { net, reason, by: by.to_owned(), added: now(), until };
        self.waiting.never.push(NeverChange::Add(entry));
        let was = if is_new { "is now" } else { "was already" };
        let lifted = match lifted {
            0 => "no block was lifted".to_owned(),
            1 => "1 block was lifted".to_owned(),
            count => format!("{count} blocks were lifted"),
        };
        let time = seconds
            .map_or_else(String::new, |seconds| format!(" for {}", format_duration(Duration::from_secs(seconds))));
        let is_wide = net.prefix_len() < if net.addr().is_ipv4() { 16 } else { 32 };
        let warning =
            if is_wide { ". This is a very wide network: whoever attacks from it is not stopped" } else { "" };
        Reply::Done(format!("{net} {was} on the never-block list{time}; {lifted}{warning}"))
    }

    fn never_remove(&mut self, net: IpNet, by: &str) -> Reply {
        let net = net.trunc();
        if self.config.policy.never.iter().any(|entry| entry.trunc() == net) {
            return Reply::No(format!("{net} is in the configuration file: take it out there, then reload"));
        }
        if super::restore::own_networks().contains(&net) {
            return Reply::No(format!("{net} is this machine's own and stays on the never-block list"));
        }
        if !self.engine.change().never_remove(net) {
            return Reply::No(format!("{net} is not on the never-block list"));
        }
        self.kernel.tell(Order::Never { net, add: false });
        self.waiting.never.push(NeverChange::Remove(net));
        self.audit(by, "never_remove", &net.to_string(), "");
        if let Some(member) = &self.member {
            self.ticket = member.fleet.never(net, false, None, fairban_fleet::Wish { by, reason: "" });
        }
        Reply::Done(format!("{net} is no longer on the never-block list"))
    }

    /// Keeps the never-block list in step: entries whose time is over leave it, and addresses that this machine got
    /// meanwhile come onto it.
    pub(crate) fn refresh_never(&mut self) -> Result<(), StoreError> {
        let own = super::restore::own_networks();
        let stored = self.store.never(now())?.into_iter().map(|entry| entry.net);
        let wanted: HashSet<IpNet> =
            stored.chain(self.config.policy.never.iter().map(IpNet::trunc)).chain(own.iter().copied()).collect();
        let known: HashSet<IpNet> = self.engine.look().never().into_iter().collect();
        for net in known.difference(&wanted) {
            self.engine.change().never_remove(*net);
            self.kernel.tell(Order::Never { net: *net, add: false });
            self.waiting.never.push(NeverChange::Remove(*net));
        }
        for net in own.into_iter().filter(|net| !known.contains(net)) {
            self.kernel.tell(Order::Never { net, add: true });
            self.change(|engine, now, out| engine.never_add(now, net, "this machine", out));
        }
        Ok(())
    }
}

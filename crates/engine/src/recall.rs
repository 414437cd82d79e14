//! Remembering what an earlier run knew, from what it stored.

use std::net::IpAddr;

use fairban_types::{Action, Decision, Event, EventKind, Sender, Subject, SubjectKind};
use ipnet::IpNet;

use crate::address::Address;
use crate::engine::{Engine, Seen};
use crate::entry::SPENT;
use crate::familiar::Familiarity;
use crate::hash;
use crate::ladder::Offence;
use crate::outbound;
use crate::score::record_key;

/// What became of a stored event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recalled {
    /// It was scored, or repeated what was.
    Counted,
    /// It was held against a familiar pair alone, or came from a never-block address.
    Spared,
    /// It was refused.
    Stopped,
    /// It was only noted.
    Noted,
}

impl Engine {
    /// Takes in an event that an earlier run has stepped, in the order in which it was; nothing is decided again.
    /// `outcome` is what became of it then.
    pub fn recall_event(&mut self, event: &Event<'_>, outcome: Recalled) {
        self.now = self.now.max(event.time);
        let prepared = Engine::prepare(event);
        let account = prepared.account;
        let tries = self.witnesses.fresh(event, prepared).max(1);
        if outcome == Recalled::Stopped {
            return;
        }
        if outbound::concerns(event.kind) && account != 0 && self.hear_sent(event, account).is_some() {
            self.outbound.accept(account, event.time);
        }
        let is_familiar = outcome == Recalled::Spared;
        let seen = Seen { is_familiar, ..self.see(event, prepared, tries) };
        if event.kind == EventKind::LoginSucceeded {
            self.succeeded(seen);
            return;
        }
        if outcome == Recalled::Noted || !self.rules.scores(event.kind) || self.standing.is_exempt(prepared.client) {
            return;
        }
        for subject in crate::rules::SUBJECTS {
            self.enter(subject, seen);
        }
    }

    /// Takes in a decision that an earlier run has made, in order among the events: a block's window is spent, a
    /// release forgets.
    pub fn recall_decision(&mut self, decision: &Decision) {
        self.now = self.now.max(decision.time);
        self.follow_from(decision);
    }

    /// What a decision has done to the windows of its subject.
    pub(crate) fn follow_from(&mut self, decision: &Decision) {
        let home = |net: &IpNet| Address::from(net.addr()).subject(self.rules.policy.address);
        let key = match &decision.subject {
            Subject::Network(net) => home(net),
            Subject::Account(name) => record_key(SubjectKind::Account, hash::account(name), 0),
            Subject::Pair(name, net) => record_key(SubjectKind::Pair, hash::account(name), home(net)),
            Subject::Sending(sending) => return self.recall_sending(&sending.sender, decision.action),
        };
        let Some(slot) = self.records.find(key) else { return };
        match decision.action {
            Action::Block => self.records.get_mut(slot).entries.iter_mut().for_each(|entry| entry.flags |= SPENT),
            Action::Release => {
                let (slot, _, entries) = self.records.forget(slot);
                self.unindex(slot, &entries);
            }
            Action::Guard | Action::Expire => {}
        }
    }

    fn recall_sending(&mut self, sender: &Sender, action: Action) {
        let Sender::Account(name) = sender else { return };
        match action {
            Action::Block => self.outbound.spend(hash::account(name)),
            Action::Release => self.outbound.forgive(hash::account(name), self.now),
            Action::Guard | Action::Expire => {}
        }
    }

    /// Puts a stored block or guard in force again.
    pub fn restore_standing(&mut self, decision: &Decision) {
        self.hold(decision);
    }

    /// Remembers a stored offence.
    pub fn restore_offence(&mut self, subject: &Subject, offence: Offence) {
        self.offences.set(hash::text(&subject.to_string(), 0), offence);
    }

    /// Remembers a stored familiar pair: the account and an address of the network.
    pub fn restore_familiar(&mut self, account: &str, client: IpAddr, known: Familiarity) {
        let place = self.place(client.into());
        self.familiar.restore(hash::account(account), place, known, &self.rules.policy.familiar);
    }

    /// What is known of an account at the network of an address, to be stored.
    pub fn familiarity(&self, account: &str, client: IpAddr) -> Option<Familiarity> {
        self.familiar.get(hash::account(account), client.into(), &self.rules.policy.familiar)
    }

    /// The offences of a subject so far, to be stored with a block of it.
    pub fn offence(&self, subject: &Subject) -> Option<Offence> {
        self.offences.get(hash::text(&subject.to_string(), 0))
    }
}

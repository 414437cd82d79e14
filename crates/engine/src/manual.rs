//! What people decide: blocks, releases, the never-block list, a new policy.

use fairban_types::{
    Action, Code, Decision, Diagnosis, Direction, Effect, Origin, Policy, Sender, Sending, Subject, Time,
};
use ipnet::IpNet;

use crate::address::Address;
use crate::engine::{Engine, ending};
use crate::entry::FORGIVEN;
use crate::hash;
use crate::rules::Rules;
use crate::standing::Place;

/// Why a person's wish was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The whole subject is on the never-block list, which wins.
    NeverBlock,
}

impl Engine {
    /// Blocks a subject by hand, until a time or for ever.
    pub fn block(
        &mut self,
        now: Time,
        subject: Subject,
        until: Option<Time>,
        by: &str,
        reason: &str,
        out: &mut Vec<Decision>,
    ) -> Result<Code, Refusal> {
        self.advance(now, out);
        if subject.network().is_some_and(|net| self.standing.is_exempt_network(net)) {
            return Err(Refusal::NeverBlock);
        }
        let in_kernel = subject.network().is_some();
        let effect = match subject {
            Subject::Sending(_) => Effect::Soft,
            Subject::Network(_) | Subject::Account(_) | Subject::Pair(..) => Effect::Drop,
        };
        let decision = Decision {
            code: Code::default(),
            time: self.now,
            action: Action::Block,
            subject,
            origin: Origin::Manual(by.to_owned()),
            reason: reason.to_owned(),
            score: 0,
            threshold: 0,
            until,
            effect,
            diagnosis: Diagnosis::Manual,
            offence: 0,
            spares_familiar: false,
            in_kernel,
            holes: Vec::new(),
            events: Vec::new(),
        };
        Ok(self.decide(decision, out))
    }

    /// Releases a subject: its own block, blocks inside it, and its share of wider ones. The events behind are
    /// forgotten, and the offence is taken back. Returns how many blocks were touched.
    pub fn unblock(&mut self, now: Time, subject: &Subject, by: &str, reason: &str, out: &mut Vec<Decision>) -> usize {
        self.advance(now, out);
        let before = out.len();
        let subject = &self.scored_subject(subject);
        let mut places = match subject {
            Subject::Network(net) => {
                let inside = self.standing.inside(*net).into_iter().map(Place::Network);
                inside.chain(self.standing.pairs_of(None, Some(*net))).collect()
            }
            Subject::Account(name) => {
                let account = hash::account(name);
                self.pardon_account(account);
                let mut places = self.standing.pairs_of(Some(account), None);
                places.push(Place::Account(account));
                places
            }
            Subject::Pair(..) => vec![Place::of(subject)],
            Subject::Sending(sending) => {
                if let Sender::Account(name) = &sending.sender {
                    self.outbound.forgive(hash::account(name), self.now);
                }
                sending_places(sending)
            }
        };
        places.dedup();
        for place in places {
            if let Some((subject, held)) = self.standing.release(place) {
                if held.offence > 0 {
                    self.offences.take_back(hash::text(&subject.to_string(), 0));
                }
                out.push(ending(Action::Release, self.now, subject, held, Some((by, reason))));
            }
        }
        if let Subject::Network(net) = subject {
            self.punch(*net, out);
            self.forget_inside(*net);
        }
        out.len() - before
    }

    /// What is narrower than a subject is scored is released as that subject.
    fn scored_subject(&self, subject: &Subject) -> Subject {
        match subject {
            Subject::Network(net) => {
                let scored = self.subject_net(net.addr().into());
                Subject::Network(if scored.contains(net) { scored } else { *net })
            }
            other => other.clone(),
        }
    }

    /// Takes the network out of every wider block.
    fn punch(&mut self, net: IpNet, out: &mut Vec<Decision>) {
        loop {
            let wider = self
                .standing
                .find_covering(net.addr().into(), |held| !held.holes.iter().any(|hole| hole.contains(&net)));
            let Some((subject, held)) = wider.filter(|(wide, _)| wide.contains(&net)) else { return };
            let mut holes = held.holes.to_vec();
            holes.push(net);
            let reason = format!("{net} was released from it");
            self.renew(Subject::Network(subject), &reason, out, |renewed| renewed.holes = holes);
        }
    }

    /// Forgets every score inside the network.
    pub(crate) fn forget_inside(&mut self, net: IpNet) {
        let of_one_subject = self.subject_net(net.addr().into()).contains(&net);
        let slots = if of_one_subject {
            self.records.find(Address::from(net.addr()).subject(self.rules.policy.address)).into_iter().collect()
        } else {
            self.records.inside(net)
        };
        for slot in slots {
            let (slot, _, entries) = self.records.forget(slot);
            self.unindex(slot, &entries);
        }
    }

    /// Takes back what was held against the account.
    fn pardon_account(&mut self, account: u64) {
        for slot in self.by_account.of(account).to_vec() {
            for entry in &mut self.records.get_mut(slot).entries {
                if entry.account == account {
                    entry.flags |= FORGIVEN;
                }
            }
        }
    }

    /// Says whether mail servers ask before a sign-in. Those that do also report how it went.
    pub fn set_mail_servers_ask(&mut self, asks: bool) {
        self.rules.policy.mail_servers_ask = asks;
        if asks {
            self.witnesses.expect_reports();
        }
    }

    /// The never-block list.
    pub fn never(&self) -> Vec<IpNet> {
        self.standing.never()
    }

    /// Adds to the never-block list; blocks that it covers are lifted at once. Returns whether it was new.
    pub fn never_add(&mut self, now: Time, net: IpNet, by: &str, out: &mut Vec<Decision>) -> bool {
        let is_new = self.standing.never_add(net);
        self.advance(now, out);
        let inside = self.standing.inside(net.trunc()).into_iter().map(Place::Network);
        for place in inside.chain(self.standing.pairs_of(None, Some(net.trunc()))).collect::<Vec<_>>() {
            if let Some((subject, held)) = self.standing.release(place) {
                out.push(ending(Action::Release, self.now, subject, held, Some((by, "on the never-block list"))));
            }
        }
        self.forget_inside(net);
        is_new
    }

    /// Takes from the never-block list. Returns whether it was there.
    pub fn never_remove(&mut self, net: IpNet) -> bool {
        self.standing.never_remove(net)
    }

    /// Puts another policy in force; scores, blocks and history stay. The policy's never-block list replaces the one
    /// in force.
    pub fn reconfigure(&mut self, now: Time, policy: Policy, out: &mut Vec<Decision>) {
        let never: Vec<IpNet> = policy.never.iter().map(IpNet::trunc).collect();
        self.rules = Rules::new(policy);
        self.records.set_entries_max(self.rules.entries_max);
        for net in self.never() {
            if !never.contains(&net) {
                self.never_remove(net);
            }
        }
        for net in never {
            if !self.never().contains(&net) {
                self.never_add(now, net, "configuration", out);
            }
        }
    }
}

/// Where blocks of a sender are kept; either way means every way.
fn sending_places(sending: &Sending) -> Vec<Place> {
    let place = |direction| Place::of(&Subject::Sending(Sending { direction, ..sending.clone() }));
    match sending.direction {
        Direction::Both => Direction::ALL.iter().copied().map(place).collect(),
        direction => vec![place(direction)],
    }
}

//! Several addresses of one network: the block widens to the network.

use fairban_types::{Action, Code, Decision, Effect, Evidence, Origin, Subject, format_duration, network_of};

use crate::address::network_from_bits;
use crate::engine::{Engine, Seen};
use crate::entry::{Entry, FAMILIAR, FORGIVEN};
use crate::familiar::NEIGHBOURS_MAX;

/// The name of the rule in receipts.
pub(crate) const WIDEN: &str = "widen";

/// How much more evidence is awaited where people sign in from the same network.
const INHABITED_FACTOR: u32 = 3;

impl Engine {
    /// Blocks the client's wider network if enough of its addresses have failed. Addresses that people sign in from
    /// are left alone.
    pub(crate) fn consider_widening(&mut self, seen: Seen<'_>, out: &mut Vec<Decision>) {
        let Some(policy) = &self.rules.policy.widen else { return };
        let members = self.by_network.of(seen.place.neighbourhood);
        if members.len() < policy.addresses as usize {
            return;
        }
        // What of their entries is too old or forgiven is looked at only if they are enough.
        let entries = members.iter().map(|slot| self.records.get(*slot).entries.as_slice());
        if entries.map(tries).sum::<u32>() < policy.failures {
            return;
        }
        let policy = policy.clone();
        let net = network_of(seen.place.client.ip(), policy.ipv4_prefix, policy.ipv6_prefix);
        let start = self.now.before(policy.period).millis();
        let mut addresses = 0;
        let mut failed: Vec<&Entry> = Vec::new();
        for slot in members {
            let before = failed.len();
            for entry in &self.records.get(*slot).entries {
                let counts = entry.time > start
                    && entry.kind.is_login_failure()
                    && !entry.is(FAMILIAR | FORGIVEN)
                    && net.contains(&entry.client());
                if counts {
                    failed.push(entry);
                }
            }
            addresses += u32::from(failed.len() > before);
        }
        let neighbours = self.familiar.neighbours(seen.place.neighbourhood, self.now, &self.rules.policy.familiar);
        // Where nobody asks, who lives there but has not signed in lately could not be spared.
        if !neighbours.is_empty() && !self.rules.policy.mail_servers_ask {
            return;
        }
        let factor = if neighbours.is_empty() { 1 } else { INHABITED_FACTOR };
        let failures: u32 = failed.iter().map(|entry| u32::from(entry.tries)).sum();
        if addresses < policy.addresses * factor
            || failures < policy.failures * factor
            || neighbours.len() >= NEIGHBOURS_MAX
        {
            return;
        }
        let mut events: Vec<Evidence> = failed.iter().map(|entry| entry.evidence(u32::from(entry.tries))).collect();
        events.sort_by_key(|evidence| evidence.event.time);
        let diagnosis = self.diagnosed(&events);
        let address = self.rules.policy.address;
        let holes =
            neighbours.iter().map(|home| network_from_bits(*home, address.ipv4_prefix, address.ipv6_prefix)).collect();
        let subject = Subject::Network(net);
        let offence = self.climb(&subject, diagnosis, policy.ladder.forget);
        self.decide(
            Decision {
                code: Code::default(),
                time: self.now,
                action: Action::Block,
                subject,
                origin: Origin::Rule(WIDEN.to_owned()),
                reason: format!(
                    "{} addresses of one network failed {} times within {}",
                    policy.addresses * factor,
                    policy.failures * factor,
                    format_duration(policy.period)
                ),
                score: failures,
                threshold: policy.failures * factor,
                until: policy.ladder.time(offence).map(|time| self.now.after(time)),
                effect: Effect::Drop,
                diagnosis,
                offence,
                spares_familiar: self.rules.policy.mail_servers_ask,
                in_kernel: true,
                holes,
                events,
            },
            out,
        );
    }
}

/// The tries of all failed sign-ins among the entries.
fn tries(entries: &[Entry]) -> u32 {
    entries.iter().filter(|entry| entry.kind.is_login_failure()).map(|entry| u32::from(entry.tries)).sum()
}

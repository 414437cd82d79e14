//! What other rules would have decided: the stored events of the last days, through two engines.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use fairban_engine::{Engine, Familiarity};
use fairban_store::{Reader, RecallItem, StoreError};
use fairban_types::{Action, Decision, Event, EventKind, Policy, Subject, Time};
use fairban_web::admin::view::{WhatIf, WhatIfRow};

use super::now;

/// More events are not replayed: the latest are.
const EVENTS_MAX: u64 = 500_000;
/// Accounts that are told for each who would be blocked or freed.
const ACCOUNTS_MAX: usize = 20;

/// What one engine decided about a subject.
#[derive(Clone)]
struct Sum {
    times: u64,
    secs: Option<u64>,
    decision: Decision,
}

/// An engine, and what it decided.
struct Side {
    engine: Engine,
    sums: BTreeMap<Subject, Sum>,
    out: Vec<Decision>,
    blocks: u64,
}

impl Side {
    fn new(policy: Policy, reader: &Reader, begin: Time) -> Result<Side, StoreError> {
        let asks = policy.mail_servers_ask;
        let mut engine = Engine::new(policy);
        engine.set_mail_servers_ask(asks);
        let forget = engine.policy().familiar.forget;
        // What was familiar before; what became so in these days is learned by the replay itself.
        reader.familiar(|known| {
            if known.first < begin && now().since(known.last) <= forget {
                let known_as =
                    Familiarity { first: known.first, last: known.last.min(begin), successes: known.successes };
                engine.restore_familiar(&known.account, known.net.addr(), known_as);
            }
        })?;
        Ok(Side { engine, sums: BTreeMap::new(), out: Vec::new(), blocks: 0 })
    }

    fn step(&mut self, event: &Event<'_>) {
        self.engine.advance(event.time, &mut self.out);
        self.engine.step(event.time, event, &mut self.out);
        for decision in self.out.drain(..) {
            if !matches!(decision.action, Action::Block | Action::Guard) {
                continue;
            }
            self.blocks += 1;
            let secs = decision.until.map(|until| until.since(decision.time).as_secs());
            match self.sums.get_mut(&decision.subject) {
                Some(sum) => {
                    sum.times += 1;
                    sum.secs = sum.secs.zip(secs).map(|(sum, more)| sum + more);
                }
                None => {
                    let sum = Sum { times: 1, secs, decision: Decision { events: Vec::new(), ..decision.clone() } };
                    self.sums.insert(decision.subject, sum);
                }
            }
        }
    }
}

/// Who signed in from where.
#[derive(Default)]
struct SignIns(HashMap<std::net::IpAddr, HashSet<String>>);

impl SignIns {
    fn note(&mut self, event: &Event<'_>) {
        if let Some(account) = event.account.as_deref().filter(|_| event.kind == EventKind::LoginSucceeded) {
            let accounts = self.0.entry(event.client).or_default();
            if accounts.len() < ACCOUNTS_MAX {
                accounts.insert(account.trim().to_lowercase());
            }
        }
    }

    fn of(&self, subject: &Subject) -> Vec<String> {
        let mut accounts: Vec<String> = match subject {
            Subject::Network(net) => {
                let inside = self.0.iter().filter(|(client, _)| net.contains(*client));
                inside.flat_map(|(_, accounts)| accounts.iter().cloned()).collect()
            }
            Subject::Account(account) | Subject::Pair(account, _) => {
                let signs_in = self.0.values().any(|accounts| accounts.contains(account));
                signs_in.then(|| account.clone()).into_iter().collect()
            }
            Subject::Sending(_) => Vec::new(),
        };
        accounts.sort_unstable();
        accounts.dedup();
        accounts.truncate(ACCOUNTS_MAX);
        accounts
    }
}

fn row(sum: &Sum, sign_ins: &SignIns) -> WhatIfRow {
    WhatIfRow {
        subject: sum.decision.subject.clone(),
        times: sum.times,
        secs: sum.secs,
        diagnosis: sum.decision.diagnosis,
        rule: sum.decision.origin.rule().to_owned(),
        accounts: sign_ins.of(&sum.decision.subject),
    }
}

/// Those of one side that the other has not, those with sign-ins first.
fn only(these: &Side, others: &Side, sign_ins: &SignIns) -> Vec<WhatIfRow> {
    let missing = these.sums.iter().filter(|(subject, _)| !others.sums.contains_key(subject));
    let mut rows: Vec<WhatIfRow> = missing.map(|(_, sum)| row(sum, sign_ins)).collect();
    rows.sort_by_key(|row| (row.accounts.is_empty(), row.subject.clone()));
    rows
}

/// Replays the last days with both policies.
pub(super) fn replay(reader: &Reader, present: Policy, other: Policy, days: u32) -> Result<WhatIf, StoreError> {
    let begin = now().before(Duration::from_secs(u64::from(days) * 86_400));
    let first_seq = reader.info()?.seq.saturating_sub(i64::try_from(EVENTS_MAX).unwrap_or(i64::MAX));
    let (mut one, mut two) = (Side::new(present, reader, begin)?, Side::new(other, reader, begin)?);
    // The last event that is left out may be one of these days.
    let is_cut = reader.event(first_seq)?.is_some_and(|last| last.stored.event.time >= begin);
    let (mut sign_ins, mut events) = (SignIns::default(), 0);
    reader.recall_after(first_seq, begin, |item| {
        let RecallItem::Event { stored, .. } = item else { return };
        events += 1;
        sign_ins.note(&stored.event);
        one.step(&stored.event);
        two.step(&stored.event);
    })?;
    let (newly, freed) = (only(&two, &one, &sign_ins), only(&one, &two, &sign_ins));
    let with_sign_ins = |rows: &[WhatIfRow]| rows.iter().filter(|row| !row.accounts.is_empty()).count() as u64;
    Ok(WhatIf {
        problems: Vec::new(),
        days,
        events,
        is_cut,
        blocks_now: one.blocks,
        blocks_then: two.blocks,
        newly_with_sign_ins: with_sign_ins(&newly),
        freed_with_sign_ins: with_sign_ins(&freed),
        newly,
        freed,
    })
}

//! Whether an account sends far more than it should, and the block that follows.

use std::time::Duration;

use fairban_types::{
    Action, Code, Decision, Diagnosis, Direction, Effect, Event, EventKind, Evidence, Origin, OutboundPolicy, Sender,
    Sending, Subject, Time, format_duration,
};

use crate::engine::{Engine, Outcome};
use crate::habit::{Habit, day_of};
use crate::hash::{self, AccountId};
use crate::outbound::{Heard, Outgoing, is_bounce};

/// The name of the rule in receipts.
pub(crate) const OUTBOUND: &str = "outbound";

const DAY: Duration = Duration::from_secs(86_400);
/// How many times what is never blocked in a period is never blocked in a day.
const DAY_FACTOR: u32 = 5;
/// A message has unusually many recipients if it has more than this,
const FAN_OUT_MIN: u32 = 20;
/// and more than so many times the account's usual most.
const FAN_OUT_FACTOR: u32 = 4;
/// So many bounces are many,
const BOUNCES_MIN: u64 = 20;
/// if they are at least one in so many recipients.
const BOUNCES_SHARE: u64 = 10;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Recipients,
    Messages,
    Daily,
}

/// What is known of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// What it usually sends.
    Habit,
    /// That it is new, on a server that knows its accounts.
    Newcomer,
    /// Nothing: the server itself is new here.
    Nothing,
}

/// A limit that was exceeded.
struct Excess {
    measure: Measure,
    score: u32,
    limit: u32,
    usual: u32,
    known: Known,
    signs: Vec<String>,
}

impl Engine {
    /// What became of something that an account sent, where more is to be said than that it was noted.
    pub(crate) fn sent(&mut self, event: &Event<'_>, account: AccountId, out: &mut Vec<Decision>) -> Option<Outcome> {
        let name = event.account.as_deref().filter(|_| account != 0)?;
        if event.kind == EventKind::MessageSent
            && let Some(code) = self.sending_block(self.now, name)
        {
            return Some(Outcome::Stopped(code));
        }
        match self.hear_sent(event, account)? {
            Heard::Told => return Some(Outcome::Duplicate),
            Heard::Past => return None,
            Heard::Present => {}
        }
        let at = event.time.min(self.now);
        let policy = self.rules.policy.outbound.as_ref()?;
        // Too late for a block: it is over.
        let is_over = self.now.since(at) > policy.period;
        match self.excess(account, at, policy).filter(|_| !is_over) {
            None => self.outbound.accept(account, at),
            Some(excess) => self.stop_sending(name, account, &excess, out),
        }
        None
    }

    /// Takes in what was sent or came back. `None`: that is not looked at, or no more is to be done about it.
    pub(crate) fn hear_sent(&mut self, event: &Event<'_>, account: AccountId) -> Option<Heard> {
        let policy = self.rules.policy.outbound.as_ref()?;
        let at = event.time.min(self.now);
        if is_bounce(event.kind) {
            self.outbound.bounced(event, account, at, policy);
            return None;
        }
        Some(self.outbound.hear(event, account, at, self.now, policy))
    }

    fn excess(&self, account: AccountId, at: Time, policy: &OutboundPolicy) -> Option<Excess> {
        let outgoing = self.outbound.get(account)?;
        let (sum, daily) = (outgoing.present.window.sum(), outgoing.present.daily.sum());
        // Whoever has not sent even this is not looked at further.
        let floor = u64::from(policy.floor.min(policy.recipients_max).min(policy.messages_max));
        if sum.recipients.max(sum.messages) <= floor && daily.recipients <= floor * u64::from(DAY_FACTOR) {
            return None;
        }
        let known = self.known(&outgoing.habit, at, policy);
        let signs = if known == Known::Habit { self.signs(outgoing, account, at) } else { Vec::new() };
        let habit = &outgoing.habit;
        let today = day_of(at);
        let measures = [
            (Measure::Recipients, sum.recipients, habit.recipients),
            (Measure::Messages, sum.messages, habit.messages),
            (Measure::Daily, daily.recipients, habit.daily),
        ];
        measures.into_iter().find_map(|(measure, score, peak)| {
            let (score, usual) = (u32::try_from(score).unwrap_or(u32::MAX), peak.usual(today));
            let limit = limit(measure, known, usual, signs.len(), policy);
            let limit = limit.saturating_mul(1 << outgoing.patience(at));
            let signs = signs.clone();
            (score > limit).then_some(Excess { measure, score, limit, usual, known, signs })
        })
    }

    fn known(&self, habit: &Habit, at: Time, policy: &OutboundPolicy) -> Known {
        let is_learned = |since: Time| at.since(since) >= policy.learn;
        match self.outbound.since {
            _ if is_learned(habit.first) => Known::Habit,
            Some(since) if is_learned(since) => Known::Newcomer,
            _ => Known::Nothing,
        }
    }

    /// Signs that an account is in other hands.
    fn signs(&self, outgoing: &Outgoing, account: AccountId, at: Time) -> Vec<String> {
        let mut signs = Vec::new();
        let familiar = &self.rules.policy.familiar;
        let stranger = outgoing.recent.iter().rev().map(|entry| entry.client()).find(|client| {
            let known = self.familiar.get(account, (*client).into(), familiar);
            known.is_some_and(|known| at.since(known.first) < DAY)
        });
        if let Some(client) = stranger {
            signs.push(format!("first sign-in from the network of {client} within the last day"));
        }
        let (most, usual) = (outgoing.present.fan_out, outgoing.habit.fan_out.usual(day_of(at)));
        if most > FAN_OUT_MIN.max(usual.saturating_mul(FAN_OUT_FACTOR)) {
            signs.push(format!("{} recipients of one message, where {} are its most", grouped(most), grouped(usual)));
        }
        let sum = outgoing.present.window.sum();
        if sum.bounces >= BOUNCES_MIN && sum.bounces * BOUNCES_SHARE >= sum.recipients {
            signs.push(format!("{} recipients that do not exist", sum.bounces));
        }
        signs
    }

    fn stop_sending(&mut self, name: &str, account: AccountId, excess: &Excess, out: &mut Vec<Decision>) {
        let Some(policy) = self.rules.policy.outbound.clone() else { return };
        let sender = Sender::Account(hash::lower(name.trim()).into_owned());
        let subject = Subject::Sending(Sending { sender, direction: Direction::Outbound });
        let offence = self.climb(&subject, Diagnosis::SpamRun, policy.ladder.forget);
        let events = self.outbound.get(account).map(|outgoing| receipt_events(outgoing, excess)).unwrap_or_default();
        self.outbound.spend(account);
        self.decide(
            Decision {
                code: Code::default(),
                time: self.now,
                action: Action::Block,
                subject,
                origin: Origin::Rule(OUTBOUND.to_owned()),
                reason: excess.in_words(&policy),
                score: excess.score,
                threshold: excess.limit,
                until: policy.ladder.time(offence).map(|time| self.now.after(time)),
                effect: Effect::Soft,
                diagnosis: Diagnosis::SpamRun,
                offence,
                spares_familiar: false,
                in_kernel: false,
                holes: Vec::new(),
                events,
            },
            out,
        );
    }

    /// What an account usually sends, to be stored.
    pub fn sending_habit(&self, account: &str) -> Option<Habit> {
        self.outbound.get(hash::account(account)).map(|outgoing| outgoing.habit)
    }

    /// Remembers a stored habit.
    pub fn restore_habit(&mut self, account: &str, habit: Habit) {
        self.outbound.restore(hash::account(account), habit);
    }

    /// The habits that are worth storing anew since this was last asked, by account in lower case: once for each day on
    /// which the account sent anything.
    pub fn take_changed_habits(&mut self) -> Vec<(String, Habit)> {
        self.outbound.take_changed()
    }
}

fn limit(measure: Measure, known: Known, usual: u32, signs: usize, policy: &OutboundPolicy) -> u32 {
    let (ceiling, of_day) = match measure {
        Measure::Recipients => (policy.recipients_max, 1),
        Measure::Messages => (policy.messages_max, 1),
        Measure::Daily => (policy.recipients_max.saturating_mul(24), DAY_FACTOR),
    };
    let floor = policy.floor.saturating_mul(of_day);
    let normal = usual.saturating_mul(policy.normal_factor);
    let limit = match known {
        Known::Habit => normal.max(floor),
        Known::Newcomer => normal.max(policy.newcomer.saturating_mul(of_day)),
        Known::Nothing => u32::MAX,
    };
    // What is usual is no abuse, whatever the signs say.
    let tightened = limit.checked_shr(u32::try_from(signs).unwrap_or(u32::MAX)).unwrap_or(0);
    tightened.max(usual.saturating_add(usual / 2)).max(floor).min(ceiling)
}

impl Excess {
    fn in_words(&self, policy: &OutboundPolicy) -> String {
        let (what, within) = match self.measure {
            Measure::Recipients => ("recipients", policy.period),
            Measure::Messages => ("messages", policy.period),
            Measure::Daily => ("recipients", DAY),
        };
        let usual = match self.known {
            Known::Habit => format!("this account's usual most is {}", grouped(self.usual)),
            Known::Newcomer => "this account has no history yet".to_owned(),
            Known::Nothing => "no account may send more".to_owned(),
        };
        let signs = match self.signs.as_slice() {
            [] => String::new(),
            signs => format!("; signs of a stolen account: {}", signs.join(", ")),
        };
        let (score, limit, within) = (grouped(self.score), grouped(self.limit), format_duration(within));
        format!("{score} {what} within {within}; {usual}; limit {limit}{signs}")
    }
}

/// The latest messages, oldest first; what they leave of the score is told with the oldest.
fn receipt_events(outgoing: &Outgoing, excess: &Excess) -> Vec<Evidence> {
    let mut left = excess.score;
    let mut events = Vec::new();
    for entry in outgoing.recent.iter().rev() {
        let points = if excess.measure == Measure::Messages { 1 } else { u32::from(entry.tries) }.min(left);
        if points > 0 {
            left -= points;
            events.push(entry.evidence(points));
        }
    }
    events.reverse();
    if let Some(oldest) = events.first_mut() {
        oldest.points += left;
        oldest.seen = oldest.seen.saturating_add(left);
    }
    events
}

/// `1240` as `1,240`.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairban_types::Ladder;

    fn policy() -> OutboundPolicy {
        OutboundPolicy {
            period: Duration::from_secs(3600),
            recipients_max: 5000,
            messages_max: 2000,
            normal_factor: 10,
            floor: 200,
            newcomer: 500,
            learn: 7 * DAY,
            ladder: Ladder { steps: vec![DAY], then_permanent: false, forget: DAY },
        }
    }

    #[test]
    fn limits() {
        use Known::{Newcomer, Nothing};
        use Measure::{Daily, Messages, Recipients};
        for (measure, known, usual, signs, expected) in [
            (Recipients, Known::Habit, 0, 0, 200),
            (Recipients, Known::Habit, 20, 0, 200),
            (Recipients, Known::Habit, 20, 3, 200),
            (Recipients, Known::Habit, 100, 0, 1000),
            (Recipients, Known::Habit, 100, 1, 500),
            (Recipients, Known::Habit, 100, 3, 200),
            (Recipients, Known::Habit, 3000, 0, 5000),
            (Recipients, Known::Habit, 3000, 3, 4500),
            (Messages, Known::Habit, 300, 0, 2000),
            (Daily, Known::Habit, 20, 0, 1000),
            (Daily, Known::Habit, 72_000, 0, 120_000),
            (Recipients, Newcomer, 0, 0, 500),
            (Recipients, Nothing, 0, 0, 5000),
            (Daily, Nothing, 0, 0, 120_000),
        ] {
            let limit = limit(measure, known, usual, signs, &policy());
            assert_eq!(limit, expected, "{measure:?} {known:?} {usual} {signs}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1240, "1,240"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}

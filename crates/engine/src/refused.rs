//! Tries that a block refuses: they are stopped, and tell that the attack goes on.

use std::borrow::Cow;

use fairban_types::{Decision, Event, EventKind, SubjectKind, Witness};

use crate::engine::Engine;
use crate::prepared::Prepared;
use crate::rules;
use crate::standing::Held;

/// What matters of the block that refuses.
#[derive(Clone, Copy)]
pub(crate) enum Refusing {
    /// It guards an account.
    Guard,
    /// It goes on after the last refused try.
    Lingering,
    /// It is of an account at an address.
    Pair,
    /// It is none of these.
    Plain,
}

impl Refusing {
    pub(crate) fn of(held: &Held) -> Self {
        match held {
            held if held.is_guard => Refusing::Guard,
            held if !held.linger.is_zero() => Refusing::Lingering,
            held if held.subject == SubjectKind::Pair => Refusing::Pair,
            _ => Refusing::Plain,
        }
    }
}

/// Whether a mail server reports that it has refused a sign-in because Fairban said so. That is worth no points.
pub(crate) fn is_own_refusal(event: &Event<'_>) -> bool {
    event.kind == EventKind::LoginRefused && event.witness == Witness::Report
}

impl Engine {
    /// What follows from a try that was refused. A live report calls it a refusal, a log a failure.
    pub(crate) fn refused(
        &mut self,
        refusing: Refusing,
        event: &Event<'_>,
        prepared: Prepared,
        tries: u32,
        out: &mut Vec<Decision>,
    ) {
        let failed;
        let (event, prepared) = match is_own_refusal(event) {
            true => {
                failed = Event { kind: EventKind::LoginFailed, witness: Witness::Report, ..borrowed(event) };
                (&failed, Engine::prepare(&failed))
            }
            false if event.kind.is_login_failure() => (event, prepared),
            false => return,
        };
        let seen = self.see(event, prepared, tries);
        match refusing {
            Refusing::Guard => self.prolong_guard(seen, out),
            Refusing::Lingering => self.linger(seen, out),
            // Locked out of one account, who goes on trying is still guessing.
            Refusing::Pair if !self.standing.is_exempt(prepared.client) => {
                self.score(seen, &rules::SUBJECTS[..1], out);
            }
            Refusing::Pair | Refusing::Plain => {}
        }
    }
}

/// The same event, its texts not copied.
fn borrowed<'e>(event: &'e Event<'_>) -> Event<'e> {
    let text = |text: &'e Option<Cow<'_, str>>| text.as_deref().map(Cow::Borrowed);
    Event {
        count: event.count,
        account: text(&event.account),
        digest: text(&event.digest),
        session: text(&event.session),
        program: text(&event.program),
        method: text(&event.method),
        reason: text(&event.reason),
        ..Event::new(event.kind, event.time, event.client, event.service)
    }
}

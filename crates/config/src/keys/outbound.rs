use std::time::Duration;

use fairban_types::{Ladder, OutboundPolicy};

use super::Switched;
use crate::schema::{Absent, Section};
use crate::takes;

pub(super) fn blank() -> Switched<OutboundPolicy> {
    let ladder = Ladder { steps: Vec::new(), then_permanent: false, forget: Duration::ZERO };
    let policy = OutboundPolicy {
        period: Duration::ZERO,
        recipients_max: 0,
        messages_max: 0,
        normal_factor: 0,
        floor: 0,
        newcomer: 0,
        learn: Duration::ZERO,
        ladder,
    };
    Switched { enabled: false, policy }
}

pub(super) fn section() -> Section<Switched<OutboundPolicy>> {
    let section = Section::new(
        "[outbound]",
        "When an account sends far more than it ever did: it is stopped from sending for a while (it goes on reading \
         mail). Recipients and messages are told by Postfix's policy requests, or by its log. Signs of a stolen account \
         (a sign-in from a new network within the last day, many recipients of one message, recipients that do not \
         exist) halve the limit each.",
    );
    limits(section).with(super::scoring::ladder(), |outbound| &mut outbound.policy.ladder)
}

fn limits(section: Section<Switched<OutboundPolicy>>) -> Section<Switched<OutboundPolicy>> {
    section
        .key(
            "enabled",
            takes::flag(),
            Absent::Profile,
            "false",
            "whether anybody looks",
            |outbound: &mut Switched<OutboundPolicy>, enabled| outbound.enabled = enabled,
        )
        .key(
            "period",
            takes::duration("1m", "1d"),
            Absent::Profile,
            "\"1h\"",
            "how long a recipient or message counts",
            |outbound, period| outbound.policy.period = period,
        )
        .key(
            "recipients_max",
            takes::count(1..=1_000_000_000),
            Absent::Profile,
            "5000",
            "the most recipients of any account within the period, whatever it usually sends",
            |outbound, most| outbound.policy.recipients_max = most,
        )
        .key(
            "messages_max",
            takes::count(1..=1_000_000_000),
            Absent::Profile,
            "5000",
            "the same for messages",
            |outbound, most| outbound.policy.messages_max = most,
        )
        .key(
            "normal_factor",
            takes::count(1..=1000),
            Absent::Profile,
            "10",
            "how many times its own usual most an account may send, within the period and within a day; what is usual is \
             learned day by day, and fades by half in four weeks",
            |outbound, factor| outbound.policy.normal_factor = factor,
        )
        .key(
            "floor",
            takes::count(1..=1_000_000_000),
            Absent::Profile,
            "200",
            "whatever is usual, nobody is stopped who sends no more than this within the period, and five times this \
             within a day",
            |outbound, floor| outbound.policy.floor = floor,
        )
        .key(
            "newcomer",
            takes::count(1..=1_000_000_000),
            Absent::Profile,
            "500",
            "the limit of an account that sends for the first time, on a server that has learned",
            |outbound, most| outbound.policy.newcomer = most,
        )
        .key(
            "learn",
            takes::duration("1h", "90d"),
            Absent::Profile,
            "\"7d\"",
            "how long an account, and this server, is learned before anything is called unusual; until then only \
             `recipients_max` and `messages_max` count. Old logs that are read at the start teach as well",
            |outbound, learn| outbound.policy.learn = learn,
        )
}

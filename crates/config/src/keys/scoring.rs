use std::time::Duration;

use fairban_types::{AddressPolicy, FamiliarPolicy, GuardPolicy, Ladder, Policy, WidenPolicy};

use super::{Draft, Switched, outbound};
use crate::schema::{Absent, Section};
use crate::takes;

pub(super) fn add(section: Section<Draft>) -> Section<Draft> {
    section
        .table("address", address(), |draft| &mut draft.config.policy.address)
        .table("familiar", familiar(), |draft| &mut draft.config.policy.familiar)
        .table("widen", widen(), |draft| &mut draft.widen)
        .table("guard", guard(), |draft| &mut draft.guard)
        .table("outbound", outbound::section(), |draft| &mut draft.outbound)
        .table("diagnosis", diagnosis(), |draft| &mut draft.config.policy)
        .table("limits", limits(), |draft| &mut draft.config.policy)
}

pub(super) fn blank_widen() -> Switched<WidenPolicy> {
    let ladder = Ladder { steps: Vec::new(), then_permanent: false, forget: Duration::ZERO };
    let policy =
        WidenPolicy { addresses: 0, failures: 0, period: Duration::ZERO, ipv4_prefix: 0, ipv6_prefix: 0, ladder };
    Switched { enabled: false, policy }
}

pub(super) fn blank_guard() -> Switched<GuardPolicy> {
    Switched { enabled: false, policy: GuardPolicy { networks: 0, period: Duration::ZERO, lasts: Duration::ZERO } }
}

fn address() -> Section<AddressPolicy> {
    Section::new("[address]", "How addresses are grouped: what is scored and blocked as one.")
        .key(
            "ipv4_prefix",
            takes::prefix(16..=32),
            Absent::Profile,
            "32",
            "the prefix length of IPv4 subjects; 32 is each address for itself",
            |address: &mut AddressPolicy, prefix| address.ipv4_prefix = prefix,
        )
        .key(
            "ipv6_prefix",
            takes::prefix(32..=128),
            Absent::Profile,
            "64",
            "the same for IPv6; 64 is one customer's network, inside which addresses are free to choose",
            |address, prefix| address.ipv6_prefix = prefix,
        )
}

fn familiar() -> Section<FamiliarPolicy> {
    Section::new("[familiar]", "What makes a network familiar to an account, and what that is worth.")
        .key(
            "forget",
            takes::duration("1h", "365d"),
            Absent::Profile,
            "\"30d\"",
            "how long a successful sign-in makes a network familiar",
            |familiar: &mut FamiliarPolicy, time| familiar.forget = time,
        )
        .key(
            "ipv4_prefix",
            takes::prefix(8..=32),
            Absent::Profile,
            "24",
            "the prefix length of a familiar IPv4 network",
            |familiar, prefix| familiar.ipv4_prefix = prefix,
        )
        .key("ipv6_prefix", takes::prefix(16..=128), Absent::Profile, "56", "the same for IPv6", |familiar, prefix| {
            familiar.ipv6_prefix = prefix
        })
        .key(
            "log_only_threshold_factor",
            takes::count(1..=1000),
            Absent::Profile,
            "4",
            "where no mail server asks: how many times the threshold an address with familiar accounts must reach",
            |familiar, factor| familiar.log_only_threshold_factor = factor,
        )
        .key(
            "log_only_block_max",
            takes::duration("1s", "365d"),
            Absent::Profile,
            "\"10m\"",
            "where no mail server asks: the longest block of such an address",
            |familiar, time| familiar.log_only_block_max = time,
        )
        .key(
            "shared_block_max",
            takes::duration("1s", "365d"),
            Absent::Profile,
            "\"1h\"",
            "where mail servers ask: the longest block of an address with familiar accounts by the ladder (it lingers while \
             refused tries go on)",
            |familiar, time| familiar.shared_block_max = time,
        )
}

/// The block times of what is not a rule of its own.
pub(super) fn ladder() -> Section<Ladder> {
    Section::new("", "")
        .key(
            "ladder",
            super::rule::steps(),
            Absent::Profile,
            "[\"1d\", \"7d\"]",
            "the block times of the 1st, 2nd, 3rd … offence; the last one repeats",
            |ladder: &mut Ladder, steps| ladder.steps = steps,
        )
        .key(
            "then_permanent",
            takes::flag(),
            Absent::Profile,
            "false",
            "whether the offence after the last step is blocked for good",
            |ladder, permanent| ladder.then_permanent = permanent,
        )
        .key(
            "forget",
            takes::duration("1h", "3650d"),
            Absent::Profile,
            "\"30d\"",
            "how long an offence is remembered",
            |ladder, forget| ladder.forget = forget,
        )
}

fn widen() -> Section<Switched<WidenPolicy>> {
    Section::new("[widen]", "When a block widens from addresses to their network.")
        .key(
            "enabled",
            takes::flag(),
            Absent::Profile,
            "false",
            "whether blocks widen at all",
            |widen: &mut Switched<WidenPolicy>, enabled| widen.enabled = enabled,
        )
        .key(
            "addresses",
            takes::count(2..=1000),
            Absent::Profile,
            "4",
            "how many addresses of the network must have failed",
            |widen, number| widen.policy.addresses = number,
        )
        .key(
            "failures",
            takes::count(2..=100_000),
            Absent::Profile,
            "10",
            "how often together, with different wrong credentials",
            |widen, number| widen.policy.failures = number,
        )
        .key("period", takes::duration("1s", "31d"), Absent::Profile, "\"1d\"", "within which time", |widen, period| {
            widen.policy.period = period
        })
        .key(
            "ipv4_prefix",
            takes::prefix(16..=31),
            Absent::Profile,
            "24",
            "the prefix length of the IPv4 network that is blocked",
            |widen, prefix| widen.policy.ipv4_prefix = prefix,
        )
        .key("ipv6_prefix", takes::prefix(32..=127), Absent::Profile, "48", "the same for IPv6", |widen, prefix| {
            widen.policy.ipv6_prefix = prefix
        })
        .with(ladder(), |widen| &mut widen.policy.ladder)
}

fn guard() -> Section<Switched<GuardPolicy>> {
    Section::new("[guard]", "When an account is guarded: unfamiliar networks are refused, familiar ones go on.")
        .key(
            "enabled",
            takes::flag(),
            Absent::Profile,
            "false",
            "whether accounts are guarded at all",
            |guard: &mut Switched<GuardPolicy>, enabled| guard.enabled = enabled,
        )
        .key(
            "networks",
            takes::count(2..=10_000),
            Absent::Profile,
            "6",
            "how many unfamiliar networks must have failed on the account",
            |guard, number| guard.policy.networks = number,
        )
        .key("period", takes::duration("1s", "31d"), Absent::Profile, "\"1d\"", "within which time", |guard, period| {
            guard.policy.period = period
        })
        .key(
            "lasts",
            takes::duration("1m", "31d"),
            Absent::Profile,
            "\"1d\"",
            "how long the guard stands after the last refused attempt",
            |guard, lasts| guard.policy.lasts = lasts,
        )
}

fn diagnosis() -> Section<Policy> {
    Section::new("[diagnosis]", "What is told of devices: see [diagnosis.md](diagnosis.md). Nobody is blocked by it.").key(
        "courtesy_interval",
        takes::duration("10s", "1d"),
        Absent::Is("\"10m\""),
        "\"5m\"",
        "how long a device should wait before it signs in again; one that is regularly faster is told of as frequent polling",
        |policy: &mut Policy, interval| policy.courtesy_interval = interval,
    )
}

fn limits() -> Section<Policy> {
    Section::new("[limits]", "What Fairban may take of the machine.").key(
        "memory",
        takes::memory(),
        Absent::Profile,
        "\"512MiB\"",
        "the memory for scores and history; beyond it, what was idle longest is forgotten first, and live blocks never are",
        |policy: &mut Policy, bytes| policy.memory_bytes_max = bytes,
    )
}

use std::collections::HashSet;
use std::time::Duration;

use fairban_types::{Effect, EventKind, Ladder, Points, Repeats, Rule, Service, ServiceSet, SubjectKind};

use super::Draft;
use crate::near;
use crate::reader::{Reader, found};
use crate::schema::{Absent, Section};
use crate::takes::{self, Takes};
use crate::tree::{Entry, Item, Table, Value};

const POINTS_MAX: u32 = 100_000;
const THRESHOLD_MAX: u32 = 1_000_000;
/// Names that receipts use for what no rule decided.
const TAKEN: [&str; 4] = ["manual", "widen", "guard", "outbound"];

struct RuleDraft {
    rule: Rule,
    enabled: bool,
}

pub(super) fn add(section: Section<Draft>) -> Section<Draft> {
    let rule = rule();
    let outlines = rule.outlines();
    section.part("rule", outlines, move |draft, entry, reader| {
        let Some(entry) = entry else { return };
        let Value::Table(rules) = &entry.item.value else {
            reader.problem(&entry.item.at, "is a section for each rule, written [rule.NAME]");
            return;
        };
        draft.config.policy.rules = rules.0.iter().filter_map(|entry| read(&rule, entry, reader)).collect();
    })
}

fn read(section: &Section<RuleDraft>, entry: &Entry, reader: &mut Reader) -> Option<Rule> {
    reader.within(&entry.key, |reader| {
        if !takes::is_name(&entry.key, 40) || TAKEN.contains(&entry.key.as_str()) {
            let taken = TAKEN.join(", ");
            reader.problem(
                &entry.key_at,
                format!("a rule's name has 1 to 40 letters, digits, '.', '_' or '-', and is none of {taken}"),
            );
        }
        let Value::Table(table) = &entry.item.value else {
            reader.problem(&entry.item.at, format!("is a section, not {}", found(&entry.item.value)));
            return None;
        };
        let mut draft = blank(&entry.key);
        let problems = reader.problem_count();
        let missing = section.read_all(&mut draft, table, reader);
        if !missing.is_empty() {
            tell_missing(entry, &missing, reader);
            return None;
        }
        if reader.problem_count() == problems {
            check(&draft.rule, table, reader);
        }
        draft.enabled.then_some(draft.rule)
    })
}

/// A rule that lacks what it needs is most often one whose name was mistyped.
fn tell_missing(entry: &Entry, missing: &[&str], reader: &mut Reader) {
    let profile = reader.profile.clone();
    if reader.is_other_profile {
        reader.warn(&entry.key_at, format!("left out: profile '{profile}' has no such rule to override"));
        return;
    }
    let near = near::nearest(&entry.key, reader.profile_rules.iter().map(String::as_str));
    let hint = match near {
        Some(near) => format!("; did you mean '{near}'?"),
        None => format!(", only {};", reader.profile_rules.join(", ")),
    };
    let missing = missing.join(", ");
    let message = format!("profile '{profile}' has no such rule to override{hint} a new rule needs {missing} too");
    reader.problem(&entry.key_at, message);
}

fn check(rule: &Rule, table: &Table, reader: &mut Reader) {
    let at = |key: &str| table.get(key).map(|entry| entry.item.at.clone());
    if rule.points.iter().next().is_none()
        && let Some(at) = at("points")
    {
        reader.within("points", |reader| {
            reader.problem(&at, "no event kind earns points, so the threshold can never be reached");
        });
    }
    if rule.ladder.steps.windows(2).any(|pair| pair[1] < pair[0])
        && let Some(at) = at("ladder")
    {
        reader.within("ladder", |reader| reader.warn(&at, "a later offence is blocked for a shorter time"));
    }
}

fn blank(name: &str) -> RuleDraft {
    let rule = Rule {
        name: name.to_owned(),
        points: Points::default(),
        services: ServiceSet::ALL,
        subject: SubjectKind::Address,
        period: Duration::ZERO,
        threshold: 0,
        repeats: Repeats::Once,
        spares_familiar: true,
        resets_on_success: false,
        effect: Effect::Drop,
        ladder: Ladder { steps: Vec::new(), then_permanent: false, forget: Duration::ZERO },
        linger: Duration::ZERO,
    };
    RuleDraft { rule, enabled: true }
}

fn rule() -> Section<RuleDraft> {
    let section = Section::new(
        "[rule.NAME]",
        "A rule: which event kinds on which services earn how many points, over which period, for which subject; and \
         what is done at which threshold. A rule of the profile is changed one value at a time (`points` too: kinds \
         that are not named keep theirs, and 0 takes one out); any other name is a new rule, which comes after the \
         profile's.",
    );
    outcome(scoring(section))
}

fn scoring(section: Section<RuleDraft>) -> Section<RuleDraft> {
    section
        .key(
            "enabled",
            takes::flag(),
            Absent::Is("true"),
            "false",
            "`false` turns the rule off",
            |draft: &mut RuleDraft, enabled| draft.enabled = enabled,
        )
        .key(
            "points",
            points(),
            Absent::Needed,
            "{ login_failed = 50, login_unknown_account = 50 }",
            "what one event of a kind earns (see [Event kinds](#event-kinds))",
            |draft, points| draft.rule.points = points,
        )
        .key(
            "services",
            services(),
            Absent::Is("\"all\""),
            "[\"smtp\", \"submission\"]",
            "the services on which events count",
            |draft, services| draft.rule.services = services,
        )
        .key(
            "subject",
            takes::choice(&[SubjectKind::Address, SubjectKind::Account, SubjectKind::Pair].map(|kind| (kind.as_str(), kind))),
            Absent::Is("\"address\""),
            "\"pair\"",
            "who is scored and blocked: the client's address, the account, or the account as used from that address",
            |draft, subject| draft.rule.subject = subject,
        )
        .key(
            "period",
            takes::duration("1s", "31d"),
            Absent::Needed,
            "\"20m\"",
            "how long points count: a window that slides",
            |draft, period| draft.rule.period = period,
        )
        .key(
            "threshold",
            takes::count(1..=THRESHOLD_MAX),
            Absent::Needed,
            "250",
            "the score at which the subject is blocked",
            |draft, threshold| draft.rule.threshold = threshold,
        )
        .key(
            "repeats",
            takes::choice(&[("once", Repeats::Once), ("count", Repeats::Count)]),
            Absent::Is("\"once\""),
            "\"count\"",
            "`\"once\"`: the same wrong password or unknown recipient again earns nothing within the period; \
             `\"count\"`: as much as the first",
            |draft, repeats| draft.rule.repeats = repeats,
        )
        .key(
            "spares_familiar",
            takes::flag(),
            Absent::Is("true"),
            "false",
            "whether failures of an account at a network familiar to it are left out, and accounts familiar at a blocked \
             address may still sign in where the mail server asks. A rule whose subject is a pair counts only those failures instead",
            |draft, spares| draft.rule.spares_familiar = spares,
        )
        .key(
            "resets_on_success",
            takes::flag(),
            Absent::Is("false"),
            "true",
            "whether a successful sign-in spends what was scored before it, so that only failures in a row count",
            |draft, resets| draft.rule.resets_on_success = resets,
        )
}

fn outcome(section: Section<RuleDraft>) -> Section<RuleDraft> {
    section
        .key(
            "effect",
            takes::choice(&[
                ("drop", Effect::Drop),
                ("observe", Effect::Observe),
                ("explain", Effect::Explain),
                ("soft", Effect::Soft),
                ("tarpit", Effect::Tarpit),
            ]),
            Absent::Is("\"drop\""),
            "\"observe\"",
            "how the block is felt: `\"drop\"` by the firewall, `\"observe\"` recorded only; `\"explain\"`, `\"soft\"` and \
             `\"tarpit\"` need a mail server that asks",
            |draft: &mut RuleDraft, effect| draft.rule.effect = effect,
        )
        .key(
            "ladder",
            steps(),
            Absent::Needed,
            "[\"30m\", \"4h\", \"1d\", \"7d\"]",
            "the block times of the 1st, 2nd, 3rd … offence; the last one repeats",
            |draft, steps| draft.rule.ladder.steps = steps,
        )
        .key(
            "then_permanent",
            takes::flag(),
            Absent::Is("false"),
            "true",
            "whether the offence after the last step is blocked for good",
            |draft, permanent| draft.rule.ladder.then_permanent = permanent,
        )
        .key(
            "forget",
            takes::duration("1h", "3650d"),
            Absent::Is("\"30d\""),
            "\"90d\"",
            "how long an offence is remembered",
            |draft, forget| draft.rule.ladder.forget = forget,
        )
        .key(
            "linger",
            takes::duration("0s", "30d"),
            Absent::Is("\"0s\""),
            "\"3h\"",
            "where mail servers ask: a block that is not in the kernel goes on for so long after the last refused try with \
             yet another credential",
            |draft, linger| draft.rule.linger = linger,
        )
}

/// The steps of a ladder.
pub(super) fn steps() -> Takes<Vec<Duration>> {
    takes::list(takes::duration("1s", "3650d"), 1..=32)
}

fn services() -> Takes<ServiceSet> {
    let one: Vec<(&'static str, Service)> = Service::ALL.iter().map(|service| (service.as_str(), *service)).collect();
    let list = takes::list(takes::choice(&one), 1..=Service::ALL.len());
    Takes::reading(format!("`\"all\"` or {}", list.allowed), move |item, reader| match &item.value {
        Value::Text(text) if text == "all" => Some(ServiceSet::ALL),
        _ => {
            let services: HashSet<Service> = list.read(item, reader)?.into_iter().collect();
            let is_all = services.len() == Service::ALL.len();
            Some(if is_all { ServiceSet::ALL } else { services.into_iter().collect() })
        }
    })
}

fn points() -> Takes<Points> {
    let number = takes::count(0..=POINTS_MAX);
    let allowed = "a table of event kinds, each with ".to_owned() + &number.allowed;
    Takes::reading(allowed.clone(), move |item: &Item, reader: &mut Reader| {
        let Value::Table(table) = &item.value else {
            let found = found(&item.value);
            reader.problem(&item.at, format!("takes {allowed}, such as {{ login_failed = 50 }}, not {found}"));
            return None;
        };
        Some(table.0.iter().filter_map(|entry| points_of(entry, &number, reader)).collect())
    })
}

fn points_of(entry: &Entry, number: &Takes<u32>, reader: &mut Reader) -> Option<(EventKind, u32)> {
    reader.within(&entry.key, |reader| {
        let Ok(kind) = entry.key.parse::<EventKind>() else {
            let near = near::nearest(&entry.key, EventKind::ALL.iter().map(|kind| kind.as_str()));
            let hint = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
            reader.problem(&entry.key_at, format!("not an event kind{hint}"));
            return None;
        };
        if kind == EventKind::LoginRefused {
            reader.problem(&entry.key_at, "never earns points: it is the answer to a block, not a reason for one");
            return None;
        }
        Some((kind, number.read(&entry.item, reader)?))
    })
}

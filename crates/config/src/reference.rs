//! The reference of every key, profile and event kind, written from the same tables that files are read by.

use std::fmt::Write;

use fairban_types::{
    EventKind, GuardPolicy, Ladder, OutboundPolicy, Policy, Repeats, Rule, Service, SubjectKind, WidenPolicy,
    format_duration,
};

use crate::keys;
use crate::profile::{self, PROFILES};
use crate::schema::{Absent, Outline, Row};
use crate::settings::Config;
use crate::tree::Table;

const HEAD: &str = "\
<!-- Generated from crates/config. Do not edit: change the tables there, then run
     UPDATE_EXPECT=1 cargo test -p fairban-config -->

# Configuration

One TOML file, of at most 1 MiB; every key is optional, and without a file the defaults hold. `fairban check` reads it and
tells every problem at once with file, line, column and key. Unknown keys are refused.

Durations are a number and a unit (`s`, `m`, `h`, `d`, `w`), also together: `\"90s\"`, `\"20m\"`, `\"1h30m\"`, `\"7d\"`.

The file is laid over a [profile](#profiles), one value at a time: what it does not say stays as the profile has it.

```toml
never = [\"192.0.2.0/24\"]

[rule.login]
threshold = 500
ladder = [\"10m\", \"1h\"]

[rule.content]
enabled = false

[rule.greedy]
points = { recipient_rejected = 10, rate_exceeded = 25 }
services = [\"smtp\"]
period = \"1h\"
threshold = 100
ladder = [\"1h\"]
```
";

/// The whole reference, as Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let defaults = profile::document(profile::DEFAULT).unwrap_or_default();
    page.push_str("\n## Keys\n");
    for outline in keys::outlines() {
        add_section(&mut page, &outline, &defaults);
    }
    add_profiles(&mut page);
    add_kinds(&mut page);
    page
}

fn add_section(page: &mut String, outline: &Outline, defaults: &Table) {
    let title = if outline.title.is_empty() { "Top of the file".to_owned() } else { format!("`{}`", outline.title) };
    add(page, format_args!("\n### {title}\n\n{}\n", outline.meaning));
    add_row(page, &["key", "takes", "default", "meaning", "example"].map(str::to_owned));
    add_rule(page, 5);
    for row in &outline.rows {
        let cells = [
            format!("`{}`", row.name),
            row.allowed.clone(),
            default_of(row, outline, defaults),
            row.meaning.to_owned(),
            format!("`{}`", row.example),
        ];
        add_row(page, &cells);
    }
    if let Some(example) = outline.example {
        add(page, format_args!("\n```toml\n{example}```\n"));
    }
}

fn default_of(row: &Row, outline: &Outline, defaults: &Table) -> String {
    match row.absent {
        Absent::Is(value) => format!("`{value}`"),
        Absent::Means(meaning) => format!("none: {meaning}"),
        Absent::Needed if outline.title == "[rule.NAME]" => "the profile's; a new rule needs it".to_owned(),
        Absent::Needed => "needed".to_owned(),
        Absent::Profile => {
            let section = outline.title.trim_matches(['[', ']']);
            let value = defaults.find(&[section, row.name]).map(|entry| entry.item.at.written()).unwrap_or_default();
            format!("`{value}` ({})", profile::DEFAULT)
        }
    }
}

fn add_profiles(page: &mut String) {
    page.push_str(
        "\n## Profiles\n\nA profile is a file in the syntax of this page. The other profiles reproduce well-known behaviour; \
         what they do not say, rules aside, is as in `fairban`.\n",
    );
    for profile in PROFILES {
        let Ok(config) = Config::builtin().with_profile(profile.name) else { continue };
        add(page, format_args!("\n### Profile `{}`\n\n{}\n", profile.name, profile.about));
        add_rules(page, &config.policy);
        add_rest(page, &config.policy);
    }
}

fn add_rules(page: &mut String, policy: &Policy) {
    add_row(page, &["rule", "points", "on", "blocks the", "at", "within", "for", "how"].map(str::to_owned));
    add_rule(page, 8);
    for rule in &policy.rules {
        let points: Vec<String> = rule.points.iter().map(|(kind, points)| format!("`{kind}` {points}")).collect();
        let cells = [
            format!("`{}`", rule.name),
            points.join(", "),
            services_of(rule),
            subject_of(rule),
            rule.threshold.to_string(),
            format_duration(rule.period),
            ladder_of(&rule.ladder),
            manner_of(rule),
        ];
        add_row(page, &cells);
    }
}

fn services_of(rule: &Rule) -> String {
    let named: Vec<&str> = Service::ALL
        .iter()
        .filter(|service| rule.services.contains(**service))
        .map(|service| service.as_str())
        .collect();
    if named.len() == Service::ALL.len() { "all".to_owned() } else { named.join(", ") }
}

fn subject_of(rule: &Rule) -> String {
    match rule.subject {
        SubjectKind::Pair => "pair of account and address".to_owned(),
        SubjectKind::Sending => "sending".to_owned(),
        subject => subject.as_str().to_owned(),
    }
}

fn ladder_of(ladder: &Ladder) -> String {
    let steps: Vec<String> = ladder.steps.iter().map(|step| format_duration(*step)).collect();
    let end = if ladder.then_permanent { ", then for good" } else { "" };
    format!("{}{end}; forgets after {}", steps.join(", "), format_duration(ladder.forget))
}

fn manner_of(rule: &Rule) -> String {
    let repeats = match rule.repeats {
        Repeats::Once => "the same again counts once",
        Repeats::Count => "the same again counts again",
    };
    let familiar = match (rule.spares_familiar, rule.subject) {
        (true, SubjectKind::Pair) => "; only where the account is familiar",
        (true, _) => "; spares familiar sign-ins",
        (false, _) => "",
    };
    let success = if rule.resets_on_success { "; a success starts from nothing" } else { "" };
    format!("{repeats}{familiar}{success}")
}

fn add_rest(page: &mut String, policy: &Policy) {
    let address = policy.address;
    let familiar = policy.familiar;
    add(
        page,
        format_args!(
            "\n- addresses are scored by /{} (IPv4) and /{} (IPv6)\n- a network (/{}, /{}) is familiar to an account for {} \
             after a sign-in\n",
            address.ipv4_prefix,
            address.ipv6_prefix,
            familiar.ipv4_prefix,
            familiar.ipv6_prefix,
            format_duration(familiar.forget),
        ),
    );
    match &policy.widen {
        Some(widen) => add_widen(page, widen),
        None => page.push_str("- blocks never widen to networks\n"),
    }
    match &policy.guard {
        Some(guard) => add_guard(page, guard),
        None => page.push_str("- accounts are never guarded\n"),
    }
    match &policy.outbound {
        Some(outbound) => add_outbound(page, outbound),
        None => page.push_str("- what accounts send is not limited\n"),
    }
}

fn add_widen(page: &mut String, widen: &WidenPolicy) {
    add(
        page,
        format_args!(
            "- {} addresses with {} failures within {} widen the block to /{} (IPv4) or /{} (IPv6), for {}\n",
            widen.addresses,
            widen.failures,
            format_duration(widen.period),
            widen.ipv4_prefix,
            widen.ipv6_prefix,
            ladder_of(&widen.ladder),
        ),
    );
}

fn add_guard(page: &mut String, guard: &GuardPolicy) {
    add(
        page,
        format_args!(
            "- failures from {} unfamiliar networks within {} guard the account, until {} after the last refused attempt\n",
            guard.networks,
            format_duration(guard.period),
            format_duration(guard.lasts),
        ),
    );
}

fn add_outbound(page: &mut String, outbound: &OutboundPolicy) {
    add(
        page,
        format_args!(
            "- an account that sends more than {} times its usual most (and more than {} recipients) within {} is \
             stopped from sending, for {}\n",
            outbound.normal_factor,
            outbound.floor,
            format_duration(outbound.period),
            ladder_of(&outbound.ladder),
        ),
    );
}

fn add_kinds(page: &mut String) {
    page.push_str("\n## Event kinds\n");
    add_row(page, &["kind", "meaning"].map(str::to_owned));
    add_rule(page, 2);
    for kind in EventKind::ALL {
        add_row(page, &[format!("`{kind}`"), kind.meaning().to_owned()]);
    }
}

/// The first row of a table needs an empty line before it, which the rule under it then follows at once.
fn add_row(page: &mut String, cells: &[String]) {
    let is_first = !page.ends_with("|\n");
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    add(page, format_args!("{}| {} |\n", if is_first { "\n" } else { "" }, cells.join(" | ")));
}

fn add_rule(page: &mut String, columns: usize) {
    add(page, format_args!("|{}\n", " --- |".repeat(columns)));
}

fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("writing to a string does not fail");
}

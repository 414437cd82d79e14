//! Every value of the rules: what it means, what it is, what the profile has; what a change would do; what was changed.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Can, Shell, When, desk_failed, encoded, go, oops, page, perform, say, words};
use crate::access::{Act, EditRules, LookAround, May};
use crate::admin::desk::{Setting, What};
use crate::admin::view::{self, ValueRow, WhatIf, WhatIfRow};
use crate::admin::{Admin, Asked, Deed, Routes};
use crate::api::read;

const HISTORY: usize = 50;
/// Rows of a what-if that are shown.
const SHOWN: usize = 100;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .page::<LookAround, _, _>("/rules", list)
        .page::<LookAround, _, _>("/rules/{section}", section)
        .form::<EditRules, _, _>("/rules/{section}", change)
        .form::<EditRules, _, _>("/rules/changes/{seq}/revert", revert)
}

struct SectionLine {
    name: String,
    link: String,
    short: Vec<(String, String)>,
    changed: usize,
    is_off: bool,
}

struct ChangeLine {
    seq: i64,
    when: When,
    by: String,
    reason: String,
    changed: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "admin/rules.html")]
struct RulesPage {
    shell: Shell,
    can: Can,
    profile: String,
    rules: Vec<SectionLine>,
    others: Vec<SectionLine>,
    changes: Vec<ChangeLine>,
}

/// The values by section, in their order.
fn sections(values: Vec<ValueRow>) -> Vec<(String, Vec<ValueRow>)> {
    let mut sections: Vec<(String, Vec<ValueRow>)> = Vec::new();
    for row in values {
        match sections.iter_mut().find(|(name, _)| *name == row.section) {
            Some((_, rows)) => rows.push(row),
            None => sections.push((row.section.clone(), vec![row])),
        }
    }
    sections
}

fn section_line(name: &str, rows: &[ValueRow]) -> SectionLine {
    let wanted =
        ["points", "threshold", "period", "ladder", "networks", "lasts", "addresses", "failures", "memory", "forget"];
    let value = |wanted: &&str| rows.iter().find(|row| row.name == **wanted && !row.value.is_empty());
    SectionLine {
        name: name.to_owned(),
        link: encoded(name),
        short: wanted.iter().filter_map(value).take(4).map(|row| (row.name.clone(), row.value.clone())).collect(),
        changed: rows.iter().filter(|row| row.from == view::From::Here).count(),
        is_off: rows.iter().any(|row| row.name == "enabled" && row.value == "false"),
    }
}

fn change_line(admin: &Admin, change: view::RuleChange) -> ChangeLine {
    let shown = |text: &str| if text.is_empty() { "nothing".to_owned() } else { words::short(text) };
    ChangeLine {
        seq: change.seq,
        when: When::of(admin, change.time),
        by: words::short(&change.by),
        reason: words::short(&change.reason),
        changed: change
            .changed
            .iter()
            .map(|one| (words::short(&one.key), shown(&one.value_before), shown(&one.value_after)))
            .collect(),
    }
}

async fn list(admin: Arc<Admin>, may: May<LookAround>, asked: Asked) -> Response {
    let (rules, changes) = match (admin.desk.rules().await, admin.desk.changes(None, HISTORY).await) {
        (Ok(rules), Ok(changes)) => (rules, changes),
        (Err(error), _) | (_, Err(error)) => return desk_failed(&admin, &asked, &error),
    };
    let lines: Vec<SectionLine> = sections(rules.values).iter().map(|(name, rows)| section_line(name, rows)).collect();
    let (rules_of, others) = lines.into_iter().partition(|line: &SectionLine| line.name.starts_with("rule."));
    let shown = RulesPage {
        shell: Shell::new(&admin, &may, &asked),
        can: Can::of(&may),
        profile: rules.profile,
        rules: rules_of,
        others,
        changes: changes.into_iter().map(|change| change_line(&admin, change)).collect(),
    };
    page(StatusCode::OK, &shown)
}

/// A value in a form.
struct Field {
    key: String,
    name: String,
    meaning: String,
    takes: String,
    value: String,
    default: String,
    is_here: bool,
    is_file: bool,
    is_flag: bool,
    is_long: bool,
}

struct ImpactLine {
    subject: String,
    times: u64,
    long: String,
    why: &'static str,
    rule: String,
    accounts: Vec<String>,
    more: usize,
}

struct Impact {
    days: u32,
    events: String,
    is_cut: bool,
    now: u64,
    then: u64,
    newly: Vec<ImpactLine>,
    freed: Vec<ImpactLine>,
    newly_count: usize,
    freed_count: usize,
    newly_with_sign_ins: u64,
    freed_with_sign_ins: u64,
}

#[derive(Template)]
#[template(path = "admin/section.html")]
struct SectionPage {
    shell: Shell,
    can: Can,
    name: String,
    link: String,
    fields: Vec<Field>,
    reason: String,
    days: u32,
    problems: Vec<String>,
    changed: Vec<(String, String, String)>,
    impact: Option<Impact>,
}

/// Names in back quotes, as the reference has them, read well enough without.
fn plain(text: &str) -> String {
    text.replace('`', "").replace("[Event kinds](#event-kinds)", "the list of event kinds")
}

fn field(row: &ValueRow, typed: Option<&str>) -> Field {
    let value = typed.unwrap_or(&row.value).to_owned();
    Field {
        key: row.key.clone(),
        name: row.name.clone(),
        meaning: plain(&row.meaning),
        takes: plain(&row.takes),
        is_here: row.from == view::From::Here,
        is_file: row.from == view::From::File,
        is_flag: row.takes.contains("`true` or `false`"),
        is_long: value.len() > 40,
        default: row.default.clone(),
        value,
    }
}

fn impact_line(row: &WhatIfRow) -> ImpactLine {
    let long = row.secs.map_or_else(|| "for good".to_owned(), |secs| words::span(std::time::Duration::from_secs(secs)));
    ImpactLine {
        subject: words::short(&row.subject.to_string()),
        times: row.times,
        long,
        why: row.diagnosis.in_words().split(':').next().unwrap_or_default(),
        rule: words::short(&row.rule),
        accounts: row.accounts.iter().take(3).map(|account| words::short(account)).collect(),
        more: row.accounts.len().saturating_sub(3),
    }
}

fn impact(found: &WhatIf) -> Impact {
    Impact {
        days: found.days,
        events: words::number(found.events),
        is_cut: found.is_cut,
        now: found.blocks_now,
        then: found.blocks_then,
        newly: found.newly.iter().take(SHOWN).map(impact_line).collect(),
        freed: found.freed.iter().take(SHOWN).map(impact_line).collect(),
        newly_count: found.newly.len(),
        freed_count: found.freed.len(),
        newly_with_sign_ins: found.newly_with_sign_ins,
        freed_with_sign_ins: found.freed_with_sign_ins,
    }
}

async fn rows_of(admin: &Admin, asked: &Asked) -> Result<Vec<ValueRow>, Response> {
    let rules = admin.desk.rules().await.map_err(|error| desk_failed(admin, asked, &error))?;
    let name = asked.parameter("section");
    let rows: Vec<ValueRow> = rules.values.into_iter().filter(|row| row.section == name).collect();
    if rows.is_empty() {
        return Err(oops(admin, asked, StatusCode::NOT_FOUND, "There is no such part of the rules."));
    }
    Ok(rows)
}

async fn section(admin: Arc<Admin>, may: May<LookAround>, asked: Asked) -> Response {
    let rows = match rows_of(&admin, &asked).await {
        Ok(rows) => rows,
        Err(response) => return response,
    };
    let shown = SectionPage {
        shell: Shell::new(&admin, &may, &asked),
        can: Can::of(&may),
        name: asked.parameter("section").to_owned(),
        link: encoded(asked.parameter("section")),
        fields: rows.iter().map(|row| field(row, None)).collect(),
        reason: String::new(),
        days: 7,
        problems: Vec::new(),
        changed: Vec::new(),
        impact: None,
    };
    page(StatusCode::OK, &shown)
}

/// What a form changes: the values that are not what they were.
fn asked_for(rows: &[ValueRow], deed: &Deed) -> Vec<Setting> {
    let form = &deed.form;
    let resets: Vec<&str> = form.all("reset").collect();
    rows.iter()
        .filter_map(|row| {
            if resets.contains(&row.key.as_str()) {
                return (row.from == view::From::Here).then(|| Setting { key: row.key.clone(), value: None });
            }
            let (_, typed) = form.iter().find(|(name, _)| *name == format!("v.{}", row.key))?;
            let typed = typed.trim();
            let is_same = typed == row.value || typed.is_empty();
            (!is_same).then(|| Setting { key: row.key.clone(), value: Some(typed.to_owned()) })
        })
        .collect()
}

async fn change(admin: Arc<Admin>, may: May<EditRules>, deed: Deed) -> Response {
    let rows = match rows_of(&admin, &deed.asked).await {
        Ok(rows) => rows,
        Err(response) => return response,
    };
    let here = format!("/rules/{}", encoded(deed.asked.parameter("section")));
    let settings = asked_for(&rows, &deed);
    if settings.is_empty() {
        say(&admin, &may, false, "Nothing was changed: every value is as it was.", Vec::new());
        return go(&here);
    }
    if deed.form.get("act") != "save" {
        return preview(&admin, &may, &deed, &rows, &settings).await;
    }
    let reason = read::reason(deed.form.get("reason"), "");
    let back = back_of(&rows, &settings);
    let undo = vec![What::Set { settings: back, reason: "taken back".to_owned() }];
    if perform(&admin, &may, Ok(Act::set(&may, settings.clone(), reason)), undo).await {
        return go(&here);
    }
    // What is wrong is said beside what was typed.
    preview(&admin, &may, &deed, &rows, &settings).await
}

/// What gives values back what they are now.
fn back_of(rows: &[ValueRow], settings: &[Setting]) -> Vec<Setting> {
    let row = |setting: &Setting| rows.iter().find(|row| row.key == setting.key);
    let back = |setting: &Setting| {
        let row = row(setting)?;
        let value = (row.from == view::From::Here).then(|| row.value.clone());
        Some(Setting { key: setting.key.clone(), value })
    };
    settings.iter().filter_map(back).collect()
}

/// What a change would do, before it is saved.
async fn preview(
    admin: &Admin,
    may: &May<EditRules>,
    deed: &Deed,
    rows: &[ValueRow],
    settings: &[Setting],
) -> Response {
    let days: u32 = deed.form.get("days").parse().unwrap_or(7).clamp(1, 14);
    let found = match admin.replays.try_acquire() {
        Err(_) => {
            WhatIf { problems: vec!["Another what-if is being replayed: wait for it.".to_owned()], ..WhatIf::default() }
        }
        Ok(_place) => match admin.desk.what_if(settings, days).await {
            Ok(found) => found,
            Err(error) => return desk_failed(admin, &deed.asked, &error),
        },
    };
    let typed =
        |row: &ValueRow| deed.form.iter().find(|(name, _)| *name == format!("v.{}", row.key)).map(|(_, text)| text);
    let changed = settings.iter().filter_map(|setting| {
        let row = rows.iter().find(|row| row.key == setting.key)?;
        Some((row.name.clone(), row.value.clone(), setting.value.clone().unwrap_or_else(|| row.default.clone())))
    });
    let shown = SectionPage {
        shell: Shell::new(admin, may, &deed.asked),
        can: Can::of(may),
        name: deed.asked.parameter("section").to_owned(),
        link: encoded(deed.asked.parameter("section")),
        fields: rows.iter().map(|row| field(row, typed(row))).collect(),
        reason: deed.form.get("reason").to_owned(),
        days,
        changed: changed.collect(),
        impact: found.problems.is_empty().then(|| impact(&found)),
        problems: found.problems,
    };
    let status = if shown.problems.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    page(status, &shown)
}

async fn revert(admin: Arc<Admin>, may: May<EditRules>, deed: Deed) -> Response {
    match crate::api::reverting(&admin, deed.asked.parameter("seq")).await {
        Ok(Some((settings, reason))) => {
            perform(&admin, &may, Ok(Act::set(&may, settings, reason)), Vec::new()).await;
        }
        _ => say(&admin, &may, false, "There is no such change.", Vec::new()),
    }
    go("/rules")
}

//! Values of rules, what they would change, and what was changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::openapi::{Operation, limit, number_cursor, path_parameter};
use super::problem::done;
use super::{Problem, json, read};
use crate::access::{Act, EditRules, LookAround, May};
use crate::admin::desk::Setting;
use crate::admin::{Admin, Asked, Routes};

/// The most days that are replayed.
pub(crate) const DAYS_MAX: u32 = 14;
const VALUES_MAX: usize = 200;
const VALUE_MAX: usize = 4000;

pub(super) fn add(routes: Routes) -> Routes {
    let list = Operation::get("/api/v1/rules", "rules", "listRules", "Every value of the rules").gives(200, "Rules");
    let set = Operation::patch("/api/v1/rules", "rules", "setRules", "Set values; null takes what was set here away")
        .takes("NewValues")
        .gives(200, "Done");
    let try_out = Operation::post(
        "/api/v1/rules/what-if",
        "rules",
        "whatIf",
        "What values would have changed: the last days are replayed",
    )
    .takes("WhatIfQuestion")
    .gives(200, "WhatIf");
    let changes = Operation::get("/api/v1/rules/changes", "rules", "listRuleChanges", "What was changed, newest first")
        .with([limit(), number_cursor()])
        .gives(200, "RuleChangeList");
    let revert =
        Operation::post("/api/v1/rules/changes/{seq}/revert", "rules", "revertRuleChange", "Take a change back")
            .with([path_parameter("seq", "its number")])
            .gives(200, "Done");
    routes.call(list, rules).call(set, set_values).call(try_out, what_if).call(changes, changed).call(revert, take_back)
}

async fn rules(admin: Arc<Admin>, _: May<LookAround>, _: Asked) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &admin.desk.rules().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewValues {
    values: BTreeMap<String, Option<String>>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhatIfQuestion {
    values: BTreeMap<String, Option<String>>,
    #[serde(default = "week")]
    days: u32,
}

fn week() -> u32 {
    7
}

fn settings(values: BTreeMap<String, Option<String>>) -> Result<Vec<Setting>, Problem> {
    if values.is_empty() || values.len() > VALUES_MAX {
        return Err(Problem::wrong(format!("set 1 to {VALUES_MAX} values")));
    }
    let is_long = |(key, value): (&String, &Option<String>)| {
        key.len() > 200 || value.as_ref().is_some_and(|value| value.len() > VALUE_MAX)
    };
    if values.iter().any(is_long) {
        return Err(Problem::wrong("no value is as long as that"));
    }
    Ok(values.into_iter().map(|(key, value)| Setting { key, value }).collect())
}

async fn set_values(admin: Arc<Admin>, may: May<EditRules>, asked: Asked) -> Result<Response, Problem> {
    let new: NewValues = read::body(&asked)?;
    let act = Act::set(&may, settings(new.values)?, read::reason(&new.reason, "set through the API"));
    let text = done(admin.desk.act(&act).await?)?;
    Ok(json(StatusCode::OK, &json!({ "message": text })))
}

async fn what_if(admin: Arc<Admin>, _: May<EditRules>, asked: Asked) -> Result<Response, Problem> {
    let question: WhatIfQuestion = read::body(&asked)?;
    if !(1..=DAYS_MAX).contains(&question.days) {
        return Err(Problem::wrong(format!("days is a number from 1 to {DAYS_MAX}")));
    }
    let settings = settings(question.values)?;
    let Ok(_place) = admin.replays.try_acquire() else {
        return Err(Problem::conflict("another what-if is being replayed: wait for it"));
    };
    Ok(json(StatusCode::OK, &admin.desk.what_if(&settings, question.days).await?))
}

async fn changed(admin: Arc<Admin>, _: May<LookAround>, asked: Asked) -> Result<Response, Problem> {
    let limit = read::limit(&asked, 50).map_err(Problem::wrong)?;
    let before =
        asked.query("cursor").map(str::parse).transpose().map_err(|_| Problem::wrong("that is no cursor of ours"))?;
    let rows = admin.desk.changes(before, limit).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.seq.to_string())).flatten();
    Ok(json(StatusCode::OK, &json!({ "rows": rows, "next": next })))
}

/// What takes a change back, if there is one of this number.
pub(crate) async fn reverting(admin: &Admin, seq: &str) -> Result<Option<(Vec<Setting>, String)>, Problem> {
    let Ok(seq) = seq.parse::<i64>() else { return Ok(None) };
    let change = admin.desk.changes(seq.checked_add(1), 1).await?.into_iter().find(|change| change.seq == seq);
    Ok(change.map(|change| {
        let settings = change.changed.into_iter().map(|one| Setting { key: one.key, value: one.before }).collect();
        (settings, format!("takes back change {seq} of {}", change.by))
    }))
}

async fn take_back(admin: Arc<Admin>, may: May<EditRules>, asked: Asked) -> Result<Response, Problem> {
    let found = reverting(&admin, asked.parameter("seq")).await?;
    let (settings, reason) = found.ok_or_else(|| Problem::missing("change"))?;
    let text = done(admin.desk.act(&Act::set(&may, settings, reason)).await?)?;
    Ok(json(StatusCode::OK, &json!({ "message": text })))
}

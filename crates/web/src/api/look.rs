//! What is only looked at: overview, status, accounts, events, the audit; and the question whether somebody may sign in.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::openapi::{Operation, address, limit, moment, needed, network, number_cursor, path_parameter, query};
use super::{Problem, json, read};
use crate::access::{Ask, Look, LookAround, LookAudit, May};
use crate::admin::view::SPANS;
use crate::admin::{Admin, Asked, Routes};

pub(super) fn add(routes: Routes) -> Routes {
    let status = Operation::get("/api/v1/status", "status", "getStatus", "How every part is").gives(200, "Status");
    let overview = Operation::get("/api/v1/overview", "status", "getOverview", "What happens, and what is in force")
        .with([query("span", "over the last", &["1h", "24h", "7d"])])
        .gives(200, "Overview");
    let check = Operation::get("/api/v1/check", "check", "check", "Whether a client may sign in, answered from memory")
        .with([
            needed("client", "its address").like(address),
            query("account", "the account that it wants to sign in to", &[]),
        ])
        .gives(200, "Checked");
    let accounts = Operation::get("/api/v1/accounts", "accounts", "listAccounts", "Accounts that something happens to")
        .gives(200, "AccountList");
    let account = Operation::get("/api/v1/accounts/{account}", "accounts", "getAccount", "All about one account")
        .with([path_parameter("account", "its name")])
        .gives(200, "Account");
    let events = Operation::get("/api/v1/events", "events", "listEvents", "The event log, newest first")
        .with([
            query("client", "of this address or network", &[]).like(network),
            query("account", "of this account", &[]),
            query("kind", "of this kind, such as login_failed", &[]).like(kinds),
            query("outcome", "what became of it", &["counted", "repeated", "spared", "stopped", "noted"]),
            query("node", "seen by this node", &[]),
            query("since", "at this moment or later (RFC 3339)", &[]).like(moment),
            query("until", "before this moment", &[]).like(moment),
            limit(),
            number_cursor(),
        ])
        .gives(200, "EventList");
    let audit = Operation::get("/api/v1/audit", "audit", "listAudit", "Who did what, newest first")
        .with([limit(), number_cursor()])
        .gives(200, "AuditList");
    let state =
        Operation::get("/api/v1/audit/state", "audit", "getAuditState", "Whether the audit is as it was written")
            .gives(200, "AuditState");
    routes
        .call(status, health)
        .call(overview, what_happens)
        .call(check, may_sign_in)
        .call(accounts, all_accounts)
        .call(account, one_account)
        .call(events, log)
        .call(audit, who_did_what)
        .call(state, audit_state)
}

/// Every kind of event, as it is written.
fn kinds() -> serde_json::Value {
    let names: Vec<&str> = fairban_types::EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    json!({ "type": "string", "enum": names })
}

async fn health(admin: Arc<Admin>, _: May<LookAround>, _: Asked) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &admin.desk.health().await?))
}

async fn what_happens(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Result<Response, Problem> {
    let name = asked.query("span").unwrap_or("24h");
    let span = SPANS.iter().find(|(span, _)| *span == name).map(|(_, time)| *time);
    let span = span.ok_or_else(|| Problem::wrong("span is one of 1h, 24h, 7d"))?;
    Ok(json(StatusCode::OK, &admin.desk.overview(span, &may.sight()).await?))
}

async fn may_sign_in(admin: Arc<Admin>, _: May<Ask>, asked: Asked) -> Result<Response, Problem> {
    let client = asked.query("client").ok_or_else(|| Problem::wrong("name a client: ?client=192.0.2.7"))?;
    let client = read::address(client).map_err(Problem::wrong)?;
    Ok(json(StatusCode::OK, &admin.desk.check(client, asked.query("account"))))
}

async fn all_accounts(admin: Arc<Admin>, may: May<Look>, _: Asked) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &json!({ "rows": admin.desk.accounts(&may.sight()).await? })))
}

async fn one_account(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Result<Response, Problem> {
    let account = asked.parameter("account").trim().to_lowercase();
    // Whether it is there is not for everybody to know.
    if account.is_empty() || account.len() > 320 || !may.sight().account(&account) {
        return Err(Problem::missing("account"));
    }
    Ok(json(StatusCode::OK, &admin.desk.account(&account).await?))
}

async fn log(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Result<Response, Problem> {
    let query = read::events(&asked, 100).map_err(Problem::wrong)?;
    Ok(json(StatusCode::OK, &admin.desk.events(&query, &may.sight()).await?))
}

async fn who_did_what(admin: Arc<Admin>, _: May<LookAudit>, asked: Asked) -> Result<Response, Problem> {
    let limit = read::limit(&asked, 100).map_err(Problem::wrong)?;
    let before =
        asked.query("cursor").map(str::parse).transpose().map_err(|_| Problem::wrong("that is no cursor of ours"))?;
    let rows = admin.desk.audit(before, limit).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.seq.to_string())).flatten();
    Ok(json(StatusCode::OK, &json!({ "rows": rows, "next": next })))
}

async fn audit_state(admin: Arc<Admin>, _: May<LookAudit>, _: Asked) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &admin.desk.audit_state().await?))
}

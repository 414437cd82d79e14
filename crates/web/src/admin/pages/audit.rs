//! Who did what.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Shell, When, desk_failed, page, words};
use crate::access::{LookAudit, May};
use crate::admin::view::AuditRow;
use crate::admin::{Admin, Asked, Routes, csv};

const ROWS: usize = 100;
const FILE_ROWS: usize = 1_000_000;
/// Rows that are read at once.
const AT_ONCE: usize = 1000;

pub(super) fn add(routes: Routes) -> Routes {
    routes.page::<LookAudit, _, _>("/audit", show).page::<LookAudit, _, _>("/audit.csv", export)
}

struct AuditLine {
    seq: i64,
    when: When,
    actor: String,
    act: String,
    subject: String,
    detail: String,
    hash: String,
}

#[derive(Template)]
#[template(path = "admin/audit.html")]
struct AuditPage {
    shell: Shell,
    rows: Vec<AuditLine>,
    next: Option<String>,
    is_later: bool,
    entries: String,
    head: String,
    broken_at: Option<i64>,
}

async fn show(admin: Arc<Admin>, may: May<LookAudit>, asked: Asked) -> Response {
    let before = asked.query("cursor").and_then(|text| text.parse().ok());
    let rows = match admin.desk.audit(before, ROWS).await {
        Ok(rows) => rows,
        Err(error) => return desk_failed(&admin, &asked, &error),
    };
    let state = match admin.desk.audit_state().await {
        Ok(state) => state,
        Err(error) => return desk_failed(&admin, &asked, &error),
    };
    let line = |row: &AuditRow| AuditLine {
        seq: row.seq,
        when: When::of(&admin, row.time),
        actor: words::short(&row.actor),
        act: words::short(&row.act.replace('_', " ")),
        subject: words::short(&row.subject),
        detail: words::clean(&row.detail.chars().take(300).collect::<String>()),
        hash: row.hash.chars().take(12).collect(),
    };
    let next = (rows.len() == ROWS).then(|| rows.last().map(|row| format!("/audit?cursor={}", row.seq))).flatten();
    let shown = AuditPage {
        shell: Shell::new(&admin, &may, &asked),
        rows: rows.iter().map(line).collect(),
        next,
        is_later: before.is_some(),
        entries: words::number(state.entries.unsigned_abs()),
        head: state.head,
        broken_at: state.broken_at,
    };
    page(StatusCode::OK, &shown)
}

async fn export(admin: Arc<Admin>, _: May<LookAudit>, _: Asked) -> Response {
    csv::file("audit.csv", "text/csv; charset=utf-8", |file| async move {
        let head = ["number", "time", "actor", "act", "subject", "detail", "hash"];
        let (mut text, mut before, mut count) = (csv::line(&head), None, 0);
        loop {
            let rows = admin.desk.audit(before, AT_ONCE).await?;
            (before, count) = (rows.last().map(|row| row.seq), count + rows.len());
            let is_last = rows.len() < AT_ONCE || count >= FILE_ROWS;
            for row in rows {
                let (seq, time) = (row.seq.to_string(), row.time.to_string());
                text.push_str(&csv::line(&[seq, time, row.actor, row.act, row.subject, row.detail, row.hash]));
            }
            if !file.add(std::mem::take(&mut text)).await || is_last {
                return Ok(());
            }
        }
    })
}

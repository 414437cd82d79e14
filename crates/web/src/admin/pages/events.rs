//! The event log.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use fairban_types::EventKind;

use super::blocks::{Choice, choices};
use super::rows::EventLine;
use super::{Shell, desk_failed, oops, page, query_with, words};
use crate::access::{Look, May};
use crate::admin::view::EventRow;
use crate::admin::{Admin, Asked, Routes, csv};
use crate::api::read;

/// Rows of a file.
const FILE_ROWS: usize = 1_000_000;
/// Rows that are read at once.
const AT_ONCE: usize = 1000;
/// The columns of a file.
const HEAD: [&str; 15] = [
    "number",
    "time",
    "kind",
    "client",
    "service",
    "account",
    "outcome",
    "node",
    "count",
    "helo",
    "return_path",
    "recipient",
    "program",
    "method",
    "reason",
];

pub(super) fn add(routes: Routes) -> Routes {
    routes.page::<Look, _, _>("/events", show).page::<Look, _, _>("/events.csv", export)
}

#[derive(Template)]
#[template(path = "admin/events.html")]
struct EventsPage {
    shell: Shell,
    client: String,
    account: String,
    kinds: Vec<Choice>,
    outcomes: Vec<Choice>,
    since: String,
    until: String,
    node: String,
    is_filtered: bool,
    rows: Vec<EventLine>,
    next: Option<String>,
    first: Option<String>,
    csv: String,
    is_newest: bool,
    /// Whether only a part was looked through, and too little found for a page.
    is_part: bool,
}

fn kinds(chosen: Option<&str>) -> Vec<Choice> {
    let any = Choice { value: String::new(), name: "anything".to_owned(), is_chosen: chosen.is_none() };
    let one = |kind: &EventKind| Choice {
        value: kind.as_str().to_owned(),
        name: words::event_kind(*kind),
        is_chosen: chosen == Some(kind.as_str()),
    };
    std::iter::once(any).chain(EventKind::ALL.iter().map(one)).collect()
}

const OUTCOMES: &[(&str, &str)] = &[
    ("", "anything"),
    ("counted", "counted: it earned points"),
    ("repeated", "repeated: the same mistake again"),
    ("spared", "spared: at home there, or never blocked"),
    ("stopped", "stopped: it came from a blocked subject"),
    ("noted", "noted: nothing to count"),
];

async fn show(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Response {
    let query = match read::events(&asked, 100) {
        Ok(query) => query,
        Err(text) => return oops(&admin, &asked, StatusCode::UNPROCESSABLE_ENTITY, &text),
    };
    let listing = match admin.desk.events(&query, &may.sight()).await {
        Ok(listing) => listing,
        Err(error) => return desk_failed(&admin, &asked, &error),
    };
    let text = |name: &str| asked.query(name).unwrap_or_default().to_owned();
    let link = |path: &str, add: &[(&str, &str)]| format!("{path}{}", query_with(&asked, &["cursor"], add));
    let names = ["client", "account", "kind", "outcome", "since", "until", "node"];
    let shell = Shell::new(&admin, &may, &asked);
    let is_newest = query.before.is_none() && query.until.is_none();
    let shown = EventsPage {
        shell: if is_newest { shell.live() } else { shell },
        client: text("client"),
        account: text("account"),
        kinds: kinds(asked.query("kind")),
        outcomes: choices(asked.query("outcome"), OUTCOMES),
        since: text("since"),
        until: text("until"),
        node: text("node"),
        is_filtered: names.iter().any(|name| asked.query(name).is_some()),
        is_part: listing.next.is_some() && listing.rows.len() < query.limit,
        rows: listing.rows.iter().map(|row| EventLine::of(&admin, row)).collect(),
        next: listing.next.map(|cursor| link("/events", &[("cursor", &cursor)])),
        first: asked.query("cursor").map(|_| link("/events", &[])),
        csv: link("/events.csv", &[]),
        is_newest,
    };
    page(StatusCode::OK, &shown)
}

fn fields(row: EventRow) -> Vec<String> {
    let event = row.event;
    let text = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned).unwrap_or_default();
    vec![
        row.seq.to_string(),
        event.time.to_string(),
        event.kind.as_str().to_owned(),
        event.client.to_string(),
        event.service.as_str().to_owned(),
        text(event.account),
        row.outcome,
        row.node,
        event.count.to_string(),
        text(event.helo),
        text(event.return_path),
        text(event.recipient),
        text(event.program),
        text(event.method),
        text(event.reason),
    ]
}

async fn export(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Response {
    let mut query = match read::events(&asked, 100) {
        Ok(query) => query,
        Err(text) => return oops(&admin, &asked, StatusCode::UNPROCESSABLE_ENTITY, &text),
    };
    query.limit = AT_ONCE;
    let sight = may.sight();
    csv::file("events.csv", "text/csv; charset=utf-8", |file| async move {
        let (mut text, mut count) = (csv::line(&HEAD), 0);
        loop {
            let listing = admin.desk.events(&query, &sight).await?;
            count += listing.rows.len();
            listing.rows.into_iter().for_each(|row| text.push_str(&csv::line(&fields(row))));
            query.before = listing.next.and_then(|cursor| cursor.parse().ok());
            let is_last = query.before.is_none() || count >= FILE_ROWS;
            if !(text.is_empty() || file.add(std::mem::take(&mut text)).await) || is_last {
                return Ok(());
            }
        }
    })
}

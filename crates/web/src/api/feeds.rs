//! Lists for other firewalls: addresses and networks that are blocked, as text and as JSON, with entity tags.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use fairban_types::{Effect, Subject, subtract};
use ipnet::IpNet;
use ring::digest::{SHA256, digest};
use serde_json::json;

use super::Problem;
use super::openapi::{Operation, query};
use crate::access::{LookAround, May};
use crate::admin::view::{BlockQuery, BlockRow, Kind};
use crate::admin::{Admin, Asked, Routes};

/// So many blocks are read at a time.
const AT_ONCE: usize = 10_000;

pub(super) fn add(routes: Routes) -> Routes {
    let family = || query("family", "only of this family", &["4", "6"]);
    let text = Operation::get(
        "/api/v1/feeds/blocks.txt",
        "feeds",
        "feedBlocksText",
        "Blocked addresses and networks, one a line. Never what is on the never-block list",
    )
    .with([family()])
    .gives_text("text/plain");
    let list = Operation::get(
        "/api/v1/feeds/blocks.json",
        "feeds",
        "feedBlocksJson",
        "Blocked addresses and networks with their ends",
    )
    .with([family()])
    .gives(200, "Feed");
    let never = Operation::get("/api/v1/feeds/never.txt", "feeds", "feedNeverText", "The never-block list, one a line")
        .with([family()])
        .gives_text("text/plain");
    routes.call(text, blocks_text).call(list, blocks_json).call(never, never_text)
}

fn family(asked: &Asked) -> Result<impl Fn(&IpNet) -> bool, Problem> {
    let family = match asked.query("family") {
        None => None,
        Some("4") => Some(true),
        Some("6") => Some(false),
        Some(_) => return Err(Problem::wrong("family is 4 or 6")),
    };
    Ok(move |net: &IpNet| family.is_none_or(|is_v4| net.addr().is_ipv4() == is_v4))
}

/// What is blocked, without what is on the never-block list.
async fn blocked(admin: &Admin, may: &May<LookAround>) -> Result<Vec<(IpNet, BlockRow)>, Problem> {
    let never: Vec<IpNet> = admin.desk.never().await?.into_iter().map(|row| row.net).collect();
    let mut query = BlockQuery { kind: Kind::Network, limit: AT_ONCE, ..BlockQuery::default() };
    let mut list = Vec::new();
    loop {
        let listing = admin.desk.blocks(&query, &may.sight()).await?;
        for row in listing.rows.into_iter().filter(|row| row.effect != Effect::Observe) {
            let Subject::Network(net) = &row.subject else { continue };
            list.extend(subtract(*net, &never).into_iter().map(|part| (part, row.clone())));
        }
        query.cursor = listing.next;
        if query.cursor.is_none() {
            break;
        }
    }
    list.sort_by_key(|(net, _)| *net);
    list.dedup_by_key(|(net, _)| *net);
    Ok(list)
}

fn as_text(net: &IpNet) -> String {
    Subject::Network(*net).to_string()
}

/// The list, or that it is the one that the client has.
fn tagged(asked: &Asked, kind: &'static str, body: String) -> Response {
    let mut tag = String::from("\"");
    for byte in &digest(&SHA256, body.as_bytes()).as_ref()[..12] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    let known = asked.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*");
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";

async fn blocks_text(admin: Arc<Admin>, may: May<LookAround>, asked: Asked) -> Result<Response, Problem> {
    let of_family = family(&asked)?;
    let mut body = String::new();
    for (net, _) in blocked(&admin, &may).await?.iter().filter(|(net, _)| of_family(net)) {
        let _ = writeln!(body, "{}", as_text(net));
    }
    Ok(tagged(&asked, TEXT, body))
}

async fn blocks_json(admin: Arc<Admin>, may: May<LookAround>, asked: Asked) -> Result<Response, Problem> {
    let of_family = family(&asked)?;
    let rows: Vec<_> = blocked(&admin, &may)
        .await?
        .into_iter()
        .filter(|(net, _)| of_family(net))
        .map(|(net, row)| json!({ "net": as_text(&net), "until": row.until, "rule": row.rule, "code": row.code }))
        .collect();
    Ok(tagged(&asked, "application/json", json!({ "blocks": rows }).to_string()))
}

async fn never_text(admin: Arc<Admin>, _: May<LookAround>, asked: Asked) -> Result<Response, Problem> {
    let of_family = family(&asked)?;
    let mut nets: Vec<IpNet> = admin.desk.never().await?.into_iter().map(|row| row.net).collect();
    nets.sort_unstable();
    nets.dedup();
    let mut body = String::new();
    for net in nets.iter().filter(|net| of_family(net)) {
        let _ = writeln!(body, "{}", as_text(net));
    }
    Ok(tagged(&asked, TEXT, body))
}

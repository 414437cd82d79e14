//! What needs no sign-in.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use fairban_types::Subject;

use super::{Shell, oops, page, slow_down};
use crate::portal::Portal;
use crate::portal::release::in_time;
use crate::portal::story::key_of;
use crate::portal::visit::Visit;

/// A block without anybody's name.
struct Plain {
    since: String,
    until: String,
    why: String,
    code: String,
}

#[derive(Template)]
#[template(path = "portal/blocked.html")]
struct BlockedPage<'a> {
    shell: Shell<'a>,
    address: String,
    blocks: Vec<Plain>,
}

/// Is the address that asks blocked? Says nothing of accounts, not even that one is locked here.
pub(crate) async fn blocked(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    if let Some(response) = slow_down(&portal, &visit) {
        return response;
    }
    let words = &visit.words;
    let Ok(views) = in_time(portal.house.look(visit.client, None)).await else {
        return oops(&portal, &visit, StatusCode::SERVICE_UNAVAILABLE, words.say("error.house"));
    };
    let blocks = views
        .iter()
        .filter(|view| view.ended.is_none() && matches!(view.receipt.subject, Subject::Network(_)))
        .map(|view| Plain {
            since: portal.moment(words, view.receipt.time),
            until: match view.receipt.until {
                Some(until) => portal.moment(words, until),
                None => words.say("fact.permanent").to_owned(),
            },
            why: words.say(&format!("diagnosis.{}.short", key_of(view.diagnosis()))).to_owned(),
            code: view.receipt.code.to_string(),
        })
        .collect();
    let address = visit.client.to_string();
    page(StatusCode::OK, &BlockedPage { shell: Shell::open(&portal, &visit), address, blocks })
}

pub(crate) async fn nowhere(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    oops(&portal, &visit, StatusCode::NOT_FOUND, visit.words.say("error.not_found"))
}

pub(crate) async fn not_that_way(State(portal): State<Arc<Portal>>, visit: Visit) -> Response {
    oops(&portal, &visit, StatusCode::METHOD_NOT_ALLOWED, visit.words.say("error.method"))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=3600")], text).into_response()
}

pub(crate) async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("../../../templates/portal/style.css"))
}

pub(crate) async fn icon() -> Response {
    file("image/svg+xml", include_str!("../../../templates/portal/icon.svg"))
}

//! The JSON API under `/api/v1`, lists for other firewalls, metrics and health.
//!
//! It goes by public conventions: bearer tokens (RFC 6750), problem details (RFC 9457), entity tags (RFC 9110),
//! `Idempotency-Key`, server-sent events, and an OpenAPI document that is made from the same table as the routes.

mod access;
mod blocks;
mod feeds;
mod fleet;
mod idempotency;
mod lists;
mod look;
mod metrics;
mod openapi;
mod problem;
pub(crate) mod read;
mod rules;
mod schema;
mod stream;

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

pub(crate) use feeds::Lists;
pub(crate) use idempotency::Idempotency;
pub(crate) use openapi::{Operation, openapi};
pub(crate) use problem::Problem;
pub(crate) use rules::reverting;

use crate::access::Who;
use crate::admin::{Admin, Asked, Routes, lock};

/// Adds every route of the API.
pub(crate) fn add(routes: Routes) -> Routes {
    let routes = routes.open("/api/v1/openapi.json", document).open("/healthz", metrics::alive);
    let routes = routes.open("/readyz", metrics::ready).open("/metrics", metrics::metrics);
    let routes = fleet::add(lists::add(blocks::add(routes)));
    let routes = rules::add(look::add(routes));
    access::add(stream::add(feeds::add(routes)))
}

async fn document(admin: Arc<Admin>, _: Asked) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (kind, admin.openapi.clone()).into_response()
}

/// A value as the body of an answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
            (status, kind, body).into_response()
        }
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()).into_response(),
    }
}

/// Awaits an answer. A change that is asked for twice by the same key is made once, and answered twice the same.
pub(crate) async fn answered(
    admin: &Admin,
    who: &Who,
    asked: &Asked,
    is_safe: bool,
    answer: impl Future<Output = Result<Response, Problem>>,
) -> Response {
    let flat = |answer: Result<Response, Problem>| answer.unwrap_or_else(|problem| problem.into_response());
    let Some(key) = asked.headers.get("idempotency-key").filter(|_| !is_safe) else { return flat(answer.await) };
    let Some(key) =
        key.to_str().ok().filter(|key| (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()))
    else {
        return Problem::new(StatusCode::BAD_REQUEST, "an Idempotency-Key has 1 to 255 visible characters")
            .into_response();
    };
    let place = match idempotency::begin(&admin.done_before, &who.name, key, asked, admin.now()) {
        Ok(idempotency::Begun::New(place)) => place,
        Ok(idempotency::Begun::Before(response)) => return response,
        Err(problem) => return problem.into_response(),
    };
    place.remember(flat(answer.await), lock).await
}

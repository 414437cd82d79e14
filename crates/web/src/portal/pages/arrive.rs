//! Arriving by a signed link.
//!
//! The link itself only asks: programs that look at links ahead of people must not use it up, and a person must see
//! whose account it is before it becomes theirs.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{Shell, oops, page, slow_down, welcome, with_guest};
use crate::portal::link::{Claim, LinkError};
use crate::portal::mask::clean;
use crate::portal::visit::{GuestForm, Visit, guest_bond, query_value};
use crate::portal::{Portal, lock};

#[derive(Template)]
#[template(path = "portal/link.html")]
struct LinkPage<'a> {
    shell: Shell<'a>,
    token: String,
    link: &'a str,
    account: String,
}

fn refuse(portal: &Portal, visit: &Visit, error: LinkError) -> Response {
    tracing::info!(client = %visit.client, %error, "a signed link was not taken");
    oops(portal, visit, StatusCode::FORBIDDEN, visit.words.say("link.wrong"))
}

pub(crate) async fn ask(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    headers: HeaderMap,
    request: Request,
) -> Response {
    if let Some(response) = slow_down(&portal, &visit) {
        return response;
    }
    let Some(links) = &portal.links else {
        return oops(&portal, &visit, StatusCode::NOT_FOUND, visit.words.say("error.not_found"));
    };
    let link = query_value(request.uri().query(), "token").unwrap_or_default();
    let claim = match lock(links).read(&link, portal.now()) {
        Ok(claim) => claim,
        Err(error) => return refuse(&portal, &visit, error),
    };
    with_guest(&portal, guest_bond(&portal, &headers), |token| {
        let mut shell = Shell::open(&portal, &visit);
        shell.kept_query = form_urlencoded::Serializer::new(String::new()).append_pair("token", &link).finish();
        page(StatusCode::OK, &LinkPage { shell, token, link: &link, account: clean(&claim.account) })
    })
}

pub(crate) async fn arrive(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    headers: HeaderMap,
    GuestForm(form): GuestForm,
) -> Response {
    if let Some(response) = slow_down(&portal, &visit) {
        return response;
    }
    let taken: Result<Claim, LinkError> = match &portal.links {
        Some(links) => lock(links).take(form.get("link"), portal.now()),
        None => Err(LinkError::Form),
    };
    match taken {
        Ok(claim) => welcome(&portal, &visit, &headers, &claim.account).await,
        Err(error) => refuse(&portal, &visit, error),
    }
}

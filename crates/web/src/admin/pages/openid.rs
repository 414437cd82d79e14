//! There to the OpenID provider, and back.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::{desk_failed, enter, go, next_place, oops, page, with_cookie};
use crate::access::{DeskError, OpenIdError, Refusal};
use crate::admin::{Admin, Asked, Routes, SESSION};
use crate::cookie;

/// The cookie of somebody who is at the provider.
const AWAY: &str = "admin-openid";

pub(super) fn add(routes: Routes) -> Routes {
    routes.open("/sign-in/openid", leave).open("/sign-in/openid/done", come_back)
}

/// A page of our own that goes on. A redirect would still count as the provider's, to which browsers do not give the
/// session's cookie.
#[derive(Template)]
#[template(path = "admin/on.html")]
struct OnPage<'a> {
    next: &'a str,
}

async fn leave(admin: Arc<Admin>, asked: Asked) -> Response {
    let Some(provider) = &admin.provider else { return oops(&admin, &asked, StatusCode::NOT_FOUND, NONE) };
    let next = next_place(asked.query("next").unwrap_or_default(), "/");
    match provider.begin(next, admin.now()).await {
        Ok((place, token)) => with_cookie(go(&place), admin.jar.set_for_return(AWAY, Some(&token))),
        Err(error) => failed(&admin, &asked, error).await,
    }
}

const NONE: &str = "There is no OpenID provider here.";

async fn come_back(admin: Arc<Admin>, asked: Asked) -> Response {
    let Some(provider) = &admin.provider else { return oops(&admin, &asked, StatusCode::NOT_FOUND, NONE) };
    let token = cookie::read(&asked.headers, &admin.jar.name(AWAY)).unwrap_or_default();
    if asked.query("error").is_some() {
        return failed(&admin, &asked, OpenIdError::Refused("The provider has not let you in.")).await;
    }
    let (state, code) = (asked.query("state").unwrap_or_default(), asked.query("code").unwrap_or_default());
    let vouched = match provider.finish(token, state, code, admin.now()).await {
        Ok(vouched) => vouched,
        Err(error) => return failed(&admin, &asked, error).await,
    };
    let user = admin.registry.vouched_for(vouched.openid, &vouched.name, vouched.role, admin.now()).await;
    let done = match user {
        Ok(user) => admin.welcome(asked.client, &user).await,
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(token) => {
            let on = page(StatusCode::OK, &OnPage { next: &vouched.next });
            let on = with_cookie(on, admin.jar.set_for_return(AWAY, None));
            with_cookie(on, admin.jar.set(SESSION, Some(&token)))
        }
        Err(refusal) => enter::not_let_in(&admin, &asked, refusal, "").await,
    }
}

async fn failed(admin: &Admin, asked: &Asked, error: OpenIdError) -> Response {
    match error {
        OpenIdError::Provider(_) => desk_failed(admin, asked, &DeskError(error.to_string())),
        OpenIdError::Refused(text) => {
            tracing::warn!(client = %asked.client, "a sign-in by the OpenID provider is refused: {text}");
            enter::not_let_in(admin, asked, Refusal::Wrong(text.to_owned()), "").await
        }
    }
}

//! The pages.

mod arrive;
mod by_code;
mod open;
mod result;
mod sign_in;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, SET_COOKIE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::visit::{Bond, LANGUAGE, Member, SESSION, VISIT, Visit};
use super::{Portal, lock};
use crate::Words;
use crate::security::protect;

/// A page takes no longer than this, whatever it waits for.
const PAGE_TIME: Duration = Duration::from_secs(30);

/// A chosen language is remembered for so many seconds: a year.
const LANGUAGE_KEPT: u64 = 31_536_000;

pub(super) fn router(portal: Arc<Portal>) -> Router {
    Router::new()
        .route("/", get(sign_in::home))
        .route("/sign-in", post(sign_in::sign_in).get(sign_in::home))
        .route("/sign-out", post(sign_in::sign_out).get(sign_in::home))
        .route("/result", get(result::show))
        .route("/release", post(result::release).get(result::show))
        .route("/code", post(by_code::show).get(result::show))
        .route("/blocked", get(open::blocked))
        .route("/link", get(arrive::ask).post(arrive::arrive))
        .route("/style.css", get(open::style))
        .route("/icon.svg", get(open::icon))
        .fallback(open::nowhere)
        .method_not_allowed_fallback(open::not_that_way)
        .layer(from_fn_with_state(portal.clone(), around))
        .with_state(portal)
}

/// The pages that a link can lead back to.
const PATHS: [&str; 8] = ["/", "/sign-in", "/sign-out", "/result", "/release", "/code", "/blocked", "/link"];

/// Around every page: who visits, how long it may take, and what a browser must not do with it.
async fn around(State(portal): State<Arc<Portal>>, mut request: Request, next: Next) -> Response {
    let Some(visit) = Visit::of(&portal, &request) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    request.extensions_mut().insert(visit.clone());
    let answer = tokio::time::timeout(PAGE_TIME, next.run(request)).await;
    let mut response =
        answer.unwrap_or_else(|_| oops(&portal, &visit, StatusCode::GATEWAY_TIMEOUT, visit.words.say("error.house")));
    let headers = response.headers_mut();
    protect(headers);
    headers.append(VARY, HeaderValue::from_static("Accept-Language, Cookie"));
    if visit.chosen
        && let Some(cookie) = portal.jar.set_for(LANGUAGE, Some(visit.words.tag()), Some(LANGUAGE_KEPT))
    {
        headers.append(SET_COOKIE, cookie);
    }
    response
}

/// What every page has around its content.
pub(super) struct Shell<'a> {
    portal: &'a Portal,
    words: &'a Words,
    path: &'a str,
    /// Links of the language switch keep this of the query.
    kept_query: String,
    member: Option<(&'a str, String)>,
}

impl<'a> Shell<'a> {
    pub(super) fn open(portal: &'a Portal, visit: &'a Visit) -> Self {
        // A path of the visitor's own making, such as `//elsewhere.test`, would lead elsewhere as a link.
        let path = if PATHS.contains(&visit.path.as_str()) { visit.path.as_str() } else { "/" };
        Shell { portal, words: &visit.words, path, kept_query: String::new(), member: None }
    }

    pub(super) fn of(portal: &'a Portal, visit: &'a Visit, member: &'a Member) -> Self {
        let token = portal.form_token(&member.bond);
        Shell { member: Some((&member.session.account, token)), ..Shell::open(portal, visit) }
    }

    // What templates ask for.

    fn say(&self, key: &'a str) -> &str {
        self.words.say(key)
    }

    fn fill(&self, key: &str, name: &str, value: &str) -> String {
        self.words.fill(key, &[(name, value)])
    }

    fn brand(&self) -> &str {
        self.portal.settings.brand.as_deref().unwrap_or_else(|| self.words.say("page.brand"))
    }

    fn contact(&self) -> Option<&str> {
        self.portal.settings.contact.as_deref()
    }

    /// The contact as a link, if it is a mail or web address.
    fn contact_link(&self) -> Option<String> {
        let contact = self.contact()?;
        if contact.starts_with("https://") || contact.starts_with("http://") {
            return Some(contact.to_owned());
        }
        (contact.contains('@') && !contact.contains([' ', ':'])).then(|| format!("mailto:{contact}"))
    }

    fn password_url(&self) -> Option<&str> {
        self.portal.settings.password_url.as_deref()
    }

    /// Tag, name, link and whether it is the present one.
    fn languages(&self) -> Vec<(&str, &str, String, bool)> {
        let all = self.portal.languages.all();
        all.map(|words| {
            let query: String =
                form_urlencoded::Serializer::new(self.kept_query.clone()).append_pair("lang", words.tag()).finish();
            (words.tag(), words.name(), format!("{}?{query}", self.path), words.tag() == self.words.tag())
        })
        .collect()
    }

    fn member_account(&self) -> Option<String> {
        self.member.as_ref().map(|(account, _)| super::mask::clean(account))
    }

    fn member_token(&self) -> &str {
        self.member.as_ref().map_or("", |(_, token)| token)
    }
}

/// A page as an answer.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            (status, [(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// On to another page, after a form.
pub(super) fn go(to: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static(to))]).into_response()
}

pub(super) fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn with_wait(mut response: Response, wait: Duration) -> Response {
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    response
}

#[derive(Template)]
#[template(path = "portal/error.html")]
struct ErrorPage<'a> {
    shell: Shell<'a>,
    message: &'a str,
}

/// What went wrong, in a sentence.
pub(super) fn oops(portal: &Portal, visit: &Visit, status: StatusCode, message: &str) -> Response {
    page(status, &ErrorPage { shell: Shell::open(portal, visit), message })
}

/// Too many pages: how long to wait.
fn slow_down(portal: &Portal, visit: &Visit) -> Option<Response> {
    let wait = lock(&portal.attempts).page(visit.client, portal.now()).err()?;
    let message = visit.words.fill("error.wait", &[("span", &visit.words.span(wait))]);
    Some(with_wait(oops(portal, visit, StatusCode::TOO_MANY_REQUESTS, &message), wait))
}

/// A page for members was asked for by somebody who is none (any more).
pub(super) fn not_signed_in(portal: &Portal, visit: &Visit, headers: &HeaderMap) -> Response {
    let had_one = crate::cookie::read(headers, &portal.jar.name(SESSION)).is_some();
    let error = had_one.then(|| visit.words.say("sign_in.ended").to_owned());
    let response = sign_in::form(portal, visit, headers, StatusCode::FORBIDDEN, "", error);
    with_cookie(response, portal.jar.set(SESSION, None))
}

/// Signs somebody in whose account is certain: a new session with a new token, and whatever can be lifted is.
async fn welcome(portal: &Arc<Portal>, visit: &Visit, headers: &HeaderMap, account: &str) -> Response {
    // A token that somebody may have planted or seen before must be worth nothing after.
    if let Some(old) = Member::of(portal, headers) {
        lock(&portal.sessions).end(old.id);
    }
    let account = portal.accounts.canonical(account);
    let begun = lock(&portal.sessions).begin(account.clone(), visit.client, portal.now());
    let (token, id) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            tracing::error!(%error, "nobody can be signed in");
            return oops(portal, visit, StatusCode::INTERNAL_SERVER_ERROR, visit.words.say("error.house"));
        }
    };
    result::lift_all(portal, visit, id, &account).await;
    with_cookie(go("/result"), portal.jar.set(SESSION, Some(&token)))
}

/// A guest's form token, and the answer with the cookie that it is bound to.
fn with_guest(portal: &Portal, bond: (Bond, Option<String>), make: impl FnOnce(String) -> Response) -> Response {
    let (bond, new) = bond;
    let response = make(portal.form_token(&bond));
    match new {
        Some(token) => with_cookie(response, portal.jar.set(VISIT, Some(&token))),
        None => response,
    }
}

/// Whether both are the same place: an IPv4 address or an IPv6 /64.
fn is_same_place(one: IpAddr, other: IpAddr) -> bool {
    super::attempts::place(one) == super::attempts::place(other)
}

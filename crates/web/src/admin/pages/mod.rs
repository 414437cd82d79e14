//! The pages.

mod accounts;
mod audit;
mod blocks;
mod enter;
mod events;
mod fleet;
mod lists;
mod me;
mod openid;
mod overview;
mod passkeys;
mod people;
mod receipt;
mod rows;
mod rules;

use std::sync::Arc;

use askama::Template;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE, VARY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use fairban_types::Time;

use super::desk::{Outcome, What};
use super::route::LIVE;
use super::{Admin, Asked, Deed, Routes, SESSION, lock, words};
use crate::access::{
    Act, Block, DeskError, EditNever, EditRules, Flash, Look, LookAround, LookAudit, ManageAccess, May, Means,
    NotYours, Refusal, Release, Right, SessionId,
};
use crate::cookie;

pub(super) fn add(routes: Routes) -> Routes {
    let routes = routes
        .open("/style.css", |_, _| async {
            file("text/css; charset=utf-8", include_str!("../../../templates/admin/style.css"))
        })
        .open("/live.js", |_, _| async {
            file("text/javascript; charset=utf-8", include_str!("../../../templates/admin/live.js"))
        })
        .open("/icon.svg", |_, _| async { file("image/svg+xml", include_str!("../../../templates/admin/icon.svg")) })
        .form::<Look, _, _>("/undo", undo);
    let routes = overview::add(enter::add(routes));
    let routes = lists::add(receipt::add(blocks::add(routes)));
    let routes = rules::add(events::add(accounts::add(routes)));
    let routes = fleet::add(audit::add(routes));
    openid::add(passkeys::add(me::add(people::add(routes))))
}

fn file(kind: &'static str, body: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    (headers, body).into_response()
}

/// A link of the navigation.
struct Item {
    name: &'static str,
    path: &'static str,
    is_here: bool,
}

/// What every page of somebody who is signed in has around its content.
pub(super) struct Shell {
    user: String,
    role: &'static str,
    token: String,
    items: Vec<Item>,
    flash: Option<Flash>,
    zone: String,
    /// Whether the page shows what changes by itself.
    is_live: bool,
    path: String,
}

impl Shell {
    fn new<R: Right>(admin: &Admin, may: &May<R>, asked: &Asked) -> Self {
        let who = may.who();
        // What the page's own script asks for is not seen as a whole, so that what is said once would be lost.
        let flash = match (who.means, asked.headers.contains_key(LIVE)) {
            (Means::Session(id), false) => lock(&admin.sessions).take_flash(id),
            _ => None,
        };
        let all = [
            ("Overview", "/", true),
            ("Blocks", "/blocks", true),
            ("Never block", "/never", may.has::<LookAround>()),
            ("Send blocks", "/send-blocks", true),
            ("Accounts", "/accounts", true),
            ("Events", "/events", true),
            ("Rules", "/rules", may.has::<LookAround>()),
            ("Fleet", "/fleet", may.has::<LookAround>()),
            ("Audit", "/audit", may.has::<LookAudit>()),
            ("People and tokens", "/access", may.has::<ManageAccess>()),
        ];
        let is_here = |path: &str| if path == "/" { asked.path == "/" } else { asked.path.starts_with(path) };
        let items = all.into_iter().filter(|(_, _, is_shown)| *is_shown);
        Shell {
            user: who.name.clone(),
            role: who.role.grade.in_words().split(':').next().unwrap_or_default(),
            token: admin.session_form_token(&asked.headers),
            items: items.map(|(name, path, _)| Item { name, path, is_here: is_here(path) }).collect(),
            flash,
            zone: words::zone_name(admin.now(), &admin.zone),
            is_live: false,
            path: asked.path.clone(),
        }
    }

    fn live(mut self) -> Self {
        self.is_live = true;
        self
    }

    fn is_me(&self) -> bool {
        self.path == "/me"
    }
}

/// What somebody may do, for what a page offers.
#[derive(Clone, Copy)]
pub(super) struct Can {
    block: bool,
    release: bool,
    never: bool,
    rules: bool,
}

impl Can {
    fn of<R: Right>(may: &May<R>) -> Self {
        Can {
            block: may.has::<Block>(),
            release: may.has::<Release>(),
            never: may.has::<EditNever>(),
            rules: may.has::<EditRules>(),
        }
    }
}

/// A page as an answer.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            let mut response = (status, [(CONTENT_TYPE, kind)], html).into_response();
            response.headers_mut().insert(VARY, HeaderValue::from_static("Cookie"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// On to another page, after a form.
pub(super) fn go(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// A place of ours to go to: what a form names, if that is one.
fn next_place(text: &str, otherwise: &str) -> String {
    let is_ours = text.starts_with('/')
        && !text.starts_with("//")
        && !text.contains('\\')
        && text.len() < 2000
        && text.bytes().all(|b| (0x21..0x7f).contains(&b));
    if is_ours { text.to_owned() } else { otherwise.to_owned() }
}

/// Text as a part of a link.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[derive(Template)]
#[template(path = "admin/oops.html")]
struct Oops<'a> {
    message: &'a str,
    title: &'a str,
}

/// What went wrong, in a sentence.
pub(super) fn oops(_: &Admin, _: &Asked, status: StatusCode, message: &str) -> Response {
    page(status, &Oops { message, title: status.canonical_reason().unwrap_or("Sorry") })
}

fn desk_failed(admin: &Admin, asked: &Asked, error: &DeskError) -> Response {
    tracing::error!(%error, "a page could not be made");
    oops(admin, asked, StatusCode::SERVICE_UNAVAILABLE, "The daemon cannot answer now. Its log says why.")
}

/// Why somebody does not get a page.
pub(super) fn refused(admin: &Admin, asked: &Asked, refusal: Refusal) -> Response {
    match refusal {
        Refusal::NotSignedIn if asked.headers.contains_key(LIVE) => StatusCode::UNAUTHORIZED.into_response(),
        Refusal::NotSignedIn => {
            let had_one = cookie::read(&asked.headers, &admin.jar.name(SESSION)).is_some();
            let to = if asked.path == "/" {
                "/sign-in".to_owned()
            } else {
                format!("/sign-in?next={}", encoded(&asked.path))
            };
            let response = go(&to);
            if had_one { with_cookie(response, admin.jar.set(SESSION, None)) } else { response }
        }
        Refusal::SecondFactorFirst if asked.headers.contains_key(LIVE) => StatusCode::FORBIDDEN.into_response(),
        Refusal::SecondFactorFirst => go("/me?new=yes"),
        Refusal::NotAllowed => oops(admin, asked, StatusCode::FORBIDDEN, "Your role does not have the right for this."),
        Refusal::Wait(wait) => {
            let text = format!("Too many tries. Wait {}, then try again.", words::span(wait));
            oops(admin, asked, StatusCode::TOO_MANY_REQUESTS, &text)
        }
        Refusal::Desk(error) => desk_failed(admin, asked, &DeskError(error)),
        Refusal::Wrong(text) => oops(admin, asked, StatusCode::UNPROCESSABLE_ENTITY, &text),
    }
}

/// Which session somebody has.
fn session_of<R: Right>(may: &May<R>) -> Option<SessionId> {
    match may.who().means {
        Means::Session(id) => Some(id),
        Means::Token => None,
    }
}

/// Says something on the next page; with what takes it back.
fn say<R: Right>(admin: &Admin, may: &May<R>, good: bool, text: impl Into<String>, undo: Vec<What>) {
    let Some(id) = session_of(may) else { return };
    lock(&admin.sessions).change(id, |session| {
        session.flash = Some(Flash { good, text: text.into(), has_undo: !undo.is_empty() });
        session.undo = undo;
    });
}

/// Does something and says what became of it.
async fn perform<R: Right>(admin: &Admin, may: &May<R>, act: Result<Act, NotYours>, undo: Vec<What>) -> bool {
    let Ok(act) = act else {
        say(admin, may, false, "That concerns others than the accounts of your domains.", Vec::new());
        return false;
    };
    match admin.desk.act(&act).await {
        Ok(Outcome::Done(text)) => {
            say(admin, may, true, text, undo);
            true
        }
        Ok(Outcome::No(text)) => {
            say(admin, may, false, text, Vec::new());
            false
        }
        Err(error) => {
            tracing::error!(%error, "an act failed");
            say(admin, may, false, "The daemon cannot do that now. Its log says why.", Vec::new());
            false
        }
    }
}

/// Takes back what was done last.
async fn undo(admin: Arc<Admin>, may: May<Look>, deed: Deed) -> Response {
    let mut list = Vec::new();
    if let Some(id) = session_of(&may) {
        lock(&admin.sessions).change(id, |session| list = std::mem::take(&mut session.undo));
    }
    let (mut done, mut failed) = (0, Vec::new());
    for what in list {
        match Act::undo(&may, what) {
            None => failed.push("not yours to take back".to_owned()),
            Some(act) => match admin.desk.act(&act).await {
                Ok(Outcome::Done(_)) => done += 1,
                Ok(Outcome::No(text)) => failed.push(text),
                Err(error) => failed.push(error.0),
            },
        }
    }
    match (done, failed.as_slice()) {
        (0, []) => say(&admin, &may, false, "There is nothing to take back.", Vec::new()),
        (_, []) => say(&admin, &may, true, "Taken back.", Vec::new()),
        (_, [first, ..]) => say(&admin, &may, false, format!("Not all was taken back: {first}"), Vec::new()),
    }
    go(&next_place(deed.form.get("next"), "/"))
}

/// A moment, as a page shows it: exactly, for machines, and how long ago. As text it is HTML.
#[derive(Template)]
#[template(path = "admin/when.html")]
pub(super) struct When {
    exact: String,
    machine: String,
    ago: String,
}

impl When {
    /// How long ago, for the midst of a sentence.
    fn ago(&self) -> &str {
        &self.ago
    }

    fn of(admin: &Admin, time: Time) -> Self {
        When { exact: words::moment(time, &admin.zone), machine: time.to_string(), ago: words::ago(time, admin.now()) }
    }
}

/// The query without some of its keys, and with another: for links that change one thing.
fn query_with(asked: &Asked, without: &[&str], add: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in asked.queries() {
        let is_added = add.iter().any(|(added, _)| added == name);
        if !without.contains(&name.as_str()) && !is_added && !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    for (name, value) in add {
        query.append_pair(name, value);
    }
    let text = query.finish();
    if text.is_empty() { String::new() } else { format!("?{text}") }
}

//! Signing in with a password, and out.

use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use fairban_types::{Event, EventKind, Service};

use super::{Shell, go, page, welcome, with_cookie, with_guest, with_wait};
use crate::portal::mask::clean;
use crate::portal::password::{Checked, Password};
use crate::portal::visit::{GuestForm, Member, MemberForm, SESSION, Visit, guest_bond};
use crate::portal::{PROGRAM, Portal, lock};

/// Longer names and passwords are nobody's (RFC 5321, 4.5.3.1.1, with room).
const ACCOUNT_MAX: usize = 320;
const PASSWORD_MAX: usize = 1024;

#[derive(Template)]
#[template(path = "portal/sign_in.html")]
struct SignInPage<'a> {
    shell: Shell<'a>,
    token: String,
    account: &'a str,
    error: Option<String>,
    by_password: bool,
}

/// The form, for whoever is not signed in.
pub(crate) async fn home(State(portal): State<Arc<Portal>>, visit: Visit, headers: HeaderMap) -> Response {
    if Member::of(&portal, &headers).is_some() {
        return go("/result");
    }
    form(&portal, &visit, &headers, StatusCode::OK, "", None)
}

pub(super) fn form(
    portal: &Portal,
    visit: &Visit,
    headers: &HeaderMap,
    status: StatusCode,
    account: &str,
    error: Option<String>,
) -> Response {
    with_guest(portal, guest_bond(portal, headers), |token| {
        let by_password = portal.check.is_some();
        page(status, &SignInPage { shell: Shell::open(portal, visit), token, account, error, by_password })
    })
}

/// What became of a try.
enum Tried {
    Checked(Checked),
    Busy,
}

pub(crate) async fn sign_in(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    headers: HeaderMap,
    GuestForm(mut fields): GuestForm,
) -> Response {
    let words = visit.words.clone();
    let account = fields.get("account").trim().to_owned();
    let password = Password::new(fields.take("password"));
    let shown = clean(&account);
    let again = |status, error: String| form(&portal, &visit, &headers, status, &shown, Some(error));
    if account.is_empty() || password.reveal().is_empty() {
        return again(StatusCode::UNPROCESSABLE_ENTITY, words.say("sign_in.empty").to_owned());
    }
    if portal.check.is_none() {
        return again(StatusCode::FORBIDDEN, words.say("sign_in.off").to_owned());
    }
    let name = portal.accounts.canonical(&account.chars().take(ACCOUNT_MAX).collect::<String>());
    let may = portal.house.may_try(visit.client, &name);
    let taken = match lock(&portal.attempts).password(visit.client, &name, may, portal.now()) {
        Ok(taken) => taken,
        Err(wait) => {
            let error = words.fill("sign_in.wait", &[("span", &words.span(wait))]);
            return with_wait(again(StatusCode::TOO_MANY_REQUESTS, error), wait);
        }
    };
    match check(&portal, visit.client, account, password).await {
        Tried::Checked(Checked::Right) => {
            lock(&portal.attempts).give_back(&taken);
            welcome(&portal, &visit, &headers, &name).await
        }
        Tried::Checked(Checked::Wrong) => again(StatusCode::FORBIDDEN, words.say("sign_in.wrong").to_owned()),
        Tried::Checked(Checked::Unavailable(why)) => {
            tracing::warn!(%why, "the mail server could not check a password for the portal");
            lock(&portal.attempts).give_back(&taken);
            again(StatusCode::SERVICE_UNAVAILABLE, words.say("sign_in.unavailable").to_owned())
        }
        Tried::Busy => {
            lock(&portal.attempts).give_back(&taken);
            again(StatusCode::SERVICE_UNAVAILABLE, words.say("sign_in.unavailable").to_owned())
        }
    }
}

/// Checks in a task of its own: who closes the connection before the answer has tried all the same.
async fn check(portal: &Arc<Portal>, client: IpAddr, account: String, password: Password) -> Tried {
    let portal = portal.clone();
    let task = tokio::spawn(async move {
        let Ok(_place) = portal.checks.try_acquire() else { return Tried::Busy };
        let checked = match &portal.check {
            Some(check) if is_possible(&account, &password) => check.check(&account, &password).await,
            _ => Checked::Wrong,
        };
        let kind = match checked {
            Checked::Right => Some(EventKind::LoginSucceeded),
            Checked::Wrong => Some(EventKind::LoginFailed),
            Checked::Unavailable(_) => None,
        };
        if let Some(kind) = kind {
            let mut event = Event::new(kind, portal.now(), client, Service::Webmail);
            event.account = Some(account.chars().take(ACCOUNT_MAX).collect::<String>().into());
            event.program = Some(PROGRAM.into());
            portal.house.hear(event);
        }
        Tried::Checked(checked)
    });
    task.await.unwrap_or(Tried::Busy)
}

/// What no account or password can be is not worth a question, but it is a try.
fn is_possible(account: &str, password: &Password) -> bool {
    let password = password.reveal();
    account.len() <= ACCOUNT_MAX
        && password.len() <= PASSWORD_MAX
        && !account.chars().any(char::is_control)
        && !password.contains(['\0', '\r', '\n'])
}

#[derive(Template)]
#[template(path = "portal/signed_out.html")]
struct SignedOutPage<'a> {
    shell: Shell<'a>,
}

/// Ends the session here, so that its cookie is worth nothing wherever it may be.
pub(crate) async fn sign_out(
    State(portal): State<Arc<Portal>>,
    visit: Visit,
    member: Member,
    MemberForm(_): MemberForm,
) -> Response {
    lock(&portal.sessions).end(member.id);
    let response = page(StatusCode::OK, &SignedOutPage { shell: Shell::open(&portal, &visit) });
    with_cookie(response, portal.jar.set(SESSION, None))
}

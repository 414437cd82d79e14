//! Coming in, and going out.

use std::sync::Arc;

use askama::Template;
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::{desk_failed, encoded, go, next_place, page, session_of, with_cookie};
use crate::access::{DeskError, Link, May, Own, PASSWORD_MAX, Refusal, SignedIn, Stage, user_name, weakness};
use crate::admin::{Admin, Asked, Deed, Guest, Routes, SESSION, lock, words};
use crate::cookie;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .open("/sign-in", sign_in_page)
        .guest("/sign-in", sign_in)
        .open("/code", code_page)
        .guest("/code", code)
        .open("/set-up", set_up_page)
        .guest("/set-up", set_up)
        .form::<Own, _, _>("/sign-out", sign_out)
}

#[derive(Template)]
#[template(path = "admin/sign_in.html")]
struct SignInPage<'a> {
    token: &'a str,
    name: &'a str,
    next: &'a str,
    error: Option<&'a str>,
    is_first_run: bool,
    has_passkeys: bool,
    /// What the OpenID provider is called.
    provider: Option<&'a str>,
    openid_link: &'a str,
}

#[derive(Template)]
#[template(path = "admin/code.html")]
struct CodePage<'a> {
    token: &'a str,
    next: &'a str,
    error: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "admin/set_up.html")]
struct SetUpPage<'a> {
    token: &'a str,
    link: &'a str,
    name: &'a str,
    is_new: bool,
    role: &'a str,
    error: Option<&'a str>,
}

/// A page with a form for a guest, and the cookie that its token is bound to.
fn guest_page(admin: &Admin, asked: &Asked, status: StatusCode, make: impl FnOnce(&str) -> Response) -> Response {
    let (token, cookie) = admin.guest_form_token(&asked.headers);
    let mut response = make(&token);
    *response.status_mut() = status;
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn is_signed_in(admin: &Admin, asked: &Asked) -> bool {
    let token = cookie::read(&asked.headers, &admin.jar.name(SESSION));
    token.is_some_and(|token| lock(&admin.sessions).find(token, Stage::Full, true, admin.now()).is_some())
}

async fn sign_in_page(admin: Arc<Admin>, asked: Asked) -> Response {
    if is_signed_in(&admin, &asked) {
        return go("/");
    }
    sign_in_form(&admin, &asked, StatusCode::OK, "", None).await
}

async fn sign_in_form(admin: &Admin, asked: &Asked, status: StatusCode, name: &str, error: Option<&str>) -> Response {
    let next = next_place(asked.query("next").unwrap_or_default(), "");
    let is_first_run = admin.registry.users().await.is_ok_and(|users| users.is_empty());
    guest_page(admin, asked, status, |token| {
        let has_passkeys = admin.site.is_some();
        let provider = admin.provider.as_ref().map(crate::access::Provider::name);
        let openid_link = &format!("/sign-in/openid?next={}", encoded(&next));
        let next = &next;
        page(status, &SignInPage { token, name, next, error, is_first_run, has_passkeys, provider, openid_link })
    })
}

async fn sign_in(admin: Arc<Admin>, guest: Guest) -> Response {
    let Guest { asked, mut form } = guest;
    let name: String = form.get("name").trim().chars().take(64).collect();
    let next = next_place(form.get("next"), "/");
    let password = form.take("password");
    // In a task of its own: who closes the connection before the answer has tried all the same.
    let (on, client, user) = (admin.clone(), asked.client, name.clone());
    let task = tokio::spawn(async move { on.sign_in(client, &user, password).await });
    let done = task.await.unwrap_or_else(|error| Err(Refusal::Desk(error.to_string())));
    match done {
        Ok(SignedIn::Full(token)) => with_cookie(go(&next), admin.jar.set(SESSION, Some(&token))),
        Ok(SignedIn::CodeNeeded(token)) => {
            let to = if next == "/" { "/code".to_owned() } else { format!("/code?next={}", encoded(&next)) };
            with_cookie(go(&to), admin.jar.set(SESSION, Some(&token)))
        }
        Err(refusal) => not_let_in(&admin, &asked, refusal, &name).await,
    }
}

/// The form again, with why.
pub(super) async fn not_let_in(admin: &Admin, asked: &Asked, refusal: Refusal, name: &str) -> Response {
    let (status, text, wait) = told(admin, asked, refusal);
    let text = match text {
        Ok(text) => text,
        Err(response) => return response,
    };
    let mut response = sign_in_form(admin, asked, status, name, Some(&text)).await;
    if let Some(secs) = wait {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

/// What somebody is told who does not get in.
fn told(admin: &Admin, asked: &Asked, refusal: Refusal) -> (StatusCode, Result<String, Response>, Option<u64>) {
    match refusal {
        Refusal::Wrong(text) => (StatusCode::FORBIDDEN, Ok(text), None),
        Refusal::Wait(wait) => {
            let text = format!(
                "Too many tries. Wait {}. On the server, “fairban user link” gets you in at once.",
                words::span(wait)
            );
            (StatusCode::TOO_MANY_REQUESTS, Ok(text), Some(wait.as_secs().max(1)))
        }
        Refusal::NotSignedIn | Refusal::NotAllowed | Refusal::SecondFactorFirst => {
            (StatusCode::FORBIDDEN, Ok("Sign in again, please.".to_owned()), None)
        }
        Refusal::Desk(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, Err(desk_failed(admin, asked, &DeskError(error))), None)
        }
    }
}

/// The cookie of somebody whose password was right.
fn half_signed_in<'a>(admin: &Admin, asked: &'a Asked) -> Option<&'a str> {
    let token = cookie::read(&asked.headers, &admin.jar.name(SESSION))?;
    lock(&admin.sessions).find(token, Stage::Password, true, admin.now()).map(|_| token)
}

fn code_form(admin: &Admin, asked: &Asked, status: StatusCode, next: &str, error: Option<&str>) -> Response {
    guest_page(admin, asked, status, |token| page(status, &CodePage { token, next, error }))
}

async fn code_page(admin: Arc<Admin>, asked: Asked) -> Response {
    if half_signed_in(&admin, &asked).is_none() {
        return go("/sign-in");
    }
    let next = next_place(asked.query("next").unwrap_or_default(), "");
    code_form(&admin, &asked, StatusCode::OK, &next, None)
}

async fn code(admin: Arc<Admin>, guest: Guest) -> Response {
    let Guest { asked, form } = guest;
    let next = next_place(form.get("next"), "/");
    let Some(token) = half_signed_in(&admin, &asked) else { return go("/sign-in") };
    match admin.second_factor(asked.client, token, form.get("code")).await {
        Ok(token) => with_cookie(go(&next), admin.jar.set(SESSION, Some(&token))),
        Err(Refusal::NotSignedIn) => {
            let text = "Too many wrong codes. Sign in again.";
            let response = sign_in_form(&admin, &asked, StatusCode::FORBIDDEN, "", Some(text)).await;
            with_cookie(response, admin.jar.set(SESSION, None))
        }
        Err(refusal) => match told(&admin, &asked, refusal) {
            (status, Ok(text), _) => code_form(&admin, &asked, status, &next, Some(&text)),
            (_, Err(response), _) => response,
        },
    }
}

/// The link of a visitor, if it is good; wrong ones are counted.
async fn link_of(admin: &Admin, asked: &Asked, secret: &str) -> Result<Link, Response> {
    let now = admin.now();
    if let Err(wait) = lock(&admin.guesses).may_try_secret(asked.client, now) {
        return Err(super::refused(admin, asked, Refusal::Wait(wait)));
    }
    match admin.registry.link(secret, now).await {
        Ok(Some(link)) => Ok(link),
        Ok(None) => {
            lock(&admin.guesses).wrong_secret(asked.client, now);
            let text = "This link is no longer good: it was used, or its time is over. On the server, “fairban user link” \
                        makes a new one.";
            Err(super::oops(admin, asked, StatusCode::NOT_FOUND, text))
        }
        Err(error) => Err(super::refused(admin, asked, error.into())),
    }
}

fn set_up_form(
    admin: &Admin,
    asked: &Asked,
    status: StatusCode,
    link: (&str, &Link),
    name: &str,
    error: Option<&str>,
) -> Response {
    let (secret, link) = link;
    let role = link.role.grade.in_words();
    let name = link.user.as_deref().unwrap_or(name);
    guest_page(admin, asked, status, |token| {
        page(status, &SetUpPage { token, link: secret, name, is_new: link.user.is_none(), role, error })
    })
}

async fn set_up_page(admin: Arc<Admin>, asked: Asked) -> Response {
    let secret = asked.query("link").unwrap_or_default();
    match link_of(&admin, &asked, secret).await {
        Ok(link) => set_up_form(&admin, &asked, StatusCode::OK, (secret, &link), "", None),
        Err(response) => response,
    }
}

async fn set_up(admin: Arc<Admin>, guest: Guest) -> Response {
    let Guest { asked, mut form } = guest;
    let secret = form.get("link").to_owned();
    let link = match link_of(&admin, &asked, &secret).await {
        Ok(link) => link,
        Err(response) => return response,
    };
    let typed: String = form.get("name").trim().chars().take(64).collect();
    let (password, again) = (form.take("password"), form.take("again"));
    let wrong = |text: &str| {
        set_up_form(&admin, &asked, StatusCode::UNPROCESSABLE_ENTITY, (&secret, &link), &typed, Some(text))
    };
    let Some(name) = user_name(link.user.as_deref().unwrap_or(&typed)) else {
        return wrong("A name has letters, digits and . _ - @, and begins with a letter or digit.");
    };
    if *password != *again {
        return wrong("The two passwords are not the same.");
    }
    if password.len() > PASSWORD_MAX {
        return wrong("The password is too long.");
    }
    if let Some(text) = weakness(&password, &name) {
        return wrong(text);
    }
    let made = match admin.hashing(move |hashing| hashing.hash(&password)).await {
        Ok(hash) => admin.registry.use_link(&secret, &name, hash, admin.now()).await.map_err(Refusal::from),
        Err(refusal) => Err(refusal),
    };
    let user = match made {
        Ok(user) => user,
        Err(Refusal::Wrong(text)) => return wrong(&text),
        Err(refusal) => return super::refused(&admin, &asked, refusal),
    };
    match admin.welcome(asked.client, &user).await {
        Ok(token) => with_cookie(go("/me?new=yes"), admin.jar.set(SESSION, Some(&token))),
        Err(refusal) => super::refused(&admin, &asked, refusal),
    }
}

async fn sign_out(admin: Arc<Admin>, may: May<Own>, deed: Deed) -> Response {
    let everywhere = deed.form.get("everywhere") == "yes";
    let token = cookie::read(&deed.asked.headers, &admin.jar.name(SESSION)).unwrap_or_default();
    let found = lock(&admin.sessions).find(token, Stage::Full, true, admin.now());
    if let (Some((id, session)), Some(_)) = (found, session_of(&may)) {
        admin.sign_out(id, &session, everywhere).await;
    }
    with_cookie(go("/sign-in"), admin.jar.set(SESSION, None))
}

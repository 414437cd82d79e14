//! Passkeys: made, named and taken away on one's own page, and used to sign in. What a browser does with them takes
//! its script; each step here is a form.

use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::me::{is_really_them, presents_password};
use super::{enter, go, next_place, refused, say, session_of, with_cookie};
use crate::access::{May, Own, PASSKEYS_MAX, PasskeyError, Refusal, SessionId, Site, User, new_handle, passkey_name};
use crate::admin::{Admin, Deed, Guest, Routes, SESSION, VISIT, lock};
use crate::cookie;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .open("/passkey.js", |_, _| async {
            super::file("text/javascript; charset=utf-8", include_str!("../../../templates/admin/passkey.js"))
        })
        .form::<Own, _, _>("/me/passkeys/options", making_options)
        .form::<Own, _, _>("/me/passkeys", make)
        .form::<Own, _, _>("/me/passkeys/change", change)
        .guest("/sign-in/passkey/options", sign_in_options)
        .guest("/sign-in/passkey", sign_in)
}

/// What the page's script is told: options as JSON, or why there are none.
fn for_script(options: Result<String, String>) -> Response {
    let (status, kind, body) = match options {
        Ok(json) => (StatusCode::OK, "application/json", json),
        Err(text) => (StatusCode::UNPROCESSABLE_ENTITY, "text/plain; charset=utf-8", text),
    };
    (status, [(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()
}

fn site(admin: &Admin) -> Result<&Site, String> {
    admin.site.as_ref().ok_or_else(|| "Passkeys need [web] url in the configuration, with https.".to_owned())
}

async fn making_options(admin: Arc<Admin>, may: May<Own>, mut deed: Deed) -> Response {
    for_script(challenge(&admin, &may, &mut deed).await)
}

/// Whoever has found somebody else's browser open does not get to make a key to it.
async fn challenge(admin: &Arc<Admin>, may: &May<Own>, deed: &mut Deed) -> Result<String, String> {
    let site = site(admin)?;
    presents_password(admin, may, deed).await?;
    let (name, by) = (may.who().name.clone(), may.actor());
    let (id, fresh) = (session_of(may).ok_or("Sign in again.")?, new_handle());
    let edit = admin.registry.edit(&name, None, "", &by, |user| {
        user.handle.get_or_insert(fresh);
    });
    edit.await.map_err(|error| error.to_string())?;
    let user = admin.registry.user(&name).await.map_err(|error| error.to_string())?;
    let user = user.ok_or("There is no such user any more.")?;
    if user.passkeys.len() >= PASSKEYS_MAX {
        return Err("That is enough passkeys: remove one first.".to_owned());
    }
    let handle = user.handle.unwrap_or_default();
    let mut challenges = lock(&admin.challenges);
    let begun = challenges.begin_making(site, id, (&name, &handle), &user.passkeys, admin.now());
    begun.map_err(|error| error.to_string())
}

async fn make(admin: Arc<Admin>, may: May<Own>, deed: Deed) -> Response {
    let made = made(&admin, &may, &deed);
    let passkey = match made {
        Ok(passkey) => passkey,
        Err(text) => {
            say(&admin, &may, false, text, Vec::new());
            return go("/me");
        }
    };
    let (name, by, told) = (may.who().name.clone(), may.actor(), passkey.name.clone());
    let edit = admin.registry.edit(&name, Some("passkey_make"), &told, &by, |user| user.passkeys.push(passkey));
    if let Err(error) = edit.await {
        return refused(&admin, &deed.asked, error.into());
    }
    admin.has_second_factor_now(&may);
    say(&admin, &may, true, format!("From now on “{told}” signs you in, without a password and a code."), Vec::new());
    go("/me")
}

fn made(admin: &Admin, may: &May<Own>, deed: &Deed) -> Result<crate::access::Passkey, String> {
    let (site, id) = (site(admin)?, session_of(may).ok_or("Sign in again.")?);
    let mut challenges = lock(&admin.challenges);
    let (json, name) = (deed.form.get("credential"), deed.form.get("name"));
    challenges.finish_making(site, id, json, name, admin.now()).map_err(|error| error.to_string())
}

async fn change(admin: Arc<Admin>, may: May<Own>, mut deed: Deed) -> Response {
    let (id, act) = (deed.form.get("id").to_owned(), deed.form.get("act").to_owned());
    if act == "remove" && !is_really_them(&admin, &may, &mut deed).await {
        return go("/me");
    }
    let (name, by, new) = (may.who().name.clone(), may.actor(), passkey_name(deed.form.get("name")));
    let user = match admin.registry.user(&name).await {
        Ok(Some(user)) => user,
        Ok(None) => return refused(&admin, &deed.asked, Refusal::NotSignedIn),
        Err(error) => return refused(&admin, &deed.asked, error.into()),
    };
    let Some(present) = user.passkeys.iter().find(|passkey| passkey.id == id) else {
        say(&admin, &may, false, PasskeyError::Unknown.to_string(), Vec::new());
        return go("/me");
    };
    let is_last = user.passkeys.len() == 1 && user.second_factor.is_none();
    let (act, detail, text) = match act.as_str() {
        "remove" if is_last && admin.settings.second_factor_required => {
            say(
                &admin,
                &may,
                false,
                "It is your only second factor, and one is required: set up another first.",
                Vec::new(),
            );
            return go("/me");
        }
        "remove" => ("passkey_remove", present.name.clone(), format!("“{}” signs nobody in any more.", present.name)),
        _ => ("passkey_name", new.clone(), format!("It is called “{new}” now.")),
    };
    let edit = admin.registry.edit(&name, Some(act), &detail, &by, |user| {
        if act == "passkey_remove" {
            user.passkeys.retain(|passkey| passkey.id != id);
        } else if let Some(passkey) = user.passkeys.iter_mut().find(|passkey| passkey.id == id) {
            passkey.name = new;
        }
    });
    match edit.await {
        Ok(()) => {
            say(&admin, &may, true, text, Vec::new());
            go("/me")
        }
        Err(error) => refused(&admin, &deed.asked, error.into()),
    }
}

fn visit_of(admin: &Admin, guest: &Guest) -> Option<SessionId> {
    cookie::read(&guest.asked.headers, &admin.jar.name(VISIT)).map(SessionId::of)
}

async fn sign_in_options(admin: Arc<Admin>, guest: Guest) -> Response {
    let begun = site(&admin).and_then(|site| {
        let visit = visit_of(&admin, &guest).ok_or("Reload the page.")?;
        lock(&admin.challenges).begin_signing_in(site, visit, admin.now()).map_err(|error| error.to_string())
    });
    for_script(begun)
}

async fn sign_in(admin: Arc<Admin>, guest: Guest) -> Response {
    let next = next_place(guest.form.get("next"), "/");
    let Some(visit) = visit_of(&admin, &guest) else { return go("/sign-in") };
    match admin.sign_in_by_passkey(guest.asked.client, visit, guest.form.get("credential")).await {
        Ok(token) => with_cookie(go(&next), admin.jar.set(SESSION, Some(&token))),
        Err(refusal) => enter::not_let_in(&admin, &guest.asked, refusal, "").await,
    }
}

/// Whether a user is asked for more than a password, or for none.
pub(super) fn has_second_factor(user: &User) -> bool {
    user.second_factor.is_some() || !user.passkeys.is_empty()
}

//! One's own sign-in: password, second factor, sessions.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::response::Response;

use super::passkeys::has_second_factor;
use super::{Shell, When, go, page, refused, say, session_of};
use crate::access::{May, Own, Refusal, new_secret, picture, second_factor_link, step_of, weakness};
use crate::admin::{Admin, Asked, Deed, Routes, lock};

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .page::<Own, _, _>("/me", show)
        .form::<Own, _, _>("/me/password", set_password)
        .form::<Own, _, _>("/me/code", confirm_code)
        .form::<Own, _, _>("/me/code/off", code_off)
        .form::<Own, _, _>("/me/others", end_others)
}

struct SessionLine {
    client: String,
    begun: When,
    seen: When,
    is_this: bool,
}

struct PasskeyLine {
    id: String,
    name: String,
    made: When,
    used: Option<When>,
}

#[derive(Template)]
#[template(path = "admin/me.html")]
struct MePage {
    shell: Shell,
    name: String,
    /// Whether codes are asked for.
    has_codes: bool,
    /// Whether there are codes or passkeys, or a provider sees to it.
    has_second_factor: bool,
    is_required: bool,
    has_password: bool,
    vouched_by: Option<String>,
    /// Whether passkeys can be made here.
    offers_passkeys: bool,
    passkeys: Vec<PasskeyLine>,
    /// The picture for an app, and the secret to type.
    offer: Option<(String, String)>,
    is_new: bool,
    sessions: Vec<SessionLine>,
}

async fn show(admin: Arc<Admin>, may: May<Own>, asked: Asked) -> Response {
    let name = may.who().name.clone();
    let user = match admin.registry.user(&name).await {
        Ok(Some(user)) => user,
        Ok(None) => return refused(&admin, &asked, Refusal::NotSignedIn),
        Err(error) => return refused(&admin, &asked, error.into()),
    };
    let id = session_of(&may);
    let offer = match (user.second_factor.is_some() || user.openid.is_some(), id) {
        (false, Some(id)) => offered(&admin, id, &name, &asked),
        _ => None,
    };
    let sessions = lock(&admin.sessions).of_user(&name, admin.now());
    let line = |(one, client, begun, seen): &(_, std::net::IpAddr, _, _)| SessionLine {
        client: client.to_string(),
        begun: When::of(&admin, *begun),
        seen: When::of(&admin, *seen),
        is_this: Some(*one) == id,
    };
    let passkey = |passkey: crate::access::Passkey| PasskeyLine {
        id: passkey.id,
        name: passkey.name,
        made: When::of(&admin, passkey.made),
        used: passkey.used.map(|time| When::of(&admin, time)),
    };
    let shown = MePage {
        shell: Shell::new(&admin, &may, &asked),
        name,
        has_codes: user.second_factor.is_some(),
        has_second_factor: has_second_factor(&user) || user.openid.is_some(),
        is_required: admin.settings.second_factor_required,
        has_password: user.openid.is_none(),
        vouched_by: user.openid.map(|openid| openid.issuer),
        offers_passkeys: admin.site.is_some(),
        passkeys: user.passkeys.into_iter().map(passkey).collect(),
        offer,
        is_new: asked.query("new").is_some(),
        sessions: sessions.iter().map(line).collect(),
    };
    page(StatusCode::OK, &shown)
}

/// The secret that is offered in this session: the same until it is confirmed.
fn offered(admin: &Admin, id: crate::access::SessionId, name: &str, asked: &Asked) -> Option<(String, String)> {
    let fresh = new_secret().ok()?;
    let mut secret = None;
    lock(&admin.sessions).change(id, |session| secret = Some(session.offered.get_or_insert(fresh).clone()));
    let secret = secret?;
    let host = asked.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("server");
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).take(64).collect();
    let spaced: Vec<String> =
        secret.as_bytes().chunks(4).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    Some((picture(&second_factor_link(&secret, name, &host)), spaced.join(" ")))
}

/// Whether the present password was given right; else it is said.
pub(super) async fn is_really_them(admin: &Arc<Admin>, may: &May<Own>, deed: &mut Deed) -> bool {
    let presented = presents_password(admin, may, deed).await;
    if let Err(text) = &presented {
        say(admin, may, false, text.clone(), Vec::new());
    }
    presented.is_ok()
}

/// The same, with why not. Who has no password here, since a provider vouches for them, has shown enough there.
pub(super) async fn presents_password(admin: &Arc<Admin>, may: &May<Own>, deed: &mut Deed) -> Result<(), String> {
    let (client, name) = (may.who().client, may.who().name.clone());
    let password = deed.form.take("present");
    let user = admin.registry.user(&name).await.map_err(|error| error.to_string())?;
    let user = user.ok_or("There is no such user any more.")?;
    if user.openid.is_some() {
        return Ok(());
    }
    if let Err(wait) = lock(&admin.guesses).password(client, &name, admin.now()) {
        return Err(format!("Too many tries. Wait {}.", super::words::span(wait)));
    }
    let verify = admin.hashing(move |hashing| Ok(hashing.verify(&password, Some(&user.password))));
    if !verify.await.unwrap_or(false) {
        return Err("The present password is not right.".to_owned());
    }
    lock(&admin.guesses).was_right(client, &name);
    Ok(())
}

async fn set_password(admin: Arc<Admin>, may: May<Own>, mut deed: Deed) -> Response {
    if !is_really_them(&admin, &may, &mut deed).await {
        return go("/me");
    }
    let (new, again) = (deed.form.take("password"), deed.form.take("again"));
    let name = may.who().name.clone();
    let wrong = match weakness(&new, &name) {
        Some(text) => Some(text),
        None if *new != *again => Some("The two passwords are not the same."),
        None => None,
    };
    if let Some(text) = wrong {
        say(&admin, &may, false, text, Vec::new());
        return go("/me");
    }
    let done = match admin.hashing(move |hashing| hashing.hash(&new)).await {
        Ok(hash) => {
            let by = may.actor();
            let edit = admin.registry.edit(&name, Some("password_set"), "", &by, |user| user.password = hash);
            edit.await.map_err(Refusal::from)
        }
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok(()) => {
            admin.end_all(&name, session_of(&may));
            say(&admin, &may, true, "The password is changed, and you are signed out everywhere else.", Vec::new());
            go("/me")
        }
        Err(refusal) => refused(&admin, &deed.asked, refusal),
    }
}

async fn confirm_code(admin: Arc<Admin>, may: May<Own>, deed: Deed) -> Response {
    let mut secret = None;
    if let Some(id) = session_of(&may) {
        lock(&admin.sessions).change(id, |session| secret.clone_from(&session.offered));
    }
    let step = secret.as_ref().and_then(|secret| step_of(secret, deed.form.get("code"), admin.now(), 0));
    let (Some(secret), Some(step), Some(id)) = (secret, step, session_of(&may)) else {
        say(&admin, &may, false, "That code is not right. Is the clock of the phone right?", Vec::new());
        return go("/me");
    };
    let (name, by) = (may.who().name.clone(), may.actor());
    let edit = admin.registry.edit(&name, Some("second_factor_on"), "", &by, |user| {
        user.second_factor = Some(secret);
        user.code_step = step;
    });
    match edit.await {
        Ok(()) => {
            lock(&admin.sessions).change(id, |session| session.offered = None);
            admin.end_all(&name, Some(id));
            admin.has_second_factor_now(&may);
            say(&admin, &may, true, "From now on a code is asked for when you sign in.", Vec::new());
            go("/me")
        }
        Err(error) => refused(&admin, &deed.asked, error.into()),
    }
}

async fn code_off(admin: Arc<Admin>, may: May<Own>, mut deed: Deed) -> Response {
    if !is_really_them(&admin, &may, &mut deed).await {
        return go("/me");
    }
    let (name, by) = (may.who().name.clone(), may.actor());
    let has_passkeys =
        admin.registry.user(&name).await.is_ok_and(|user| user.is_some_and(|user| !user.passkeys.is_empty()));
    if admin.settings.second_factor_required && !has_passkeys {
        say(&admin, &may, false, "It is your only second factor, and one is required.", Vec::new());
        return go("/me");
    }
    let edit = admin.registry.edit(&name, Some("second_factor_off"), "", &by, |user| user.second_factor = None);
    match edit.await {
        Ok(()) => {
            say(&admin, &may, true, "No code is asked for any more.", Vec::new());
            go("/me")
        }
        Err(error) => refused(&admin, &deed.asked, error.into()),
    }
}

async fn end_others(admin: Arc<Admin>, may: May<Own>, _: Deed) -> Response {
    let ended = match admin.end_all(&may.who().name, session_of(&may)) {
        0 => "There was no other session.".to_owned(),
        1 => "One other session is ended.".to_owned(),
        many => format!("{many} other sessions are ended."),
    };
    say(&admin, &may, true, ended, Vec::new());
    go("/me")
}

//! Users, links and tokens.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::response::Response;

use super::blocks::{Choice, choices};
use super::{Shell, When, go, page, refused, say, words};
use crate::access::{AccessError, Grade, LINK_TIME, ManageAccess, May, Role};
use crate::admin::{Admin, Asked, Deed, Routes, link_address, lock};
use crate::api::read;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .page::<ManageAccess, _, _>("/access", list)
        .form::<ManageAccess, _, _>("/access/link", make_link)
        .form::<ManageAccess, _, _>("/access/remove", remove)
        .form::<ManageAccess, _, _>("/access/role", set_role)
        .form::<ManageAccess, _, _>("/access/sign-out", sign_out)
        .form::<ManageAccess, _, _>("/access/token", make_token)
        .form::<ManageAccess, _, _>("/access/revoke", revoke)
}

struct UserLine {
    name: String,
    role: &'static str,
    domains: String,
    /// By what they sign in beside a password.
    second_factor: String,
    vouched_by: Option<String>,
    signed_in: Option<When>,
    sessions: usize,
    is_you: bool,
}

struct TokenLine {
    id: String,
    name: String,
    role: &'static str,
    domains: String,
    made: When,
    by: String,
    expires: String,
    used: Option<When>,
    is_over: bool,
}

#[derive(Template)]
#[template(path = "admin/access.html")]
struct AccessPage {
    shell: Shell,
    users: Vec<UserLine>,
    tokens: Vec<TokenLine>,
    roles: Vec<Choice>,
    scopes: Vec<Choice>,
    /// What is told this once: what it is, and the text itself.
    told: Option<(&'static str, String)>,
}

fn grade_name(grade: Grade) -> &'static str {
    grade.in_words().split(':').next().unwrap_or_default()
}

async fn show(admin: &Admin, may: &May<ManageAccess>, asked: &Asked, told: Option<(&'static str, String)>) -> Response {
    let (users, tokens) = match (admin.registry.users().await, admin.registry.tokens().await) {
        (Ok(users), Ok(tokens)) => (users, tokens),
        (Err(error), _) | (_, Err(error)) => return refused(admin, asked, error.into()),
    };
    let now = admin.now();
    let user = |user: crate::access::User| UserLine {
        role: grade_name(user.role.grade),
        domains: user.role.domains.join(", "),
        second_factor: second_factor(&user),
        vouched_by: user.openid.as_ref().map(|openid| words::short(&openid.issuer)),
        signed_in: user.signed_in.map(|time| When::of(admin, time)),
        sessions: lock(&admin.sessions).of_user(&user.name, now).len(),
        is_you: user.name == may.who().name,
        name: user.name,
    };
    let token = |token: crate::access::Token| TokenLine {
        role: grade_name(token.role.grade),
        domains: token.role.domains.join(", "),
        made: When::of(admin, token.made),
        by: words::short(&token.by),
        expires: token.expires.map_or_else(|| "never".to_owned(), |time| words::moment(time, &admin.zone)),
        is_over: token.expires.is_some_and(|end| end <= now),
        used: token.used.map(|time| When::of(admin, time)),
        name: words::short(&token.name),
        id: token.id,
    };
    let of = |grades: &[Grade]| {
        let all: Vec<(&str, &str)> = grades.iter().map(|grade| (grade.as_str(), grade.in_words())).collect();
        choices(Some(grades.last().map_or("", |grade| grade.as_str())), &all)
    };
    let shown = AccessPage {
        shell: Shell::new(admin, may, asked),
        users: users.into_iter().map(user).collect(),
        tokens: tokens.into_iter().map(token).collect(),
        roles: of(Grade::OF_PEOPLE),
        scopes: of(Grade::ALL),
        told,
    };
    page(StatusCode::OK, &shown)
}

async fn list(admin: Arc<Admin>, may: May<ManageAccess>, asked: Asked) -> Response {
    show(&admin, &may, &asked, None).await
}

fn role(deed: &Deed) -> Result<Role, AccessError> {
    let grade: Grade = deed.form.get("role").parse().map_err(AccessError::No)?;
    let domains = deed.form.get("domains").split([',', ' ', '\n']).map(str::trim).filter(|text| !text.is_empty());
    Role::checked(grade, domains.map(str::to_owned).collect()).map_err(AccessError::No)
}

/// Says what is wrong, and goes back.
fn sorry(admin: &Admin, may: &May<ManageAccess>, error: &AccessError) -> Response {
    say(admin, may, false, error.to_string(), Vec::new());
    go("/access")
}

/// Where the administration is, as this visitor reaches it.
fn origin(admin: &Admin, asked: &Asked) -> String {
    if let Some(origin) = admin.settings.origin() {
        return origin.to_owned();
    }
    let host = asked.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("{}://{host}", if admin.settings.is_secure() { "https" } else { "http" })
}

async fn make_link(admin: Arc<Admin>, may: May<ManageAccess>, deed: Deed) -> Response {
    let user = Some(deed.form.get("user").trim()).filter(|user| !user.is_empty());
    let role = match role(&deed) {
        Ok(role) if role.grade == Grade::Check => {
            return sorry(&admin, &may, &AccessError::No("only a token can be of that role".into()));
        }
        Ok(role) => role,
        Err(error) => return sorry(&admin, &may, &error),
    };
    match admin.registry.make_link(user, role, LINK_TIME, admin.now(), &may.actor()).await {
        Ok(told) => {
            let text = link_address(&origin(&admin, &deed.asked), &told.secret);
            show(
                &admin,
                &may,
                &deed.asked,
                Some(("This link sets a password, once, within an hour. Give it to the person it is for:", text)),
            )
            .await
        }
        Err(error) => sorry(&admin, &may, &error),
    }
}

async fn remove(admin: Arc<Admin>, may: May<ManageAccess>, deed: Deed) -> Response {
    let name = deed.form.get("user");
    match admin.registry.remove_user(name, &may.actor()).await {
        Ok(()) => {
            say(
                &admin,
                &may,
                true,
                format!("{name} is taken away and signed out, and the tokens that they made are revoked."),
                Vec::new(),
            );
            go("/access")
        }
        Err(error) => sorry(&admin, &may, &error),
    }
}

async fn set_role(admin: Arc<Admin>, may: May<ManageAccess>, deed: Deed) -> Response {
    let name = deed.form.get("user");
    let done = match role(&deed) {
        Ok(role) if role.grade == Grade::Check => Err(AccessError::No("only a token can be of that role".into())),
        Ok(role) => admin.registry.set_role(name, role, &may.actor()).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => {
            say(&admin, &may, true, format!("{name} has another role, and has to sign in again."), Vec::new());
            go("/access")
        }
        Err(error) => sorry(&admin, &may, &error),
    }
}

async fn sign_out(admin: Arc<Admin>, may: May<ManageAccess>, deed: Deed) -> Response {
    let name = deed.form.get("user");
    match admin.registry.sign_out(name, &may.actor()).await {
        Ok(()) => {
            say(&admin, &may, true, format!("{name} is signed out everywhere."), Vec::new());
            go("/access")
        }
        Err(error) => sorry(&admin, &may, &error),
    }
}

fn second_factor(user: &crate::access::User) -> String {
    let passkeys = match user.passkeys.len() {
        0 => String::new(),
        1 => "a passkey".to_owned(),
        many => format!("{many} passkeys"),
    };
    let codes = if user.second_factor.is_some() { "codes" } else { "" };
    [codes, &passkeys].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

async fn make_token(admin: Arc<Admin>, may: May<ManageAccess>, deed: Deed) -> Response {
    let form = &deed.form;
    let made = match (role(&deed), read::time(form.get("for"))) {
        (Ok(role), Ok(time)) => {
            admin.registry.make_token(form.get("name"), role, time, admin.now(), &may.actor()).await
        }
        (Err(error), _) => Err(error),
        (_, Err(text)) => Err(AccessError::No(text)),
    };
    match made {
        Ok(told) => {
            show(&admin, &may, &deed.asked, Some(("This is the token. It is shown this once:", told.secret))).await
        }
        Err(error) => sorry(&admin, &may, &error),
    }
}

async fn revoke(admin: Arc<Admin>, may: May<ManageAccess>, deed: Deed) -> Response {
    match admin.registry.revoke_token(deed.form.get("id"), &may.actor()).await {
        Ok(()) => {
            say(&admin, &may, true, "The token is revoked.", Vec::new());
            go("/access")
        }
        Err(error) => sorry(&admin, &may, &error),
    }
}

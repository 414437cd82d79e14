//! Users, links and tokens.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::openapi::{Operation, path_parameter};
use super::{Problem, json, read};
use crate::access::{Grade, LINK_TIME, ManageAccess, May, Role, Token, User};
use crate::admin::{Admin, Asked, Routes, link_address, lock};

pub(super) fn add(routes: Routes) -> Routes {
    let users = Operation::get("/api/v1/users", "access", "listUsers", "Who can sign in").gives(200, "UserList");
    let user = Operation::delete("/api/v1/users/{user}", "access", "removeUser", "Take a user away, and sign them out")
        .with([path_parameter("user", "the name")])
        .gives(200, "Done");
    let link =
        Operation::post("/api/v1/users/links", "access", "makeLink", "A link by which somebody sets a password, once")
            .takes("NewLink")
            .gives(201, "LinkMade");
    let tokens = Operation::get("/api/v1/tokens", "access", "listTokens", "Tokens, without what opens anything")
        .gives(200, "TokenList");
    let token = Operation::post("/api/v1/tokens", "access", "makeToken", "Make a token, which is told this once")
        .takes("NewToken")
        .gives(201, "TokenMade");
    let revoke = Operation::delete("/api/v1/tokens/{id}", "access", "revokeToken", "Revoke a token")
        .with([path_parameter("id", "its id")])
        .gives(200, "Done");
    routes
        .call(users, all_users)
        .call(user, remove_user)
        .call(link, make_link)
        .call(tokens, all_tokens)
        .call(token, make_token)
        .call(revoke, revoke_token)
}

fn shown_user(user: &User) -> Value {
    json!({
        "name": user.name, "role": user.role.grade, "domains": user.role.domains,
        "second_factor": user.second_factor.is_some(), "made": user.made, "signed_in": user.signed_in,
    })
}

fn shown_token(token: &Token) -> Value {
    json!({
        "id": token.id, "name": token.name, "role": token.role.grade, "domains": token.role.domains,
        "made": token.made, "by": token.by, "expires": token.expires, "used": token.used,
    })
}

async fn all_users(admin: Arc<Admin>, _: May<ManageAccess>, _: Asked) -> Result<Response, Problem> {
    let users: Vec<Value> = admin.registry.users().await?.iter().map(shown_user).collect();
    Ok(json(StatusCode::OK, &json!({ "rows": users })))
}

async fn remove_user(admin: Arc<Admin>, may: May<ManageAccess>, asked: Asked) -> Result<Response, Problem> {
    let name = asked.parameter("user");
    if !admin.registry.users().await?.iter().any(|user| user.name == name) {
        return Err(Problem::missing("user"));
    }
    admin.registry.remove_user(name, &may.actor()).await?;
    lock(&admin.sessions).end_all(name, None);
    Ok(json(StatusCode::OK, &json!({ "message": format!("{name} is taken away") })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLink {
    #[serde(default)]
    user: Option<String>,
    role: String,
    #[serde(default)]
    domains: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
    scope: String,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    expires: Option<String>,
}

fn role(text: &str, domains: Vec<String>) -> Result<Role, Problem> {
    let grade: Grade = text.parse().map_err(Problem::wrong)?;
    Role::checked(grade, domains).map_err(Problem::wrong)
}

async fn make_link(admin: Arc<Admin>, may: May<ManageAccess>, asked: Asked) -> Result<Response, Problem> {
    let new: NewLink = read::body(&asked)?;
    let role = role(&new.role, new.domains)?;
    if role.grade == Grade::Check {
        return Err(Problem::wrong("only a token can be of that role"));
    }
    let told = admin.registry.make_link(new.user.as_deref(), role, LINK_TIME, admin.now(), &may.actor()).await?;
    let origin = admin.settings.origin().unwrap_or_default();
    let body = json!({ "link": link_address(origin, &told.secret), "expires": told.kept.expires });
    Ok(json(StatusCode::CREATED, &body))
}

async fn all_tokens(admin: Arc<Admin>, _: May<ManageAccess>, _: Asked) -> Result<Response, Problem> {
    let tokens: Vec<Value> = admin.registry.tokens().await?.iter().map(shown_token).collect();
    Ok(json(StatusCode::OK, &json!({ "rows": tokens })))
}

async fn make_token(admin: Arc<Admin>, may: May<ManageAccess>, asked: Asked) -> Result<Response, Problem> {
    let new: NewToken = read::body(&asked)?;
    let role = role(&new.scope, new.domains)?;
    let time = read::time(new.expires.as_deref().unwrap_or_default()).map_err(Problem::wrong)?;
    let told = admin.registry.make_token(&new.name, role, time, admin.now(), &may.actor()).await?;
    let mut body = shown_token(&told.kept);
    body["token"] = Value::String(told.secret);
    Ok(json(StatusCode::CREATED, &body))
}

async fn revoke_token(admin: Arc<Admin>, may: May<ManageAccess>, asked: Asked) -> Result<Response, Problem> {
    let id = asked.parameter("id");
    if !admin.registry.tokens().await?.iter().any(|token| token.id == id) {
        return Err(Problem::missing("token"));
    }
    admin.registry.revoke_token(id, &may.actor()).await?;
    Ok(json(StatusCode::OK, &json!({ "message": "the token is revoked" })))
}

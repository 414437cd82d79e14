//! The never-block list, and send blocks.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use fairban_types::{Direction, Sending, Subject};
use serde::Deserialize;
use serde_json::json;

use super::openapi::{Operation, cursor, limit, network, path_parameter, query};
use super::problem::done;
use super::{Problem, blocks, json, read};
use crate::access::{Act, BlockSending, EditNever, Look, LookAround, May};
use crate::admin::view::Kind;
use crate::admin::{Admin, Asked, Routes};

const NEVER: &str = "/api/v1/never";
const NEVER_ONE: &str = "/api/v1/never/{net}";
const SENDING: &str = "/api/v1/send-blocks";
const SENDING_ONE: &str = "/api/v1/send-blocks/{code}";

pub(super) fn add(routes: Routes) -> Routes {
    let list = Operation::get(NEVER, "never", "listNever", "The never-block list").gives(200, "NeverList");
    let create = Operation::post(NEVER, "never", "addNever", "Add a network; blocks that it covers are lifted at once")
        .takes("NewNever")
        .gives(201, "Done");
    let remove = Operation::delete(NEVER_ONE, "never", "removeNever", "Remove a network")
        .with([path_parameter("net", "the network, its slash written as %2F").like(network)])
        .gives(200, "Done");
    let sending = Operation::get(SENDING, "send-blocks", "listSendBlocks", "Send blocks")
        .with([
            query("state", "which by state", &["standing", "over", "all"]),
            query("search", "part of the sender", &[]),
            limit(),
            cursor(),
        ])
        .gives(200, "BlockList");
    let send_create = Operation::post(
        SENDING,
        "send-blocks",
        "createSendBlock",
        "Stop a sender; one of the same sender and direction is replaced",
    )
    .takes("NewSendBlock")
    .gives(201, "Done");
    let send_remove = Operation::delete(SENDING_ONE, "send-blocks", "removeSendBlock", "Let a sender send again")
        .with([path_parameter("code", "the reference"), query("reason", "why", &[])])
        .gives(200, "Done");
    routes
        .call(list, never)
        .call(create, never_add)
        .call(remove, never_remove)
        .call(sending, send_blocks)
        .call(send_create, send_block)
        .call(send_remove, send_unblock)
}

async fn never(admin: Arc<Admin>, _: May<LookAround>, _: Asked) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &json!({ "rows": admin.desk.never().await? })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNever {
    net: String,
    #[serde(default)]
    reason: String,
    #[serde(default, rename = "for")]
    time: Option<String>,
}

async fn never_add(admin: Arc<Admin>, may: May<EditNever>, asked: Asked) -> Result<Response, Problem> {
    let new: NewNever = read::body(&asked)?;
    let net = read::net(&new.net).map_err(Problem::wrong)?;
    let time = read::time(new.time.as_deref().unwrap_or_default()).map_err(Problem::wrong)?;
    let act = Act::never_add(&may, net, read::reason(&new.reason, ""), time);
    let text = done(admin.desk.act(&act).await?)?;
    Ok(json(StatusCode::CREATED, &json!({ "message": text })))
}

async fn never_remove(admin: Arc<Admin>, may: May<EditNever>, asked: Asked) -> Result<Response, Problem> {
    let net = read::net(asked.parameter("net")).map_err(Problem::wrong)?;
    if !admin.desk.never().await?.iter().any(|row| row.net == net) {
        return Err(Problem::missing("entry"));
    }
    let text = done(admin.desk.act(&Act::never_remove(&may, net)).await?)?;
    Ok(json(StatusCode::OK, &json!({ "message": text })))
}

async fn send_blocks(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Result<Response, Problem> {
    let mut query = read::blocks(&asked, 100).map_err(Problem::wrong)?;
    query.kind = Kind::Sending;
    Ok(json(StatusCode::OK, &admin.desk.blocks(&query, &may.sight()).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSendBlock {
    sender: String,
    #[serde(default)]
    direction: Direction,
    #[serde(default)]
    reason: String,
    #[serde(default, rename = "for")]
    time: Option<String>,
}

async fn send_block(admin: Arc<Admin>, may: May<BlockSending>, asked: Asked) -> Result<Response, Problem> {
    let new: NewSendBlock = read::body(&asked)?;
    let sender = new.sender.parse().map_err(|error: fairban_types::SenderError| Problem::wrong(error.to_string()))?;
    let time = read::time(new.time.as_deref().unwrap_or_default()).map_err(Problem::wrong)?;
    let sending = Sending { sender, direction: new.direction };
    let act = Act::block_sending(&may, sending, read::reason(&new.reason, "blocked through the API"), time)?;
    let text = done(admin.desk.act(&act).await?)?;
    Ok(json(StatusCode::CREATED, &json!({ "message": text })))
}

async fn send_unblock(admin: Arc<Admin>, may: May<BlockSending>, asked: Asked) -> Result<Response, Problem> {
    let (_, decision) = blocks::find(&admin, asked.parameter("code"), &may.sight()).await?;
    let Subject::Sending(sending) = decision.subject else { return Err(Problem::missing("send block")) };
    let reason = read::reason(asked.query("reason").unwrap_or_default(), "released through the API");
    let text = done(admin.desk.act(&Act::allow_sending(&may, sending, reason)?).await?)?;
    Ok(json(StatusCode::OK, &json!({ "message": text })))
}

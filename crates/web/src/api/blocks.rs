//! Blocks.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use fairban_types::{Decision, Subject};
use serde::Deserialize;
use serde_json::json;

use super::openapi::{Operation, cursor, limit, path_parameter, query};
use super::problem::done;
use super::{Problem, json, read};
use crate::access::{Act, Block, Look, May, Release, Sight};
use crate::admin::view::Receipt;
use crate::admin::{Admin, Asked, Routes};

const PATH: &str = "/api/v1/blocks";
const ONE: &str = "/api/v1/blocks/{code}";

pub(super) fn add(routes: Routes) -> Routes {
    let list = Operation::get(PATH, "blocks", "listBlocks", "Blocks and guards, newest first unless sorted otherwise")
        .with([
            query("state", "which by state", &["standing", "over", "all"]),
            query(
                "kind",
                "which by what is blocked; `any` leaves out send blocks",
                &["any", "network", "account", "sending"],
            ),
            query("origin", "by rule or by hand", &["rule", "manual"]),
            query("rule", "by this rule", &[]),
            query("diagnosis", "with this behind it", &[]).like(diagnoses),
            query("search", "an address or network that it overlaps, or part of an account's name", &[]),
            query("sort", "the order", &["since", "until", "subject", "rule"]),
            query("order", "which way", &["asc", "desc"]),
            limit(),
            cursor(),
        ])
        .gives(200, "BlockList");
    let create = Operation::post(PATH, "blocks", "createBlock", "Block by hand; another end for one in force by hand")
        .takes("NewBlock")
        .gives(201, "BlockCreated");
    let get = Operation::get(ONE, "blocks", "getBlock", "The receipt of a block")
        .with([path_parameter("code", "the reference, such as K7Q2-M9XD")])
        .gives(200, "Receipt");
    let change = Operation::patch(
        ONE,
        "blocks",
        "changeBlock",
        "Another end for a block in force: from now on so long, or for good",
    )
    .with([path_parameter("code", "the reference")])
    .takes("BlockChange")
    .gives(200, "Done");
    let release =
        Operation::delete(ONE, "blocks", "releaseBlock", "Release a block everywhere, with its events forgotten")
            .with([path_parameter("code", "the reference"), query("reason", "why", &[])])
            .gives(200, "Done");
    routes.call(list, blocks).call(create, block).call(get, receipt).call(change, prolong).call(release, unblock)
}

/// Every diagnosis, as it is written.
fn diagnoses() -> serde_json::Value {
    use fairban_types::Diagnosis as D;
    let all = [
        D::StalePassword,
        D::PasswordGuessing,
        D::PasswordSpraying,
        D::CredentialStuffing,
        D::FrequentPolling,
        D::RelayProbing,
        D::AddressHarvesting,
        D::SpamRun,
        D::Malware,
        D::ProtocolAbuse,
        D::Manual,
        D::Unknown,
    ];
    json!({ "type": "string", "enum": all })
}

async fn blocks(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Result<Response, Problem> {
    let query = read::blocks(&asked, 100).map_err(Problem::wrong)?;
    let listing = admin.desk.blocks(&query, &may.sight()).await?;
    Ok(json(StatusCode::OK, &listing))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBlock {
    subject: String,
    #[serde(default, rename = "for")]
    time: Option<String>,
    #[serde(default)]
    permanent: bool,
    #[serde(default)]
    reason: String,
}

/// How long: exactly one of the two has to be said.
fn lasting(time: Option<&str>, permanent: bool) -> Result<Option<std::time::Duration>, Problem> {
    match (time, permanent) {
        (Some(_), true) => Err(Problem::wrong("say either for or permanent")),
        (None, false) => Err(Problem::wrong("say for how long, such as \"for\": \"30m\", or \"permanent\": true")),
        (None, true) => Ok(None),
        (Some(text), false) => match read::time(text).map_err(Problem::wrong)? {
            None => Err(Problem::wrong("say \"permanent\": true for a block without an end")),
            time => Ok(time),
        },
    }
}

async fn block(admin: Arc<Admin>, may: May<Block>, asked: Asked) -> Result<Response, Problem> {
    let new: NewBlock = read::body(&asked)?;
    let subject = read::subject(&new.subject).map_err(Problem::wrong)?;
    if matches!(subject, Subject::Sending(_)) {
        return Err(Problem::wrong("send blocks are made at /api/v1/send-blocks"));
    }
    let time = lasting(new.time.as_deref(), new.permanent)?;
    let reason = read::reason(&new.reason, "blocked through the API");
    let text = done(admin.desk.act(&Act::block(&may, subject.clone(), time, reason)).await?)?;
    let code =
        text.rsplit_once("Reference ").and_then(|(_, code)| read::code(code.split('.').next().unwrap_or_default()));
    let location = code.map(|code| format!("{PATH}/{code}")).unwrap_or_default();
    let body = json!({ "message": text, "subject": subject, "code": code });
    Ok(([("location", location)], json(StatusCode::CREATED, &body)).into_response())
}

/// A block that is there, and may be seen.
pub(super) async fn find(admin: &Admin, code: &str, sight: &Sight) -> Result<(Receipt, Decision), Problem> {
    let missing = || Problem::missing("block");
    let code = read::code(code).ok_or_else(missing)?;
    let receipt = admin.desk.receipt(code).await?.ok_or_else(missing)?;
    let decision = receipt.decision();
    if sight.decision(&decision) { Ok((receipt, decision)) } else { Err(missing()) }
}

async fn receipt(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Result<Response, Problem> {
    let (mut receipt, mut decision) = find(&admin, asked.parameter("code"), &may.sight()).await?;
    may.sight().mask(&mut decision);
    receipt.events = decision.events;
    Ok(json(StatusCode::OK, &receipt))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockChange {
    #[serde(default, rename = "for")]
    time: Option<String>,
    #[serde(default)]
    permanent: bool,
    #[serde(default)]
    reason: String,
}

async fn prolong(admin: Arc<Admin>, may: May<Block>, asked: Asked) -> Result<Response, Problem> {
    let (receipt, decision) = find(&admin, asked.parameter("code"), &may.sight()).await?;
    let change: BlockChange = read::body(&asked)?;
    let time = lasting(change.time.as_deref(), change.permanent)?;
    if receipt.block.ended.is_some() || receipt.block.until.is_some_and(|until| until <= admin.now()) {
        return Err(Problem::conflict("it is no longer in force: block the subject anew"));
    }
    let reason = read::reason(&change.reason, &receipt.block.reason);
    let text = done(admin.desk.act(&Act::block(&may, decision.subject, time, reason)).await?)?;
    Ok(json(StatusCode::OK, &json!({ "message": text })))
}

async fn unblock(admin: Arc<Admin>, may: May<Release>, asked: Asked) -> Result<Response, Problem> {
    let (_, decision) = find(&admin, asked.parameter("code"), &may.sight()).await?;
    let reason = read::reason(asked.query("reason").unwrap_or_default(), "released through the API");
    let text = done(admin.desk.act(&Act::release(&may, &decision, reason)?).await?)?;
    Ok(json(StatusCode::OK, &json!({ "message": text })))
}

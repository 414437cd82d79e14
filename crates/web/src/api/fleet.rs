//! The fleet.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::openapi::Operation;
use super::problem::done;
use super::{Problem, json, read};
use crate::access::{Act, Block, LookAround, May};
use crate::admin::{Admin, Asked, Routes};

pub(super) fn add(routes: Routes) -> Routes {
    let show =
        Operation::get("/api/v1/fleet", "fleet", "getFleet", "The fleet as this node sees it; null: it is in none")
            .gives(200, "MaybeFleet");
    let accept = Operation::post(
        "/api/v1/fleet/accept",
        "fleet",
        "acceptNode",
        "Let blocks of a node through that were held back since it made very many at once",
    )
    .takes("HeldBackNode")
    .gives(200, "Done");
    routes.call(show, fleet).call(accept, accept_node)
}

async fn fleet(admin: Arc<Admin>, _: May<LookAround>, _: Asked) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &admin.desk.fleet().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldBackNode {
    node: String,
}

async fn accept_node(admin: Arc<Admin>, may: May<Block>, asked: Asked) -> Result<Response, Problem> {
    let HeldBackNode { node } = read::body(&asked)?;
    let text = done(admin.desk.act(&Act::accept_node(&may, node)).await?)?;
    Ok(json(StatusCode::OK, &json!({ "message": text })))
}

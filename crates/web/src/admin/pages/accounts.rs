//! Accounts: who is attacked, guarded, locked, sending unusually; and all about one.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::rows::{AccountLine, BlockLine, EventLine, blocks};
use super::{Shell, When, desk_failed, encoded, go, oops, page, words};
use crate::access::{BlockSending, Look, May};
use crate::admin::view::{DeviceRow, Kind};
use crate::admin::{Admin, Asked, Routes};

pub(super) fn add(routes: Routes) -> Routes {
    routes.page::<Look, _, _>("/accounts", list).page::<Look, _, _>("/accounts/{account}", one)
}

#[derive(Template)]
#[template(path = "admin/accounts.html")]
struct AccountsPage {
    shell: Shell,
    rows: Vec<AccountLine>,
    held: Vec<BlockLine>,
}

async fn list(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Response {
    if let Some(account) = asked.query("account") {
        return go(&format!("/accounts/{}", encoded(&account.to_lowercase())));
    }
    let rows = match admin.desk.accounts(&may.sight()).await {
        Ok(rows) => rows,
        Err(error) => return desk_failed(&admin, &asked, &error),
    };
    let held = match super::blocks::in_force(&admin, &may, Kind::Account, 100).await {
        Ok(listing) => listing.rows,
        Err(error) => return desk_failed(&admin, &asked, &error),
    };
    let shown = AccountsPage {
        shell: Shell::new(&admin, &may, &asked).live(),
        rows: rows.iter().map(|row| AccountLine::of(&admin, row)).collect(),
        held: blocks(&admin, &held),
    };
    page(StatusCode::OK, &shown)
}

struct Network {
    net: String,
    last: When,
    successes: String,
}

struct Device {
    name: String,
    services: String,
    client: String,
    successes: String,
    failures: String,
    last: When,
}

#[derive(Template)]
#[template(path = "admin/account.html")]
struct AccountPage {
    shell: Shell,
    account: String,
    link: String,
    networks: Vec<Network>,
    devices: Vec<Device>,
    blocks: Vec<BlockLine>,
    events: Vec<EventLine>,
    usually_sends: Option<String>,
    may_stop: bool,
}

fn device(admin: &Admin, row: &DeviceRow) -> Device {
    let services: Vec<&str> = row.services.iter().map(|service| service.as_str()).collect();
    Device {
        name: words::short(&row.name),
        services: services.join(", "),
        client: row.client.to_string(),
        successes: words::number(row.successes),
        failures: words::number(row.failures),
        last: When::of(admin, row.last),
    }
}

async fn one(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Response {
    let account = asked.parameter("account").trim().to_lowercase();
    if account.is_empty() || account.len() > 320 || !may.sight().account(&account) {
        return oops(&admin, &asked, StatusCode::NOT_FOUND, "There is no such account among yours.");
    }
    let view = match admin.desk.account(&account).await {
        Ok(view) => view,
        Err(error) => return desk_failed(&admin, &asked, &error),
    };
    let network = |row: &crate::admin::view::FamiliarRow| Network {
        net: row.net.to_string(),
        last: When::of(&admin, row.last),
        successes: words::number(u64::from(row.successes)),
    };
    let shown = AccountPage {
        shell: Shell::new(&admin, &may, &asked).live(),
        link: encoded(&view.account),
        account: words::short(&view.account),
        networks: view.familiar.iter().map(network).collect(),
        devices: view.devices.iter().map(|row| device(&admin, row)).collect(),
        blocks: blocks(&admin, &view.blocks),
        events: view.events.iter().map(|row| EventLine::of(&admin, row)).collect(),
        usually_sends: view.usually_sends.map(|text| words::clean(&text)),
        may_stop: may.has::<BlockSending>(),
    };
    page(StatusCode::OK, &shown)
}

//! The never-block list, and send blocks.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use fairban_types::{Direction, Sender, Sending, Subject};

use super::blocks::{Choice, choices};
use super::{Can, Shell, When, desk_failed, go, oops, page, perform, query_with, say, words};
use crate::access::{Act, BlockSending, EditNever, Look, LookAround, May};
use crate::admin::desk::What;
use crate::admin::view::{BlockRow, Kind};
use crate::admin::{Admin, Asked, Deed, Routes, undo};
use crate::api::read;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .page::<LookAround, _, _>("/never", never)
        .form::<EditNever, _, _>("/never", never_add)
        .form::<EditNever, _, _>("/never/remove", never_remove)
        .page::<Look, _, _>("/send-blocks", sending)
        .form::<BlockSending, _, _>("/send-blocks", send_block)
        .form::<BlockSending, _, _>("/send-blocks/remove", send_unblock)
}

struct NeverLine {
    net: String,
    reason: String,
    by: String,
    added: Option<When>,
    until: String,
    removable: bool,
    is_wide: bool,
}

#[derive(Template)]
#[template(path = "admin/never.html")]
struct NeverPage {
    shell: Shell,
    can: Can,
    rows: Vec<NeverLine>,
    net: String,
}

fn is_wide(net: ipnet::IpNet) -> bool {
    net.prefix_len() < if net.addr().is_ipv4() { 16 } else { 32 }
}

async fn never(admin: Arc<Admin>, may: May<LookAround>, asked: Asked) -> Response {
    let rows = match admin.desk.never().await {
        Ok(rows) => rows,
        Err(error) => return desk_failed(&admin, &asked, &error),
    };
    let line = |row: crate::admin::view::NeverRow| NeverLine {
        net: Subject::Network(row.net).to_string(),
        reason: words::short(&row.reason),
        by: words::short(&row.by),
        added: row.added.map(|added| When::of(&admin, added)),
        until: row.until.map_or_else(String::new, |until| words::moment(until, &admin.zone)),
        removable: row.removable,
        is_wide: is_wide(row.net),
    };
    let shown = NeverPage {
        shell: Shell::new(&admin, &may, &asked).live(),
        can: Can::of(&may),
        rows: rows.into_iter().map(line).collect(),
        net: asked.query("net").unwrap_or_default().to_owned(),
    };
    page(StatusCode::OK, &shown)
}

async fn never_add(admin: Arc<Admin>, may: May<EditNever>, deed: Deed) -> Response {
    let form = &deed.form;
    let read = read::net(form.get("net")).and_then(|net| Ok((net, read::time(form.get("for"))?)));
    match read {
        Err(text) => say(&admin, &may, false, text, Vec::new()),
        Ok((net, _)) if is_wide(net) && form.get("wide") != "yes" => {
            let text = format!(
                "{net} is a very wide network: whoever attacks from it would not be stopped. Tick “even if it is very \
                 wide” if you mean it."
            );
            say(&admin, &may, false, text, Vec::new());
        }
        Ok((net, time)) => {
            let act = Act::never_add(&may, net, read::reason(form.get("reason"), ""), time);
            perform(&admin, &may, Ok(act), vec![What::NeverRemove { net }]).await;
        }
    }
    go("/never")
}

async fn never_remove(admin: Arc<Admin>, may: May<EditNever>, deed: Deed) -> Response {
    match read::net(deed.form.get("net")) {
        Err(text) => say(&admin, &may, false, text, Vec::new()),
        Ok(net) => {
            let rows = admin.desk.never().await.unwrap_or_default();
            let known = rows.into_iter().find(|row| row.net == net);
            let back = known.map(|row| {
                let time = row.until.map(|until| until.since(admin.now()));
                What::NeverAdd { net, reason: row.reason, time }
            });
            perform(&admin, &may, Ok(Act::never_remove(&may, net)), back.into_iter().collect()).await;
        }
    }
    go("/never")
}

struct SendLine {
    code: String,
    sender: String,
    direction: &'static str,
    reason: String,
    by: String,
    since: When,
    left: String,
    is_standing: bool,
    is_yours: bool,
}

#[derive(Template)]
#[template(path = "admin/send_blocks.html")]
struct SendBlocksPage {
    shell: Shell,
    may_edit: bool,
    states: Vec<Choice>,
    directions: Vec<Choice>,
    search: String,
    rows: Vec<SendLine>,
    next: Option<String>,
    sender: String,
    reason: String,
    is_edit: bool,
    domains: Option<String>,
}

fn send_line(admin: &Admin, may: &May<Look>, row: &BlockRow) -> Option<SendLine> {
    let Subject::Sending(sending) = &row.subject else { return None };
    Some(SendLine {
        code: row.code.to_string(),
        sender: words::short(&sending.sender.to_string()),
        direction: sending.direction.as_str(),
        reason: words::short(&row.reason),
        by: words::short(row.by.as_deref().unwrap_or(&row.rule)),
        since: When::of(admin, row.since),
        left: words::left(row, admin.now()),
        is_standing: words::is_standing(row, admin.now()),
        is_yours: may.has::<BlockSending>() && may.sight().subject(&row.subject),
    })
}

async fn sending(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Response {
    let query = match read::blocks(&asked, 100) {
        Ok(mut query) => {
            query.kind = Kind::Sending;
            query
        }
        Err(text) => return oops(&admin, &asked, StatusCode::UNPROCESSABLE_ENTITY, &text),
    };
    let listing = match admin.desk.blocks(&query, &may.sight()).await {
        Ok(listing) => listing,
        Err(error) => return desk_failed(&admin, &asked, &error),
    };
    // To edit an entry is to make one of the same sender and direction, which takes its place.
    let edited = asked.query("edit").and_then(|code| listing.rows.iter().find(|row| row.code.to_string() == code));
    let (sender, direction, reason) = match edited.map(|row| (&row.subject, &row.reason)) {
        Some((Subject::Sending(sending), reason)) => {
            (sending.sender.to_string(), sending.direction.as_str(), reason.clone())
        }
        _ => (asked.query("sender").unwrap_or_default().to_owned(), "both", String::new()),
    };
    let all = [
        ("both", "both ways"),
        ("inbound", "inbound: from others, without signing in"),
        ("outbound", "outbound: by accounts that signed in"),
    ];
    let shown = SendBlocksPage {
        shell: Shell::new(&admin, &may, &asked).live(),
        may_edit: may.has::<BlockSending>(),
        states: choices(asked.query("state"), &[("standing", "in force"), ("over", "over"), ("all", "all")]),
        directions: choices(Some(direction), &all),
        search: asked.query("search").unwrap_or_default().to_owned(),
        rows: listing.rows.iter().filter_map(|row| send_line(&admin, &may, row)).collect(),
        next: listing.next.map(|cursor| format!("/send-blocks{}", query_with(&asked, &[], &[("cursor", &cursor)]))),
        is_edit: edited.is_some(),
        sender,
        reason,
        domains: may.sight().domains().map(|domains| domains.join(", ")),
    };
    page(StatusCode::OK, &shown)
}

async fn send_block(admin: Arc<Admin>, may: May<BlockSending>, deed: Deed) -> Response {
    let form = &deed.form;
    let direction: Result<Direction, String> = form.get("direction").parse();
    let sender: Result<Sender, String> =
        form.get("sender").parse().map_err(|error: fairban_types::SenderError| error.to_string());
    let read = sender.and_then(|sender| Ok((Sending { sender, direction: direction? }, read::time(form.get("for"))?)));
    match read {
        Err(text) => say(&admin, &may, false, text, Vec::new()),
        Ok((sending, time)) => {
            let reason = read::reason(form.get("reason"), "blocked by an administrator");
            let subject = Subject::Sending(sending.clone());
            let undo = vec![What::Release { subject, reason: "taken back".to_owned() }];
            perform(&admin, &may, Act::block_sending(&may, sending, reason, time), undo).await;
        }
    }
    go("/send-blocks")
}

async fn send_unblock(admin: Arc<Admin>, may: May<BlockSending>, deed: Deed) -> Response {
    let found = match read::code(deed.form.get("code")) {
        Some(code) => admin.desk.receipt(code).await.unwrap_or_default(),
        None => None,
    };
    match found.map(|receipt| receipt.block) {
        Some(block) if matches!(block.subject, Subject::Sending(_)) => {
            let back = undo::of_release(&block, admin.now());
            let Subject::Sending(sending) = block.subject else { return go("/send-blocks") };
            let act = Act::allow_sending(&may, sending, "released by an administrator".to_owned());
            perform(&admin, &may, act, vec![back]).await;
        }
        _ => say(&admin, &may, false, "There is no such send block.", Vec::new()),
    }
    go("/send-blocks")
}

//! The fleet: its nodes, and what is held back.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Can, Shell, When, desk_failed, go, page, perform, words};
use crate::access::{Act, Block, LookAround, May};
use crate::admin::view::{FleetNode, FleetView};
use crate::admin::{Admin, Asked, Deed, Routes};

pub(super) fn add(routes: Routes) -> Routes {
    routes.page::<LookAround, _, _>("/fleet", show).form::<Block, _, _>("/fleet/accept", accept)
}

struct NodeLine {
    name: String,
    version: String,
    class: &'static str,
    state: &'static str,
    note: &'static str,
    seen: When,
    behind: String,
    decisions: String,
    waiting: String,
}

struct FleetBox {
    class: &'static str,
    state: String,
    since: When,
    server: String,
    problem: Option<String>,
    warnings: Vec<String>,
    nodes: Vec<NodeLine>,
    held_back: Vec<(String, String)>,
    facts: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "admin/fleet.html")]
struct FleetPage {
    shell: Shell,
    can: Can,
    fleet: Option<FleetBox>,
}

fn line(admin: &Admin, node: &FleetNode) -> NodeLine {
    let (class, state) = match (node.is_live, node.lag_ms) {
        (false, _) => ("bad", "silent"),
        (true, 0..1000) => ("good", "in step"),
        (true, _) => ("warn", "behind"),
    };
    NodeLine {
        name: words::short(&node.name),
        version: words::short(&node.version),
        class,
        state,
        note: match (node.is_self, node.is_limited) {
            (true, _) => "this server",
            (_, true) => "limited to itself",
            _ => "",
        },
        seen: When::of(admin, node.seen),
        behind: format!("{} ms", words::number(node.lag_ms)),
        decisions: words::number(node.decisions),
        waiting: words::number(node.waiting),
    }
}

fn shown(admin: &Admin, fleet: &FleetView) -> FleetBox {
    let ahead = match fleet.clock_ahead_ms {
        -999..1000 => "agrees".to_owned(),
        ahead => format!("{} ms {}", ahead.unsigned_abs(), if ahead > 0 { "ahead" } else { "behind" }),
    };
    let mut facts = vec![
        ("Decisions", words::number(fleet.decisions)),
        ("Waiting", words::number(fleet.waiting)),
        ("Failures shared", words::number(fleet.counted)),
        ("Clock here", ahead),
    ];
    if fleet.lost > 0 {
        facts.push(("Failures not shared", words::number(fleet.lost)));
    }
    FleetBox {
        class: match fleet.state.as_str() {
            "connected" => "good",
            "alone" => "bad",
            _ => "warn",
        },
        state: fleet.state.clone(),
        since: When::of(admin, fleet.since),
        server: words::clean(&fleet.server),
        problem: fleet.problem.as_deref().map(words::clean),
        warnings: fleet.warnings.iter().map(|text| words::clean(text)).collect(),
        nodes: fleet.nodes.iter().map(|node| line(admin, node)).collect(),
        held_back: fleet.held_back.iter().map(|held| (words::clean(&held.name), words::number(held.count))).collect(),
        facts,
    }
}

async fn show(admin: Arc<Admin>, may: May<LookAround>, asked: Asked) -> Response {
    match admin.desk.fleet().await {
        Err(error) => desk_failed(&admin, &asked, &error),
        Ok(fleet) => {
            let fleet = fleet.map(|fleet| shown(&admin, &fleet));
            let shell = Shell::new(&admin, &may, &asked).live();
            page(StatusCode::OK, &FleetPage { shell, can: Can::of(&may), fleet })
        }
    }
}

async fn accept(admin: Arc<Admin>, may: May<Block>, deed: Deed) -> Response {
    let act = Act::accept_node(&may, deed.form.get("node").to_owned());
    perform(&admin, &may, Ok(act), Vec::new()).await;
    go("/fleet")
}

//! One block in full, and what can be done about it.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use fairban_types::{Action, Subject};

use super::rows::EventLine;
use super::{Can, Shell, When, desk_failed, encoded, go, oops, page, perform, say};
use crate::access::{Act, Block, EditNever, Look, May, Release, Right};
use crate::admin::desk::What;
use crate::admin::view::{EventRow, Receipt};
use crate::admin::{Admin, Asked, Deed, Routes, undo, words};
use crate::api::read;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .page::<Look, _, _>("/blocks/{code}", show)
        .form::<Release, _, _>("/blocks/{code}/release", release)
        .form::<Block, _, _>("/blocks/{code}/extend", extend)
        .form::<EditNever, _, _>("/blocks/{code}/never", never)
}

/// An event with its points.
struct Proof {
    points: u32,
    seen: u32,
    first: Option<When>,
    line: EventLine,
}

struct StoryRow {
    when: When,
    what: &'static str,
    by: String,
    until: String,
}

#[derive(Template)]
#[template(path = "admin/receipt.html")]
struct ReceiptPage {
    shell: Shell,
    can: Can,
    code: String,
    subject: String,
    /// What to look for in the event log.
    events_link: String,
    net: Option<String>,
    is_sending: bool,
    title: &'static str,
    is_standing: bool,
    left: String,
    diagnosis: &'static str,
    advice: &'static str,
    short: String,
    facts: Vec<(&'static str, String)>,
    rule_text: String,
    is_manual: bool,
    score: u32,
    threshold: u32,
    /// Of a hundred, for a `meter`.
    share: u32,
    proofs: Vec<Proof>,
    hidden: usize,
    total: u32,
    story: Vec<StoryRow>,
    never: Vec<String>,
    may_release: bool,
}

fn in_short(receipt: &Receipt) -> String {
    let mut kinds: std::collections::BTreeMap<String, u32> = std::collections::BTreeMap::new();
    let mut accounts: Vec<String> = Vec::new();
    for evidence in &receipt.events {
        *kinds.entry(words::event_kind(evidence.event.kind)).or_default() += evidence.seen.max(evidence.event.count);
        let account = evidence.event.account.as_deref().map(words::short);
        accounts.extend(account.filter(|account| !accounts.contains(account)));
    }
    let kinds: Vec<String> = kinds.into_iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
    match accounts.as_slice() {
        [] => kinds.join(", "),
        [one] => format!("{}, for {one}", kinds.join(", ")),
        [first, rest @ ..] => format!("{}, for {first} and {} more accounts", kinds.join(", "), rest.len()),
    }
}

fn facts(admin: &Admin, receipt: &Receipt) -> Vec<(&'static str, String)> {
    let block = &receipt.block;
    let since = format!("{} ({})", words::moment(block.since, &admin.zone), words::ago(block.since, admin.now()));
    let until = match (&block.ended, block.until) {
        (Some(ended), _) => {
            format!("{} {} by {}", ended.how, words::moment(ended.time, &admin.zone), words::short(&ended.by))
        }
        (None, None) => "somebody releases it: it is permanent".to_owned(),
        (None, Some(until)) => format!("{} ({})", words::moment(until, &admin.zone), words::left(block, admin.now())),
    };
    let mut facts = vec![("Since", since), ("Until", until), ("Felt as", words::clean(&receipt.felt))];
    if block.spares_familiar {
        facts.push(("Spares", "accounts that are familiar there may still sign in".to_owned()));
    }
    if !receipt.holes.is_empty() {
        let holes: Vec<String> = receipt.holes.iter().map(ToString::to_string).collect();
        facts.push(("Leaves alone", holes.join(", ")));
    }
    if block.offence > 0 {
        let often = format!("offence number {}; {} in the last 30 days", block.offence, receipt.offences_30_days);
        facts.push(("How often", often));
    }
    let list = |nodes: &[String]| nodes.iter().map(|node| words::short(node)).collect::<Vec<_>>().join(", ");
    facts.push(("Servers", list(&receipt.nodes)));
    if !receipt.nodes_missing.is_empty() {
        facts.push(("Not yet on", list(&receipt.nodes_missing)));
    }
    facts
}

fn proof(admin: &Admin, evidence: &fairban_types::Evidence) -> Proof {
    let row = EventRow { seq: 0, node: String::new(), outcome: "counted".to_owned(), event: evidence.event.clone() };
    Proof {
        points: evidence.points,
        seen: evidence.seen,
        first: evidence.first.map(|first| When::of(admin, first)),
        line: EventLine::of(admin, &row),
    }
}

fn story_row(admin: &Admin, line: &crate::admin::view::StoryLine) -> StoryRow {
    let what = match line.action {
        Action::Block => "blocked",
        Action::Guard => "guarded",
        Action::Release => "released",
        Action::Expire => "expired",
    };
    let until = match (line.action, line.until) {
        (Action::Release | Action::Expire, _) => String::new(),
        (_, None) => "permanently".to_owned(),
        (_, Some(until)) => format!("until {}", words::moment(until, &admin.zone)),
    };
    StoryRow { when: When::of(admin, line.time), what, by: words::short(&line.by), until }
}

/// The block, if it is there and may be seen.
async fn find<R: Right>(admin: &Admin, may: &May<R>, asked: &Asked) -> Result<Receipt, Response> {
    let missing = || oops(admin, asked, StatusCode::NOT_FOUND, "There is no such block.");
    let code = read::code(asked.parameter("code")).ok_or_else(missing)?;
    let found = admin.desk.receipt(code).await.map_err(|error| desk_failed(admin, asked, &error))?;
    found.filter(|receipt| may.sight().decision(&receipt.decision())).ok_or_else(missing)
}

async fn show(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Response {
    let mut receipt = match find(&admin, &may, &asked).await {
        Ok(receipt) => receipt,
        Err(response) => return response,
    };
    let mut decision = receipt.decision();
    let may_release = may.has::<Release>() && may.sight().owns(&decision);
    let all = decision.events.len();
    may.sight().mask(&mut decision);
    receipt.events = decision.events;
    let block = &receipt.block;
    let is_standing = words::is_standing(block, admin.now());
    let title = match (block.action, &block.subject, is_standing) {
        (Action::Guard, _, true) => "is guarded",
        (Action::Guard, _, false) => "was guarded",
        (_, Subject::Sending(_), true) => "is stopped from sending",
        (_, Subject::Sending(_), false) => "was stopped from sending",
        (.., true) => "is blocked",
        (.., false) => "was blocked",
    };
    let events_link = match &block.subject {
        Subject::Network(net) | Subject::Pair(_, net) => format!("/events?client={}", encoded(&net.to_string())),
        Subject::Account(account) => format!("/events?account={}", encoded(account)),
        Subject::Sending(_) => "/events?kind=message_sent".to_owned(),
    };
    let subject = match &block.subject {
        Subject::Sending(sending) => format!("{} ({})", sending.sender, sending.direction),
        other => other.to_string(),
    };
    let shown = ReceiptPage {
        shell: Shell::new(&admin, &may, &asked),
        can: Can::of(&may),
        code: block.code.to_string(),
        subject: words::clean(&subject),
        events_link,
        net: block.subject.network().map(|net| Subject::Network(net).to_string()),
        is_sending: matches!(block.subject, Subject::Sending(_)),
        title,
        is_standing,
        left: words::left(block, admin.now()),
        diagnosis: block.diagnosis.in_words(),
        advice: words::advice(block.diagnosis),
        short: in_short(&receipt),
        facts: facts(&admin, &receipt),
        rule_text: words::clean(&match &block.by {
            Some(by) => format!("{by}: {}", block.reason),
            None => format!("Rule {}: {}", block.rule, block.reason),
        }),
        is_manual: block.by.is_some(),
        score: block.score,
        threshold: block.threshold,
        share: (block.score.saturating_mul(100) / block.threshold.max(1)).min(100),
        total: receipt.events.iter().map(|evidence| evidence.points).sum(),
        hidden: all - receipt.events.len(),
        proofs: receipt.events.iter().map(|evidence| proof(&admin, evidence)).collect(),
        story: receipt.story.iter().map(|line| story_row(&admin, line)).collect(),
        never: receipt.never.iter().map(|row| format!("{} ({})", row.net, words::short(&row.reason))).collect(),
        may_release,
    };
    page(StatusCode::OK, &shown)
}

fn here(receipt: &Receipt) -> String {
    format!("/blocks/{}", receipt.block.code)
}

async fn release(admin: Arc<Admin>, may: May<Release>, deed: Deed) -> Response {
    let receipt = match find(&admin, &may, &deed.asked).await {
        Ok(receipt) => receipt,
        Err(response) => return response,
    };
    let reason = read::reason(deed.form.get("reason"), "released by an administrator");
    // Support releases, and nothing else: it cannot put back what it released.
    let undo = if may.has::<Block>() { vec![undo::of_release(&receipt.block, admin.now())] } else { Vec::new() };
    perform(&admin, &may, Act::release(&may, &receipt.decision(), reason), undo).await;
    go(&here(&receipt))
}

async fn extend(admin: Arc<Admin>, may: May<Block>, deed: Deed) -> Response {
    let receipt = match find(&admin, &may, &deed.asked).await {
        Ok(receipt) => receipt,
        Err(response) => return response,
    };
    let block = &receipt.block;
    match read::time(deed.form.get("for")) {
        Err(text) => say(&admin, &may, false, text, Vec::new()),
        Ok(time) => {
            let reason = read::reason(deed.form.get("reason"), &block.reason);
            let undo = vec![undo::of_change(block, admin.now())];
            perform(&admin, &may, Ok(Act::block(&may, block.subject.clone(), time, reason)), undo).await;
            return latest(&admin, &may, &receipt).await;
        }
    }
    go(&here(&receipt))
}

/// Another end makes another block: on to that one.
async fn latest(admin: &Admin, may: &May<Block>, receipt: &Receipt) -> Response {
    let text = receipt.block.subject.to_string();
    let mut query = crate::admin::view::BlockQuery { limit: 50, ..Default::default() };
    match receipt.block.subject.network() {
        Some(net) => query.net = Some(net),
        None => query.text = Some(text),
    }
    if matches!(receipt.block.subject, Subject::Sending(_)) {
        query.kind = crate::admin::view::Kind::Sending;
        query.text = None;
    }
    let found = match admin.desk.blocks(&query, &may.sight()).await {
        Ok(listing) => listing.rows,
        Err(error) => {
            // It is done and said; only the way to the new receipt is not known.
            tracing::error!(%error, "the block that was prolonged could not be looked up");
            return go("/blocks");
        }
    };
    let newest = found.into_iter().find(|row| row.subject == receipt.block.subject);
    go(&newest.map_or_else(|| here(receipt), |row| format!("/blocks/{}", row.code)))
}

async fn never(admin: Arc<Admin>, may: May<EditNever>, deed: Deed) -> Response {
    let receipt = match find(&admin, &may, &deed.asked).await {
        Ok(receipt) => receipt,
        Err(response) => return response,
    };
    match receipt.block.subject.network() {
        None => say(&admin, &may, false, "Only addresses and networks can be on the never-block list.", Vec::new()),
        Some(net) => {
            let reason = read::reason(deed.form.get("reason"), &format!("was blocked as {}", receipt.block.code));
            let act = Act::never_add(&may, net, reason, None);
            perform(&admin, &may, Ok(act), vec![What::NeverRemove { net }]).await;
        }
    }
    go(&here(&receipt))
}

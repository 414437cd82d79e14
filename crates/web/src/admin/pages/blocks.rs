//! Blocks: the list, making one, many at once, and in and out as files.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use fairban_types::{Diagnosis, Subject};

use super::rows::{BlockLine, blocks};
use super::{Can, Shell, desk_failed, go, next_place, oops, page, perform, query_with, say};
use crate::access::{Act, Block, DeskError, EditNever, Look, May, Release, Sight};
use crate::admin::desk::{Outcome, What};
use crate::admin::view::{BlockQuery, BlockRow, Kind, State};
use crate::admin::{Admin, Asked, Deed, Routes, csv, undo};
use crate::api::read;

/// Rows of a page.
const ROWS: usize = 100;
/// Rows of a file.
const FILE_ROWS: usize = 1_000_000;
/// Rows that are read at once.
const AT_ONCE: usize = 1000;
/// Addresses that are read from a list at once.
const IMPORT_MAX: usize = 20_000;

pub(super) fn add(routes: Routes) -> Routes {
    routes
        .page::<Look, _, _>("/blocks", show)
        .page::<Look, _, _>("/blocks.csv", export_csv)
        .page::<Look, _, _>("/blocks.txt", export_text)
        .form::<Block, _, _>("/blocks", block)
        .form::<Block, _, _>("/blocks/import", import)
        .form::<Look, _, _>("/blocks/many", many)
}

/// A field of a filter: its value, what it is called, and whether it is chosen.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) name: String,
    pub(super) is_chosen: bool,
}

pub(super) fn choices(chosen: Option<&str>, all: &[(&str, &str)]) -> Vec<Choice> {
    let chosen = chosen.unwrap_or(all.first().map_or("", |(value, _)| value));
    let choice = |(value, name): &(&str, &str)| Choice {
        value: (*value).to_owned(),
        name: (*name).to_owned(),
        is_chosen: *value == chosen,
    };
    all.iter().map(choice).collect()
}

/// A head of a column that sorts.
pub(super) struct Head {
    pub(super) name: &'static str,
    pub(super) link: String,
    /// For `aria-sort`.
    pub(super) order: &'static str,
}

#[derive(Template)]
#[template(path = "admin/blocks.html")]
struct BlocksPage {
    shell: Shell,
    can: Can,
    search: String,
    states: Vec<Choice>,
    kinds: Vec<Choice>,
    origins: Vec<Choice>,
    diagnoses: Vec<Choice>,
    rule: String,
    is_filtered: bool,
    heads: Vec<Head>,
    rows: Vec<BlockLine>,
    total: Option<String>,
    next: Option<String>,
    first: Option<String>,
    csv: String,
    text: String,
    here: String,
}

const DIAGNOSES: &[Diagnosis] = &[
    Diagnosis::StalePassword,
    Diagnosis::PasswordGuessing,
    Diagnosis::PasswordSpraying,
    Diagnosis::CredentialStuffing,
    Diagnosis::FrequentPolling,
    Diagnosis::RelayProbing,
    Diagnosis::AddressHarvesting,
    Diagnosis::SpamRun,
    Diagnosis::Malware,
    Diagnosis::ProtocolAbuse,
    Diagnosis::Manual,
    Diagnosis::Unknown,
];

fn word(diagnosis: Diagnosis) -> String {
    serde_json::to_value(diagnosis).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn diagnoses(chosen: Option<&str>) -> Vec<Choice> {
    let any = Choice { value: String::new(), name: "anything".to_owned(), is_chosen: chosen.is_none() };
    let one = |diagnosis: &Diagnosis| {
        let value = word(*diagnosis);
        Choice { name: value.replace('_', " "), is_chosen: Some(value.as_str()) == chosen, value }
    };
    std::iter::once(any).chain(DIAGNOSES.iter().map(one)).collect()
}

fn heads(asked: &Asked) -> Vec<Head> {
    let (sort, order) = (asked.query("sort").unwrap_or("since"), asked.query("order").unwrap_or("desc"));
    let head = |(name, key): (&'static str, &str)| {
        let is_sorted = sort == key;
        let next = if is_sorted && order == "desc" { "asc" } else { "desc" };
        let order = match (is_sorted, order) {
            (false, _) => "none",
            (true, "asc") => "ascending",
            (true, _) => "descending",
        };
        let link = format!("/blocks{}", query_with(asked, &["cursor"], &[("sort", key), ("order", next)]));
        Head { name, link, order }
    };
    [("Blocked", "subject"), ("Rule", "rule"), ("Since", "since"), ("Ends", "until")].map(head).into()
}

async fn show(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Response {
    let query = match read::blocks(&asked, ROWS) {
        Ok(query) => query,
        Err(text) => return oops(&admin, &asked, StatusCode::UNPROCESSABLE_ENTITY, &text),
    };
    let listing = match admin.desk.blocks(&query, &may.sight()).await {
        Ok(listing) => listing,
        Err(error) => return desk_failed(&admin, &asked, &error),
    };
    let link = |path: &str, add: &[(&str, &str)]| format!("{path}{}", query_with(&asked, &["cursor"], add));
    let filters = ["search", "state", "kind", "origin", "diagnosis", "rule"];
    let shown = BlocksPage {
        shell: Shell::new(&admin, &may, &asked).live(),
        can: Can::of(&may),
        search: asked.query("search").unwrap_or_default().to_owned(),
        states: choices(asked.query("state"), &[("standing", "in force"), ("over", "over"), ("all", "all")]),
        kinds: choices(
            asked.query("kind"),
            &[("any", "anything"), ("network", "addresses and networks"), ("account", "accounts")],
        ),
        origins: choices(asked.query("origin"), &[("", "rule or hand"), ("rule", "by rule"), ("manual", "by hand")]),
        diagnoses: diagnoses(asked.query("diagnosis")),
        rule: asked.query("rule").unwrap_or_default().to_owned(),
        is_filtered: filters.iter().any(|name| asked.query(name).is_some()),
        heads: heads(&asked),
        rows: blocks(&admin, &listing.rows),
        total: listing.total.map(super::words::number),
        next: listing.next.map(|cursor| link("/blocks", &[("cursor", &cursor)])),
        first: asked.query("cursor").map(|_| link("/blocks", &[])),
        csv: link("/blocks.csv", &[]),
        text: link("/blocks.txt", &[]),
        here: format!("/blocks{}", query_with(&asked, &[], &[])),
    };
    page(StatusCode::OK, &shown)
}

/// Writes all rows that a filter lets through, up to a bound, as they are read.
async fn write_all(
    admin: &Admin,
    sight: &Sight,
    mut query: BlockQuery,
    file: &csv::Pieces,
    head: String,
    line: fn(BlockRow) -> String,
) -> Result<(), DeskError> {
    (query.limit, query.cursor, query.is_uncounted) = (AT_ONCE, None, true);
    let (mut text, mut count) = (head, 0);
    loop {
        let listing = admin.desk.blocks(&query, sight).await?;
        count += listing.rows.len();
        listing.rows.into_iter().for_each(|row| text.push_str(&line(row)));
        query.cursor = listing.next;
        if !file.add(std::mem::take(&mut text)).await || query.cursor.is_none() || count >= FILE_ROWS {
            return Ok(());
        }
    }
}

const HEAD: [&str; 13] = [
    "reference",
    "subject",
    "rule",
    "by",
    "reason",
    "diagnosis",
    "since",
    "until",
    "ended",
    "how",
    "score",
    "threshold",
    "offence",
];

fn fields(row: BlockRow) -> String {
    let ended = row.ended.map_or_else(Default::default, |ended| (ended.time.to_string(), ended.how));
    csv::line(&[
        row.code.to_string(),
        row.subject.to_string(),
        row.rule,
        row.by.unwrap_or_default(),
        row.reason,
        word(row.diagnosis),
        row.since.to_string(),
        row.until.map_or_else(|| "permanent".to_owned(), |until| until.to_string()),
        ended.0,
        ended.1,
        row.score.to_string(),
        row.threshold.to_string(),
        row.offence.to_string(),
    ])
}

async fn export_csv(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Response {
    let query = match read::blocks(&asked, ROWS) {
        Ok(query) => query,
        Err(text) => return oops(&admin, &asked, StatusCode::UNPROCESSABLE_ENTITY, &text),
    };
    let sight = may.sight();
    csv::file("blocks.csv", "text/csv; charset=utf-8", |file| async move {
        write_all(&admin, &sight, query, &file, csv::line(&HEAD), fields).await
    })
}

async fn export_text(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Response {
    let query = match read::blocks(&asked, ROWS) {
        Ok(query) => BlockQuery { kind: Kind::Network, ..query },
        Err(text) => return oops(&admin, &asked, StatusCode::UNPROCESSABLE_ENTITY, &text),
    };
    let sight = may.sight();
    csv::file("blocks.txt", "text/plain; charset=utf-8", |file| async move {
        write_all(&admin, &sight, query, &file, String::new(), |row| format!("{}\n", row.subject)).await
    })
}

async fn block(admin: Arc<Admin>, may: May<Block>, deed: Deed) -> Response {
    let form = &deed.form;
    let back = next_place(form.get("next"), "/blocks");
    let subject = match read::subject(form.get("subject").trim()) {
        Ok(Subject::Sending(_)) => Err("Send blocks have a page of their own.".to_owned()),
        other => other,
    };
    let made = subject.and_then(|subject| Ok((subject, read::time(form.get("for"))?)));
    match made {
        Err(text) => say(&admin, &may, false, text, Vec::new()),
        Ok((subject, time)) => {
            let reason = read::reason(form.get("reason"), "blocked by an administrator");
            let undo = vec![What::Release { subject: subject.clone(), reason: "taken back".to_owned() }];
            perform(&admin, &may, Ok(Act::block(&may, subject, time, reason)), undo).await;
        }
    }
    go(&back)
}

/// Blocks everything on a pasted list.
async fn import(admin: Arc<Admin>, may: May<Block>, deed: Deed) -> Response {
    let form = &deed.form;
    let time = match read::time(form.get("for")) {
        Ok(time) => time,
        Err(text) => {
            say(&admin, &may, false, text, Vec::new());
            return go("/blocks");
        }
    };
    let reason = read::reason(form.get("reason"), "from an imported list");
    let (mut done, mut not, mut unread, mut undo) = (0_usize, Vec::new(), Vec::new(), Vec::new());
    let lines = form.get("list").lines().map(|line| line.split(['#', ';', ',']).next().unwrap_or_default().trim());
    for line in lines.filter(|line| !line.is_empty()).take(IMPORT_MAX) {
        let Ok(net) = read::net(line) else {
            unread.push(super::words::short(line));
            continue;
        };
        let subject = Subject::Network(net);
        match admin.desk.act(&Act::block(&may, subject.clone(), time, reason.clone())).await {
            Ok(Outcome::Done(_)) => {
                done += 1;
                undo.push(What::Release { subject, reason: "taken back".to_owned() });
            }
            Ok(Outcome::No(text)) => not.push(text),
            Err(error) => not.push(error.0),
        }
    }
    let mut text = format!("{done} blocked.");
    if let Some(first) = unread.first() {
        text.push_str(&format!(" {} lines could not be read, such as “{first}”.", unread.len()));
    }
    if let Some(first) = not.first() {
        text.push_str(&format!(" {} were not blocked: {first}", not.len()));
    }
    say(&admin, &may, unread.is_empty() && not.is_empty(), text, undo);
    go("/blocks")
}

/// Does one thing to many blocks.
async fn many(admin: Arc<Admin>, may: May<Look>, deed: Deed) -> Response {
    let form = &deed.form;
    let back = next_place(form.get("next"), "/blocks");
    let codes: Vec<&str> = form.all("code").take(500).collect();
    if codes.is_empty() {
        say(&admin, &may, false, "Choose at least one block first.", Vec::new());
        return go(&back);
    }
    let (mut done, mut not, mut undo) = (0_usize, Vec::new(), Vec::new());
    for code in codes {
        match one_of_many(&admin, &may, form.get("act"), code).await {
            Ok(back) => {
                done += 1;
                undo.push(back);
            }
            Err(text) => not.push(text),
        }
    }
    // Support releases, and nothing else: it cannot put back what it released.
    if !may.has::<Block>() {
        undo.clear();
    }
    let verb = match form.get("act") {
        "release" => "released",
        "permanent" => "made permanent",
        _ => "put on the never-block list",
    };
    let mut text = format!("{done} {verb}.");
    if let Some(first) = not.first() {
        text.push_str(&format!(" {} were not: {first}", not.len()));
    }
    say(&admin, &may, not.is_empty(), text, undo);
    go(&back)
}

async fn one_of_many(admin: &Admin, may: &May<Look>, act: &str, code: &str) -> Result<What, String> {
    let missing = || "there is no such block".to_owned();
    let found = admin.desk.receipt(read::code(code).ok_or_else(missing)?).await.map_err(|error| error.0)?;
    let receipt = found.filter(|receipt| may.sight().decision(&receipt.decision())).ok_or_else(missing)?;
    let (decision, block) = (receipt.decision(), &receipt.block);
    let denied = || "your role does not have the right for it".to_owned();
    let (act, back) = match act {
        "release" => {
            let may = may.also::<Release>().ok_or_else(denied)?;
            let act = Act::release(&may, &decision, "released by an administrator".to_owned());
            (act.map_err(|_| "it concerns others than your accounts".to_owned())?, undo::of_release(block, admin.now()))
        }
        "permanent" => {
            let may = may.also::<Block>().ok_or_else(denied)?;
            let act = Act::block(&may, block.subject.clone(), None, block.reason.clone());
            (act, undo::of_change(block, admin.now()))
        }
        "never" => {
            let may = may.also::<EditNever>().ok_or_else(denied)?;
            let net = block.subject.network().ok_or("only addresses and networks can be on the never-block list")?;
            let act = Act::never_add(&may, net, format!("was blocked as {}", block.code), None);
            (act, What::NeverRemove { net })
        }
        _ => return Err("choose what to do".to_owned()),
    };
    match admin.desk.act(&act).await.map_err(|error| error.0)? {
        Outcome::Done(_) => Ok(back),
        Outcome::No(text) => Err(text),
    }
}

/// Blocks in force, for other pages.
pub(super) async fn in_force(
    admin: &Admin,
    may: &May<Look>,
    kind: Kind,
    limit: usize,
) -> Result<crate::admin::view::Listing<BlockRow>, crate::access::DeskError> {
    let query = BlockQuery { state: State::Standing, kind, limit, ..BlockQuery::default() };
    admin.desk.blocks(&query, &may.sight()).await
}

//! What is happening now and over time.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::rows::{AccountLine, BarLine, BlockLine, bars, blocks};
use super::{Shell, desk_failed, encoded, page};
use crate::access::{Look, LookAround, May};
use crate::admin::view::{Health, Level, Overview, SPANS, Tally};
use crate::admin::{Admin, Asked, Routes, chart, words};

pub(super) fn add(routes: Routes) -> Routes {
    routes.page::<Look, _, _>("/", show)
}

/// How a part is, as it is shown.
struct PartLine {
    name: String,
    class: &'static str,
    word: &'static str,
    text: String,
}

struct HealthBox {
    version: String,
    node: String,
    profile: String,
    up: String,
    parts: Vec<PartLine>,
    problems: Vec<String>,
    warnings: Vec<String>,
}

struct Card {
    name: &'static str,
    value: String,
    note: String,
    link: &'static str,
}

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    shell: Shell,
    spans: Vec<(&'static str, bool)>,
    cards: Vec<Card>,
    one_address: Option<String>,
    tries: String,
    blocks: String,
    numbers: Vec<(String, [u64; 6])>,
    by_rule: Vec<BarLine>,
    by_service: Vec<BarLine>,
    offenders: Vec<BarLine>,
    attacked: Vec<AccountLine>,
    newest: Vec<BlockLine>,
    health: Option<HealthBox>,
}

fn cards(overview: &Overview, span: &str) -> Vec<Card> {
    let sum = |of: fn(&crate::admin::view::Bucket) -> u64| overview.buckets.iter().map(of).sum::<u64>();
    let card = |name, value: u64, note: String, link| Card { name, value: words::number(value), note, link };
    let lately = || format!("in the last {span}");
    vec![
        card("Blocks in force", overview.standing, format!("{} by hand", words::number(overview.manual)), "/blocks"),
        card("Accounts held", overview.guards, "guarded or locked".to_owned(), "/blocks?kind=account"),
        card("Send blocks", overview.send_blocks, "in force".to_owned(), "/send-blocks"),
        card("Failed sign-ins", sum(|bucket| bucket.failures), lately(), "/events?kind=login_failed"),
        card("Tries stopped", sum(|bucket| bucket.stopped), lately(), "/events?outcome=stopped"),
        card("Good sign-ins", sum(|bucket| bucket.sign_ins), lately(), "/events?kind=login_succeeded"),
    ]
}

fn health_box(admin: &Admin, health: Health) -> HealthBox {
    let part = |part: crate::admin::view::Part| {
        let (class, word) = match part.level {
            Level::Good => ("good", "good"),
            Level::Off => ("off", "off"),
            Level::Warning => ("warn", "look"),
            Level::Bad => ("bad", "bad"),
        };
        PartLine { name: part.name, class, word, text: words::clean(&part.text) }
    };
    HealthBox {
        version: health.version,
        node: words::short(&health.node),
        profile: health.profile,
        up: words::span(admin.now().since(health.started)),
        parts: health.parts.into_iter().map(part).collect(),
        problems: health.problems.iter().map(|text| words::clean(text)).collect(),
        warnings: health.warnings.iter().map(|text| words::clean(text)).collect(),
    }
}

/// By the names that people know them by. Dovecot's `auth` does not say for which service it checked a password.
fn services(mut tallies: Vec<Tally>) -> Vec<BarLine> {
    for tally in &mut tallies {
        tally.name = match tally.name.as_str() {
            "imap" => "IMAP",
            "pop3" => "POP3",
            "smtp" => "SMTP",
            "lmtp" => "LMTP",
            "submission" => "Submission",
            "sieve" => "ManageSieve",
            "webmail" => "Webmail",
            "unknown" => "not told by the log",
            other => other,
        }
        .to_owned();
    }
    bars(&tallies, |_| String::new())
}

async fn show(admin: Arc<Admin>, may: May<Look>, asked: Asked) -> Response {
    let span = asked.query("span").unwrap_or("24h");
    let (span, time) = SPANS.iter().find(|(name, _)| *name == span).copied().unwrap_or(SPANS[1]);
    let overview = match admin.desk.overview(time, &may.sight()).await {
        Ok(overview) => overview,
        Err(error) => return desk_failed(&admin, &asked, &error),
    };
    let health = match may.has::<LookAround>() {
        true => admin.desk.health().await.ok().map(|health| health_box(&admin, health)),
        false => None,
    };
    let number = |bucket: &crate::admin::view::Bucket| {
        let counts = [bucket.sign_ins, bucket.failures, bucket.stopped, bucket.other, bucket.blocks, bucket.releases];
        (words::moment(bucket.time, &admin.zone), counts)
    };
    let of_client = |name: &str| format!("/events?client={}", encoded(name));
    let shown = OverviewPage {
        shell: Shell::new(&admin, &may, &asked).live(),
        spans: SPANS.iter().map(|(name, _)| (*name, *name == span)).collect(),
        cards: cards(&overview, span),
        one_address: overview.one_address.map(|address| address.to_string()),
        tries: chart::tries(&overview.buckets, &admin.zone),
        blocks: chart::blocks(&overview.buckets, &admin.zone),
        numbers: overview.buckets.iter().map(number).filter(|(_, counts)| counts.iter().any(|n| *n > 0)).collect(),
        by_rule: bars(&overview.by_rule, |name| format!("/blocks?state=all&rule={}", encoded(name))),
        by_service: services(overview.by_service),
        offenders: bars(&overview.offenders, of_client),
        attacked: overview.attacked.iter().map(|row| AccountLine::of(&admin, row)).collect(),
        newest: blocks(&admin, &overview.newest),
        health,
    };
    page(StatusCode::OK, &shown)
}

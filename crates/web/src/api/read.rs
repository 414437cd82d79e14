//! What is asked for, read from a query or a body; pages read theirs by the same words.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use fairban_types::{Code, Diagnosis, Subject, Time, parse_duration};
use ipnet::IpNet;
use serde::de::DeserializeOwned;

use super::Problem;
use crate::admin::Asked;
use crate::admin::view::{BlockQuery, EventQuery, Kind, Sort, State};

/// The most rows of one answer.
pub(crate) const LIMIT_MAX: usize = 1000;
const REASON_MAX: usize = 500;

/// A body as JSON.
pub(super) fn body<T: DeserializeOwned>(asked: &Asked) -> Result<T, Problem> {
    let kind = asked.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body has to be application/json"));
    }
    serde_json::from_slice(&asked.body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::wrong(error.to_string()),
        _ => Problem::new(StatusCode::BAD_REQUEST, &error.to_string()),
    })
}

/// An address or network.
pub(crate) fn net(text: &str) -> Result<IpNet, String> {
    match text.trim().parse::<Subject>() {
        Ok(Subject::Network(net)) => Ok(net),
        _ => Err(format!("'{}' is neither an address nor a network such as 192.0.2.0/24", short(text))),
    }
}

/// A subject that can be blocked by hand.
pub(crate) fn subject(text: &str) -> Result<Subject, String> {
    text.parse::<Subject>().map_err(|error| error.to_string())
}

/// A stretch of time; nothing, or `permanent`, is for good.
pub(crate) fn time(text: &str) -> Result<Option<Duration>, String> {
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("permanent") {
        return Ok(None);
    }
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() || time > Duration::from_secs(3650 * 86_400) {
        return Err(
            "a block takes at least a second and at most ten years; leave it out for a permanent one".to_owned()
        );
    }
    Ok(Some(time))
}

/// A reason: one line of text, however long somebody made it.
pub(crate) fn reason(text: &str, otherwise: &str) -> String {
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_MAX).collect();
    if text.is_empty() { otherwise.to_owned() } else { text }
}

pub(crate) fn code(text: &str) -> Option<Code> {
    text.parse().ok()
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

fn choice<T: Copy>(asked: &Asked, name: &str, choices: &[(&str, T)], otherwise: T) -> Result<T, String> {
    let Some(text) = asked.query(name) else { return Ok(otherwise) };
    let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    found.ok_or_else(|| format!("{name} is one of {}", words.join(", ")))
}

/// How many rows.
pub(crate) fn limit(asked: &Asked, otherwise: usize) -> Result<usize, String> {
    let Some(text) = asked.query("limit") else { return Ok(otherwise) };
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("limit is a number from 1 to {LIMIT_MAX}"))
}

/// A moment in the query: RFC 3339, or what a browser's field for date and time gives (taken as UTC).
fn moment(asked: &Asked, name: &str) -> Result<Option<Time>, String> {
    let Some(text) = asked.query(name) else { return Ok(None) };
    let wrong = || format!("{name} is a moment such as 2026-11-21T19:12:05Z");
    let with_zone = |suffix: &str| format!("{text}{suffix}").parse::<Time>().ok();
    text.parse::<Time>().ok().or_else(|| with_zone("Z")).or_else(|| with_zone(":00Z")).map(Some).ok_or_else(wrong)
}

/// Which blocks.
pub(crate) fn blocks(asked: &Asked, limit_otherwise: usize) -> Result<BlockQuery, String> {
    let mut query = BlockQuery {
        state: choice(
            asked,
            "state",
            &[("standing", State::Standing), ("over", State::Over), ("all", State::All)],
            State::Standing,
        )?,
        kind: choice(
            asked,
            "kind",
            &[("any", Kind::Any), ("network", Kind::Network), ("account", Kind::Account), ("sending", Kind::Sending)],
            Kind::Any,
        )?,
        manual: choice(asked, "origin", &[("rule", Some(false)), ("manual", Some(true))], None)?,
        rule: asked.query("rule").map(|rule| rule.chars().take(64).collect()),
        diagnosis: None,
        net: None,
        text: None,
        sort: choice(
            asked,
            "sort",
            &[("since", Sort::Since), ("until", Sort::Until), ("subject", Sort::Subject), ("rule", Sort::Rule)],
            Sort::Since,
        )?,
        ascending: choice(asked, "order", &[("desc", false), ("asc", true)], false)?,
        limit: limit(asked, limit_otherwise)?,
        cursor: asked.query("cursor").map(|cursor| cursor.chars().take(2000).collect()),
        is_uncounted: false,
    };
    if let Some(text) = asked.query("diagnosis") {
        let word = serde_json::Value::String(text.to_owned());
        let diagnosis = serde_json::from_value::<Diagnosis>(word);
        query.diagnosis = Some(diagnosis.map_err(|_| format!("'{}' is not a diagnosis", short(text)))?);
    }
    match asked.query("search").map(|text| (text, net(text))) {
        Some((_, Ok(net))) => query.net = Some(net),
        Some((text, Err(_))) => query.text = Some(text.chars().take(200).collect()),
        None => {}
    }
    Ok(query)
}

/// Which events.
pub(crate) fn events(asked: &Asked, limit_otherwise: usize) -> Result<EventQuery, String> {
    let client = asked.query("client").map(net).transpose()?;
    let kind = asked.query("event").or_else(|| asked.query("kind")).map(|kind| kind.parse()).transpose()?;
    let before = asked.query("cursor").map(|text| text.parse().map_err(|_| "that is no cursor of ours".to_owned()));
    Ok(EventQuery {
        client,
        account: asked.query("account").map(|account| account.chars().take(320).collect()),
        kind,
        outcome: choice(
            asked,
            "outcome",
            &[
                ("counted", Some("counted")),
                ("repeated", Some("repeated")),
                ("spared", Some("spared")),
                ("stopped", Some("stopped")),
                ("noted", Some("noted")),
            ],
            None,
        )?
        .map(str::to_owned),
        node: asked.query("node").map(|node| node.chars().take(255).collect()),
        since: moment(asked, "since")?,
        until: moment(asked, "until")?,
        before: before.transpose()?,
        limit: limit(asked, limit_otherwise)?,
    })
}

/// An address.
pub(crate) fn address(text: &str) -> Result<IpAddr, String> {
    text.trim().parse().map_err(|_| format!("'{}' is not an address", short(text)))
}

//! Health, and numbers in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::Problem;
use crate::access::{LookAround, May, Refusal, admit_session, admit_token};
use crate::admin::view::{Health, Level, Metric};
use crate::admin::{Admin, Asked};

/// The program runs.
pub(super) async fn alive(_: Arc<Admin>, _: Asked) -> Response {
    text("ok\n")
}

/// The program does what it is for. Says no more than that to whoever asks.
pub(super) async fn ready(admin: Arc<Admin>, _: Asked) -> Response {
    match admin.desk.health().await {
        Ok(health) if health.problems.is_empty() => text("ready\n"),
        Ok(_) => (StatusCode::SERVICE_UNAVAILABLE, text("not ready: /api/v1/status says why\n")).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

fn text(body: &'static str) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], body).into_response()
}

/// The numbers.
pub(super) async fn metrics(admin: Arc<Admin>, asked: Asked) -> Response {
    if !admin.settings.metrics_open
        && let Err(refusal) = may_see(&admin, &asked).await
    {
        return Problem::from(refusal).into_response();
    }
    match admin.desk.health().await {
        Ok(health) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(CONTENT_TYPE, kind)], written(&health)).into_response()
        }
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn may_see(admin: &Admin, asked: &Asked) -> Result<May<LookAround>, Refusal> {
    match admit_token(admin, &asked.headers, asked.client).await {
        Some(may) => may,
        None => admit_session(admin, &asked.headers, asked.client, false),
    }
}

/// By the text format's rules (version 0.0.4).
fn written(health: &Health) -> String {
    let mut page = String::new();
    let version = vec![("version", health.version.clone()), ("profile", health.profile.clone())];
    let part = |part: &crate::admin::view::Part| {
        (vec![("part", part.name.clone())], f64::from(u8::from(part.level != Level::Bad)))
    };
    let own = [
        metric(
            "fairban_build_info",
            "The version that runs, and the profile of its rules.",
            false,
            vec![(version, 1.0)],
        ),
        metric(
            "fairban_start_time_seconds",
            "When it was started, in seconds since the epoch.",
            false,
            vec![(Vec::new(), health.started.millis() as f64 / 1000.0)],
        ),
        metric(
            "fairban_part_up",
            "Whether a part does what it should.",
            false,
            health.parts.iter().map(part).collect(),
        ),
        metric(
            "fairban_problems",
            "Problems that need somebody.",
            false,
            vec![(Vec::new(), health.problems.len() as f64)],
        ),
    ];
    for metric in own.iter().chain(&health.metrics) {
        let kind = if metric.is_counter { "counter" } else { "gauge" };
        let _ = writeln!(page, "# HELP {0} {1}\n# TYPE {0} {kind}", metric.name, metric.help);
        for (labels, value) in &metric.values {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(page, "{}{labels} {value}", metric.name);
        }
    }
    page
}

fn metric(
    name: &'static str,
    help: &'static str,
    is_counter: bool,
    values: Vec<(Vec<(&'static str, String)>, f64)>,
) -> Metric {
    Metric { name, help, is_counter, values }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

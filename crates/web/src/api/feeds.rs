//! Lists for other firewalls: addresses and networks that are blocked, as text and as JSON, with entity tags.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use fairban_types::{Code, Subject, Time, subtract};
use ipnet::IpNet;
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::Problem;
use super::openapi::{Operation, query};
use crate::access::{LookAround, May};
use crate::admin::view::FeedRow;
use crate::admin::{Admin, Asked, Routes};

pub(super) fn add(routes: Routes) -> Routes {
    let family = || query("family", "only of this family", &["4", "6"]);
    let text = Operation::get(
        "/api/v1/feeds/blocks.txt",
        "feeds",
        "feedBlocksText",
        "Blocked addresses and networks, one a line. Never what is on the never-block list",
    )
    .with([family()])
    .gives_text("text/plain");
    let list = Operation::get(
        "/api/v1/feeds/blocks.json",
        "feeds",
        "feedBlocksJson",
        "Blocked addresses and networks with their ends",
    )
    .with([family()])
    .gives(200, "Feed");
    let never = Operation::get("/api/v1/feeds/never.txt", "feeds", "feedNeverText", "The never-block list, one a line")
        .with([family()])
        .gives_text("text/plain");
    routes.call(text, blocks_text).call(list, blocks_json).call(never, never_text)
}

fn family(asked: &Asked) -> Result<impl Fn(&IpNet) -> bool, Problem> {
    let family = match asked.query("family") {
        None => None,
        Some("4") => Some(true),
        Some("6") => Some(false),
        Some(_) => return Err(Problem::wrong("family is 4 or 6")),
    };
    Ok(move |net: &IpNet| family.is_none_or(|is_v4| net.addr().is_ipv4() == is_v4))
}

/// What is blocked, without what is on the never-block list, in order of address.
async fn blocked(admin: &Admin) -> Result<(Arc<Vec<FeedRow>>, Holes), Problem> {
    let rows = admin.desk.blocked().await?;
    Ok((rows, Holes::new(admin.desk.never().await?.into_iter().map(|row| row.net))))
}

/// Networks that are taken out of others.
struct Holes(Vec<IpNet>);

impl Holes {
    fn new(nets: impl Iterator<Item = IpNet>) -> Self {
        let mut nets: Vec<IpNet> = nets.collect();
        nets.sort_unstable();
        // What is inside another one takes nothing more out; and those that are left do not overlap.
        nets.dedup_by(|later, earlier| earlier.contains(&*later));
        Holes(nets)
    }

    /// What is left of a network. Few networks have a hole in them or are in one, and which do is found by order.
    fn parts(&self, net: IpNet) -> Vec<IpNet> {
        let after = self.0.partition_point(|hole| *hole < net);
        let around = after.checked_sub(1).and_then(|before| self.0.get(before)).filter(|hole| hole.contains(&net));
        let inside = self.0[after..].iter().take_while(|hole| net.contains(*hole));
        let holes: Vec<IpNet> = around.into_iter().chain(inside).copied().collect();
        if holes.is_empty() { vec![net] } else { subtract(net, &holes) }
    }
}

fn as_text(net: &IpNet) -> String {
    Subject::Network(*net).to_string()
}

/// The list, or that it is the one that the client has.
fn tagged(asked: &Asked, kind: &'static str, body: String) -> Response {
    let mut tag = String::from("\"");
    for byte in &digest(&SHA256, body.as_bytes()).as_ref()[..12] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    let known = asked.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_known = known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*");
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";

async fn blocks_text(admin: Arc<Admin>, _: May<LookAround>, asked: Asked) -> Result<Response, Problem> {
    let of_family = family(&asked)?;
    let (rows, holes) = blocked(&admin).await?;
    let (mut body, mut last) = (String::new(), None);
    for net in rows.iter().map(|row| row.net).filter(|net| of_family(net)) {
        for part in holes.parts(net).into_iter().filter(|part| last.replace(*part) != Some(*part)) {
            let _ = writeln!(body, "{}", as_text(&part));
        }
    }
    Ok(tagged(&asked, TEXT, body))
}

async fn blocks_json(admin: Arc<Admin>, _: May<LookAround>, asked: Asked) -> Result<Response, Problem> {
    let of_family = family(&asked)?;
    let (rows, holes) = blocked(&admin).await?;
    let (mut body, mut last) = (String::from("{\"blocks\":["), None);
    for row in rows.iter().filter(|row| of_family(&row.net)) {
        for part in holes.parts(row.net).into_iter().filter(|part| last.replace(*part) != Some(*part)) {
            let one = Fed { net: as_text(&part), until: row.until, rule: &row.rule, code: row.code };
            let one = serde_json::to_string(&one).map_err(|error| Problem::wrong(error.to_string()))?;
            let comma = if body.ends_with('[') { "" } else { "," };
            let _ = write!(body, "{comma}{one}");
        }
    }
    body.push_str("]}");
    Ok(tagged(&asked, "application/json", body))
}

/// A row as it is told.
#[derive(Serialize)]
struct Fed<'a> {
    net: String,
    until: Option<Time>,
    rule: &'a str,
    code: Code,
}

async fn never_text(admin: Arc<Admin>, _: May<LookAround>, asked: Asked) -> Result<Response, Problem> {
    let of_family = family(&asked)?;
    let mut nets: Vec<IpNet> = admin.desk.never().await?.into_iter().map(|row| row.net).collect();
    nets.sort_unstable();
    nets.dedup();
    let mut body = String::new();
    for net in nets.iter().filter(|net| of_family(net)) {
        let _ = writeln!(body, "{}", as_text(net));
    }
    Ok(tagged(&asked, TEXT, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_found_by_order() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let holes = ["192.0.2.128/25", "192.0.2.7/32", "10.0.0.0/8", "192.0.2.130/32", "2001:db8::/32"];
        let holes = Holes::new(holes.iter().map(|text| net(text)));
        for (whole, parts) in [
            ("192.0.2.4/30", vec!["192.0.2.4/31", "192.0.2.6/32"]),
            ("192.0.2.0/30", vec!["192.0.2.0/30"]),
            ("192.0.2.200/32", vec![]),
            ("10.1.2.3/32", vec![]),
            ("10.0.0.0/8", vec![]),
            ("11.1.2.3/32", vec!["11.1.2.3/32"]),
            ("2001:db8:1::/48", vec![]),
            ("2001:db9::/48", vec!["2001:db9::/48"]),
        ] {
            let parts: Vec<IpNet> = parts.into_iter().map(net).collect();
            assert_eq!(holes.parts(net(whole)), parts, "{whole}");
        }
    }
}

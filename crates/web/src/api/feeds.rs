//! Lists for other firewalls: addresses and networks that are blocked, as text and as JSON, with entity tags.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use fairban_types::{Code, Subject, Time, subtract};
use ipnet::IpNet;
use ring::digest::{SHA256, digest};
use serde::{Serialize, Serializer};
use smallvec::SmallVec;

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

/// Of which address family a list is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Family(Option<bool>);

impl Family {
    fn of(asked: &Asked) -> Result<Self, Problem> {
        match asked.query("family") {
            None => Ok(Family(None)),
            Some("4") => Ok(Family(Some(true))),
            Some("6") => Ok(Family(Some(false))),
            Some(_) => Err(Problem::wrong("family is 4 or 6")),
        }
    }

    fn has(self, net: &IpNet) -> bool {
        self.0.is_none_or(|is_v4| net.addr().is_ipv4() == is_v4)
    }
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
    fn parts(&self, net: IpNet) -> SmallVec<[IpNet; 1]> {
        let after = self.0.partition_point(|hole| *hole < net);
        let around = after.checked_sub(1).and_then(|before| self.0.get(before)).filter(|hole| hole.contains(&net));
        let inside = self.0[after..].iter().take_while(|hole| net.contains(*hole));
        let holes: SmallVec<[IpNet; 1]> = around.into_iter().chain(inside).copied().collect();
        if holes.is_empty() { SmallVec::from([net]) } else { subtract(net, &holes).into() }
    }
}

/// A list that was made, and out of what: while that is the same, so is the list. Firewalls ask again and again.
struct Made {
    kind: &'static str,
    family: Family,
    rows: Arc<Vec<FeedRow>>,
    never: Vec<IpNet>,
    list: List,
}

/// The lists that were asked for, as they were made last.
#[derive(Default)]
pub(crate) struct Lists(Mutex<Vec<Made>>);

impl Lists {
    fn known(&self) -> MutexGuard<'_, Vec<Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list with its entity tag.
#[derive(Clone)]
struct List {
    body: Bytes,
    tag: String,
}

impl List {
    fn new(body: Vec<u8>) -> Self {
        let mut tag = String::from("\"");
        for byte in &digest(&SHA256, &body).as_ref()[..12] {
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        List { body: body.into(), tag }
    }

    /// The list, or that it is the one that the client has.
    fn answer(self, asked: &Asked, kind: &'static str) -> Response {
        let List { body, tag } = self;
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
}

/// What of each row is told: without what is never blocked.
type Parts<'a> = dyn Iterator<Item = (IpNet, &'a FeedRow)> + 'a;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// What is blocked, without what is on the never-block list, in order of address.
async fn blocks(
    admin: &Admin,
    asked: &Asked,
    kind: &'static str,
    write: fn(&mut Parts<'_>, Vec<u8>) -> std::io::Result<Vec<u8>>,
) -> Result<Response, Problem> {
    let family = Family::of(asked)?;
    let rows = admin.desk.blocked().await?;
    let never: Vec<IpNet> = admin.desk.never().await?.into_iter().map(|row| row.net).collect();
    let is_made = |made: &&Made| {
        (made.kind, made.family) == (kind, family) && Arc::ptr_eq(&made.rows, &rows) && made.never == never
    };
    if let Some(list) = admin.lists.known().iter().find(is_made).map(|made| made.list.clone()) {
        return Ok(list.answer(asked, kind));
    }
    let (holes, mut last) = (Holes::new(never.iter().copied()), None);
    let parts = rows.iter().filter(|row| family.has(&row.net)).flat_map(|row| {
        let parts = holes.parts(row.net);
        parts.into_iter().map(move |part| (part, row))
    });
    // A list that grows is copied again and again.
    let room = Vec::with_capacity(rows.len().saturating_mul(if kind == TEXT { 20 } else { 100 }));
    let body = write(&mut parts.filter(|(part, _)| last.replace(*part) != Some(*part)), room);
    let list = List::new(body.map_err(|error| Problem::wrong(error.to_string()))?);
    let mut known = admin.lists.known();
    known.retain(|made| Arc::ptr_eq(&made.rows, &rows) && (made.kind, made.family) != (kind, family));
    known.push(Made { kind, family, rows, never, list: list.clone() });
    Ok(list.answer(asked, kind))
}

async fn blocks_text(admin: Arc<Admin>, _: May<LookAround>, asked: Asked) -> Result<Response, Problem> {
    let write = |parts: &mut Parts<'_>, mut body: Vec<u8>| {
        for (net, _) in parts {
            writeln!(body, "{}", Subject::Network(net))?;
        }
        Ok(body)
    };
    blocks(&admin, &asked, TEXT, write).await
}

async fn blocks_json(admin: Arc<Admin>, _: May<LookAround>, asked: Asked) -> Result<Response, Problem> {
    let write = |parts: &mut Parts<'_>, mut body: Vec<u8>| {
        body.extend_from_slice(b"{\"blocks\":[");
        for (place, (net, row)) in parts.enumerate() {
            if place > 0 {
                body.push(b',');
            }
            let one = Fed { net: Subject::Network(net), until: row.until, rule: &row.rule, code: row.code };
            serde_json::to_writer(&mut body, &one)?;
        }
        body.extend_from_slice(b"]}");
        Ok(body)
    };
    blocks(&admin, &asked, JSON, write).await
}

/// A row as it is told.
#[derive(Serialize)]
struct Fed<'a> {
    #[serde(serialize_with = "as_text")]
    net: Subject,
    until: Option<Time>,
    rule: &'a str,
    code: Code,
}

fn as_text<S: Serializer>(subject: &Subject, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(subject)
}

async fn never_text(admin: Arc<Admin>, _: May<LookAround>, asked: Asked) -> Result<Response, Problem> {
    let family = Family::of(&asked)?;
    let mut nets: Vec<IpNet> = admin.desk.never().await?.into_iter().map(|row| row.net).collect();
    nets.sort_unstable();
    nets.dedup();
    let lines: String =
        nets.iter().filter(|net| family.has(net)).map(|net| format!("{}\n", Subject::Network(*net))).collect();
    Ok(List::new(lines.into()).answer(&asked, TEXT))
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
            assert_eq!(holes.parts(net(whole)).to_vec(), parts, "{whole}");
        }
    }
}

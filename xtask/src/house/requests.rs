//! Everything that is asked for: every page, list and file, with every filter, in every order, at the beginning and deep
//! inside.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fairban_types::Time;
use serde_json::Value;

use super::fill::{BUSY_ACCOUNT, RARE_ACCOUNT, RARE_ADDRESS, RARE_NODE};
use super::http::{Answer, Client, encoded};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Administrator,
    Domain,
    Token,
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) name: String,
    pub(super) who: Who,
    pub(super) path: String,
    pub(super) status: u16,
    /// Of a file that is written as it is read, the first byte is what somebody waits for.
    pub(super) is_file: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Measured {
    times: Vec<Duration>,
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Measured {
    pub(super) fn take(&mut self, answer: &Answer, is_file: bool) {
        self.times.push(if is_file { answer.first } else { answer.whole });
        self.times.sort_unstable();
        self.bytes = answer.body.len();
        self.rows = rows(answer);
    }

    pub(super) fn median(&self) -> Duration {
        self.times.get(self.times.len() / 2).copied().unwrap_or_default()
    }

    pub(super) fn slowest(&self) -> Duration {
        self.times.last().copied().unwrap_or_default()
    }
}

fn rows(answer: &Answer) -> usize {
    let kind = answer.header("content-type").unwrap_or_default();
    if kind.starts_with("application/json") {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        return body["rows"].as_array().map_or(1, Vec::len);
    }
    if kind.starts_with("text/html") {
        return answer.body.matches("<tr").count().saturating_sub(answer.body.matches("<thead").count());
    }
    answer.body.lines().count()
}

struct List(Vec<Request>);

impl List {
    fn add(&mut self, who: Who, path: &str, note: &str) {
        let shown: String = path.chars().take(60).collect();
        let name = match (who, note) {
            (Who::Domain, _) => format!("domain: {note} {shown}"),
            (_, "") => shown,
            _ => format!("{} ({note})", path.split('?').next().unwrap_or_default()),
        };
        let is_file = path.contains(".csv") || path.starts_with("/blocks.txt");
        self.0.push(Request { name, who, path: path.to_owned(), status: 200, is_file });
    }

    /// By the page for people and by the API alike.
    fn both(&mut self, place: &str, query: &str, note: &str) {
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        self.add(Who::Administrator, &format!("/{place}{query}"), note);
        self.add(Who::Token, &format!("/api/v1/{place}{query}"), note);
    }
}

fn json(client: &mut Client, path: &str) -> Result<Value> {
    let answer = client.get(path)?;
    ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
    serde_json::from_str(&answer.body).with_context(|| path.to_owned())
}

/// A cursor so many pages of 1000 in.
fn deep(client: &mut Client, path: &str, pages: usize) -> Result<Option<String>> {
    let mut cursor: Option<String> = None;
    for _ in 0..pages {
        let asked = match &cursor {
            None => path.to_owned(),
            Some(cursor) => format!("{path}&cursor={}", encoded(cursor)),
        };
        let Some(next) = json(client, &asked)?["next"].as_str().map(str::to_owned) else { break };
        cursor = Some(next);
    }
    Ok(cursor)
}

/// All requests; what they name is looked up first.
pub(super) fn requests(client: &mut Client) -> Result<Vec<Request>> {
    let mut list = List(Vec::new());
    plain(&mut list);
    blocks(&mut list, client)?;
    events(&mut list, client)?;
    of_a_domain(&mut list);
    Ok(list.0)
}

fn plain(list: &mut List) {
    for span in ["1h", "24h", "7d"] {
        list.add(Who::Administrator, &format!("/?span={span}"), &format!("overview, {span}"));
        list.add(Who::Token, &format!("/api/v1/overview?span={span}"), "");
    }
    for path in ["/never", "/send-blocks", "/accounts", "/rules", "/rules/rule.login", "/audit", "/access", "/me"] {
        list.add(Who::Administrator, path, "");
    }
    for name in ["status", "never", "send-blocks", "accounts", "rules", "rules/changes", "audit", "audit/state"] {
        list.add(Who::Token, &format!("/api/v1/{name}"), "");
    }
    for path in ["users", "tokens", "check?client=198.18.7.7&account=a", "feeds/blocks.txt", "feeds/blocks.json"] {
        list.add(Who::Token, &format!("/api/v1/{path}"), "");
    }
    for path in ["/api/v1/feeds/never.txt", "/api/v1/openapi.json", "/metrics", "/healthz", "/readyz"] {
        list.add(Who::Token, path, "");
    }
    list.both("audit", "cursor=20", "its beginning");
    list.add(Who::Administrator, "/audit.csv", "first byte");
}

fn blocks(list: &mut List, client: &mut Client) -> Result<()> {
    let first = json(client, "/api/v1/blocks?limit=1&kind=network")?;
    let row = &first["rows"][0];
    let (code, subject) = (row["code"].as_str().unwrap_or_default(), row["subject"].as_str().unwrap_or_default());
    list.add(Who::Administrator, &format!("/blocks/{code}"), "receipt");
    list.add(Who::Token, &format!("/api/v1/blocks/{code}"), "receipt");
    for (query, note) in [
        ("", "first page"),
        ("state=over", "over"),
        ("state=all", "all"),
        ("kind=network", "networks"),
        ("kind=account", "accounts"),
        ("origin=manual", "by hand"),
        ("origin=rule", "by rule"),
        ("rule=relay", "of a rule"),
        ("rule=nothing", "of no rule"),
        ("diagnosis=password_spraying", "diagnosis"),
        ("diagnosis=malware", "diagnosis that none has"),
        ("search=user77", "part of a name"),
        ("search=nobody.at.all", "a name that none has"),
        ("search=11.0.0.0%2F8", "a network"),
        ("search=0.0.0.0%2F0", "every network"),
        ("state=all&origin=manual&diagnosis=manual&kind=network&rule=manual", "many filters"),
    ] {
        list.both("blocks", query, note);
    }
    list.both("blocks", &format!("search={}", encoded(subject)), "an address");
    for sort in ["since", "until", "subject", "rule"] {
        for order in ["asc", "desc"] {
            list.both("blocks", &format!("sort={sort}&order={order}"), &format!("by {sort}, {order}"));
        }
        let path = format!("/api/v1/blocks?sort={sort}&limit=1000");
        if let Some(cursor) = deep(client, &path, 50)? {
            let query = format!("sort={sort}&cursor={}", encoded(&cursor));
            list.both("blocks", &query, &format!("by {sort}, deep"));
        }
    }
    list.add(Who::Administrator, "/blocks.csv", "first byte");
    list.add(Who::Administrator, "/blocks.csv?state=all&sort=until", "all, by end, first byte");
    list.add(Who::Administrator, "/blocks.txt", "first byte");
    list.add(Who::Token, "/api/v1/send-blocks?search=user49&state=all", "");
    Ok(())
}

fn events(list: &mut List, client: &mut Client) -> Result<()> {
    let newest = json(client, "/api/v1/events?limit=1")?["rows"][0].clone();
    let (last, client_address) =
        (newest["seq"].as_i64().context("there are no events")?, newest["client"].as_str().unwrap_or_default());
    let failed = json(client, "/api/v1/events?limit=1&kind=login_failed")?["rows"][0].clone();
    let attacker = failed["client"].as_str().unwrap_or_default();
    let time: Time = newest["time"].as_str().unwrap_or_default().parse().map_err(|_| anyhow::anyhow!("no time"))?;
    let ago = |days: u64| time.before(Duration::from_secs(days * 86_400)).to_string();
    let middle = format!("cursor={}", last / 2);
    let old = format!("since={}&until={}", ago(20), ago(19));
    let busy = encoded(BUSY_ACCOUNT);
    for (query, note) in [
        (String::new(), "first page"),
        (middle.clone(), "deep"),
        ("cursor=50".to_owned(), "its beginning"),
        ("limit=1000".to_owned(), "1000 rows"),
        (format!("client={client_address}"), "an address"),
        (format!("client={attacker}"), "an attacker"),
        (format!("client={RARE_ADDRESS}"), "an address with one event"),
        ("client=203.0.113.77".to_owned(), "an address with none"),
        ("client=198.18.0.0%2F16".to_owned(), "a busy network"),
        ("client=11.0.0.0%2F8".to_owned(), "a network"),
        ("client=0.0.0.0%2F0".to_owned(), "every IPv4 address"),
        ("client=2001:db8::%2F32".to_owned(), "an IPv6 network"),
        (format!("client=0.0.0.0%2F0&{middle}"), "every IPv4 address, deep"),
        (format!("account={busy}"), "a busy account"),
        (format!("account={busy}&{middle}"), "a busy account, deep"),
        (format!("account={}", encoded(RARE_ACCOUNT)), "an account with one event"),
        ("account=nobody".to_owned(), "an account with none"),
        ("kind=login_failed".to_owned(), "a frequent kind"),
        ("kind=partial_message".to_owned(), "a rare kind"),
        ("outcome=counted".to_owned(), "a frequent outcome"),
        ("outcome=spared".to_owned(), "a rare outcome"),
        (format!("outcome=spared&{middle}"), "a rare outcome, deep"),
        ("node=mx1".to_owned(), "a node"),
        (format!("node={RARE_NODE}"), "a node with one event"),
        ("node=nothing".to_owned(), "a node with none"),
        (format!("node={RARE_NODE}&outcome=spared"), "node and outcome"),
        (old.clone(), "a day"),
        (format!("{old}&kind=relay_denied&node=mx4"), "a day, kind and node"),
        (format!("{old}&outcome=repeated&account={busy}"), "a day, outcome and account"),
        (format!("account={busy}&node={RARE_NODE}"), "a busy account on a node with one"),
        ("client=198.18.0.0%2F16&outcome=counted".to_owned(), "a network and an outcome it has not"),
        ("client=0.0.0.0%2F0&kind=login_succeeded&outcome=counted".to_owned(), "what there is not"),
        (format!("kind=login_succeeded&outcome=counted&{middle}"), "what there is not, deep"),
    ] {
        list.both("events", &query, note);
    }
    for account in [BUSY_ACCOUNT, RARE_ACCOUNT, "user7@site7.test", "nobody"] {
        list.both(&format!("accounts/{}", encoded(account)), "", "");
    }
    list.add(Who::Administrator, "/events.csv", "first byte");
    list.add(Who::Administrator, &format!("/events.csv?account={busy}"), "a busy account, first byte");
    list.add(Who::Administrator, "/events.csv?node=nothing", "of no node, first byte");
    Ok(())
}

/// Who sees one domain only.
fn of_a_domain(list: &mut List) {
    for path in [
        "/",
        "/blocks",
        "/blocks?state=all&sort=subject",
        "/blocks?search=11.0.0.0%2F8",
        "/send-blocks",
        "/accounts",
        "/accounts/user7%40site7.test",
        "/events",
        "/events?kind=spam",
        "/events?outcome=spared",
        "/events?client=11.0.0.0%2F8",
        "/events.csv",
    ] {
        list.add(Who::Domain, path, "");
    }
}

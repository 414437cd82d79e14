//! Rows of tables, as they are shown.

use super::{When, encoded};
use crate::admin::view::{AccountRow, BlockRow, EventRow};
use crate::admin::{Admin, words};

/// A block in a table.
pub(super) struct BlockLine {
    pub(super) code: String,
    pub(super) subject: String,
    pub(super) kind: &'static str,
    pub(super) rule: String,
    pub(super) why: String,
    pub(super) since: When,
    pub(super) left: String,
    pub(super) is_standing: bool,
    pub(super) offence: u32,
}

impl BlockLine {
    pub(super) fn of(admin: &Admin, row: &BlockRow) -> Self {
        let now = admin.now();
        let why = match &row.by {
            Some(by) => format!("{}: {}", words::short(by), words::short(&row.reason)),
            None => row.diagnosis.in_words().split(':').next().unwrap_or_default().to_owned(),
        };
        let subject = match &row.subject {
            fairban_types::Subject::Sending(sending) => sending.sender.to_string(),
            other => other.to_string(),
        };
        BlockLine {
            code: row.code.to_string(),
            subject: words::short(&subject),
            kind: words::kind_of(&row.subject, row.action),
            rule: words::short(&row.rule),
            why,
            since: When::of(admin, row.since),
            left: words::left(row, now),
            is_standing: words::is_standing(row, now),
            offence: row.offence,
        }
    }
}

pub(super) fn blocks(admin: &Admin, rows: &[BlockRow]) -> Vec<BlockLine> {
    rows.iter().map(|row| BlockLine::of(admin, row)).collect()
}

/// An event in a table.
pub(super) struct EventLine {
    pub(super) when: When,
    pub(super) what: String,
    /// A class of the style sheet.
    pub(super) class: &'static str,
    pub(super) service: &'static str,
    pub(super) client: String,
    pub(super) account: String,
    pub(super) account_link: String,
    pub(super) outcome: String,
    pub(super) details: String,
}

impl EventLine {
    pub(super) fn of(admin: &Admin, row: &EventRow) -> Self {
        let event = &row.event;
        let account = event.account.as_deref().unwrap_or_default();
        let class = match (event.kind, row.outcome.as_str()) {
            (fairban_types::EventKind::LoginSucceeded, _) => "good",
            (_, "counted") => "bad",
            (_, "stopped") => "stopped",
            _ => "plain",
        };
        EventLine {
            when: When::of(admin, event.time),
            what: words::event_kind(event.kind),
            class,
            service: if event.service == fairban_types::Service::Unknown { "" } else { event.service.as_str() },
            client: event.client.to_string(),
            account: words::short(account),
            account_link: if account.is_empty() { String::new() } else { encoded(&account.trim().to_lowercase()) },
            outcome: row.outcome.clone(),
            details: words::details(event),
        }
    }
}

/// An account in a table.
pub(super) struct AccountLine {
    pub(super) account: String,
    pub(super) link: String,
    pub(super) failures: String,
    pub(super) networks: String,
    pub(super) last: Option<When>,
    pub(super) states: Vec<String>,
}

impl AccountLine {
    pub(super) fn of(admin: &Admin, row: &AccountRow) -> Self {
        AccountLine {
            account: words::short(&row.account),
            link: encoded(&row.account),
            failures: words::number(row.failures),
            networks: words::number(row.networks),
            last: row.last.map(|last| When::of(admin, last)),
            states: row.states.clone(),
        }
    }
}

/// A row of a list of bars.
pub(super) struct BarLine {
    pub(super) name: String,
    pub(super) count: String,
    /// Of a hundred, for a `meter`.
    pub(super) share: u64,
    pub(super) link: String,
}

pub(super) fn bars(tallies: &[crate::admin::view::Tally], link: impl Fn(&str) -> String) -> Vec<BarLine> {
    let most = tallies.iter().map(|tally| tally.count).max().unwrap_or(0).max(1);
    let line = |tally: &crate::admin::view::Tally| BarLine {
        name: words::short(&tally.name),
        count: words::number(tally.count),
        share: tally.count * 100 / most,
        link: link(&tally.name),
    };
    tallies.iter().map(line).collect()
}

//! What a replay amounts to, for a person to use.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::Duration;

use fairban_engine::Outcome;
use fairban_types::{Action, Decision, Event, EventKind, Time, format_duration};
use serde::Serialize;

use crate::show;

/// The longest list of names that the text shows.
const NAMES_MAX: usize = 20;
/// How many columns the timeline has.
const COLUMNS: usize = 60;

#[derive(Serialize)]
pub(super) struct Summary {
    profile: String,
    mail_servers_ask: bool,
    pub(super) lines: u64,
    pub(super) events: u64,
    /// Lines that should have held an event, but something in them is broken.
    pub(super) defects: u64,
    /// Events of blocked subjects.
    stopped: u64,
    /// Failures that counted.
    counted: u64,
    /// Failures that repeated the same wrong credential.
    repeated: u64,
    /// Failures held against a familiar pair alone.
    spared: u64,
    /// Sign-ins with success that a block would have refused.
    good_sign_ins_refused: u64,
    good_sign_ins: u64,
    blocks: u64,
    guards: u64,
    permanent: u64,
    standing_at_end: usize,
    blocks_by_rule: BTreeMap<String, u64>,
    blocks_by_diagnosis: BTreeMap<String, u64>,
    /// Accounts with refused good sign-ins, and how many.
    touched_accounts: BTreeMap<String, u64>,
    /// The same while it grows.
    #[serde(skip)]
    touched: HashMap<String, u64, foldhash::fast::RandomState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Time>,
    seconds: f64,
    lines_per_second: f64,
    /// Failures and blocks by hour.
    #[serde(skip)]
    hours: BTreeMap<i64, (u64, u64)>,
    /// The hour of the latest failure, and failures in it that are not in `hours` yet: a log's events mostly share it.
    #[serde(skip)]
    hour: (i64, u64),
}

impl Summary {
    pub(super) fn new(profile: String, mail_servers_ask: bool) -> Self {
        Summary {
            profile,
            mail_servers_ask,
            lines: 0,
            events: 0,
            defects: 0,
            stopped: 0,
            counted: 0,
            repeated: 0,
            spared: 0,
            good_sign_ins_refused: 0,
            good_sign_ins: 0,
            blocks: 0,
            guards: 0,
            permanent: 0,
            standing_at_end: 0,
            blocks_by_rule: BTreeMap::new(),
            blocks_by_diagnosis: BTreeMap::new(),
            touched_accounts: BTreeMap::new(),
            touched: HashMap::default(),
            first: None,
            last: None,
            seconds: 0.0,
            lines_per_second: 0.0,
            hours: BTreeMap::new(),
            hour: (0, 0),
        }
    }

    pub(super) fn event(&mut self, event: &Event<'_>, outcome: Outcome) {
        self.events += u64::from(outcome != Outcome::Duplicate);
        let good = event.kind == EventKind::LoginSucceeded;
        self.good_sign_ins += u64::from(good);
        match outcome {
            Outcome::Stopped(_) if good => {
                self.stopped += 1;
                self.good_sign_ins_refused += 1;
                self.touch(event.account.as_deref().unwrap_or("?"));
            }
            Outcome::Stopped(_) => self.stopped += 1,
            Outcome::Counted => self.counted += 1,
            Outcome::Repeated => self.repeated += 1,
            Outcome::Spared => self.spared += 1,
            Outcome::Noted | Outcome::Duplicate | Outcome::Exempt | Outcome::Late => {}
        }
        if !good && outcome != Outcome::Duplicate {
            self.failed_at(event.time.secs().div_euclid(3600));
        }
        self.first = Some(self.first.map_or(event.time, |first| first.min(event.time)));
        self.last = Some(self.last.map_or(event.time, |last| last.max(event.time)));
    }

    fn touch(&mut self, account: &str) {
        let is_lower = account.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        let account = if is_lower { Cow::Borrowed(account) } else { Cow::Owned(account.to_lowercase()) };
        match self.touched.get_mut(&*account) {
            Some(count) => *count += 1,
            None => _ = self.touched.insert(account.into_owned(), 1),
        }
    }

    fn failed_at(&mut self, hour: i64) {
        if hour != self.hour.0 {
            self.settle_hour();
            self.hour.0 = hour;
        }
        self.hour.1 += 1;
    }

    fn settle_hour(&mut self) {
        if self.hour.1 > 0 {
            self.hours.entry(self.hour.0).or_default().0 += std::mem::take(&mut self.hour.1);
        }
    }

    pub(super) fn decision(&mut self, decision: &Decision) {
        match decision.action {
            Action::Block => {
                self.blocks += 1;
                self.permanent += u64::from(decision.until.is_none());
                *self.blocks_by_rule.entry(decision.origin.rule().to_owned()).or_default() += 1;
                let words = serde_json::to_value(decision.diagnosis).ok();
                let diagnosis = words.as_ref().and_then(|word| word.as_str()).unwrap_or("unknown").to_owned();
                *self.blocks_by_diagnosis.entry(diagnosis).or_default() += 1;
                self.hours.entry(decision.time.secs().div_euclid(3600)).or_default().1 += 1;
            }
            Action::Guard => self.guards += 1,
            Action::Release | Action::Expire => {}
        }
    }

    pub(super) fn finish(&mut self, lines: u64, took: Duration, standing: usize, _now: Time) {
        self.settle_hour();
        self.touched_accounts = self.touched.drain().collect();
        self.lines = lines;
        self.standing_at_end = standing;
        self.seconds = took.as_secs_f64();
        self.lines_per_second = (lines as f64 / self.seconds.max(1e-9)).round();
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let span = match (self.first, self.last) {
            (Some(first), Some(last)) => format!(" over {} ({first} to {last})", format_duration(last.since(first))),
            _ => String::new(),
        };
        let asking = if self.mail_servers_ask { "mail servers ask before each sign-in" } else { "logs alone" };
        writeln!(out, "\n{} lines, {} events{span}", self.lines, self.events)?;
        writeln!(out, "decided by profile {}, {asking}", self.profile)?;
        writeln!(
            out,
            "\n{:>9} blocks ({} permanent), {} guards raised, {} in force at the end\n{:>9} events stopped by them\n\
             {:>9} failures counted, {} the same wrong password again, {} on networks familiar to the account",
            self.blocks,
            self.permanent,
            self.guards,
            self.standing_at_end,
            self.stopped,
            self.counted,
            self.repeated,
            self.spared
        )?;
        for (title, counts) in [("by rule", &self.blocks_by_rule), ("by diagnosis", &self.blocks_by_diagnosis)] {
            if !counts.is_empty() {
                let parts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
                writeln!(out, "          {title}: {}", parts.join(", "))?;
            }
        }
        self.write_touched(out)?;
        self.write_timeline(out)?;
        if self.defects > 0 {
            writeln!(out, "\n{} lines look like events but are broken: see `fairban parse`", self.defects)?;
        }
        writeln!(out, "\n{:.3} s, {:.2} million lines a second", self.seconds, self.lines_per_second / 1e6)?;
        Ok(())
    }

    fn write_touched(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        if self.touched_accounts.is_empty() {
            writeln!(out, "\nNo good sign-in of {} would have been refused.", self.good_sign_ins)?;
            return Ok(());
        }
        writeln!(
            out,
            "\n{} of {} good sign-ins would have been refused, of these accounts:",
            self.good_sign_ins_refused, self.good_sign_ins
        )?;
        let mut accounts: Vec<_> = self.touched_accounts.iter().collect();
        accounts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (account, count) in accounts.iter().take(NAMES_MAX) {
            writeln!(out, "  {:>6}  {}", count, show::safe(account))?;
        }
        if accounts.len() > NAMES_MAX {
            writeln!(out, "  and {} more accounts (--json lists all)", accounts.len() - NAMES_MAX)?;
        }
        Ok(())
    }

    fn write_timeline(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let (Some((first, _)), Some((last, _))) = (self.hours.first_key_value(), self.hours.last_key_value()) else {
            return Ok(());
        };
        let hours_each = ((last - first) / COLUMNS as i64 + 1).max(1);
        let columns = ((last - first) / hours_each + 1) as usize;
        let mut failures = vec![0; columns];
        let mut blocks = vec![0; columns];
        for (hour, (failed, blocked)) in &self.hours {
            let column = ((hour - first) / hours_each) as usize;
            failures[column] += failed;
            blocks[column] += blocked;
        }
        writeln!(out, "\nfrom {} on, {hours_each} h each:", Time::from_secs(first * 3600))?;
        writeln!(out, "  failures  {}  most {}", show::sparkline(&failures), failures.iter().max().unwrap_or(&0))?;
        writeln!(out, "  blocks    {}  most {}", show::sparkline(&blocks), blocks.iter().max().unwrap_or(&0))?;
        Ok(())
    }
}

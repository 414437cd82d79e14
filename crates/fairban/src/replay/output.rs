//! Decisions as they are told.

use std::io::Write;

use fairban_types::{Action, Decision, Diagnosis, Evidence, Subject, Time};
use serde::Serialize;

use super::summary::Summary;
use crate::show;

/// A decision in the form that scripts rely on.
#[derive(Serialize)]
struct Told<'a> {
    time: Time,
    action: Action,
    subject: &'a Subject,
    rule: &'a str,
    score: u32,
    threshold: u32,
    until: Option<Time>,
    diagnosis: Diagnosis,
    offence: u32,
    spares_familiar: bool,
    in_kernel: bool,
    code: fairban_types::Code,
    reason: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    holes: &'a [ipnet::IpNet],
    events: &'a [Evidence],
}

#[derive(Serialize)]
struct Closing<'a> {
    summary: &'a Summary,
}

pub(super) struct Output {
    out: Box<dyn Write>,
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Output { out: super::stdout(), json }
    }

    pub(super) fn decision(&mut self, decision: &Decision) -> anyhow::Result<()> {
        if !self.json {
            if decision.action != Action::Expire {
                writeln!(self.out, "{}", show::decision(decision))?;
            }
            return Ok(());
        }
        let told = Told {
            time: decision.time,
            action: decision.action,
            subject: &decision.subject,
            rule: decision.origin.rule(),
            score: decision.score,
            threshold: decision.threshold,
            until: decision.until,
            diagnosis: decision.diagnosis,
            offence: decision.offence,
            spares_familiar: decision.spares_familiar,
            in_kernel: decision.in_kernel,
            code: decision.code,
            reason: &decision.reason,
            holes: &decision.holes,
            events: &decision.events,
        };
        serde_json::to_writer(&mut self.out, &told)?;
        Ok(writeln!(self.out)?)
    }

    pub(super) fn summary(&mut self, summary: &Summary) -> anyhow::Result<()> {
        if self.json {
            serde_json::to_writer(&mut self.out, &Closing { summary })?;
            return Ok(writeln!(self.out)?);
        }
        summary.write(&mut self.out)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

//! `fairban parse`: how every line is read.

use std::io::Write;
use std::process::ExitCode;

use fairban_parse::Outcome;
use fairban_types::{Event, Time, Witness};
use serde::Serialize;

use crate::cli::ParseArgs;
use crate::{lines, show};

#[derive(Serialize)]
struct Line<'a> {
    line: u64,
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<std::net::IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<Detail<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    defect: Option<String>,
}

#[derive(Serialize)]
struct Detail<'a> {
    count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    witness: Option<&'a Witness<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    helo: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> Line<'a> {
    fn nothing(line: u64) -> Self {
        Line {
            line,
            kind: None,
            time: None,
            client: None,
            service: None,
            account: None,
            digest: None,
            detail: None,
            defect: None,
        }
    }

    fn event(line: u64, event: &'a Event<'a>) -> Self {
        Line {
            line,
            kind: Some(event.kind.as_str()),
            time: Some(event.time),
            client: Some(event.client),
            service: Some(event.service.as_str()),
            account: event.account.as_deref(),
            digest: event.digest.as_deref(),
            detail: Some(Detail {
                count: event.count,
                witness: (event.witness != Witness::Frontend).then_some(&event.witness),
                session: event.session.as_deref(),
                helo: event.helo.as_deref(),
                return_path: event.return_path.as_deref(),
                recipient: event.recipient.as_deref(),
                program: event.program.as_deref(),
                method: event.method.as_deref(),
                reason: event.reason.as_deref(),
            }),
            defect: None,
        }
    }
}

pub(crate) fn run(args: &ParseArgs) -> anyhow::Result<ExitCode> {
    let config = lines::config(args.log.config.as_deref())?;
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut number = 0;
    let mut counts = [0u64; 3];
    let mut piece = lines::Piece::new();
    for mut log in lines::open(&args.log, &config)? {
        let mut more = true;
        while more {
            more = log.each_line(&mut piece, |parser, context, line| {
                number += 1;
                let outcome = parser.parse(line, context);
                counts[match &outcome {
                    Outcome::Event(_) => 0,
                    Outcome::Nothing => 1,
                    Outcome::Defect(_) => 2,
                }] += 1;
                let write = if args.json { write_json } else { write_text };
                write(&mut out, number, &outcome, args.events)
            })?;
        }
    }
    out.flush()?;
    if !args.json {
        let [events, nothing, defects] = counts;
        eprintln!("{number} lines: {events} with an event, {nothing} without, {defects} broken");
    }
    Ok(ExitCode::SUCCESS)
}

fn write_json(out: &mut impl Write, number: u64, outcome: &Outcome<'_>, events_only: bool) -> anyhow::Result<()> {
    let line = match outcome {
        Outcome::Event(event) => Line::event(number, event),
        _ if events_only => return Ok(()),
        Outcome::Nothing => Line::nothing(number),
        Outcome::Defect(defect) => Line { defect: Some(defect.to_string()), ..Line::nothing(number) },
    };
    serde_json::to_writer(&mut *out, &line)?;
    Ok(writeln!(out)?)
}

fn write_text(out: &mut impl Write, number: u64, outcome: &Outcome<'_>, events_only: bool) -> anyhow::Result<()> {
    match outcome {
        Outcome::Event(event) => writeln!(out, "{number:>7}  {}", show::event(event))?,
        _ if events_only => {}
        Outcome::Nothing => writeln!(out, "{number:>7}  -")?,
        Outcome::Defect(defect) => writeln!(out, "{number:>7}  defect: {defect}")?,
    }
    Ok(())
}

//! The state of the daemon, for people.

use std::fmt::Write;

use fairban_types::Time;

use super::words::rounded;
use super::{ago, clock, counted, safe_line, table, zone};
use crate::control::{AskingStatus, Enforcement, ExplainerStatus, SourceStatus, Status};
use crate::terminal::{Tone, tone};

const MIB: f64 = 1024.0 * 1024.0;

/// The state in a few lines: what is wrong first, then what matters.
pub(crate) fn status(status: &Status, now: Time) -> String {
    let mut text = String::new();
    let node = safe_line(&status.node);
    let name = format!("Fairban {} on {node}", status.version);
    let up = rounded(now.since(status.started));
    let (since, zone) = (clock(status.started), zone(status.started));
    let _ = writeln!(text, "{}, profile {}, up {up} since {since} {zone}", tone(&name, Tone::Strong), status.profile);
    for problem in &status.problems {
        let _ = writeln!(text, "{} {}", tone("PROBLEM:", Tone::Alarm), safe_line(problem));
    }
    for warning in &status.warnings {
        let _ = writeln!(text, "note: {}", safe_line(warning));
    }
    write_parts(&mut text, status);
    write_counts(&mut text, status);
    let _ = write!(text, "\n{}", sources(&status.sources, now));
    if !status.asking.is_empty() {
        let _ = write!(text, "\n{}", asking(&status.asking, now));
    }
    text
}

fn write_parts(text: &mut String, status: &Status) {
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<9}  {value}");
    };
    let standing = status.standing;
    let force = if standing == 1 { "1 block or guard".to_owned() } else { format!("{standing} blocks and guards") };
    line("in force", format!("{force}; scores of {}", counted(status.tracked, "subject")));
    line("kernel", kernel(&status.enforcement));
    let asking = if status.mail_servers_ask {
        "mail servers ask Fairban before each one"
    } else {
        "mail servers do not ask Fairban: it learns of them from logs"
    };
    line("sign-ins", asking.to_owned());
    if let Some(explainer) = &status.explainer {
        line("explainer", explained(explainer));
    }
    if let Some(portal) = &status.portal {
        line("portal", format!("people may let themselves out at {portal}"));
    }
    for told in &status.notify {
        let waiting = if told.waiting > 0 { format!(", {} waiting", told.waiting) } else { String::new() };
        let failed = told.failed + told.left_out;
        let lost = if failed > 0 { format!(", {failed} could not be told") } else { String::new() };
        line("notify", format!("{} by {}: {} told{lost}{waiting}", told.name, told.by, told.told));
    }
    if let Some(fleet) = &status.fleet {
        line("fleet", super::fleet::line(fleet));
    }
    let store = &status.store;
    let waiting = if store.waiting > 0 { format!(", {} waiting", store.waiting) } else { String::new() };
    let mib = store.bytes as f64 / MIB;
    line("store", format!("{}: {}, {mib:.1} MiB{waiting}", store.path, counted(store.events as usize, "event")));
    let (memory, most) = (status.memory_bytes as f64 / MIB, status.memory_bytes_max as f64 / MIB);
    line("memory", format!("{memory:.1} of at most {most:.0} MiB for scores and history"));
}

fn explained(explainer: &ExplainerStatus) -> String {
    let ExplainerStatus { port, came, told, limited, .. } = explainer;
    let limited = if *limited > 0 { format!(", {limited} cut off") } else { String::new() };
    format!("port {port}: {} of blocked clients, {told} told why{limited}", counted(*came as usize, "connection"))
}

fn kernel(kernel: &Enforcement) -> String {
    let intended = match kernel.intended {
        1 => "1 address or network".to_owned(),
        count => format!("{count} addresses and networks"),
    };
    if kernel.is_observing() {
        return format!("{}: nothing is dropped ({intended} would be)", kernel.mode);
    }
    format!(
        "{}: {intended}, {} dropped, {} mended",
        kernel.description,
        counted(kernel.packets_dropped as usize, "packet"),
        counted(kernel.mended as usize, "difference")
    )
}

fn write_counts(text: &mut String, status: &Status) {
    let counts = &status.counts;
    text.push_str("\nSince the start:\n");
    let always = [(counts.lines, "lines read"), (counts.events, "events"), (counts.blocks, "blocks")];
    let if_any = [
        (counts.guards, "guards"),
        (counts.releases, "releases"),
        (counts.sign_ins, "successful sign-ins"),
        (counts.counted, "failures counted"),
        (counts.repeated, "failures with the same wrong password again: not counted"),
        (counts.spared, "failures where the account is at home: not counted against the address"),
        (counts.stopped, "events of blocked subjects"),
        (counts.duplicates, "lines that told an event a second time: not counted"),
        (counts.defects, "broken lines: fairban parse shows them"),
    ];
    for (count, what) in always.into_iter().chain(if_any.into_iter().filter(|(count, _)| *count > 0)) {
        let _ = writeln!(text, "  {count:>9}  {what}");
    }
}

fn sources(sources: &[SourceStatus], now: Time) -> String {
    let row = |source: &SourceStatus| {
        let last = source.last_line.map_or_else(|| "-".to_owned(), |last| ago(last, now));
        vec![source.name.clone(), source.state.clone(), source.lines.to_string(), source.events.to_string(), last]
    };
    let rows: Vec<Vec<String>> = sources.iter().map(row).collect();
    table(&["source", "state", "lines", "with events", "last line"], &rows)
}

fn asking(servers: &[AskingStatus], now: Time) -> String {
    let row = |server: &AskingStatus| {
        let last = server.last.map_or_else(|| "never".to_owned(), |last| ago(last, now));
        let counts = [server.requests, server.refused, server.malformed, server.limited].map(|count| count.to_string());
        let [requests, refused, malformed, limited] = counts;
        vec![server.server.clone(), server.listen.clone(), requests, refused, malformed, limited, last]
    };
    let rows: Vec<Vec<String>> = servers.iter().map(row).collect();
    table(&["asked by", "at", "questions", "refused", "malformed", "cut off", "last"], &rows)
}

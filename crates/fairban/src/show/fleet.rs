//! The fleet, for people.

use std::fmt::Write;

use fairban_fleet::{Node, Status};
use fairban_types::Time;

use super::{ago, counted, safe_line, table};
use crate::terminal::{Tone, tone};

/// The fleet in one line.
pub(crate) fn line(fleet: &Status) -> String {
    let live = fleet.nodes.iter().filter(|node| node.is_live).count();
    let waiting = if fleet.unsent > 0 { format!(", {} waiting to be told", fleet.unsent) } else { String::new() };
    let server = safe_line(&fleet.server);
    format!("{} at {server}: {}{waiting}", fleet.state.as_str(), counted(live, "live node"))
}

/// All that this node knows of its fleet.
pub(crate) fn status(fleet: &Status, now: Time) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} {}", tone(&safe_line(&fleet.node), Tone::Strong), line(fleet));
    if let Some(problem) = &fleet.problem {
        let _ = writeln!(text, "{} {}", tone("PROBLEM:", Tone::Alarm), safe_line(problem));
    }
    for warning in &fleet.warnings {
        let _ = writeln!(text, "note: {}", safe_line(warning));
    }
    let lost =
        if fleet.lost > 0 { format!(", {} not shared since there were too many", fleet.lost) } else { String::new() };
    let _ = writeln!(
        text,
        "  {}; {}{lost}",
        counted(fleet.facts, "decision"),
        counted(fleet.counted as usize, "shared count")
    );
    let rows: Vec<Vec<String>> = fleet.nodes.iter().map(|node| row(node, now)).collect();
    if !rows.is_empty() {
        let _ = write!(text, "\n{}", table(&["node", "version", "state", "heard of", "behind", "waiting"], &rows));
    }
    text
}

fn row(node: &Node, now: Time) -> Vec<String> {
    let state = match (node.is_live, node.is_self, node.is_limited) {
        (false, _, _) => "silent",
        (_, true, _) => "this node",
        (_, _, true) => "live, limited",
        _ => "live",
    };
    vec![
        safe_line(&node.name),
        safe_line(&node.version),
        state.to_owned(),
        ago(node.seen, now),
        format!("{} ms", node.lag_ms),
        node.unsent.to_string(),
    ]
}

//! The state of the daemon, for people.

use std::fmt::Write;

use fairban_types::{Time, format_duration};

use super::{safe_line, table};
use crate::control::Status;

const MIB: f64 = 1024.0 * 1024.0;

/// The state in a few lines: what matters first, what is wrong loudest.
pub(crate) fn status(status: &Status) -> String {
    let now = Time::from(std::time::SystemTime::now());
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Fairban {} on {}, up {}, profile {}",
        status.version,
        safe_line(&status.node),
        format_duration(now.since(status.started)),
        status.profile
    );
    let counts = &status.counts;
    let _ = writeln!(text, "{} blocks and guards in force; {} subjects with scores", status.standing, status.tracked);
    let _ = writeln!(
        text,
        "since the start: {} lines, {} events, {} sign-ins, {} failures counted ({} repeats and {} familiar not), \
         {} stopped, {} blocks, {} guards, {} releases",
        counts.lines,
        counts.events,
        counts.sign_ins,
        counts.counted,
        counts.repeated,
        counts.spared,
        counts.stopped,
        counts.blocks,
        counts.guards,
        counts.releases
    );
    let kernel = &status.enforcement;
    let _ = writeln!(
        text,
        "kernel: {} ({}); {} intended, {} differences mended, {} packets dropped",
        kernel.mode, kernel.description, kernel.intended, kernel.mended, kernel.packets_dropped
    );
    let asking = if status.mail_servers_ask { "mail servers ask before a sign-in" } else { "mail servers do not ask: logs alone" };
    let _ = writeln!(text, "{asking}");
    let store = &status.store;
    let _ = writeln!(
        text,
        "store: {} ({} events, {:.1} MiB); memory: {:.1} of {:.0} MiB",
        store.path,
        store.events,
        store.bytes as f64 / MIB,
        status.memory_bytes as f64 / MIB,
        status.memory_bytes_max as f64 / MIB
    );
    let rows: Vec<Vec<String>> = status
        .sources
        .iter()
        .map(|source| {
            let last = source.last_line.map_or("-".to_owned(), |last| format!("{} ago", format_duration(now.since(last))));
            vec![source.name.clone(), source.state.clone(), source.lines.to_string(), source.events.to_string(), last]
        })
        .collect();
    let _ = write!(text, "\n{}", table(&["source", "state", "lines", "events", "last line"], &rows));
    for problem in [&kernel.error, &store.error].into_iter().flatten() {
        let _ = writeln!(text, "\nPROBLEM: {}", safe_line(problem));
    }
    for warning in &status.warnings {
        let _ = writeln!(text, "\nnote: {}", safe_line(warning));
    }
    text
}

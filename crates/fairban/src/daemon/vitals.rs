//! How the daemon is, as the administrator's overview and metrics tell it.

use fairban_fleet::{Node, State};
use fairban_types::Time;
use fairban_web::admin::view::{FleetNode, FleetView, Health, Level, Metric, Part, Tally};

use crate::control::Status;

fn part(name: &str, level: Level, text: impl Into<String>) -> Part {
    Part { name: name.to_owned(), level, text: text.into() }
}

pub(super) fn health(status: &Status) -> Health {
    Health {
        version: status.version.clone(),
        node: status.node.clone(),
        started: status.started,
        profile: status.profile.clone(),
        parts: parts(status),
        problems: status.problems.clone(),
        warnings: status.warnings.clone(),
        metrics: metrics(status),
    }
}

fn parts(status: &Status) -> Vec<Part> {
    let mut parts = Vec::new();
    for source in &status.sources {
        let share = (source.events * 100).checked_div(source.lines).unwrap_or(0);
        let read = format!("{}: {} lines, {} events ({share} %)", source.state, source.lines, source.events);
        match &source.problem {
            Some(problem) => parts.push(part(&source.name, Level::Bad, problem)),
            None if source.lines >= 20 && source.events == 0 => parts.push(part(&source.name, Level::Warning, read)),
            None => parts.push(part(&source.name, Level::Good, read)),
        }
    }
    let kernel = &status.enforcement;
    let text = format!(
        "{}: {} addresses and networks meant to be there, {} packets dropped, {} differences mended",
        kernel.description, kernel.intended, kernel.packets_dropped, kernel.mended
    );
    parts.push(match &kernel.error {
        Some(error) => part("kernel", Level::Bad, error),
        None if kernel.is_observing() => part("kernel", Level::Off, format!("{}: nothing is dropped", kernel.mode)),
        None => part("kernel", Level::Good, text),
    });
    parts.push(match &status.store.error {
        Some(error) => part("store", Level::Bad, error),
        None => {
            let text =
                format!("{} events in {} MiB at {}", status.store.events, status.store.bytes >> 20, status.store.path);
            part("store", Level::Good, text)
        }
    });
    for asking in &status.asking {
        let text = format!("{}: {} questions, {} refused", asking.listen, asking.requests, asking.refused);
        parts.push(match &asking.problem {
            Some(problem) => part(&asking.server, Level::Warning, problem),
            None => part(&asking.server, Level::Good, text),
        });
    }
    if let Some(fleet) = &status.fleet {
        let live = fleet.nodes.iter().filter(|node| node.is_live).count();
        let text = format!("{} at {}: {live} of {} nodes live", fleet.state.as_str(), fleet.server, fleet.nodes.len());
        parts.push(match (&fleet.problem, fleet.held_back.is_empty()) {
            (Some(problem), _) => part("fleet", Level::Bad, format!("this node goes on alone: {problem}")),
            (None, false) => part("fleet", Level::Warning, format!("{text}; blocks are held back")),
            (None, true) if live < fleet.nodes.len() => part("fleet", Level::Warning, text),
            (None, true) => part("fleet", Level::Good, text),
        });
    }
    if let Some(explainer) = &status.explainer {
        let text = format!("port {}: {} came, {} were told why", explainer.port, explainer.came, explainer.told);
        parts.push(part("explainer", Level::Good, text));
    }
    for told in &status.notify {
        let text = format!(
            "{}: {} told, {} failed, {} left out, {} waiting",
            told.by, told.told, told.failed, told.left_out, told.waiting
        );
        parts.push(match &told.problem {
            Some(problem) => part(&format!("notify {}", told.name), Level::Warning, problem),
            None => part(&format!("notify {}", told.name), Level::Good, text),
        });
    }
    if let Some(portal) = &status.portal {
        parts.push(part("portal", Level::Good, format!("answers at {portal}")));
    }
    parts
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Metric {
    Metric { name, help, is_counter: true, values: vec![(Vec::new(), value as f64)] }
}

fn gauge(name: &'static str, help: &'static str, value: f64) -> Metric {
    Metric { name, help, is_counter: false, values: vec![(Vec::new(), value)] }
}

fn metrics(status: &Status) -> Vec<Metric> {
    let (counts, kernel) = (&status.counts, &status.enforcement);
    let outcome = |outcome: &str, value: u64| (vec![("outcome", outcome.to_owned())], value as f64);
    let noted = counts.events.saturating_sub(counts.counted + counts.repeated + counts.spared + counts.stopped);
    let mut metrics = vec![
        counter("fairban_lines_total", "Lines read from logs.", counts.lines),
        counter("fairban_line_defects_total", "Lines that should tell an event and could not be read.", counts.defects),
        Metric {
            name: "fairban_events_total",
            help: "Events, by what became of them.",
            is_counter: true,
            values: vec![
                outcome("counted", counts.counted),
                outcome("repeated", counts.repeated),
                outcome("spared", counts.spared),
                outcome("stopped", counts.stopped),
                outcome("noted", noted),
            ],
        },
        counter("fairban_event_duplicates_total", "Events that were told a second time.", counts.duplicates),
        counter("fairban_sign_ins_total", "Sign-ins with success.", counts.sign_ins),
        counter("fairban_blocks_total", "Blocks that began or were renewed.", counts.blocks),
        counter("fairban_guards_total", "Guards that began or were prolonged.", counts.guards),
        counter("fairban_releases_total", "Blocks and guards that were released.", counts.releases),
        gauge("fairban_standing", "Blocks and guards in force.", status.standing as f64),
        gauge("fairban_tracked", "Addresses and accounts with scores.", status.tracked as f64),
        gauge("fairban_engine_memory_bytes", "Memory that scores and history take.", status.memory_bytes as f64),
        gauge("fairban_engine_memory_limit_bytes", "Memory that they may take.", status.memory_bytes_max as f64),
        gauge(
            "fairban_kernel_intended",
            "Addresses and networks that should be in the kernel.",
            kernel.intended as f64,
        ),
        gauge(
            "fairban_kernel_enforcing",
            "Whether blocks are put into the kernel.",
            f64::from(u8::from(!kernel.is_observing())),
        ),
        counter(
            "fairban_kernel_mended_total",
            "Differences between kernel and intention that were mended.",
            kernel.mended,
        ),
        counter("fairban_kernel_dropped_packets_total", "Packets that the kernel dropped.", kernel.packets_dropped),
        gauge("fairban_store_bytes", "Size of the database.", status.store.bytes as f64),
        gauge("fairban_store_events", "Events in the database.", status.store.events as f64),
        gauge("fairban_store_waiting", "Events and decisions that wait to be stored.", status.store.waiting as f64),
    ];
    let of_server = |value: fn(&crate::control::AskingStatus) -> u64| {
        let one =
            |asking: &crate::control::AskingStatus| (vec![("server", asking.server.clone())], value(asking) as f64);
        status.asking.iter().map(one).collect::<Vec<_>>()
    };
    if !status.asking.is_empty() {
        metrics.push(Metric {
            name: "fairban_questions_total",
            help: "Questions of mail servers.",
            is_counter: true,
            values: of_server(|asking| asking.requests),
        });
        metrics.push(Metric {
            name: "fairban_questions_refused_total",
            help: "Questions of mail servers that were answered with no.",
            is_counter: true,
            values: of_server(|asking| asking.refused),
        });
    }
    if !status.notify.is_empty() {
        let of = |told: &crate::control::NotifyStatus| {
            [("told", told.told), ("failed", told.failed), ("left_out", told.left_out)].map(|(outcome, count)| {
                (vec![("to", told.name.clone()), ("outcome", outcome.to_owned())], count as f64)
            })
        };
        metrics.push(Metric {
            name: "fairban_notifications_total",
            help: "Notifications, by what became of them.",
            is_counter: true,
            values: status.notify.iter().flat_map(of).collect(),
        });
    }
    metrics.extend(status.fleet.iter().flat_map(fleet_metrics));
    metrics
}

fn fleet_metrics(fleet: &fairban_fleet::Status) -> Vec<Metric> {
    let of_node = |name, help, value: fn(&Node) -> f64| {
        let one = |node: &Node| (vec![("peer", node.name.clone())], value(node));
        Metric { name, help, is_counter: false, values: fleet.nodes.iter().map(one).collect() }
    };
    let held_back = fleet.held_back.iter().map(|(_, count)| *count).sum::<usize>() as f64;
    vec![
        gauge(
            "fairban_fleet_connected",
            "Whether this node is in step with its fleet.",
            f64::from(u8::from(fleet.state == State::Connected)),
        ),
        gauge("fairban_fleet_decisions", "Decisions of the fleet that are known.", fleet.facts as f64),
        gauge("fairban_fleet_waiting", "Decisions that wait to be told to the fleet.", fleet.unsent as f64),
        gauge("fairban_fleet_held_back", "Blocks of other nodes that are held back.", held_back),
        counter("fairban_fleet_failures_counted_total", "Failures counted together with others.", fleet.counted),
        counter("fairban_fleet_failures_lost_total", "Failures that were not told: too many.", fleet.lost),
        gauge(
            "fairban_fleet_clock_ahead_seconds",
            "This machine's clock less the fleet's server's.",
            fleet.clock_ahead_ms as f64 / 1000.0,
        ),
        of_node("fairban_fleet_peer_live", "Whether a node was heard of lately.", |node| {
            f64::from(u8::from(node.is_live))
        }),
        of_node("fairban_fleet_peer_lag_seconds", "By how much a node is behind the newest decision.", |node| {
            node.lag_ms as f64 / 1000.0
        }),
    ]
}

/// The fleet, as pages and the API show it.
pub(super) fn fleet(status: fairban_fleet::Status) -> FleetView {
    let node = |node: Node| FleetNode {
        name: node.name,
        version: node.version,
        is_self: node.is_self,
        is_live: node.is_live,
        seen: node.seen,
        lag_ms: node.lag_ms,
        decisions: node.facts as u64,
        waiting: node.unsent as u64,
        is_limited: node.is_limited,
    };
    FleetView {
        state: status.state.as_str().to_owned(),
        since: status.since,
        server: status.server,
        problem: status.problem,
        warnings: status.warnings,
        nodes: status.nodes.into_iter().map(node).collect(),
        held_back: status.held_back.into_iter().map(|(name, count)| Tally { name, count: count as u64 }).collect(),
        decisions: status.facts as u64,
        waiting: status.unsent as u64,
        counted: status.counted,
        lost: status.lost,
        clock_ahead_ms: status.clock_ahead_ms,
    }
}

/// The nodes that have read what was decided up to a moment of this machine's clock, and those that have not.
pub(super) fn nodes_with(fleet: &fairban_fleet::Status, decided: Time) -> (Vec<String>, Vec<String>) {
    let there = decided.millis().saturating_sub(fleet.clock_ahead_ms);
    let has_it = |node: &&Node| node.is_self || node.lag_ms == 0 || node.read_up_to.millis() >= there;
    let (with, without): (Vec<&Node>, Vec<&Node>) = fleet.nodes.iter().partition(has_it);
    let names = |nodes: Vec<&Node>| nodes.into_iter().map(|node| node.name.clone()).collect();
    (names(with), names(without))
}

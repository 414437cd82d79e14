//! How the daemon is, as the administrator's overview and metrics tell it.

use fairban_web::admin::view::{Health, Level, Metric, Part};

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
    metrics
}

use fairban_parse::{Context, Outcome, Parser};
use fairban_types::{Event, Witness};

/// The context of every test: UTC, in the evening of 2026-11-21.
pub(crate) fn context() -> Context {
    let reference = "2026-11-21T20:00:00Z".parse().expect("a time");
    Context { reference, year: None, zone: jiff::tz::TimeZone::UTC }
}

/// What the last of these lines says, after the others.
pub(crate) fn read(lines: &[&[u8]]) -> String {
    let mut parser = Parser::new();
    let context = context();
    let mut shown = String::new();
    for line in lines {
        shown = show(&parser.parse(line, &context));
    }
    shown
}

/// An outcome in one line.
pub(crate) fn show(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Event(event) => show_event(event),
        Outcome::Nothing => "nothing".to_owned(),
        Outcome::Defect(defect) => format!("defect: {defect}"),
    }
}

fn show_event(event: &Event<'_>) -> String {
    let mut shown = format!("{} {} {}", event.kind, event.client, event.service);
    if event.count != 1 {
        shown.push_str(&format!(" x{}", event.count));
    }
    if let Witness::Backend(driver) = &event.witness {
        shown.push_str(&format!(" by={driver}"));
    }
    for (name, value) in [
        ("account", &event.account),
        ("digest", &event.digest),
        ("session", &event.session),
        ("helo", &event.helo),
        ("from", &event.return_path),
        ("to", &event.recipient),
        ("method", &event.method),
        ("program", &event.program),
    ] {
        if let Some(value) = value {
            shown.push_str(&format!(" {name}={value:?}"));
        }
    }
    shown
}

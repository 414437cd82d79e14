//! What is told to a person, or to a program with `--json`.

use std::path::PathBuf;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::apply::Done;
use super::discover::Found;
use super::plan::{Change, Part, Plan, Server};
use super::probe::{Answer, Seen};
use crate::show::{safe, safe_line};
use crate::terminal::{self, Tone, tone};

/// Lines around a difference that are shown.
const CONTEXT: usize = 2;

/// A plan for programs.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    not_found: Vec<Missing<'a>>,
}

#[derive(Serialize)]
struct Missing<'a> {
    server: Server,
    why: &'a str,
}

impl<'a> Shown<'a> {
    pub(super) fn new(found: &'a Found, plan: &'a Plan) -> Self {
        let not_found = found.missing.iter().map(|(server, why)| Missing { server: *server, why }).collect();
        Shown { plan, not_found }
    }
}

/// What was applied, for programs.
#[derive(Serialize)]
pub(super) struct Applied<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    changed: &'a [PathBuf],
    reloaded: Vec<Reloaded<'a>>,
    backups: &'a PathBuf,
}

#[derive(Serialize)]
struct Reloaded<'a> {
    server: Server,
    done: bool,
    what: &'a str,
}

fn reloaded(list: &[(Server, Result<String, String>)]) -> Vec<Reloaded<'_>> {
    let told = |said: &(Server, Result<String, String>)| said.1.is_ok();
    let what = list.iter().map(|(_, said)| said.as_ref().map_or_else(String::as_str, String::as_str));
    list.iter().zip(what).map(|(entry, what)| Reloaded { server: entry.0, done: told(entry), what }).collect()
}

impl<'a> Applied<'a> {
    pub(super) fn new(found: &'a Found, plan: &'a Plan, done: &'a Done) -> Self {
        let reloaded = reloaded(&done.reloaded);
        Applied { shown: Shown::new(found, plan), changed: &done.changed, reloaded, backups: &done.state }
    }
}

/// What was undone.
#[derive(Debug, Default, Serialize)]
pub(super) struct Undone {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nothing: Option<String>,
    pub(super) restored: Vec<PathBuf>,
    pub(super) cleaned: Vec<PathBuf>,
    pub(super) by_hand: Vec<String>,
    pub(super) reloaded: Vec<(Server, Result<String, String>)>,
}

/// The plan, file by file.
pub(super) fn show(found: &Found, plan: &Plan) -> std::io::Result<()> {
    for part in &plan.parts {
        head(part)?;
        for change in part.changes.iter().filter(|_| part.obstacle.is_none()) {
            terminal::line(&format!("\n  {}", tone(&safe_line(&change.path.display().to_string()), Tone::Strong)))?;
            terminal::text(&diff(change))?;
            for reason in &change.reasons {
                terminal::line(&format!("  {}", safe_line(&reason.line)))?;
                terminal::line(&wrapped(&reason.why, "      "))?;
            }
        }
        rest(part)?;
    }
    missing(found)?;
    match plan.changes().count() {
        0 => terminal::line("\nNothing is to be changed. `fairban setup --check` tries whether the mail servers ask."),
        _ => terminal::line("\nNothing was changed. `fairban setup --apply` does all this, with backups."),
    }
}

/// What a server is, and what stands in the way.
fn head(part: &Part) -> std::io::Result<()> {
    terminal::line(&format!("\n{}  {}", tone(&part.server.to_string(), Tone::Strong), safe_line(&part.found)))?;
    match &part.obstacle {
        Some(obstacle) => terminal::line(&format!("  {} {}", tone("left alone:", Tone::Alarm), safe_line(obstacle))),
        None if part.changes.is_empty() && part.by_hand.is_empty() => terminal::line("  has every line that it needs"),
        None => Ok(()),
    }
}

/// What is left to do by hand, and what should be known.
fn rest(part: &Part) -> std::io::Result<()> {
    for by_hand in &part.by_hand {
        terminal::line(&format!("\n  {} {}:", tone("by hand:", Tone::Strong), safe_line(&by_hand.what)))?;
        for line in by_hand.lines.lines() {
            terminal::line(&format!("    {}", safe_line(line)))?;
        }
    }
    for note in &part.notes {
        terminal::line(&wrapped(&format!("note: {note}"), "  "))?;
    }
    Ok(())
}

fn missing(found: &Found) -> std::io::Result<()> {
    for (server, why) in &found.missing {
        terminal::line(&format!("\n{}  {}", tone(&server.to_string(), Tone::Strong), safe_line(why)))?;
    }
    Ok(())
}

/// A text in lines of readable length.
fn wrapped(text: &str, indent: &str) -> String {
    const WIDTH: usize = 100;
    let mut lines = vec![indent.to_owned()];
    for word in safe_line(text).split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].len() > indent.len() && lines[last].chars().count() + word.chars().count() >= WIDTH {
            lines.push(indent.to_owned());
        }
        let last = lines.len() - 1;
        if lines[last].len() > indent.len() {
            lines[last].push(' ');
        }
        lines[last].push_str(word);
    }
    lines.join("\n")
}

/// The difference, with a few lines around.
fn diff(change: &Change) -> String {
    let before = change.before.as_deref().unwrap_or_default();
    let diff = TextDiff::from_lines(before, &change.after);
    let mut text = String::new();
    for (number, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if number > 0 {
            text.push_str("    …\n");
        }
        for line in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let words = safe(line.value().trim_end_matches('\n'));
            let shown = match line.tag() {
                ChangeTag::Insert => tone(&format!("+ {words}"), Tone::Good),
                ChangeTag::Delete => tone(&format!("- {words}"), Tone::Alarm),
                ChangeTag::Equal => format!("  {words}"),
            };
            text.push_str(&format!("    {shown}\n"));
        }
    }
    text
}

/// What was applied.
pub(super) fn applied(found: &Found, plan: &Plan, done: &Done, no_reload: bool) -> std::io::Result<()> {
    for path in &done.changed {
        terminal::line(&format!("  {}  {}", tone("changed", Tone::Good), safe_line(&path.display().to_string())))?;
    }
    reloads(&done.reloaded)?;
    for part in &plan.parts {
        if part.obstacle.is_some() || !part.by_hand.is_empty() || !part.notes.is_empty() {
            head(part)?;
            rest(part)?;
        }
    }
    missing(found)?;
    if done.changed.is_empty() {
        return terminal::line("\nNothing was to be changed.");
    }
    terminal::line(&format!(
        "\nWhat there was before is in {}; `fairban setup --undo` gives it back.",
        done.state.display()
    ))?;
    if no_reload {
        terminal::line("Nothing was reloaded: the mail servers go on as before until they are.")?;
    }
    terminal::line("Restart the daemon, then try it with `fairban setup --check`.")
}

fn reloads(reloaded: &[(Server, Result<String, String>)]) -> std::io::Result<()> {
    for (server, said) in reloaded {
        let line = match said {
            Ok(what) => format!("  {}  {server}: {}", tone("reload ", Tone::Good), safe_line(what)),
            Err(what) => format!("  {}  {server}: {}", tone("PROBLEM", Tone::Alarm), safe_line(what)),
        };
        terminal::line(&line)?;
    }
    Ok(())
}

/// What was undone.
pub(super) fn undone(told: &Undone, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return terminal::json(told);
    }
    if let Some(nothing) = &told.nothing {
        terminal::line(&safe_line(nothing))?;
    }
    for (mark, paths) in [("as it was", &told.restored), ("changed since: Fairban's lines taken out", &told.cleaned)] {
        for path in paths {
            terminal::line(&format!("  {}  {}", safe_line(&path.display().to_string()), tone(mark, Tone::Good)))?;
        }
    }
    for line in &told.by_hand {
        terminal::line(&format!("  {} {}", tone("by hand:", Tone::Alarm), safe_line(line)))?;
    }
    Ok(reloads(&told.reloaded)?)
}

/// Whether the servers ask.
pub(super) fn seen(seen: &[Seen], as_json: bool) -> anyhow::Result<()> {
    for seen in seen {
        if as_json {
            terminal::json(seen)?;
            continue;
        }
        let (words, how) = match seen.answer {
            Answer::Asks => ("asks", Tone::Good),
            Answer::DoesNotAsk => ("DOES NOT ASK", Tone::Alarm),
            Answer::CannotTell => ("cannot tell", Tone::Strong),
            Answer::NotFound => ("not found", Tone::Quiet),
        };
        let server = format!("{:<8}", seen.server.to_string());
        terminal::line(&format!("  {server} {}  {}", tone(&format!("{words:<12}"), how), safe_line(&seen.why)))?;
    }
    Ok(())
}

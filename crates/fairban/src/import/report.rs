//! What was understood and what was not, for a person or a program.

use std::process::ExitCode;

use fairban_types::Subject;
use serde_json::json;

use super::apply::Applied;
use super::found::{Becomes, Found, Item};
use crate::cli::ImportArgs;
use crate::{show, terminal};

/// Rows that a person is shown of each table; a program gets all.
const ROWS_MAX: usize = 100;

/// Shows everything that was found.
pub(super) fn tell(found: &Found, args: &ImportArgs) -> anyhow::Result<()> {
    if args.json {
        return objects(found);
    }
    if !found.items.is_empty() {
        let rows: Vec<Vec<String>> = found.items.iter().take(ROWS_MAX).map(row).collect();
        terminal::text(&show::table(&["understood", "becomes", "why", "from"], &rows))?;
        more(found.items.len())?;
    }
    if !found.gaps.is_empty() {
        let rows = found.gaps.iter().take(ROWS_MAX);
        let rows: Vec<Vec<String>> =
            rows.map(|gap| vec![gap.what.clone(), gap.place.to_string(), gap.why.clone()]).collect();
        terminal::line("")?;
        terminal::text(&show::table(&["not taken over", "from", "because"], &rows))?;
        more(found.gaps.len())?;
    }
    if let (Some(settings), None) = (&found.settings, &args.config_out) {
        terminal::line("\nFor the configuration file, to look through and paste:\n")?;
        terminal::text(&settings.to_string())?;
    }
    Ok(())
}

fn more(count: usize) -> std::io::Result<()> {
    match count.checked_sub(ROWS_MAX) {
        None | Some(0) => Ok(()),
        Some(more) => terminal::line(&format!("… and {more} more: --json tells all")),
    }
}

fn row(item: &Item) -> Vec<String> {
    let becomes = match &item.becomes {
        Becomes::Block { until: None, .. } => "a permanent block".to_owned(),
        Becomes::Block { until: Some(until), .. } => format!("a block until {}", show::clock(*until)),
        Becomes::Never { until: None, .. } => "never blocked".to_owned(),
        Becomes::Never { until: Some(until), .. } => format!("never blocked until {}", show::clock(*until)),
        Becomes::Setting(line) => line.clone(),
    };
    vec![item.what.clone(), becomes, item.reason.clone(), item.place.to_string()]
}

fn objects(found: &Found) -> anyhow::Result<()> {
    for item in &found.items {
        let (file, line) = (item.place.file.display().to_string(), item.place.line);
        let mut object = json!({ "file": file, "line": line, "what": item.what, "reason": item.reason });
        match &item.becomes {
            Becomes::Block { net, until } => {
                object["becomes"] = json!("block");
                object["subject"] = json!(Subject::Network(*net));
                object["until"] = json!(until);
            }
            Becomes::Never { net, until } => {
                object["becomes"] = json!("never");
                object["subject"] = json!(Subject::Network(*net));
                object["until"] = json!(until);
            }
            Becomes::Setting(line) => {
                object["becomes"] = json!("setting");
                object["setting"] = json!(line);
            }
        }
        terminal::json(&object)?;
    }
    for gap in &found.gaps {
        let (file, line) = (gap.place.file.display().to_string(), gap.place.line);
        terminal::json(&json!({ "file": file, "line": line, "what": gap.what, "becomes": null, "why": gap.why }))?;
    }
    if let Some(settings) = &found.settings {
        terminal::json(&json!({ "settings": settings.to_string() }))?;
    }
    Ok(())
}

/// Shows what it comes to. The exit status is 1 if the daemon refused everything.
pub(super) fn summary(found: &Found, applied: Option<&Applied>, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let count = |is: fn(&Becomes) -> bool| found.items.iter().filter(|item| is(&item.becomes)).count();
    let blocks = count(|becomes| matches!(becomes, Becomes::Block { .. }));
    let never = count(|becomes| matches!(becomes, Becomes::Never { .. }));
    let settings = count(|becomes| matches!(becomes, Becomes::Setting(_)));
    let not = found.gaps.len();
    if args.json {
        let mut summary = json!({ "blocks": blocks, "never": never, "settings": settings, "not_taken_over": not,
            "left_out": found.left_out, "applied": null });
        if let Some(applied) = applied {
            let refused = applied.refused.iter().map(|(subject, why)| json!({ "subject": subject, "why": why }));
            let refused: Vec<_> = refused.collect();
            summary["applied"] = json!({ "blocks": applied.blocks, "never": applied.never, "refused": refused });
        }
        terminal::json(&json!({ "summary": summary }))?;
    } else {
        let text = format!(
            "\nunderstood: {blocks} blocks, {never} never-block entries, {settings} settings; not taken over: {not}"
        );
        terminal::line(&text)?;
        if found.left_out > 0 {
            terminal::line(&format!("{} more did not fit: import in several parts", found.left_out))?;
        }
        if let Some(path) = args.config_out.as_ref().filter(|_| found.settings.is_some()) {
            terminal::line(&format!("settings written to {}", path.display()))?;
        }
        match applied {
            None if blocks + never > 0 => {
                terminal::line("nothing was changed: --apply sends blocks and never-block entries to the daemon")?
            }
            None => terminal::line("nothing was changed: settings take effect in the configuration file")?,
            Some(applied) => told(applied)?,
        }
    }
    let all_refused = applied.is_some_and(|applied| applied.blocks + applied.never == 0 && !applied.refused.is_empty());
    Ok(if all_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn told(applied: &Applied) -> anyhow::Result<()> {
    let Applied { never, blocks, refused } = applied;
    terminal::line(&format!(
        "applied: {blocks} blocks, {never} never-block entries; refused by the daemon: {}",
        refused.len()
    ))?;
    if !refused.is_empty() {
        let rows: Vec<Vec<String>> =
            refused.iter().take(ROWS_MAX).map(|(subject, why)| vec![subject.clone(), why.clone()]).collect();
        terminal::text(&show::table(&["refused", "because"], &rows))?;
        more(refused.len())?;
    }
    Ok(())
}

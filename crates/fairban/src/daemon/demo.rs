//! `fairban run --demo`: the whole real pipeline on a simulated mail server under attack.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use fairban_config::{Config, SourceConfig};
use fairban_simulator::demo::Demo;
use fairban_types::{Action, Decision, Time};
use tokio::sync::mpsc::unbounded_channel;

use super::{Setup, now, serve};
use crate::show;

/// The demo is the same each time.
const SEED: u64 = 7;

pub(super) fn run(mut config: Config, socket: PathBuf, time: Option<Duration>) -> anyhow::Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("fairban-demo-").tempdir().context("cannot make a temporary folder")?;
    let log = folder.path().join("mail.log");
    let own_logs = if config.sources.is_empty() { super::machine_logs() } else { config.sources.clone() };
    // The configured socket belongs to a real daemon; the demo has one of its own unless one was named.
    let socket = if socket == config.control.socket { folder.path().join("control.sock") } else { socket };
    greet(&log, &own_logs, &socket);
    config.sources = own_logs;
    config.sources.push(SourceConfig::File { path: log.clone() });
    let setup = Setup { config, config_file: None, socket, forgetful: true, observe: true };
    super::runtime()?.block_on(async {
        let (onlooker, mut decisions) = unbounded_channel::<Decision>();
        tokio::spawn(async move {
            while let Some(decision) = decisions.recv().await {
                tell(&decision);
            }
        });
        let writer = tokio::spawn(write(log, time));
        tokio::select! {
            served = serve::run(setup, Some(onlooker)) => served,
            written = writer => written?,
        }
    })?;
    println!("\nThe demo is over; its folder is gone, and nothing was changed on this machine.");
    Ok(ExitCode::SUCCESS)
}

fn greet(log: &Path, own: &[SourceConfig], socket: &Path) {
    println!("Fairban demo: a simulated mail server writes {}", log.display());
    println!("and the real pipeline reads it. All addresses in it are from the ranges for documentation.");
    for source in own {
        if let SourceConfig::File { path } = source {
            println!("Beside it, this machine's own {} is read.", path.display());
        }
    }
    println!("Nothing is enforced (observe): no packet is dropped by the demo.\n");
    let with = format!("fairban --control {}", socket.display());
    println!("Try in another terminal:");
    for command in ["status", "top", "blocks", "why 203.0.113.66", "events --follow", "never add 203.0.113.0/24"] {
        println!("  {with} {command}");
    }
    println!("End with Ctrl-C.\n");
}

fn tell(decision: &Decision) {
    if decision.action != Action::Expire {
        println!("  → {}", show::decision(decision));
        if let Some(last) = decision.events.last() {
            println!("      because of {} events, the last: {}", decision.events.len(), show::event(&last.event));
        }
        if matches!(decision.action, Action::Block | Action::Guard) {
            println!("      try: fairban why {}", decision.code);
        }
    }
}

/// Writes each line when it is due. Ends after the time, or never.
async fn write(path: PathBuf, time: Option<Duration>) -> anyhow::Result<()> {
    let mut log = OpenOptions::new().create(true).append(true).open(&path)?;
    let start = now();
    let end = time.map(|time| start.after(time));
    for step in Demo::new(SEED, start) {
        if end.is_some_and(|end| step.at > end) {
            tokio::time::sleep(wait(end.unwrap_or(start))).await;
            return Ok(());
        }
        tokio::time::sleep(wait(step.at)).await;
        if let Some(what) = &step.what {
            println!("{}  {}", show::clock(step.at), show::safe_line(what));
        }
        log.write_all(step.line.as_bytes())?;
    }
    Ok(())
}

fn wait(until: Time) -> Duration {
    until.since(now())
}

//! `fairban replay`: who would have been blocked by a log, when and why.

mod merge;
mod output;
mod pipeline;
mod summary;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use fairban_engine::{Engine, Outcome, Prepared};
use fairban_types::{Decision, Event, Time};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::ReplayArgs;
use crate::lines::{self, Log};
use summary::Summary;

/// A replay under way: the engine, and what is told of it.
pub(crate) struct Replay {
    engine: Engine,
    now: Time,
    decisions: Vec<Decision>,
    summary: Summary,
    output: output::Output,
}

impl Replay {
    fn step(&mut self, event: &Event<'_>, prepared: Prepared) -> anyhow::Result<()> {
        self.now = self.now.max(event.time);
        let outcome = self.engine.step_prepared(self.now, event, prepared, &mut self.decisions);
        if outcome != Outcome::Noted || event.kind.is_login_outcome() {
            self.summary.event(event, outcome);
        } else {
            self.summary.events += 1;
        }
        if self.decisions.is_empty() { Ok(()) } else { self.tell() }
    }

    fn tell(&mut self) -> anyhow::Result<()> {
        for decision in self.decisions.drain(..) {
            self.summary.decision(&decision);
            self.output.decision(&decision)?;
        }
        Ok(())
    }
}

pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut config = lines::config(args.log.config.as_deref())?;
    if let Some(profile) = &args.profile {
        config = config.with_profile(profile)?;
    }
    let mut policy = config.policy.clone();
    policy.mail_servers_ask = !args.log_only;
    let mut replay = Replay {
        summary: Summary::new(policy.profile.clone(), policy.mail_servers_ask),
        engine: Engine::new(policy),
        now: Time::MIN,
        decisions: Vec::new(),
        output: output::Output::new(args.json),
    };
    let mut logs = lines::open(&args.log, &config)?;
    let progress = progress(&logs);
    let lines = match logs.as_mut_slice() {
        [log] => pipeline::run(log, &mut replay, &progress)?,
        _ => merge::several(logs, &mut replay, &progress)?,
    };
    progress.finish_and_clear();
    replay.summary.finish(lines, started.elapsed(), replay.engine.standing_len(), replay.now);
    replay.output.summary(&replay.summary)?;
    replay.output.flush()?;
    // The program ends at once: giving back every piece of memory would only take time.
    signal_hook::low_level::exit(0)
}

/// A bar on the terminal, once there is enough to wait for.
fn progress(logs: &[Log]) -> ProgressBar {
    let size: u64 = logs.iter().filter_map(|log| log.size).sum();
    if size < 64 * 1024 * 1024 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(size).with_style(style)
}

/// Writes to standard output; a closed pipe ends the program quietly.
fn stdout() -> Box<dyn Write> {
    Box::new(std::io::BufWriter::with_capacity(1 << 16, std::io::stdout()))
}

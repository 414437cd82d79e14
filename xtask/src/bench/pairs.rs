//! Two programs in turns on the same file, and what their medians say.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::process::find;

/// A program with its arguments.
#[derive(Clone, Debug)]
pub(super) struct Program {
    name: &'static str,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
}

impl Program {
    pub(super) fn new(name: &'static str, program: &Path) -> Program {
        Program { name, arguments: vec![program.into()], environment: Vec::new() }
    }

    pub(super) fn arg(mut self, argument: impl AsRef<OsStr>) -> Program {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: &Path) -> Program {
        self.environment.push((name, value.into()));
        self
    }

    /// Whole-process time. The output goes to a pipe, since grep does less work for /dev/null.
    fn time(&self) -> Result<Duration> {
        let mut all = self.arguments.iter();
        let mut command = match find("taskset") {
            // One core, the same for both.
            Some(taskset) => {
                let mut command = Command::new(taskset);
                command.args(["--cpu-list", "0"]).args(all);
                command
            }
            None => {
                let mut command = Command::new(all.next().context("a program has a name")?);
                command.args(all);
                command
            }
        };
        // In the C locale grep is at its fastest.
        command.env("LC_ALL", "C").envs(self.environment.iter().map(|(name, value)| (name, value)));
        let start = Instant::now();
        let output = command.output().with_context(|| format!("cannot start {}", self.name))?;
        let time = start.elapsed();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} failed: {complaint}", self.name);
        Ok(time)
    }
}

/// The medians of both, after one run each to warm up.
pub(super) fn measure(ours: &Program, other: &Program, runs: usize) -> Result<(Duration, Duration)> {
    ours.time()?;
    other.time()?;
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..runs.max(1) {
        times.0.push(ours.time()?);
        times.1.push(other.time()?);
    }
    Ok((median(times.0), median(times.1)))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// What was measured, one comparison a line.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<String>,
}

impl Table {
    pub(super) fn add(
        &mut self,
        log: &str,
        lines: usize,
        ours: &Program,
        other: &Program,
        times: (Duration, Duration),
    ) {
        let speed = |time: Duration| lines as f64 / time.as_secs_f64() / 1e6;
        self.rows.push(format!(
            "| {log} | {} | {:.1} ms | {:.2} | {} | {:.1} ms | {:.2} | {:.2} |",
            ours.name,
            times.0.as_secs_f64() * 1e3,
            speed(times.0),
            other.name,
            times.1.as_secs_f64() * 1e3,
            speed(times.1),
            times.1.as_secs_f64() / times.0.as_secs_f64(),
        ));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| log | ours | time | million lines/s | other | time | million lines/s | times as fast as it |")?;
        writeln!(f, "| --- | --- | ---: | ---: | --- | ---: | ---: | ---: |")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        Ok(())
    }
}

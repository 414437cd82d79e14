//! Two programs in turns on the same file, and what their medians say.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

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

    /// One whole process. The output goes to a pipe, since grep does less work for /dev/null.
    fn time(&self, cores: Cores) -> Result<Times> {
        let mut all = self.arguments.iter();
        let mut command = match find("taskset") {
            Some(taskset) if cores == Cores::One => {
                let mut command = Command::new(taskset);
                command.args(["--cpu-list", "0"]).args(all);
                command
            }
            _ => {
                let mut command = Command::new(all.next().context("a program has a name")?);
                command.args(all);
                command
            }
        };
        // In the C locale grep is at its fastest.
        command.env("LC_ALL", "C").envs(self.environment.iter().map(|(name, value)| (name, value)));
        let before = cpu_of_children()?;
        let start = Instant::now();
        let output = command.output().with_context(|| format!("cannot start {}", self.name))?;
        let wall = start.elapsed();
        let cpu = cpu_of_children()?.saturating_sub(before);
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} failed: {complaint}", self.name);
        Ok(Times { wall, cpu })
    }
}

/// Which cores a program may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cores {
    /// The same one for both.
    One,
    /// All of the machine.
    All,
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Cores::One => "one",
            Cores::All => "all",
        })
    }
}

/// What a process took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// From its start to its end.
    wall: Duration,
    /// Of all its threads, in the program and in the system.
    cpu: Duration,
}

/// The time that all ended child processes have used.
fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot ask for the time used")?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.unsigned_abs()))
}

/// The medians of both, after one run each to warm up.
pub(super) fn measure(ours: &Program, other: &Program, cores: Cores, runs: usize) -> Result<(Times, Times)> {
    ours.time(cores)?;
    other.time(cores)?;
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..runs.max(1) {
        times.0.push(ours.time(cores)?);
        times.1.push(other.time(cores)?);
    }
    Ok((medians(&times.0), medians(&times.1)))
}

fn medians(times: &[Times]) -> Times {
    let median_of = |part: fn(&Times) -> Duration| median(times.iter().map(part).collect());
    Times { wall: median_of(|times| times.wall), cpu: median_of(|times| times.cpu) }
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
        cores: Cores,
        ours: &Program,
        other: &Program,
        (mine, its): (Times, Times),
    ) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        self.rows.push(format!(
            "| {log} | {cores} | {} | {:.1} | {:.1} | {} | {:.1} | {:.1} | {:.2} | {:.2} |",
            ours.name,
            ms(mine.wall),
            ms(mine.cpu),
            other.name,
            ms(its.wall),
            ms(its.cpu),
            ms(its.wall) / ms(mine.wall),
            ms(its.cpu) / ms(mine.cpu),
        ));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| log | cores | ours | wall, ms | CPU, ms | other | wall, ms | CPU, ms | wall, times as fast | CPU |"
        )?;
        writeln!(f, "| --- | --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        Ok(())
    }
}

//! The systemd journal, through `journalctl`: no library of systemd is linked, and a journal that breaks cannot harm us.

pub(crate) mod export;
mod render;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::sleep;
use tracing::warn;

pub(crate) use self::render::harmless;
use crate::batch::Gathered;
use crate::outlet::{Ended, Outlet};
use crate::{Cursor, Entry, ExportReader, SourceError, Start, State, Tuning};

const CHUNK_BYTES: usize = 64 * 1024;
const PAUSE_MAX: Duration = Duration::from_secs(60);

pub(crate) async fn run(
    units: Vec<String>,
    start: Start,
    mut outlet: Outlet,
    tuning: Tuning,
) -> Result<(), SourceError> {
    let mut journal = Journal { units, start, tuning, ended: None };
    let mut pause = journal.tuning.journalctl_pause;
    loop {
        let (child, stdout, stderr) = journal.spawn()?;
        let errors = tokio::spawn(last_line(stderr));
        outlet.health.set_state(State::Reading);
        let Ok(entries) = journal.follow(stdout, &mut outlet).await else { return Ok(()) };
        // The child is killed when dropped, should it still live.
        drop(child);
        let reason = errors.await.ok().flatten().unwrap_or_else(|| "it ended without a word".to_owned());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        journal.ended.get_or_insert(now);
        warn!(reason, "journalctl ended, starting it again");
        outlet.health.set_state(State::Failing(format!("journalctl ended: {reason}; starting it again")));
        if entries > 0 {
            pause = journal.tuning.journalctl_pause;
        }
        if outlet.unless_stopped(sleep(pause)).await == Err(Ended) {
            return Ok(());
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether `journalctl` can be run.
pub(crate) fn probe(program: &Path) -> Result<(), SourceError> {
    std::process::Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(|_| ())
        .map_err(|error| SourceError::NoJournalctl { program: program.to_owned(), error })
}

struct Journal {
    units: Vec<String>,
    start: Start,
    tuning: Tuning,
    /// Seconds since the epoch, when the program ended for the first time.
    ended: Option<u64>,
}

impl Journal {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.tuning.journalctl);
        command.args(["--follow", "--quiet", "--output=export"]).arg(format!("--output-fields={}", export::FIELDS));
        match &self.start {
            Start::Cursor(Cursor::Journald(cursor)) => {
                command.args(["--no-tail", &format!("--after-cursor={cursor}")]);
            }
            Start::End => match self.ended {
                // What came in the pause is not old.
                Some(began) => {
                    command.args(["--no-tail", &format!("--since=@{began}")]);
                }
                None => {
                    command.arg("--lines=0");
                }
            },
            Start::Beginning | Start::Cursor(_) => {
                command.arg("--no-tail");
            }
        }
        command.args(self.units.iter().map(|unit| format!("--unit={unit}")));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    fn spawn(&self) -> Result<(Child, ChildStdout, ChildStderr), SourceError> {
        let failed = |error| SourceError::NoJournalctl { program: self.tuning.journalctl.clone(), error };
        let mut child = self.command().spawn().map_err(failed)?;
        match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), Some(stderr)) => Ok((child, stdout, stderr)),
            _ => Err(failed(std::io::Error::other("its output is not connected"))),
        }
    }

    /// Reads entries until the child ends; returns how many.
    async fn follow(&mut self, mut stdout: ChildStdout, outlet: &mut Outlet) -> Result<u64, Ended> {
        let mut reader = ExportReader::new(self.tuning.line_bytes_max);
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut count = 0;
        loop {
            let Ok(read @ 1..) = outlet.unless_stopped(stdout.read(&mut chunk)).await? else { return Ok(count) };
            let mut entries = Vec::new();
            reader.feed(chunk.get(..read).unwrap_or_default(), |entry| entries.push(entry));
            count += entries.len() as u64;
            for entries in entries.chunks(self.tuning.batch_lines_max) {
                self.hand_over(entries, outlet).await?;
            }
        }
    }

    async fn hand_over(&mut self, entries: &[Entry], outlet: &mut Outlet) -> Result<(), Ended> {
        let (mut gathered, mut line) = (Gathered::default(), Vec::new());
        for entry in entries {
            render::render(entry, &mut line);
            gathered.push(&line, &[]);
            outlet.health.cut(u64::from(entry.message_cut_bytes > 0), entry.message_cut_bytes);
        }
        let last = entries.iter().rev().find_map(|entry| String::from_utf8(entry.cursor.clone()).ok());
        let cursor = last.filter(|cursor| !cursor.is_empty()).map(Cursor::Journald);
        outlet.send(gathered, cursor.clone()).await?;
        if let Some(cursor) = cursor {
            self.start = Start::Cursor(cursor);
        }
        Ok(())
    }
}

/// What the child said last before it ended.
async fn last_line(stderr: ChildStderr) -> Option<String> {
    let mut lines = BufReader::new(stderr).lines();
    let mut last = None;
    while let Ok(Some(line)) = lines.next_line().await {
        last = Some(line.chars().take(300).collect());
    }
    last
}

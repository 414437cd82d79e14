//! Log files read line by line, in large pieces.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use fairban_config::Config;
use fairban_parse::{Context, Formats, Parser};
use fairban_types::Time;

use crate::cli::LogArgs;

/// Read at once: large enough for few calls, small enough for the cache.
const PIECE: usize = 256 * 1024;
/// The longest line that is read whole; what is longer is cut.
const LINE_MAX: usize = 1024 * 1024;

/// One log, opened.
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    input: Box<dyn Read>,
    /// Its size in bytes, if it is a file.
    pub(crate) size: Option<u64>,
    pub(crate) context: Context,
    pub(crate) parser: Parser,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
    /// Bytes handed out so far.
    pub(crate) read: u64,
}

/// The configuration that a log command is to use.
pub(crate) fn config(path: Option<&Path>) -> anyhow::Result<Config> {
    match path {
        Some(path) => Ok(Config::load(path)?),
        None => Ok(Config::builtin()),
    }
}

/// Opens the logs that a command names.
pub(crate) fn open(args: &LogArgs, config: &Config) -> anyhow::Result<Vec<Log>> {
    let zone = match &args.zone {
        Some(name) => jiff::tz::TimeZone::get(name).with_context(|| format!("unknown time zone '{name}'"))?,
        None => machine_zone(),
    };
    let formats = Arc::new(Formats::compile(&config.formats)?);
    args.files.iter().map(|path| Log::open(path, args.year, &zone, &formats)).collect()
}

/// The zone of this machine. Where its file says all, the database of zones need not be searched for its name.
fn machine_zone() -> jiff::tz::TimeZone {
    let file = || jiff::tz::TimeZone::tzif("machine", &std::fs::read("/etc/localtime").ok()?).ok();
    let zone = if std::env::var_os("TZ").is_none() { file() } else { None };
    zone.unwrap_or_else(jiff::tz::TimeZone::system)
}

impl Log {
    fn open(path: &Path, year: Option<i16>, zone: &jiff::tz::TimeZone, formats: &Arc<Formats>) -> anyhow::Result<Self> {
        let (input, size, reference): (Box<dyn Read>, _, _) = if path == Path::new("-") {
            (Box::new(std::io::stdin()), None, Time::from(std::time::SystemTime::now()))
        } else {
            let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            let facts = file.metadata().with_context(|| format!("cannot read {}", path.display()))?;
            anyhow::ensure!(!facts.is_dir(), "{} is a folder, not a log", path.display());
            let changed = facts.modified().unwrap_or_else(|_| std::time::SystemTime::now());
            (Box::new(file), Some(facts.len()), Time::from(changed))
        };
        Ok(Log {
            path: path.to_owned(),
            input,
            size,
            context: Context { reference, year, zone: zone.clone() },
            parser: Parser::new().with_formats(formats.clone()),
            buffer: vec![0; PIECE],
            start: 0,
            end: 0,
            at_end: false,
            read: 0,
        })
    }

    /// Calls back with each line, without its newline, until the end of what one piece holds. `false`: that was all.
    pub(crate) fn each_line(
        &mut self,
        mut take: impl FnMut(&mut Parser, &Context, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let mut rest = self.fill()?;
        while let Some(newline) = memchr::memchr(b'\n', &self.buffer[rest..self.end]) {
            let line = &self.buffer[rest..rest + newline];
            take(&mut self.parser, &self.context, line.strip_suffix(b"\r").unwrap_or(line))?;
            rest += newline + 1;
        }
        if self.at_end && rest < self.end {
            take(&mut self.parser, &self.context, &self.buffer[rest..self.end])?;
            rest = self.end;
        }
        self.read += (rest - self.start) as u64;
        self.start = rest;
        Ok(!self.at_end)
    }

    /// Moves the beginning of a line to the front and reads on behind it. A line that fills the largest buffer is cut.
    fn fill(&mut self) -> anyhow::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end > LINE_MAX {
            self.read += (self.end - LINE_MAX) as u64;
            self.end = LINE_MAX;
        }
        if self.buffer.len() < self.end + PIECE / 2 {
            self.buffer.resize(self.end + PIECE, 0);
        }
        let count = self
            .input
            .read(&mut self.buffer[self.end..])
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        self.end += count;
        self.at_end = count == 0;
        Ok(0)
    }
}

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
use crate::zone;

/// Read at once: large enough for few calls, small enough to stay in the cache until it is parsed.
const PIECE: usize = 128 * 1024;
/// The longest line that is read whole; what is longer is cut, and too long to be parsed anyway.
const LINE_MAX: usize = 2 * fairban_parse::LINE_LEN_MAX;
/// What every line of a piece fits into, with the beginning of the line after it.
const BUFFER_LEN: usize = LINE_MAX + PIECE;

/// One log, opened.
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    input: Box<dyn Read + Send>,
    /// Its size in bytes, if it is a file.
    pub(crate) size: Option<u64>,
    pub(crate) context: Context,
    pub(crate) parser: Parser,
    /// The beginning of a line whose end did not fit into the last buffer.
    begun: Vec<u8>,
    at_end: bool,
    /// Bytes handed out so far.
    pub(crate) read: u64,
}

/// Whole lines, as one reading gave them. The buffer is used again and again.
pub(crate) struct Piece {
    bytes: Box<[u8]>,
    lines: usize,
}

impl Piece {
    /// Without lines yet.
    pub(crate) fn new() -> Self {
        Piece { bytes: vec![0; BUFFER_LEN].into(), lines: 0 }
    }

    /// Whole lines, with their ends.
    pub(crate) fn text(&self) -> &[u8] {
        &self.bytes[..self.lines]
    }
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
        None => zone::of_machine(),
    };
    let formats = Arc::new(Formats::compile(&config.formats)?);
    args.files.iter().map(|path| Log::open(path, args.year, &zone, &formats)).collect()
}

impl Log {
    fn open(path: &Path, year: Option<i16>, zone: &jiff::tz::TimeZone, formats: &Arc<Formats>) -> anyhow::Result<Self> {
        let (input, size, reference): (Box<dyn Read + Send>, _, _) = if path == Path::new("-") {
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
            begun: Vec::new(),
            at_end: false,
            read: 0,
        })
    }

    /// Calls back with each line, without its newline, of what one reading gives. `false`: that was all.
    pub(crate) fn each_line(
        &mut self,
        piece: &mut Piece,
        mut take: impl FnMut(&mut Parser, &Context, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let more = self.next(piece)?;
        for line in each(piece.text()) {
            take(&mut self.parser, &self.context, line)?;
        }
        Ok(more)
    }

    /// Reads on, once: whole lines, or none if no line has come to its end. `false`: that was all.
    pub(crate) fn next(&mut self, piece: &mut Piece) -> anyhow::Result<bool> {
        piece.lines = 0;
        if self.at_end {
            return Ok(false);
        }
        // Of a line that is too long, only its beginning is kept.
        let from = self.begun.len().min(LINE_MAX);
        piece.bytes[..from].copy_from_slice(&self.begun[..from]);
        let count = self
            .input
            .read(&mut piece.bytes[from..from + PIECE])
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        self.read += count as u64;
        self.at_end = count == 0;
        let filled = from + count;
        piece.lines = match memchr::memrchr(b'\n', &piece.bytes[from..filled]) {
            Some(newline) => from + newline + 1,
            None if self.at_end => filled,
            None => 0,
        };
        self.begun.clear();
        self.begun.extend_from_slice(&piece.bytes[piece.lines..filled]);
        Ok(!self.at_end)
    }
}

/// The lines of a piece, without their line ends.
pub(crate) fn each(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = piece;
    std::iter::from_fn(move || {
        let end = match memchr::memchr(b'\n', rest) {
            Some(newline) => newline + 1,
            None if rest.is_empty() => return None,
            None => rest.len(),
        };
        let (line, after) = rest.split_at(end);
        rest = after;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

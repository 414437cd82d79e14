//! Reading what other tools left, in bounded pieces.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context as _, ensure};
use fairban_types::Time;

/// The largest file that is read.
const FILE_MAX: u64 = 64 * 1024 * 1024;

/// A file's text, and when it was written. `-` is standard input, written now. Bytes that are no UTF-8 are replaced.
pub(super) fn read(path: &Path, now: Time) -> anyhow::Result<(String, Time)> {
    let mut bytes = Vec::new();
    let shown = path.display();
    let written = if path == Path::new("-") {
        std::io::stdin().lock().take(FILE_MAX + 1).read_to_end(&mut bytes).context("cannot read standard input")?;
        now
    } else {
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let facts = file.metadata().with_context(|| format!("cannot read {shown}"))?;
        ensure!(!facts.is_dir(), "{shown} is a folder: name the file in it");
        file.take(FILE_MAX + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
        facts.modified().map_or(now, Time::from).min(now)
    };
    ensure!(bytes.len() as u64 <= FILE_MAX, "{shown} is larger than {} MiB: split it", FILE_MAX >> 20);
    Ok((String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').to_owned(), written))
}

/// Writes a new file; one that is there stays as it is.
pub(super) fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let place = || format!("cannot write {}: it must not exist yet", path.display());
    let mut file = File::options().write(true).create_new(true).open(path).with_context(place)?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// A line without its comment, and the comment.
pub(super) fn uncommented(line: &str) -> (&str, &str) {
    let at = line.find(['#', ';']).unwrap_or(line.len());
    let (value, comment) = line.split_at(at);
    (value.trim(), comment.trim_start_matches(['#', ';']).trim())
}

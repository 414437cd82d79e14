//! What was decided and carried out, for the next run: a file with one fact a line. What is in force is in the store;
//! this keeps the order of decisions, which the store does not know.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use fairban_types::Time;
use serde::{Deserialize, Serialize};

use crate::fact::Fact;

/// So many lines more than facts make it worth writing the file anew.
const SURPLUS_MAX: usize = 20_000;

#[derive(Serialize, Deserialize)]
struct Line {
    ends: Time,
    fact: Fact,
}

/// When this node was last in step with which data of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InStep {
    pub(crate) birth: String,
    pub(crate) millis: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Entry {
    Fact(Box<Line>),
    InStep { in_step: InStep },
}

/// The file.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
    /// Whether something was written that the disk may not have.
    is_loose: bool,
    pub(crate) in_step: InStep,
}

impl Journal {
    /// Opens the file, and tells each fact in it. A line that cannot be read (the last one of a crash) is left out.
    pub(crate) fn open(path: &Path, mut told: impl FnMut(Fact)) -> std::io::Result<Journal> {
        let mut in_step = InStep::default();
        if let Ok(file) = File::open(path) {
            for line in BufReader::new(file).split(b'\n') {
                match serde_json::from_slice::<Entry>(&line?) {
                    Ok(Entry::Fact(line)) => told(Fact { ends: line.ends, ..line.fact }),
                    Ok(Entry::InStep { in_step: known }) => in_step = known,
                    Err(_) => {}
                }
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        // A line cut off by a crash must not spoil the next one.
        (&file).write_all(b"\n")?;
        Ok(Journal { path: path.to_owned(), file, lines: SURPLUS_MAX, is_loose: true, in_step })
    }

    /// Adds facts.
    pub(crate) fn write<'f>(&mut self, facts: impl IntoIterator<Item = &'f Fact>) -> std::io::Result<()> {
        let mut text = Vec::new();
        for fact in facts {
            self.lines += 1;
            push(&mut text, &Entry::Fact(Box::new(Line { ends: fact.ends, fact: fact.clone() })))?;
        }
        self.is_loose |= !text.is_empty();
        if text.is_empty() { Ok(()) } else { self.file.write_all(&text) }
    }

    /// The file, if the disk may not have all of it.
    pub(crate) fn take_unsynced(&mut self) -> Option<File> {
        if std::mem::take(&mut self.is_loose) { self.file.try_clone().ok() } else { None }
    }

    /// Notes until when this node was in step.
    pub(crate) fn note(&mut self, in_step: InStep) -> std::io::Result<()> {
        let mut text = Vec::new();
        push(&mut text, &Entry::InStep { in_step: in_step.clone() })?;
        self.in_step = in_step;
        self.lines += 1;
        self.file.write_all(&text)
    }

    /// Whether most of the file is about what is no longer true.
    pub(crate) fn is_stale(&self, facts: usize) -> bool {
        self.lines > facts * 2 + SURPLUS_MAX
    }

    /// Writes the file anew with these facts only.
    pub(crate) fn rewrite<'f>(&mut self, facts: impl IntoIterator<Item = &'f Fact>) -> std::io::Result<()> {
        let fresh = self.path.with_extension("new");
        let (path, in_step) = (self.path.clone(), self.in_step.clone());
        *self = Journal {
            file: File::create(&fresh)?,
            path: self.path.clone(),
            lines: 0,
            is_loose: true,
            in_step: in_step.clone(),
        };
        self.write(facts)?;
        self.note(in_step)?;
        self.file.sync_data()?;
        std::fs::rename(fresh, path)
    }
}

fn push(text: &mut Vec<u8>, entry: &Entry) -> std::io::Result<()> {
    serde_json::to_writer(&mut *text, entry)?;
    text.push(b'\n');
    Ok(())
}

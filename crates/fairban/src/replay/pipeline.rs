//! One log: read by two threads, decided by one of them, in order.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use fairban_engine::{Engine, Prepared};
use fairban_parse::{Ahead, Context, Counts, Found, Outcome, Parser};
use indicatif::ProgressBar;
use self_cell::self_cell;

use super::Replay;
use crate::lines::{Log, Piece};

/// So many pieces may be read and not decided yet.
const AHEAD_MAX: usize = 4;

/// The log, from which who has time takes the next piece.
struct Pieces<'l> {
    log: &'l mut Log,
    /// Those that were decided, to be filled anew. What was found in them is dropped by who found it: the other processor
    /// would have to fetch all of it for that.
    spare: Vec<Text>,
    /// How many were taken.
    taken: usize,
}

/// What one piece holds.
struct Findings<'p> {
    found: Vec<Found<'p>>,
    /// What is known of each event found without the engine.
    prepared: Vec<Prepared>,
    counts: Counts,
}

self_cell!(
    /// A piece with what was found in it.
    struct Text {
        owner: Piece,
        #[covariant]
        dependent: Findings,
    }
);

/// A piece that was read, and is to be decided in its turn.
struct Batch {
    /// The piece's place in the log.
    place: usize,
    text: Text,
    /// Bytes of the log read up to here.
    read: u64,
}

/// Reads pieces of one source ahead.
struct Reader<'c> {
    ahead: Ahead,
    context: &'c Context,
    /// Room for as many findings as came last and some more: a list that grows is copied again and again.
    likely: usize,
}

impl Reader<'_> {
    /// Reads the next piece, if there is one.
    fn read(&mut self, pieces: &Mutex<Pieces<'_>>) -> anyhow::Result<Option<Batch>> {
        let lock = || pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = lock().spare.pop();
        let mut piece = spare.map_or_else(Piece::new, Text::into_owner);
        let mut pieces = lock();
        if !pieces.log.next(&mut piece)? && piece.text().is_empty() {
            return Ok(None);
        }
        let (place, read) = (pieces.taken, pieces.log.read);
        pieces.taken += 1;
        drop(pieces);
        let text = Text::new(piece, |piece| self.find(piece.text()));
        Ok(Some(Batch { place, text, read }))
    }

    fn find<'p>(&mut self, piece: &'p [u8]) -> Findings<'p> {
        let mut found = Vec::with_capacity(self.likely);
        let counts = self.ahead.read(piece, self.context, &mut found);
        self.likely = found.len() + found.len() / 4;
        let prepare = |found: &Found<'_>| match found {
            Found::Event(event) | Found::SignIn(event) => Some(Engine::prepare(event)),
            Found::Later(_) => None,
        };
        let mut prepared = Vec::with_capacity(found.len());
        prepared.extend(found.iter().filter_map(prepare));
        Findings { found, prepared, counts }
    }
}

/// Takes batches in the order of the log.
struct Decider<'r> {
    replay: &'r mut Replay,
    parser: Parser,
    context: &'r Context,
    progress: &'r ProgressBar,
    lines: u64,
}

impl Decider<'_> {
    /// Steps through what was found; gives the piece back.
    fn decide(&mut self, mut batch: Batch) -> anyhow::Result<Text> {
        batch.text.with_dependent_mut(|_, findings| self.step(findings))?;
        self.progress.set_position(batch.read);
        Ok(batch.text)
    }

    fn step(&mut self, findings: &mut Findings<'_>) -> anyhow::Result<()> {
        self.lines += findings.counts.lines;
        self.replay.summary.defects += findings.counts.defects;
        let mut prepared = findings.prepared.iter().copied();
        for found in &mut findings.found {
            if let Found::SignIn(event) = found {
                self.parser.complete(event);
            }
            match &*found {
                Found::Event(event) | Found::SignIn(event) => {
                    let prepared = prepared.next().unwrap_or_else(|| Engine::prepare(event));
                    self.replay.step(event, prepared)?;
                }
                Found::Later(later) => match self.parser.settle(*later, self.context) {
                    Outcome::Event(event) => self.replay.step(&event, Engine::prepare(&event))?,
                    Outcome::Nothing => {}
                    Outcome::Defect(_) => self.replay.summary.defects += 1,
                },
            }
        }
        Ok(())
    }

    /// Decides what the other thread reads; where that is not ready yet, reads on here.
    fn decide_all(
        &mut self,
        pieces: &Mutex<Pieces<'_>>,
        reader: &mut Reader<'_>,
        others: Receiver<Batch>,
    ) -> anyhow::Result<()> {
        let mut own: VecDeque<Batch> = VecDeque::new();
        for due in 0.. {
            let batch = loop {
                if let Some(batch) = own.pop_front_if(|batch| batch.place == due) {
                    break batch;
                }
                // What is due is the first of the other thread's, or was not taken by anyone yet.
                if let Ok(batch) = others.try_recv() {
                    break batch;
                }
                match reader.read(pieces)? {
                    Some(batch) => own.push_back(batch),
                    None => match others.recv() {
                        Ok(batch) => break batch,
                        Err(_) => return Ok(()),
                    },
                }
            };
            let decided = self.decide(batch)?;
            pieces.lock().unwrap_or_else(PoisonError::into_inner).spare.push(decided);
        }
        Ok(())
    }
}

/// Reads the log to its end and steps through its events; returns how many lines it has.
pub(super) fn run(log: &mut Log, replay: &mut Replay, progress: &ProgressBar) -> anyhow::Result<u64> {
    let context = log.context.clone();
    let parser = std::mem::take(&mut log.parser);
    let reader = || Reader { ahead: parser.ahead(), context: &context, likely: 0 };
    let (mut mine, mut other) = (reader(), reader());
    let mut decider = Decider { replay, parser, context: &context, progress, lines: 0 };
    let alone = thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let pieces = Mutex::new(Pieces { log, spare: Vec::new(), taken: 0 });
    // Where the deciding is the slower part, the reading waits, so that memory stays bounded.
    let (sender, others) = sync_channel(AHEAD_MAX);
    thread::scope(|scope| {
        let (other, pieces) = (&mut other, &pieces);
        let reading = (!alone).then(|| scope.spawn(move || read_all(other, pieces, &sender)));
        // Dropping `others` early, by an error, ends the reading.
        decider.decide_all(pieces, &mut mine, others)?;
        reading.map_or(Ok(()), |thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(decider.lines)
}

/// Hands on every piece that is left; ends early when nobody wants them.
fn read_all(reader: &mut Reader<'_>, pieces: &Mutex<Pieces<'_>>, sender: &SyncSender<Batch>) -> anyhow::Result<()> {
    while let Some(batch) = reader.read(pieces)? {
        if sender.send(batch).is_err() {
            break;
        }
    }
    Ok(())
}

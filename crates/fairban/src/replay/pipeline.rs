//! One log: read by two threads, decided by one of them, in order.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use fairban_engine::{Engine, Prepared};
use fairban_parse::{Ahead, Context, Counts, Found, Outcome, Parser};
use indicatif::ProgressBar;

use super::Replay;
use crate::lines::{BUFFER_LEN_MIN, Log, Room};

/// Events borrow from the text that they were read from, so a thread ends with each buffer: large enough that starting
/// threads costs nothing.
const BUFFER_LEN: usize = 16 * BUFFER_LEN_MIN;

/// What is left of the log in a buffer; who has time takes the next piece of it.
struct Pieces<'l, 'b> {
    log: &'l mut Log,
    room: Room<'b>,
    /// How many were taken.
    taken: usize,
}

/// What one piece holds.
struct Batch<'b> {
    /// The piece's place among those of the buffer.
    place: usize,
    found: Vec<Found<'b>>,
    /// What is known of each event found without the engine.
    prepared: Vec<Prepared>,
    counts: Counts,
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
    fn read<'b>(&mut self, pieces: &Mutex<Pieces<'_, 'b>>) -> anyhow::Result<Option<Batch<'b>>> {
        let mut pieces = pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let Pieces { log, room, taken } = &mut *pieces;
        if log.is_done(room) {
            return Ok(None);
        }
        let (place, piece, read) = (*taken, log.next(room)?, log.read);
        *taken += 1;
        drop(pieces);
        let mut found = Vec::with_capacity(self.likely);
        let counts = self.ahead.read(piece, self.context, &mut found);
        self.likely = found.len() + found.len() / 4;
        let prepare = |found: &Found<'_>| match found {
            Found::Event(event) | Found::SignIn(event) => Some(Engine::prepare(event)),
            Found::Later(_) => None,
        };
        let mut prepared = Vec::with_capacity(found.len());
        prepared.extend(found.iter().filter_map(prepare));
        Ok(Some(Batch { place, found, prepared, counts, read }))
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
    fn decide(&mut self, mut batch: Batch<'_>) -> anyhow::Result<()> {
        self.lines += batch.counts.lines;
        self.replay.summary.defects += batch.counts.defects;
        let mut prepared = batch.prepared.into_iter();
        for found in &mut batch.found {
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
        self.progress.set_position(batch.read);
        Ok(())
    }

    /// Decides what the other thread reads; where that is not ready yet, reads on here.
    fn decide_all<'b>(
        &mut self,
        pieces: &Mutex<Pieces<'_, 'b>>,
        reader: &mut Reader<'_>,
        others: Receiver<Batch<'b>>,
    ) -> anyhow::Result<()> {
        let mut own: VecDeque<Batch<'b>> = VecDeque::new();
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
            self.decide(batch)?;
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
    let mut buffer = vec![0; BUFFER_LEN];
    while !log.is_at_end() {
        let room = log.enter(&mut buffer);
        let pieces = Mutex::new(Pieces { log, room, taken: 0 });
        let (sender, others) = channel();
        thread::scope(|scope| {
            let (other, pieces) = (&mut other, &pieces);
            let reading = (!alone).then(|| scope.spawn(move || read_all(other, pieces, sender)));
            // Dropping `others` early, by an error, ends the reading.
            decider.decide_all(pieces, &mut mine, others)?;
            reading.map_or(Ok(()), |thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })?;
        let Pieces { room, .. } = pieces.into_inner().unwrap_or_else(PoisonError::into_inner);
        log.leave(room);
    }
    Ok(decider.lines)
}

/// Hands on every piece that is left; ends early when nobody wants them.
fn read_all<'b>(
    reader: &mut Reader<'_>,
    pieces: &Mutex<Pieces<'_, 'b>>,
    sender: Sender<Batch<'b>>,
) -> anyhow::Result<()> {
    while let Some(batch) = reader.read(pieces)? {
        if sender.send(batch).is_err() {
            break;
        }
    }
    Ok(())
}

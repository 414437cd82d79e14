//! One log: read by two threads, decided by one of them, in order.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use fairban_engine::{Engine, Prepared};
use fairban_parse::{Ahead, Context, Counts, Findings, Found, Outcome, Parser};
use fairban_types::Event;
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
#[derive(Default)]
struct Read<'p> {
    findings: Findings<'p>,
    /// What is known of each event without the engine.
    prepared: Vec<Prepared>,
    counts: Counts,
}

self_cell!(
    /// A piece with what was found in it.
    struct Text {
        owner: Piece,
        #[covariant]
        dependent: Read,
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

/// Reads pieces of one source ahead. Two of them stand side by side, each for a thread of its own: aligned so, neither
/// thread waits for what the other one writes into its own.
#[repr(align(128))]
struct Reader<'c> {
    ahead: Ahead,
    context: &'c Context,
}

impl Reader<'_> {
    /// Reads the next piece, if there is one.
    fn read(&mut self, pieces: &Mutex<Pieces<'_>>) -> anyhow::Result<Option<Batch>> {
        let lock = || pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = lock().spare.pop();
        let (mut piece, room) = spare.map_or_else(|| (Piece::new(), Read::default()), emptied);
        let mut pieces = lock();
        if !pieces.log.next(&mut piece)? && piece.text().is_empty() {
            return Ok(None);
        }
        let (place, read) = (pieces.taken, pieces.log.read);
        pieces.taken += 1;
        drop(pieces);
        let text = Text::new(piece, |piece| self.find(piece.text(), room));
        Ok(Some(Batch { place, text, read }))
    }

    fn find<'p>(&mut self, piece: &'p [u8], mut room: Read<'p>) -> Read<'p> {
        let Read { findings, prepared, counts } = &mut room;
        *counts = self.ahead.read(piece, self.context, findings, |event| prepared.push(Engine::prepare(event)));
        room
    }
}

/// A piece to be filled anew, with the room for what will be found: to ask for that much memory again and again would
/// take longer than to find it.
fn emptied(mut text: Text) -> (Piece, Read<'static>) {
    let room = text.with_dependent_mut(|_, read| {
        let Read { findings, mut prepared, .. } = std::mem::take(read);
        prepared.clear();
        Read { findings: findings.emptied(), prepared, counts: Counts::default() }
    });
    (text.into_owner(), room)
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
        batch.text.with_dependent_mut(|_, read| self.step(read))?;
        self.progress.set_position(batch.read);
        Ok(batch.text)
    }

    fn step(&mut self, read: &mut Read<'_>) -> anyhow::Result<()> {
        self.lines += read.counts.lines;
        self.replay.summary.defects += read.counts.defects;
        let mut prepared = read.prepared.iter().copied();
        for found in read.findings.in_turn() {
            let event: &Event<'_> = match found {
                Found::Event(event) => event,
                Found::SignIn(event) => {
                    self.parser.complete(event);
                    event
                }
                Found::Message(id, event) => {
                    prepared.next();
                    if self.parser.complete_message(id, event) {
                        self.replay.step(event, Engine::prepare(event))?;
                    }
                    continue;
                }
                Found::Later(later) => {
                    match self.parser.settle(later, self.context) {
                        Outcome::Event(event) => self.replay.step(&event, Engine::prepare(&event))?,
                        Outcome::Nothing => {}
                        Outcome::Defect(_) => self.replay.summary.defects += 1,
                    }
                    continue;
                }
            };
            self.replay.step(event, prepared.next().unwrap_or_else(|| Engine::prepare(event)))?;
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
    let reader = || Reader { ahead: parser.ahead(), context: &context };
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

//! One log: read and parsed by one thread, decided by another, in order.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use fairban_engine::{Engine, Prepared};
use fairban_parse::{Counts, Outcome};
use fairban_types::Event;
use indicatif::ProgressBar;

use super::Replay;
use crate::lines::{BUFFER_LEN_MIN, Log, each};

/// Events borrow from the text that they were read from, so a thread ends with each buffer: large enough that starting
/// threads costs nothing.
const BUFFER_LEN: usize = 8 * BUFFER_LEN_MIN;
/// How far reading may be ahead of deciding, in batches.
const BATCHES_AHEAD: usize = 8;

/// What one reading gave.
#[derive(Default)]
struct Batch<'b> {
    events: Vec<Event<'b>>,
    /// What is known of each event without the engine.
    prepared: Vec<Prepared>,
    counts: Counts,
    /// Bytes of the log read up to here.
    read: u64,
}

impl<'b> Batch<'b> {
    fn add(&mut self, outcome: Outcome<'b>) {
        self.counts.lines += 1;
        match outcome {
            Outcome::Event(event) => self.events.push(event),
            Outcome::Nothing => {}
            Outcome::Defect(_) => self.counts.defects += 1,
        }
    }
}

/// Reads the log to its end and steps through its events; returns how many lines it has.
pub(super) fn run(log: &mut Log, replay: &mut Replay, progress: &ProgressBar) -> anyhow::Result<u64> {
    let mut lines = 0;
    let mut decide = |batch: Batch<'_>| {
        for (event, prepared) in batch.events.iter().zip(batch.prepared) {
            replay.step(event, prepared)?;
        }
        lines += batch.counts.lines;
        replay.summary.defects += batch.counts.defects;
        progress.set_position(batch.read);
        anyhow::Ok(())
    };
    let mut buffer = vec![0; BUFFER_LEN];
    let alone = thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    while !log.is_at_end() {
        if alone {
            parse(log, &mut buffer, |batch| decide(batch).map(|()| true))?;
        } else {
            side_by_side(log, &mut buffer, &mut decide)?;
        }
    }
    Ok(lines)
}

fn side_by_side<'b>(
    log: &mut Log,
    buffer: &'b mut [u8],
    mut decide: impl FnMut(Batch<'b>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (sender, batches) = sync_channel(BATCHES_AHEAD);
    thread::scope(|scope| {
        let send = |sender: SyncSender<Batch<'b>>| move |batch| Ok(sender.send(batch).is_ok());
        let parser = scope.spawn(move || parse(log, buffer, send(sender)));
        // When this ends early, the sender fails and the parser ends, too.
        batches.into_iter().try_for_each(&mut decide)?;
        parser.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Fills the buffer and hands on what was parsed, batch by batch, until it is not wanted any more.
fn parse<'b>(
    log: &mut Log,
    buffer: &'b mut [u8],
    mut hand_on: impl FnMut(Batch<'b>) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut room = log.enter(buffer);
    // Room for as many events as came last and some more: a list that grows is copied again and again.
    let mut likely = 0;
    while !log.is_done(&room) {
        let piece = log.next(&mut room)?;
        let mut batch = Batch { read: log.read, events: Vec::with_capacity(likely), ..Batch::default() };
        match std::str::from_utf8(piece) {
            Ok(text) => batch.counts = log.parser.parse_text(text, &log.context, &mut batch.events),
            Err(_) => each(piece).for_each(|line| batch.add(log.parser.parse(line, &log.context))),
        }
        batch.prepared = batch.events.iter().map(Engine::prepare).collect();
        likely = batch.events.len() + batch.events.len() / 4;
        if !hand_on(batch)? {
            break;
        }
    }
    log.leave(room);
    Ok(())
}

//! Several logs as one, by time.

use std::collections::VecDeque;

use fairban_engine::Engine;
use fairban_types::Event;
use indicatif::ProgressBar;

use super::Replay;
use crate::lines::{Log, Piece};

struct Ahead {
    log: Log,
    events: VecDeque<Event<'static>>,
    more: bool,
}

impl Ahead {
    /// Reads on until an event is at hand or the log is at its end.
    fn fill(&mut self, piece: &mut Piece, lines: &mut u64, defects: &mut u64) -> anyhow::Result<()> {
        while self.events.is_empty() && self.more {
            let events = &mut self.events;
            self.more = self.log.each_line(piece, |parser, context, line| {
                *lines += 1;
                match parser.parse(line, context) {
                    fairban_parse::Outcome::Event(event) => events.push_back(event.into_owned()),
                    fairban_parse::Outcome::Nothing => {}
                    fairban_parse::Outcome::Defect(_) => *defects += 1,
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Steps through all logs in the order of their events' times; equal times in the order of the logs.
pub(super) fn several(logs: Vec<Log>, replay: &mut Replay, progress: &ProgressBar) -> anyhow::Result<u64> {
    let mut lines = 0;
    let mut piece = Piece::new();
    let mut logs: Vec<Ahead> = logs.into_iter().map(|log| Ahead { log, events: VecDeque::new(), more: true }).collect();
    loop {
        let mut defects = 0;
        for ahead in &mut logs {
            ahead.fill(&mut piece, &mut lines, &mut defects)?;
        }
        replay.summary.defects += defects;
        let next = logs.iter_mut().filter(|ahead| !ahead.events.is_empty()).min_by_key(|ahead| ahead.events[0].time);
        let Some(event) = next.and_then(|ahead| ahead.events.pop_front()) else { return Ok(lines) };
        replay.step(&event, Engine::prepare(&event))?;
        progress.set_position(logs.iter().map(|ahead| ahead.log.read).sum());
    }
}

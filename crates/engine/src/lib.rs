//! Scoring, blocks and verdicts: a state machine that takes events and the time, and says what is decided.
//!
//! [`Engine::step`] takes one event and appends what follows from it; [`Engine::verdict`] and [`Engine::may_send`] answer
//! a mail server's questions. The same input gives the same decisions, to the byte.
//!
//! This crate must not read a clock, use randomness in a decision, store anything, do I/O or run async code.
#![forbid(unsafe_code)]

mod address;
mod diagnosis;
mod engine;
mod entry;
mod excess;
mod familiar;
mod fleet;
mod guard;
mod habit;
mod hash;
mod ladder;
mod let_out;
mod manual;
mod members;
mod networks;
mod outbound;
mod prepared;
mod recall;
mod records;
mod refused;
mod renew;
mod rules;
mod score;
mod sending;
mod stale;
mod standing;
mod verdict;
mod volume;
mod widen;
mod witness;

pub use diagnosis::{Background, Elsewhere, diagnose, diagnose_decision, polling};
pub use engine::{Engine, Outcome};
pub use familiar::Familiarity;
pub use habit::{Habit, HabitError, Peak};
pub use ladder::Offence;
pub use manual::Refusal;
pub use prepared::Prepared;
pub use recall::Recalled;
pub use verdict::Score;

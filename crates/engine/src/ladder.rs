//! Offences, remembered for as long as a rule says.

use std::time::Duration;

use fairban_types::Time;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::hash::table_bytes;

/// How often a subject offended, and when last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offence {
    /// How often.
    pub count: u32,
    /// When last.
    pub last: Time,
}

/// The offences of all subjects.
#[derive(Default)]
pub(crate) struct Offences {
    by_subject: HashMap<u64, Offence, RandomState>,
}

impl Offences {
    /// The number of the offence that would come now.
    pub(crate) fn next(&self, subject: u64, now: Time, forget: Duration) -> u32 {
        match self.by_subject.get(&subject) {
            Some(offence) if now.since(offence.last) <= forget => offence.count.saturating_add(1),
            _ => 1,
        }
    }

    pub(crate) fn set(&mut self, subject: u64, offence: Offence) {
        self.by_subject.insert(subject, offence);
    }

    /// Takes the latest offence back, as if it had not been committed.
    pub(crate) fn take_back(&mut self, subject: u64) {
        if let Some(offence) = self.by_subject.get_mut(&subject) {
            offence.count = offence.count.saturating_sub(1);
            if offence.count == 0 {
                self.by_subject.remove(&subject);
            }
        }
    }

    pub(crate) fn get(&self, subject: u64) -> Option<Offence> {
        self.by_subject.get(&subject).copied()
    }

    /// Drops what no rule remembers any more.
    pub(crate) fn drop_before(&mut self, time: Time) {
        self.by_subject.retain(|_, offence| offence.last >= time);
    }

    pub(crate) fn bytes(&self) -> usize {
        table_bytes::<(u64, Offence)>(self.by_subject.len())
    }
}

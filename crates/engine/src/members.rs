//! Which records speak of one account or one network: the index behind guards and widened blocks.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::hash::table_bytes;

/// Slots of records, by a hash of what they have in common.
#[derive(Default)]
pub(crate) struct Members {
    slots: HashMap<u64, SmallVec<[u32; 4]>, RandomState>,
}

impl Members {
    /// The most slots kept of one group; beyond it the one added first goes.
    const SLOTS_MAX: usize = 64;

    pub(crate) fn add(&mut self, group: u64, slot: u32) {
        let slots = self.slots.entry(group).or_default();
        if !slots.contains(&slot) {
            if slots.len() == Self::SLOTS_MAX {
                slots.remove(0);
            }
            slots.push(slot);
        }
    }

    pub(crate) fn remove(&mut self, group: u64, slot: u32) {
        if let hashbrown::hash_map::Entry::Occupied(mut slots) = self.slots.entry(group) {
            slots.get_mut().retain(|member| *member != slot);
            if slots.get().is_empty() {
                slots.remove();
            }
        }
    }

    pub(crate) fn of(&self, group: u64) -> &[u32] {
        self.slots.get(&group).map_or(&[], SmallVec::as_slice)
    }

    pub(crate) fn bytes(&self) -> usize {
        table_bytes::<(u64, SmallVec<[u32; 4]>)>(self.slots.len())
    }
}

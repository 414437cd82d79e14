//! The windows of all subjects, by the order of their last event: what was idle longest is forgotten first.

use std::net::Ipv6Addr;

use fairban_types::Time;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ipnet::IpNet;
use smallvec::SmallVec;

use crate::entry::Entry;
use crate::hash::table_bytes;

/// No slot.
const NONE: u32 = u32::MAX;

/// Records are allocated this many at once, so that growing never copies them.
const CHUNK: usize = 4096;

/// The scored events of one subject.
pub(crate) struct Record {
    key: u128,
    newer: u32,
    older: u32,
    pub(crate) entries: SmallVec<[Entry; 1]>,
}

/// All records, found by key or by slot. A slot stays the same record until that is forgotten.
pub(crate) struct Records {
    slots_by_key: HashMap<u128, u32, RandomState>,
    chunks: Vec<Vec<Record>>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
    /// Heap bytes of entries and their texts.
    entry_bytes: usize,
    /// The most entries that one record keeps.
    entries_max: usize,
}

impl Records {
    pub(crate) fn new(entries_max: usize) -> Self {
        Records {
            slots_by_key: HashMap::default(),
            chunks: Vec::new(),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
            entry_bytes: 0,
            entries_max,
        }
    }

    pub(crate) fn set_entries_max(&mut self, entries_max: usize) {
        self.entries_max = entries_max;
    }

    pub(crate) fn len(&self) -> usize {
        self.slots_by_key.len()
    }

    /// Bytes in use, spare room included.
    pub(crate) fn bytes(&self) -> usize {
        table_bytes::<(u128, u32)>(self.len()) + self.len() * (size_of::<Record>() + 4) + self.entry_bytes
    }

    pub(crate) fn find(&self, key: u128) -> Option<u32> {
        self.slots_by_key.get(&key).copied()
    }

    pub(crate) fn get(&self, slot: u32) -> &Record {
        &self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut Record {
        &mut self.chunks[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    /// The key's record, made if there is none, now the newest.
    pub(crate) fn touch(&mut self, key: u128) -> u32 {
        let slot = match self.find(key) {
            Some(slot) if slot == self.newest => return slot,
            Some(slot) => {
                self.unlink(slot);
                slot
            }
            None => self.make(key),
        };
        self.link_newest(slot);
        slot
    }

    fn make(&mut self, key: u128) -> u32 {
        let record = Record { key, newer: NONE, older: NONE, entries: SmallVec::new() };
        let slot = match self.free.pop() {
            Some(slot) => {
                *self.get_mut(slot) = record;
                slot
            }
            None => {
                if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                    self.chunks.push(Vec::with_capacity(CHUNK));
                }
                let before = (self.chunks.len() - 1) * CHUNK;
                let last = self.chunks.last_mut().expect("a chunk with room was just made sure of");
                last.push(record);
                (before + last.len() - 1) as u32
            }
        };
        self.slots_by_key.insert(key, slot);
        slot
    }

    /// Adds an entry; if the record is full, its oldest one is dropped and returned.
    pub(crate) fn push(&mut self, slot: u32, entry: Entry) -> Option<Entry> {
        let entries_max = self.entries_max;
        let entries = &mut self.get_mut(slot).entries;
        let dropped = (entries.len() >= entries_max)
            .then(|| entries.iter().enumerate().min_by_key(|(_, entry)| entry.time).map(|(index, _)| index))
            .flatten()
            .map(|index| entries.remove(index));
        let spilled_before = spilled_bytes(entries);
        let added = entry.heap_bytes();
        entries.push(entry);
        let grown = spilled_bytes(entries) - spilled_before;
        self.entry_bytes += added + grown;
        if let Some(dropped) = &dropped {
            self.entry_bytes -= dropped.heap_bytes();
        }
        dropped
    }

    /// Whether the record has entries that are older than the time.
    pub(crate) fn reaches_before(&self, slot: u32, time: Time) -> bool {
        self.get(slot).entries.iter().any(|entry| entry.time < time.millis())
    }

    /// Changes the latest entry of which this is true; whether there is one.
    pub(crate) fn amend(&mut self, slot: u32, is_it: impl Fn(&Entry) -> bool, change: impl FnOnce(&mut Entry)) -> bool {
        let Some(entry) = self.get_mut(slot).entries.iter_mut().rev().find(|entry| is_it(entry)) else { return false };
        let before = entry.heap_bytes();
        change(entry);
        let after = entry.heap_bytes();
        self.entry_bytes = self.entry_bytes + after - before;
        true
    }

    /// Drops the record's entries that are older than the time; returns them.
    pub(crate) fn drop_before(&mut self, slot: u32, time: Time) -> SmallVec<[Entry; 4]> {
        let entries = &mut self.get_mut(slot).entries;
        let mut dropped = SmallVec::new();
        let mut index = 0;
        while index < entries.len() {
            if entries[index].time < time.millis() {
                dropped.push(entries.remove(index));
            } else {
                index += 1;
            }
        }
        let bytes: usize = dropped.iter().map(Entry::heap_bytes).sum();
        self.entry_bytes -= bytes;
        dropped
    }

    /// Forgets the record that was idle longest; returns its slot, key and entries.
    pub(crate) fn forget_oldest(&mut self) -> Option<(u32, u128, SmallVec<[Entry; 1]>)> {
        (self.oldest != NONE).then(|| self.forget(self.oldest))
    }

    /// The latest time in the record that was idle longest.
    pub(crate) fn oldest_time(&self) -> Option<Time> {
        (self.oldest != NONE)
            .then(|| self.get(self.oldest).entries.iter().map(|entry| entry.time).max())
            .map(|time| Time::from_millis(time.unwrap_or(i64::MIN)))
    }

    /// Forgets a record; returns its slot, key and entries.
    pub(crate) fn forget(&mut self, slot: u32) -> (u32, u128, SmallVec<[Entry; 1]>) {
        self.unlink(slot);
        let record = self.get_mut(slot);
        let key = record.key;
        let entries = std::mem::take(&mut record.entries);
        self.entry_bytes -= spilled_bytes(&entries) + entries.iter().map(Entry::heap_bytes).sum::<usize>();
        self.slots_by_key.remove(&key);
        self.free.push(slot);
        (slot, key, entries)
    }

    /// The slots of addresses inside the network, in order of slot.
    pub(crate) fn inside(&self, net: IpNet) -> Vec<u32> {
        let address = |key: u128| Ipv6Addr::from_bits(key).to_canonical();
        let keys = self.slots_by_key.iter();
        let mut slots: Vec<u32> =
            keys.filter(|(key, _)| net.contains(&address(**key))).map(|(_, slot)| *slot).collect();
        slots.sort_unstable();
        slots
    }

    fn unlink(&mut self, slot: u32) {
        let (newer, older) = (self.get(slot).newer, self.get(slot).older);
        match newer {
            NONE => self.newest = older,
            newer => self.get_mut(newer).older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.get_mut(older).newer = newer,
        }
    }

    fn link_newest(&mut self, slot: u32) {
        let before = self.newest;
        let record = self.get_mut(slot);
        record.older = before;
        record.newer = NONE;
        match before {
            NONE => self.oldest = slot,
            before => self.get_mut(before).newer = slot,
        }
        self.newest = slot;
    }
}

fn spilled_bytes(entries: &SmallVec<[Entry; 1]>) -> usize {
    if entries.spilled() { entries.capacity() * size_of::<Entry>() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairban_types::{Event, EventKind, Service};

    fn entry(secs: i64) -> Entry {
        let event = Event::new(EventKind::LoginFailed, Time::from_secs(secs), [192, 0, 2, 7].into(), Service::Imap);
        Entry::new(&event, event.time, 1, 0, 1, 0)
    }

    #[test]
    fn forgets_what_was_idle_longest() {
        let mut records = Records::new(8);
        for key in 1..=3 {
            let slot = records.touch(key);
            records.push(slot, entry(i64::try_from(key).unwrap()));
        }
        records.touch(1);
        assert_eq!(records.forget_oldest().map(|(_, key, _)| key), Some(2));
        assert_eq!(records.forget_oldest().map(|(_, key, _)| key), Some(3));
        assert_eq!(records.forget_oldest().map(|(_, key, _)| key), Some(1));
        assert!(records.forget_oldest().is_none());
        assert_eq!((records.len(), records.entry_bytes), (0, 0));
    }

    #[test]
    fn a_full_record_drops_its_oldest_entry() {
        let mut records = Records::new(2);
        let slot = records.touch(1);
        assert!(records.push(slot, entry(5)).is_none());
        assert!(records.push(slot, entry(3)).is_none());
        assert_eq!(records.push(slot, entry(4)).map(|entry| entry.time), Some(3000));
        assert_eq!(records.drop_before(slot, Time::from_secs(5)).len(), 1);
        assert_eq!(records.get(slot).entries.len(), 1);
    }
}

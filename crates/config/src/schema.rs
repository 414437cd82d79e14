//! The form of a table of keys: one entry per key yields reading, validation, default and its line in the reference.

use crate::reader::{Reader, found};
use crate::takes::Takes;
use crate::tree::{At, Entry, Item, Table, Value, parse_value};

/// What holds where a key is not given.
#[derive(Clone, Copy)]
pub(crate) enum Absent {
    /// This value, as TOML.
    Is(&'static str),
    /// Nothing is set, which means this.
    Means(&'static str),
    /// The profile's value: every profile has one.
    Profile,
    /// It must be given.
    Needed,
}

type Read<T> = Box<dyn Fn(&mut T, &Item, &mut Reader)>;
/// The entry is `None` where the file does not speak of the part, so that its defaults are set.
type ReadPart<T> = Box<dyn Fn(&mut T, Option<&Entry>, &mut Reader)>;

struct Key<T> {
    row: Row,
    read: Read<T>,
}

struct Part<T> {
    name: &'static str,
    outlines: Vec<Outline>,
    read: ReadPart<T>,
}

/// A key as the reference shows it.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) allowed: String,
    pub(crate) absent: Absent,
    pub(crate) example: &'static str,
    pub(crate) meaning: &'static str,
}

/// A section as the reference shows it.
#[derive(Clone)]
pub(crate) struct Outline {
    /// The header in a file, such as `[store]`; empty above the first one.
    pub(crate) title: &'static str,
    pub(crate) meaning: &'static str,
    /// A whole example, where single keys make none.
    pub(crate) example: Option<&'static str>,
    pub(crate) rows: Vec<Row>,
}

/// A table of keys that sets a `T`.
pub(crate) struct Section<T> {
    outline: Outline,
    keys: Vec<Key<T>>,
    parts: Vec<Part<T>>,
}

impl<T: 'static> Section<T> {
    pub(crate) fn new(title: &'static str, meaning: &'static str) -> Self {
        let outline = Outline { title, meaning, example: None, rows: Vec::new() };
        Section { outline, keys: Vec::new(), parts: Vec::new() }
    }

    /// The same with a whole example.
    pub(crate) fn example(mut self, example: &'static str) -> Self {
        self.outline.example = Some(example);
        self
    }

    /// The same with one more key.
    pub(crate) fn key<V: 'static>(
        mut self,
        name: &'static str,
        takes: Takes<V>,
        absent: Absent,
        example: &'static str,
        meaning: &'static str,
        set: fn(&mut T, V),
    ) -> Self {
        let row = Row { name, allowed: takes.allowed.clone(), absent, example, meaning };
        let read: Read<T> = Box::new(move |into, item, reader| {
            if let Some(value) = takes.read(item, reader) {
                set(into, value);
            }
        });
        self.keys.push(Key { row, read });
        self
    }

    /// The same with the keys of a part of it.
    pub(crate) fn with<U: 'static>(mut self, section: Section<U>, of: fn(&mut T) -> &mut U) -> Self {
        for Key { row, read } in section.keys {
            let read: Read<T> = Box::new(move |into, item, reader| read(of(into), item, reader));
            self.keys.push(Key { row, read });
        }
        self
    }

    /// The same with a table below it.
    pub(crate) fn table<U: 'static>(self, name: &'static str, section: Section<U>, of: fn(&mut T) -> &mut U) -> Self {
        let outlines = section.outlines();
        self.part(name, outlines, move |into, entry, reader| {
            let Some(entry) = entry else {
                section.read_all(of(into), &Table::default(), reader);
                return;
            };
            let Value::Table(table) = &entry.item.value else {
                let found = found(&entry.item.value);
                reader.problem(&entry.item.at, format!("is a section, written {}, not {found}", section.outline.title));
                return;
            };
            if let Some(missing) = section.read_all(of(into), table, reader).first() {
                reader.problem(&entry.key_at, format!("needs {missing}"));
            }
        })
    }

    /// The same with a list of tables below it; `done` takes each when it is read whole.
    pub(crate) fn each<U: 'static>(
        self,
        name: &'static str,
        section: Section<U>,
        blank: fn() -> U,
        done: fn(&mut T, U, &At, &mut Reader),
    ) -> Self {
        let outlines = section.outlines();
        self.part(name, outlines, move |into, entry, reader| {
            let Some(entry) = entry else { return };
            let title = section.outline.title;
            let Value::List(items) = &entry.item.value else {
                reader.problem(&entry.key_at, format!("is a list of sections, each written {title}"));
                return;
            };
            for item in items {
                let Value::Table(table) = &item.value else {
                    reader.problem(&item.at, format!("is a list of sections, each written {title}"));
                    continue;
                };
                let mut draft = blank();
                let problems = reader.problem_count();
                match section.read_all(&mut draft, table, reader).as_slice() {
                    [] if reader.problem_count() > problems => {}
                    [] => done(into, draft, &item.at, reader),
                    missing => reader.problem(&item.at, format!("needs {}", missing.join(", "))),
                }
            }
        })
    }

    /// The same with a part that reads itself.
    pub(crate) fn part(
        mut self,
        name: &'static str,
        outlines: Vec<Outline>,
        read: impl Fn(&mut T, Option<&Entry>, &mut Reader) + 'static,
    ) -> Self {
        self.parts.push(Part { name, outlines, read: Box::new(read) });
        self
    }

    /// Reads a table: what it gives, and the defaults of the rest. Returns the keys that are needed and missing.
    pub(crate) fn read_all(&self, into: &mut T, table: &Table, reader: &mut Reader) -> Vec<&'static str> {
        for entry in &table.0 {
            self.read_entry(into, entry, reader);
        }
        for part in self.parts.iter().filter(|part| table.get(part.name).is_none()) {
            (part.read)(into, None, reader);
        }
        let mut missing = Vec::new();
        for key in self.keys.iter().filter(|key| table.get(key.row.name).is_none()) {
            match key.row.absent {
                Absent::Is(text) => {
                    if let Some(item) = parse_value("default", text) {
                        reader.within(key.row.name, |reader| (key.read)(into, &item, reader));
                    }
                }
                Absent::Means(_) => {}
                Absent::Profile | Absent::Needed => missing.push(key.row.name),
            }
        }
        missing
    }

    fn read_entry(&self, into: &mut T, entry: &Entry, reader: &mut Reader) {
        if let Some(key) = self.keys.iter().find(|key| key.row.name == entry.key) {
            reader.within(&entry.key, |reader| {
                (key.read)(into, &entry.item, reader);
            });
        } else if let Some(part) = self.parts.iter().find(|part| part.name == entry.key) {
            reader.within(&entry.key, |reader| (part.read)(into, Some(entry), reader));
        } else {
            reader.unknown_key(&entry.key_at, &entry.key, &self.known());
        }
    }

    fn known(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.row.name).chain(self.parts.iter().map(|part| part.name)).collect()
    }

    /// This section and all below it, as the reference shows them.
    pub(crate) fn outlines(&self) -> Vec<Outline> {
        let own = Outline { rows: self.keys.iter().map(|key| key.row.clone()).collect(), ..self.outline.clone() };
        std::iter::once(own).chain(self.parts.iter().flat_map(|part| part.outlines.iter().cloned())).collect()
    }
}

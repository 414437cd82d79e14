use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use fairban_types::{EventKind, Service};
use rusqlite::{Connection, OptionalExtension};

use crate::Outcome;

/// Words that rows name by number. The numbers are the database's own, so that a word may move in its enum.
pub(crate) struct Names {
    pub(crate) kinds: Words<EventKind>,
    pub(crate) services: Words<Service>,
    pub(crate) outcomes: Words<Outcome>,
    nodes: RefCell<Nodes>,
}

#[derive(Default)]
struct Nodes {
    by_name: HashMap<Arc<str>, i64>,
    by_id: HashMap<i64, Arc<str>>,
}

/// The words of one enum and their numbers.
pub(crate) struct Words<T> {
    ids: Vec<(T, i64)>,
}

impl<T: Copy + PartialEq> Words<T> {
    /// The number of a word; -1, which no row has, for one that the database does not know yet.
    pub(crate) fn id(&self, word: T) -> i64 {
        self.ids.iter().find(|(known, _)| *known == word).map_or(-1, |(_, id)| *id)
    }

    /// The word of a number; `None` for a word of another version of the program.
    pub(crate) fn word(&self, id: i64) -> Option<T> {
        self.ids.iter().find(|(_, known)| *known == id).map(|(word, _)| *word)
    }

    fn load(
        connection: &Connection,
        space: &str,
        all: &[T],
        name: fn(T) -> &'static str,
        add: bool,
    ) -> rusqlite::Result<Self> {
        let mut ids = Vec::with_capacity(all.len());
        for word in all {
            let id =
                if add { Some(intern(connection, space, name(*word))?) } else { find(connection, space, name(*word))? };
            ids.extend(id.map(|id| (*word, id)));
        }
        Ok(Words { ids })
    }
}

impl Names {
    /// Loads the words; a writer adds those that the database does not know.
    pub(crate) fn load(connection: &Connection, add: bool) -> rusqlite::Result<Self> {
        Ok(Names {
            kinds: Words::load(connection, "kind", EventKind::ALL, EventKind::as_str, add)?,
            services: Words::load(connection, "service", Service::ALL, Service::as_str, add)?,
            outcomes: Words::load(connection, "outcome", Outcome::ALL, Outcome::as_str, add)?,
            nodes: RefCell::default(),
        })
    }

    /// The number of a node, adding it.
    pub(crate) fn node_id(&self, connection: &Connection, node: &Arc<str>) -> rusqlite::Result<i64> {
        if let Some(id) = self.nodes.borrow().by_name.get(node) {
            return Ok(*id);
        }
        let id = intern(connection, "node", node)?;
        self.nodes.borrow_mut().by_name.insert(node.clone(), id);
        Ok(id)
    }

    /// The number of a node; -1, which no row has, for an unknown one.
    pub(crate) fn find_node(connection: &Connection, node: &str) -> rusqlite::Result<i64> {
        Ok(find(connection, "node", node)?.unwrap_or(-1))
    }

    /// The name of a node.
    pub(crate) fn node(&self, connection: &Connection, id: i64) -> rusqlite::Result<Arc<str>> {
        if let Some(node) = self.nodes.borrow().by_id.get(&id) {
            return Ok(node.clone());
        }
        let mut statement = connection.prepare_cached("SELECT name FROM names WHERE id = ?1")?;
        let name: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
        let node: Arc<str> = name.unwrap_or_default().into();
        self.nodes.borrow_mut().by_id.insert(id, node.clone());
        Ok(node)
    }

    /// Forgets numbers that a transaction gave out and did not commit.
    pub(crate) fn forget_nodes(&self) {
        *self.nodes.borrow_mut() = Nodes::default();
    }
}

fn find(connection: &Connection, space: &str, name: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT id FROM names WHERE space = ?1 AND name = ?2")?;
    statement.query_row([space, name], |row| row.get(0)).optional()
}

fn intern(connection: &Connection, space: &str, name: &str) -> rusqlite::Result<i64> {
    if let Some(id) = find(connection, space, name)? {
        return Ok(id);
    }
    connection.execute("INSERT INTO names(space, name) VALUES (?1, ?2)", [space, name])?;
    Ok(connection.last_insert_rowid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{STEPS, migrate};

    #[test]
    fn numbers_outlive_the_order_of_the_words() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, STEPS).unwrap();
        let load = |all: &[Outcome]| Words::load(&connection, "outcome", all, Outcome::as_str, true).unwrap();
        let before = load(&[Outcome::Counted, Outcome::Stopped]);
        let after = load(&[Outcome::Noted, Outcome::Stopped, Outcome::Counted]);
        assert_eq!(before.id(Outcome::Stopped), after.id(Outcome::Stopped));
        assert_eq!(after.word(before.id(Outcome::Counted)), Some(Outcome::Counted));
        assert_eq!(before.word(after.id(Outcome::Noted)), None);
        assert_eq!(before.id(Outcome::Noted), -1);
    }
}

use std::path::{Path, PathBuf};
use std::time::Duration;

use fairban_types::Time;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::names::Names;
use crate::schema::{self, STEPS};
use crate::{StoreError, open};

/// Reads the store, beside the one that writes.
pub struct Reader {
    pub(crate) connection: Connection,
    pub(crate) names: Names,
    pub(crate) place: Place,
}

/// Where a database is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    File(PathBuf),
    /// A name that only connections of this process know.
    Memory(String),
}

/// What there is to say about a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The node that it belongs to, if that was set.
    pub node: Option<String>,
    /// Its schema.
    pub schema: i64,
    /// When it was made.
    pub created: Time,
    /// When it was last closed in good order, if ever.
    pub clean_shutdown: Option<Time>,
    /// How many events it holds.
    pub events: u64,
    /// The sequence number of the last event, 0 if there was none ever.
    pub seq: i64,
    /// Its size.
    pub bytes: u64,
}

impl Place {
    pub(crate) fn connect(&self, access: OpenFlags) -> rusqlite::Result<Connection> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self {
            Place::File(path) => Connection::open_with_flags(path, flags)?,
            Place::Memory(name) => {
                let uri = format!("file:{name}?vfs=memdb");
                Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
            }
        };
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(connection)
    }

    pub(crate) fn error(&self, error: &rusqlite::Error) -> StoreError {
        match self {
            Place::File(path) => StoreError::at(error, path),
            Place::Memory(name) => StoreError::at(error, Path::new(name)),
        }
    }
}

impl Reader {
    /// Opens the store in a folder for reading only; there must be one, and it may be in use.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(open::FILE_NAME);
        match path.try_exists() {
            Ok(true) => Reader::at(Place::File(path)),
            Ok(false) => Err(StoreError::Other(format!("{}: there is no database yet", path.display()))),
            Err(error) => Err(StoreError::io(&error, &path)),
        }
    }

    pub(crate) fn at(place: Place) -> Result<Self, StoreError> {
        let open = || -> rusqlite::Result<Connection> {
            let access = match place {
                Place::File(_) => OpenFlags::SQLITE_OPEN_READ_ONLY,
                Place::Memory(_) => OpenFlags::SQLITE_OPEN_READ_WRITE,
            };
            let connection = place.connect(access)?;
            connection.pragma_update(None, "query_only", true)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| place.error(&error))?;
        if schema::check_version(&connection, STEPS)? < schema::newest(STEPS) {
            return Err(StoreError::Other("the database has an older schema: start the daemon once".to_owned()));
        }
        let names = Names::load(&connection, false)?;
        Ok(Reader { connection, names, place })
    }

    /// A reader of its own connection beside this one, for another thread.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::at(self.place.clone())
    }

    /// What there is to say about the store.
    pub fn info(&self) -> Result<Info, StoreError> {
        let number = |name: &str| self.connection.pragma_query_one::<i64>(None, name);
        let (events, seq): (i64, i64) = self.connection.query_row(
            "SELECT coalesce(sum(seq_last - seq_first + 1), 0), coalesce(max(seq_last), 0) FROM segments",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(Info {
            node: self.meta("node")?,
            schema: number("user_version")?,
            created: Time::from_millis(self.meta("created")?.unwrap_or(0)),
            clean_shutdown: self.meta::<i64>("clean_shutdown")?.map(Time::from_millis),
            events: events.unsigned_abs(),
            seq,
            bytes: (number("page_count")? * number("page_size")?).unsigned_abs(),
        })
    }

    pub(crate) fn meta<T: rusqlite::types::FromSql>(&self, key: &str) -> rusqlite::Result<Option<T>> {
        meta(&self.connection, key)
    }
}

pub(crate) fn meta<T: rusqlite::types::FromSql>(connection: &Connection, key: &str) -> rusqlite::Result<Option<T>> {
    connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::ops::Deref;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use fairban_types::Time;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ToSql};

use crate::names::Names;
use crate::reader::{Place, meta};
use crate::schema::{self, STEPS};
use crate::segments::Segment;
use crate::{Reader, StoreError};

pub(crate) const FILE_NAME: &str = "fairban.db";
const LOCK_NAME: &str = "fairban.lock";

/// Writes the store, and reads it as a [`Reader`] does. There is one per folder.
pub struct Store {
    reader: Reader,
    /// Where the next event goes.
    pub(crate) segment: Segment,
    /// Held, so that no second program writes.
    _lock: Option<Lock>,
}

/// Keeps other programs from writing.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is just being started holds a copy of it.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "cannot unlock the store");
        }
    }
}

impl Deref for Store {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Store {
    /// Opens the store in a folder, which is made if need be, for its user alone.
    ///
    /// After anything but [`Store::close`] the file is checked first, which takes about a second per gigabyte. A damaged
    /// one is moved aside and reported as [`StoreError::Corrupt`] with its new place; opening again then starts an empty
    /// store.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| StoreError::io(&error, folder))?;
        let lock = lock(&folder.join(LOCK_NAME))?;
        let path = folder.join(FILE_NAME);
        private_file(&path)?;
        let place = Place::File(path.clone());
        match Store::at(place, Some(lock)) {
            Err(StoreError::Corrupt { detail, .. }) => {
                let moved_to = move_aside(&path).map_err(|error| StoreError::io(&error, &path))?;
                tracing::error!(moved_to = %moved_to.display(), detail, "the database is damaged and was moved aside");
                Err(StoreError::Corrupt { moved_to: Some(moved_to), detail })
            }
            opened => opened,
        }
    }

    /// A store that lives and dies with this value, for tests, replays and demonstrations.
    pub fn in_memory() -> Result<Self, StoreError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // The leading slash shares it among the connections of this process.
        Store::at(Place::Memory(format!("/fairban-{}", COUNT.fetch_add(1, Ordering::Relaxed))), None)
    }

    fn at(place: Place, lock: Option<Lock>) -> Result<Self, StoreError> {
        let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut connection = place.connect(access).map_err(|error| place.error(&error))?;
        // Closing must not fold the log of a damaged database into it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        if schema::check_version(&connection, STEPS)? > 0 && is_open(&connection)? {
            check(&connection)?;
        }
        configure(&connection, &place).map_err(|error| place.error(&error))?;
        schema::migrate(&mut connection, STEPS)?;
        let names = Names::load(&connection, true)?;
        let segment = Segment::current(&connection)?;
        let reader = Reader { connection, names, place };
        let mut store = Store { reader, segment, _lock: lock };
        if store.meta::<i64>("created")?.is_none() {
            store.set_meta("created", &Time::from(SystemTime::now()).millis())?;
        }
        store.set_meta("open", &true)?;
        Ok(store)
    }

    /// Closes in good order: the next opening need not check the file.
    pub fn close(mut self, now: Time) -> Result<(), StoreError> {
        self.connection().execute_batch("PRAGMA optimize")?;
        self.set_meta("clean_shutdown", &now.millis())?;
        self.set_meta("open", &false)?;
        self.connection().set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        let Store { reader, _lock, .. } = self;
        drop(reader.names);
        reader.connection.close().map_err(|(_, error)| error.into())
    }

    /// Names the node that the store belongs to.
    pub fn set_node(&mut self, node: &str) -> Result<(), StoreError> {
        self.set_meta("node", &node)
    }

    /// Lets the database grow no larger than this, as if its disk were full then; `None` takes the limit away.
    pub fn set_bytes_max(&mut self, bytes_max: Option<u64>) -> Result<(), StoreError> {
        let page: i64 = self.connection().pragma_query_one(None, "page_size")?;
        // SQLite's own highest number of pages.
        let highest = 4_294_967_294;
        let pages = bytes_max.map_or(highest, |bytes| (bytes / page.unsigned_abs().max(1)).clamp(1, highest));
        let pages = pages.cast_signed();
        self.connection().pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        Ok(())
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.reader.connection
    }

    pub(crate) fn names(&self) -> &Names {
        &self.reader.names
    }

    pub(crate) fn reload_segment(&mut self) -> Result<(), StoreError> {
        self.segment = Segment::current(self.connection())?;
        Ok(())
    }

    fn set_meta(&mut self, key: &str, value: &dyn ToSql) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)";
        self.connection().execute(sql, [&key as &dyn ToSql, value])?;
        Ok(())
    }
}

fn configure(connection: &Connection, place: &Place) -> rusqlite::Result<()> {
    if let Place::File(_) = place {
        // Has to be said before the first page is written.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        // A commit is on the disk when it returns.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 4000, |_| Ok(()))?;
    }
    // In KiB when negative.
    connection.pragma_update(None, "cache_size", -32_768)
}

/// Whether the store was not closed in good order.
fn is_open(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(meta(connection, "open")?.unwrap_or(false))
}

fn check(connection: &Connection) -> Result<(), StoreError> {
    let detail: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if detail == "ok" { Ok(()) } else { Err(StoreError::Corrupt { moved_to: None, detail }) }
}

fn private_file(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| StoreError::io(&error, path))?;
    let mode = file.metadata().map_err(|error| StoreError::io(&error, path))?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(|error| StoreError::io(&error, path))?;
    }
    Ok(file)
}

fn lock(path: &Path) -> Result<Lock, StoreError> {
    let file = private_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy),
        Err(TryLockError::Error(error)) => Err(StoreError::io(&error, path)),
    }
}

/// Renames the database and what belongs to it, so that it can still be opened with SQLite's own tools.
fn move_aside(path: &Path) -> std::io::Result<PathBuf> {
    let now = Time::from_secs(Time::from(SystemTime::now()).secs()).to_string().replace(':', "");
    let name = |number: u32| match number {
        0 => path.with_extension(format!("db.damaged-{now}")),
        _ => path.with_extension(format!("db.damaged-{now}-{number}")),
    };
    let mut number = 0;
    while name(number).exists() {
        number += 1;
    }
    let target = name(number);
    for suffix in ["-wal", "-shm", ""] {
        let with_suffix = |path: &Path| {
            let mut path = path.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        match fs::rename(with_suffix(path), with_suffix(&target)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !suffix.is_empty() => {}
            renamed => renamed?,
        }
    }
    Ok(target)
}

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ffi;
use rusqlite::{Error as SqlError, ErrorCode};

/// Why the store could not do what it was asked, cut by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room: nothing of the batch was kept, reading goes on. Make room, then commit the same batch again.
    #[error("no room left for the database: free some space on its disk, or keep events for a shorter time")]
    Full,
    /// Another program holds the database. Try again.
    #[error("the database is in use by another program; is Fairban already running on it?")]
    Busy,
    /// The database is damaged. With `moved_to`, the file was moved there and opening again starts an empty one;
    /// without, close the store and open it again.
    #[error("the database is damaged ({detail}); {}", where_to(.moved_to.as_deref()))]
    Corrupt {
        /// Where the damaged file is now.
        moved_to: Option<PathBuf>,
        /// What SQLite says about it.
        detail: String,
    },
    /// The operating system forbids it.
    #[error("no permission for {}: give the folder and its files to the user that Fairban runs as", .path.display())]
    Permission {
        /// The file or folder.
        path: PathBuf,
    },
    /// A newer Fairban wrote the database.
    #[error(
        "the database has schema {found}, this program knows up to {known}: run the newer Fairban that wrote it, \
         or name another folder"
    )]
    TooNew {
        /// The schema of the file.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

fn where_to(moved_to: Option<&Path>) -> String {
    match moved_to {
        Some(path) => format!("it was moved to {}, and an empty one takes its place", path.display()),
        None => "restart Fairban, which then moves it aside".to_owned(),
    }
}

impl StoreError {
    /// The same error of SQLite's, told with the file that it happened on.
    pub(crate) fn at(error: &SqlError, path: &Path) -> Self {
        match cause(error) {
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
                StoreError::Permission { path: path.to_owned() }
            }
            _ => match StoreError::from_sql(error) {
                StoreError::Other(text) => StoreError::Other(format!("{}: {text}", path.display())),
                known => known,
            },
        }
    }

    pub(crate) fn io(error: &io::Error, path: &Path) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::Permission { path: path.to_owned() }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
            _ => StoreError::Other(format!("{}: {error}", path.display())),
        }
    }

    fn from_sql(error: &SqlError) -> Self {
        let text = || error.to_string();
        match cause(error) {
            Some(ErrorCode::DiskFull) => StoreError::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt { moved_to: None, detail: text() }
            }
            // The shared-memory file beside the database could not grow.
            Some(ErrorCode::SystemIoFailure) if extended(error) == Some(ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full,
            _ => StoreError::Other(text()),
        }
    }
}

fn cause(error: &SqlError) -> Option<ErrorCode> {
    error.sqlite_error_code()
}

fn extended(error: &SqlError) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        StoreError::from_sql(&error)
    }
}

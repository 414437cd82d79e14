//! fail2ban's SQLite database: the bans in force.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use fairban_types::Time;
use rusqlite::{Connection, OpenFlags};

use crate::import::found::{ENTRIES_MAX, Found, Place, clipped, network};

/// How every SQLite 3 database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

pub(super) fn is_database(path: &Path) -> bool {
    let mut begin = [0; 16];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut begin));
    read.is_ok() && begin == MAGIC
}

/// One ban.
struct Ban {
    jail: String,
    address: String,
    start: i64,
    /// In seconds; -1 is for good.
    time: i64,
}

/// Reads the current ban of each address and jail. Nothing is written.
pub(super) fn import(
    path: &Path,
    is_wanted: impl Fn(&str) -> bool,
    now: Time,
    found: &mut Found,
) -> anyhow::Result<()> {
    let wrong = || format!("{} is not a database of fail2ban's, or of a version before 0.11", path.display());
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let query = "SELECT jail, ip, timeofban, bantime FROM bips ORDER BY timeofban DESC LIMIT ?1";
    let mut statement = database.prepare(query).with_context(wrong)?;
    let limit = i64::try_from(ENTRIES_MAX).unwrap_or(i64::MAX);
    let mut rows = statement.query([limit]).with_context(wrong)?;
    while let Some(row) = rows.next().with_context(wrong)? {
        let place = Place::whole(path);
        // SQLite keeps any type in any column.
        let ban = (|| {
            Ok::<Ban, rusqlite::Error>(Ban {
                jail: row.get(0)?,
                address: row.get(1)?,
                start: row.get(2)?,
                time: row.get(3)?,
            })
        })();
        match ban {
            Ok(ban) => note(place, &ban, is_wanted(&ban.jail), now, found),
            Err(error) => found.gap(place, "a row of the table bips", &clipped(&error.to_string())),
        }
    }
    Ok(())
}

fn note(place: Place, ban: &Ban, is_wanted: bool, now: Time, found: &mut Found) {
    let what = format!("{} in jail {}", ban.address, ban.jail);
    let Some(net) = network(&ban.address) else {
        return found.gap(place, &what, "neither an address nor a network (CIDR)");
    };
    if !is_wanted {
        return found.gap(place, &what, "a jail that is not about mail: --all-jails takes its bans too");
    }
    let until = match ban.time {
        -1 => None,
        time => match u64::try_from(time) {
            Ok(seconds) => Some(Time::from_secs(ban.start).after(Duration::from_secs(seconds))),
            Err(_) => return found.gap(place, &what, "its database does not say how long the ban is"),
        },
    };
    found.block(place, net, until, now, &format!("jail {}", ban.jail));
}

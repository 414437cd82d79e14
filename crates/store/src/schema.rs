use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::StoreError;
use crate::encoding::number;

/// Marks the file as Fairban's, for `file(1)` and for us: "FBAN".
const APPLICATION_ID: i64 = 0x4642_414e;

/// One step per schema: step `n` leads from schema `n` to `n + 1`. Steps are never edited, only added.
pub(crate) const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
];

/// The schema that this program writes.
pub(crate) fn newest(steps: &[&str]) -> i64 {
    number(steps.len())
}

/// Brings the database to the newest schema, each step in a transaction of its own.
pub(crate) fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    let found = check_version(connection, steps)?;
    if found == 0 {
        // Has to be said before the first table exists.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (index, step) in steps.iter().enumerate().skip(done) {
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number(index + 1))?;
        transaction.commit()?;
        if found > 0 {
            tracing::info!(schema = index + 1, "database migrated");
        }
    }
    Ok(())
}

/// The schema of the database, 0 if it is empty; refuses what is newer, or not ours.
pub(crate) fn check_version(connection: &Connection, steps: &[&str]) -> Result<i64, StoreError> {
    let application: i64 = connection.pragma_query_one(None, "application_id")?;
    let found: i64 = connection.pragma_query_one(None, "user_version")?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(StoreError::Other(
            "the file is the database of another program: name another folder for the store".to_owned(),
        ));
    }
    let known = newest(steps);
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &[&str] =
        &["CREATE TABLE a(x);", "ALTER TABLE a ADD COLUMN y;", "CREATE INDEX ay ON a(y); UPDATE a SET y = x;"];

    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement =
            connection.prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY type, name").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn at(steps: &[&str]) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, steps).unwrap();
        connection
    }

    #[test]
    fn every_older_schema_migrates() {
        for steps in [THREE, STEPS] {
            let fresh = schema(&at(steps));
            assert!(!fresh.is_empty());
            for older in 0..=steps.len() {
                let mut connection = at(&steps[..older]);
                migrate(&mut connection, steps).unwrap();
                assert_eq!(schema(&connection), fresh, "from schema {older}");
                assert_eq!(check_version(&connection, steps).unwrap(), newest(steps));
            }
        }
    }

    #[test]
    fn rows_survive_a_migration() {
        let mut connection = at(&THREE[..1]);
        connection.execute("INSERT INTO a VALUES (7)", []).unwrap();
        migrate(&mut connection, THREE).unwrap();
        assert_eq!(connection.query_row("SELECT y FROM a", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
    }

    #[test]
    fn blocks_of_older_schemas_are_listed_as_new_ones_are() {
        let mut connection = at(&STEPS[..3]);
        for (id, subject) in [(1, "6ec000020720"), (2, "61416c69636540622e74657374"), (3, "34c000020720626f62")] {
            connection
                .execute_batch(&format!(
                    "INSERT INTO decisions VALUES ({id}, 0, {id}, 5, 'block', x'{subject}', 'login', NULL, '', 1, 1, NULL,
                         'drop', 'password_guessing', 1, 0, 1, NULL);
                     INSERT INTO blocks(id, code, subject, action, rule, start, decision)
                         VALUES ({id}, {id}, x'{subject}', 'block', 'login', 5, {id});
                     INSERT INTO evidence VALUES ({id}, '[{{\"account\":\"Bob@at@Seen.test.\"}},{{\"account\":\"no\"}},{{\"account\":\"no@\"}},{{}}]');"
                ))
                .unwrap();
        }
        migrate(&mut connection, STEPS).unwrap();
        let mut statement = connection.prepare("SELECT kind, name, diagnosis, effect FROM blocks ORDER BY id").unwrap();
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, String>(2)?))
        });
        let rows: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
        let row =
            |kind: &str, name: Option<&str>| (kind.to_owned(), name.map(str::to_owned), "password_guessing".to_owned());
        assert_eq!(rows, [row("network", None), row("account", Some("alice@b.test")), row("account", Some("bob"))]);
        let mut statement = connection.prepare("SELECT block || ' ' || domain FROM concerns ORDER BY 1").unwrap();
        let rows: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, ["1 seen.test", "2 b.test", "2 seen.test", "3 seen.test"]);
    }

    #[test]
    fn a_failing_step_changes_nothing() {
        let mut connection = at(&THREE[..1]);
        let before = schema(&connection);
        assert!(migrate(&mut connection, &[THREE[0], "CREATE TABLE b(x); nonsense;"]).is_err());
        assert_eq!(schema(&connection), before);
        assert_eq!(check_version(&connection, THREE).unwrap(), 1);
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut connection = at(THREE);
        let error = migrate(&mut connection, &THREE[..2]).unwrap_err();
        assert!(matches!(error, StoreError::TooNew { found: 3, known: 2 }));
        assert!(error.to_string().contains("schema 3"));
    }

    #[test]
    fn another_programs_database_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE theirs(x)").unwrap();
        assert!(matches!(migrate(&mut connection, STEPS), Err(StoreError::Other(_))));
    }
}

//! Files that are damaged, foreign, newer, forbidden or in use.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fairban_store::{Batch, Reader, Store, StoreError};
use fairban_types::Action;

use crate::model::{at, decision, event, stored};

fn database(folder: &Path) -> std::path::PathBuf {
    folder.join("fairban.db")
}

/// A store with a few hundred pages, left without closing unless `clean`.
fn filled(folder: &Path, clean: bool) {
    let mut store = Store::open(folder).unwrap();
    let mut batch = Batch::default();
    (0..20_000).for_each(|secs| batch.event(stored(event(secs, "192.0.2.7"))));
    batch.decision(decision(Action::Block, 1, 0, "192.0.2.7", None));
    store.commit(&batch).unwrap();
    store.close(at(0)).unwrap();
    if !clean {
        drop(Store::open(folder).unwrap());
        // Folds the log in, so that damage to the file is not mended from it.
        let connection = rusqlite::Connection::open(database(folder)).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        connection.close().unwrap();
    }
}

fn standing(folder: &Path) -> usize {
    Reader::open(folder).unwrap().standing(at(1)).unwrap().len()
}

#[test]
fn a_damaged_file_is_moved_aside_and_nothing_is_lost() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("not a database", |bytes| *bytes = b"dear diary, ".repeat(1000)),
        ("pages overwritten", |bytes| bytes[4096 * 10..4096 * 60].fill(0x5a)),
        ("cut short", |bytes| bytes.truncate(bytes.len() / 2)),
        ("header overwritten", |bytes| bytes[..100].fill(0)),
    ];
    for (what, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), false);
        let path = database(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, &bytes).unwrap();

        let error = Store::open(folder.path()).map(|_| ()).expect_err(what);
        let message = error.to_string();
        let StoreError::Corrupt { moved_to: Some(moved_to), .. } = error else { panic!("{what}: {error:?}") };
        assert!(message.contains(&moved_to.display().to_string()), "{message}");
        assert_eq!(fs::read(&moved_to).unwrap(), bytes, "{what}: kept to the byte");
        let mut fresh = Store::open(folder.path()).unwrap();
        assert_eq!(fresh.info().unwrap().events, 0);
        fresh.commit(&Batch { cursors: vec![("a".into(), "b".into())], ..Batch::default() }).unwrap();
    }
}

#[test]
fn damage_met_while_running_is_named() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), true);
    let path = database(folder.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096 * 10..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    // A clean shutdown is believed, so this is met only now.
    let result = Store::open(folder.path()).and_then(|store| store.recall(at(0), |_| {}));
    assert!(matches!(result, Err(StoreError::Corrupt { .. })), "{result:?}");
}

#[test]
fn an_unclean_end_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), false);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!((store.info().unwrap().events, store.standing(at(1)).unwrap().len()), (20_000, 1));
    assert_eq!(store.info().unwrap().clean_shutdown, Some(at(0)));
    store.close(at(9)).unwrap();
    assert!(!folder.path().join("fairban.db-wal").exists(), "closing folds the log in");
    assert_eq!(standing(folder.path()), 1);
}

#[test]
fn only_its_user_may_read_it() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("deep/fairban");
    let mut store = Store::open(&folder).unwrap();
    store.set_node("mx1").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for name in ["fairban.db", "fairban.db-wal", "fairban.db-shm", "fairban.lock"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    drop(store);
    fs::set_permissions(database(&folder), fs::Permissions::from_mode(0o644)).unwrap();
    drop(Store::open(&folder).unwrap());
    assert_eq!(mode(&database(&folder)), 0o600);
}

#[test]
fn two_programs_do_not_write_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::open(folder.path()).unwrap();
    assert!(matches!(Store::open(folder.path()), Err(StoreError::Busy)));
    assert!(Reader::open(folder.path()).is_ok(), "reading is open to all");
    drop(first);
    assert!(Store::open(folder.path()).is_ok());
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let newer: fn(&rusqlite::Connection) = |connection| connection.pragma_update(None, "user_version", 999).unwrap();
    let foreign: fn(&rusqlite::Connection) = |connection| connection.pragma_update(None, "application_id", 7).unwrap();
    for (change, is_expected) in [
        (newer, (|error| matches!(error, StoreError::TooNew { found: 999, .. })) as fn(&StoreError) -> bool),
        (foreign, |error| matches!(error, StoreError::Other(text) if text.contains("another program"))),
    ] {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), true);
        let connection = rusqlite::Connection::open(database(folder.path())).unwrap();
        change(&connection);
        connection.close().unwrap();
        let before = fs::read(database(folder.path())).unwrap();
        for error in [Store::open(folder.path()).map(|_| ()), Reader::open(folder.path()).map(|_| ())] {
            assert!(is_expected(error.as_ref().unwrap_err()), "{error:?}");
        }
        assert_eq!(fs::read(database(folder.path())).unwrap(), before);
    }
}

#[test]
fn places_that_cannot_be_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Reader::open(folder.path()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("no database yet"), "{error}");
    fs::create_dir(database(folder.path())).unwrap();
    let error = Store::open(folder.path()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("fairban.db"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Store::open(&file).is_err());
}

#[test]
fn a_changed_audit_is_found_out() {
    use fairban_store::{AuditEntry, AuditState};
    let tamperings: [(&str, i64); 4] = [
        ("UPDATE audit SET actor = 'bob' WHERE seq = 2", 2),
        ("UPDATE audit SET actor = 'an', act = 'na' || act WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 2", 2),
    ];
    for (sql, broken_at) in tamperings {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        let entry = AuditEntry {
            time: at(0),
            actor: "anna".to_owned(),
            act: "release".to_owned(),
            subject: "192.0.2.7".to_owned(),
            detail: String::new(),
        };
        store.commit(&Batch { audit: vec![entry; 3], ..Batch::default() }).unwrap();
        store.close(at(0)).unwrap();
        let connection = rusqlite::Connection::open(database(folder.path())).unwrap();
        assert!(connection.execute(sql, []).unwrap_err().to_string().contains("append-only"));
        connection.execute_batch("DROP TRIGGER audit_not_changed; DROP TRIGGER audit_not_deleted").unwrap();
        connection.execute(sql, []).unwrap();
        let reader = Reader::open(folder.path()).unwrap();
        assert_eq!(reader.verify_audit().unwrap(), AuditState::Broken { seq: broken_at }, "{sql}");
    }
}

//! A disk that is really full: run by hand with FAIRBAN_SMALL_FOLDER on a file system of a few megabytes (`--ignored`).
//! The same promises are tested everywhere else by a limit on the size.
use std::path::PathBuf;

use fairban_store::{Batch, EventFilter, Store, StoreError};

use crate::model::{at, event, stored};

#[test]
#[ignore = "needs a small file system, named by FAIRBAN_SMALL_FOLDER"]
fn a_full_disk_leaves_the_store_usable() {
    let folder = PathBuf::from(std::env::var_os("FAIRBAN_SMALL_FOLDER").unwrap()).join("store");
    let ballast = folder.with_file_name("ballast");
    std::fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let mut store = Store::open(&folder).unwrap();
    let mut batch = Batch::default();
    (0..1000).for_each(|secs| batch.event(stored(event(secs, "192.0.2.7"))));
    let mut events = 0;
    let error = loop {
        match store.commit(&batch) {
            Ok(_) => events += 1000,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert!(matches!(store.commit(&batch), Err(StoreError::Full)));
    let found = store.events(&EventFilter::default(), usize::MAX, None).unwrap().len();
    assert_eq!(found, events);
    assert_eq!(store.reader().unwrap().info().unwrap().events, events as u64);
    std::fs::remove_file(&ballast).unwrap();
    store.commit(&batch).unwrap();
    assert_eq!(store.info().unwrap().events, events as u64 + 1000);
    store.close(at(0)).unwrap();
}

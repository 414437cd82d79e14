//! Log files: followed through every kind of rotation.
//!
//! [`tail::Tail`] does the work one step at a time and knows nothing of waiting; the driver here runs its steps on threads
//! that may block, and waits in between for notices of change, for room at the receiver, or for the order to stop.

mod anchor;
mod siblings;
mod tail;
mod tracked;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::outlet::{Ended, Outlet};
use crate::{SourceError, Start, Tuning};
use tail::Tail;
use watch::Notices;

pub(crate) async fn run(path: PathBuf, start: Start, mut outlet: Outlet, tuning: Tuning) -> Result<(), SourceError> {
    let (watcher, mut notices) = watch::begin(tuning.poll_only);
    let mut tail = Tail::new(path, start, tuning.clone(), outlet.health.clone(), watcher);
    loop {
        // Nothing is read that could not be handed over.
        let Ok(room) = outlet.room().await else { return Ok(()) };
        let step = spawn_blocking(move || {
            let chunk = tail.step();
            (tail, chunk)
        });
        let (back, chunk) = step.await.map_err(|error| SourceError::Broken {
            source_name: outlet.source.to_string(),
            detail: error.to_string(),
        })?;
        tail = back;
        match chunk {
            Some(chunk) => outlet.deliver(room, chunk.gathered, chunk.reference, Some(chunk.cursor)),
            None => {
                drop(room);
                let pause = if notices.is_some() && tail.is_watched() { tuning.heartbeat } else { tuning.poll };
                if outlet.unless_stopped(wait(&mut notices, pause)).await == Err(Ended) {
                    return Ok(());
                }
            }
        }
    }
}

async fn wait(notices: &mut Option<Notices>, pause: Duration) {
    let Some(some) = notices else { return tokio::time::sleep(pause).await };
    match tokio::time::timeout(pause, some.changed()).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "inotify failed, looking at the log at intervals instead");
            *notices = None;
        }
    }
}

/// Whether the file can be read now.
pub(crate) fn probe(path: &Path) -> Result<(), SourceError> {
    let failed = |error| SourceError::file(path, error);
    let file = siblings::open_log(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_file() {
        Ok(())
    } else {
        Err(SourceError::NotAFile { path: path.to_owned() })
    }
}

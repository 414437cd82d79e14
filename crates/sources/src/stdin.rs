//! Standard input, or any stream, to its end.

use std::io::{self, Read};

use tokio::sync::mpsc;

use crate::batch::Gathered;
use crate::outlet::{Ended, Outlet};
use crate::splitter::Splitter;
use crate::{SourceError, State, Tuning};

const CHUNK_BYTES: usize = 64 * 1024;

pub(crate) async fn run(outlet: Outlet, tuning: Tuning) -> Result<(), SourceError> {
    read_stream(io::stdin(), outlet, &tuning).await
}

/// Reads in a thread of its own: a read of standard input cannot be broken off, and must not hold up the end of the
/// runtime.
async fn read_stream(stream: impl Read + Send + 'static, outlet: Outlet, tuning: &Tuning) -> Result<(), SourceError> {
    let (chunks, received) = mpsc::channel(1);
    let source = outlet.source.to_string();
    outlet.health.set_state(State::Reading);
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || read_chunks(stream, &chunks))
        .map_err(|error| SourceError::Broken { source_name: source, detail: error.to_string() })?;
    forward(received, outlet, tuning).await
}

fn read_chunks(mut stream: impl Read, chunks: &mpsc::Sender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let outcome = match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(read) => {
                chunk.truncate(read);
                Ok(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = outcome.is_err();
        if chunks.blocking_send(outcome).is_err() || failed {
            return;
        }
    }
}

async fn forward(
    mut received: mpsc::Receiver<io::Result<Vec<u8>>>,
    mut outlet: Outlet,
    tuning: &Tuning,
) -> Result<(), SourceError> {
    let mut splitter = Splitter::new(tuning);
    loop {
        match outlet.unless_stopped(received.recv()).await {
            Ok(Some(Ok(chunk))) => {
                if split(&chunk, &mut splitter, &mut outlet).await == Err(Ended) {
                    return Ok(());
                }
            }
            Ok(Some(Err(error))) => return Err(SourceError::Read { path: "standard input".into(), error }),
            Ok(None) => {
                let mut rest = Gathered::default();
                splitter.finish(&mut rest);
                // Ended or not, there is nothing left to do.
                let _ = outlet.send(rest, None).await;
                return Ok(());
            }
            Err(Ended) => return Ok(()),
        }
    }
}

async fn split(mut chunk: &[u8], splitter: &mut Splitter, outlet: &mut Outlet) -> Result<(), Ended> {
    while !chunk.is_empty() {
        let mut gathered = Gathered::default();
        let taken = splitter.take(chunk, &mut gathered);
        chunk = chunk.get(taken..).unwrap_or_default();
        outlet.send(gathered, None).await?;
    }
    let (cut, skipped) = splitter.losses();
    outlet.health.cut(cut, skipped);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::*;
    use crate::Health;

    #[tokio::test]
    async fn reads_to_the_end_and_takes_a_last_line_without_newline() {
        let (tx, mut batches) = mpsc::channel(1);
        let (_stop, stopped) = watch::channel(false);
        let outlet = Outlet::new("test".into(), Arc::new(Health::new()), tx, stopped);
        let text: String = (0..5000).map(|n| format!("line {n}\n")).collect::<String>() + "last";
        let expected: Vec<String> = text.lines().map(str::to_owned).collect();
        let task = tokio::spawn(async move { read_stream(io::Cursor::new(text), outlet, &Tuning::default()).await });
        let mut lines = Vec::new();
        while let Some(batch) = batches.recv().await {
            assert!(batch.len() <= 1024 && batch.cursor.is_none());
            lines.extend(batch.lines().map(|line| String::from_utf8(line.to_vec()).unwrap()));
        }
        assert_eq!(lines, expected);
        assert!(task.await.unwrap().is_ok());
    }
}

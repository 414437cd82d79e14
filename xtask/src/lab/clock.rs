//! Programs whose clock is wrong, by Debian's libfaketime.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

/// Has the program believe that it is so many seconds later than it is. How long something takes stays true.
pub(super) fn set(command: &mut Command, ahead_secs: i64) -> Result<()> {
    let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
    ensure!(Path::new(&library).exists(), "{library} is missing: apt-get install libfaketime");
    command.env("LD_PRELOAD", library).env("FAKETIME", format!("{ahead_secs:+}s"));
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
    Ok(())
}

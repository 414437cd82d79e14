//! Requests a second of both services that mail servers ask, beside bare servers on the same runtime.

use anyhow::Result;

use crate::process::{cargo, run};

/// Measures in a program of its own: this one is neither optimised nor alone.
pub(super) fn measure(quick: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--release", "--package", "fairban-protocols", "--example", "requests", "--"]);
    if quick {
        command.arg("--quick");
    }
    run(&mut command)
}

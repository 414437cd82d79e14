//! Fuzzing with cargo-fuzz, on the stable compiler.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::deny::install;
use crate::process::{cargo, root, run as run_command};

/// What to fuzz.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The target; all of them, one after the other, if none is named.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Installs cargo-fuzz if it is missing, and runs the targets.
pub(crate) fn run(args: &Args) -> Result<()> {
    let targets = targets()?;
    let chosen: Vec<&String> =
        targets.iter().filter(|name| args.target.as_ref().is_none_or(|wanted| wanted == *name)).collect();
    ensure!(!chosen.is_empty(), "there is no such target; there are: {}", targets.join(", "));
    let program = install("cargo-fuzz")?;
    for target in chosen {
        let mut command = std::process::Command::new(&program);
        command
            .current_dir(root())
            // The sanitizers' flags are unstable by name only.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO", cargo().get_program())
            .args(["run", target, "--", "-timeout=2", "-rss_limit_mb=2048"])
            .arg(format!("-max_total_time={}", args.seconds));
        run_command(&mut command).with_context(|| format!("target {target} found something"))?;
    }
    println!("no crash and no slow input");
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let dir = root().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&dir).with_context(|| format!("{} is missing", dir.display()))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

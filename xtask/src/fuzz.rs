//! Fuzzing with cargo-fuzz, on the stable compiler.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::deny::install;
use crate::process::{cargo, root, run as run_command, target};

/// What to fuzz.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The target; all of them, one after the other, if none is named.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 300)]
    seconds: u32,
}

/// Slower than this for one input of at most 4 KiB is a fault.
const SLOW_SECS: u32 = 5;

/// Installs cargo-fuzz if it is missing, and runs the targets, each from seeds of its own or the corpora of the parsers'
/// tests.
pub(crate) fn run(args: &Args) -> Result<()> {
    let targets = targets()?;
    let chosen: Vec<&String> =
        targets.iter().filter(|name| args.target.as_ref().is_none_or(|wanted| wanted == *name)).collect();
    ensure!(!chosen.is_empty(), "there is no such target; there are: {}", targets.join(", "));
    install("cargo-fuzz")?;
    let folder = target().join("fuzz");
    let seeds = write_seeds(&folder.join("seeds"))?;
    for name in chosen {
        let corpus = folder.join("corpus").join(name);
        fs::create_dir_all(&corpus)?;
        let mut command = cargo_fuzz(&folder);
        let own = root().join("fuzz/seeds").join(name);
        command.arg(name).arg(&corpus).arg(if own.is_dir() { &own } else { &seeds }).arg("--");
        command.args([format!("-max_total_time={}", args.seconds), format!("-timeout={SLOW_SECS}")]);
        command.args(["-max_len=4096", "-print_final_stats=1"]);
        run_command(&mut command).with_context(|| format!("target {name} found something"))?;
    }
    println!("no crash and no slow input");
    Ok(())
}

/// `cargo fuzz run`, with cargo-fuzz from wherever it was installed.
fn cargo_fuzz(folder: &Path) -> std::process::Command {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(target().join("tools/bin"));
    let mut command = cargo();
    // The sanitizers' flags are unstable by name only.
    command.current_dir(root()).env("RUSTC_BOOTSTRAP", "1").env("PATH", path);
    command.args(["fuzz", "run", "--target-dir"]).arg(folder.join("build"));
    command
}

/// Every line of the parsers' corpora, a file each.
fn write_seeds(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let corpora = root().join("crates/parse/tests/corpus");
    let mut count = 0;
    for entry in fs::read_dir(&corpora).with_context(|| format!("{} is missing", corpora.display()))? {
        let text = fs::read(entry?.path())?;
        for line in text.split(|byte| *byte == b'\n') {
            // The corpora's own expectations and remarks.
            if !line.is_empty() && !line.starts_with(b"=") && !line.starts_with(b"#") {
                fs::write(folder.join(format!("{count:05}")), line)?;
                count += 1;
            }
        }
    }
    println!("{count} lines of the corpora are the seeds");
    Ok(folder.to_owned())
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

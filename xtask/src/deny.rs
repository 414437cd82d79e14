//! Policy on dependencies, held by cargo-deny and `deny.toml`.

use std::path::PathBuf;

use anyhow::Result;

use crate::process::{cargo, find, run as run_command, target};

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also look for known vulnerabilities, in a database that is fetched from the network.
    #[arg(long)]
    advisories: bool,
}

/// Versions that are known to build with this compiler.
const VERSIONS: [(&str, &str); 1] = [("cargo-deny", "0.20.2")];

/// A tool of cargo's that may have been installed for this workspace alone.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let own = target().join("tools/bin").join(name);
    own.is_file().then_some(own).or_else(|| find(name))
}

/// Installs a tool of cargo's for this workspace alone, if it is nowhere.
pub(crate) fn install(name: &str) -> Result<PathBuf> {
    if let Some(found) = tool(name) {
        return Ok(found);
    }
    let folder = target().join("tools");
    let version = VERSIONS.iter().find(|(tool, _)| *tool == name).map_or("*", |(_, version)| *version);
    run_command(cargo().args(["install", "--locked", "--debug", name, "--version", version, "--root"]).arg(&folder))?;
    Ok(folder.join("bin").join(name))
}

/// Installs cargo-deny if it is missing, and runs it.
pub(crate) fn run(args: &Args) -> Result<()> {
    install("cargo-deny")?;
    check(args.advisories)
}

/// Runs cargo-deny. Without advisories it fetches nothing but crates that were not built here yet.
pub(crate) fn check(advisories: bool) -> Result<()> {
    let program = install("cargo-deny")?;
    let mut command = std::process::Command::new(program);
    command.current_dir(crate::process::root()).args(["--workspace", "--all-features"]);
    command.args(["check", "--hide-inclusion-graph", "licenses", "bans", "sources"]);
    if advisories {
        command.arg("advisories");
    }
    run_command(&mut command)
}

//! Everything that must hold before a change is good: one command, here and in continuous integration.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Uid;

use crate::house::{self, contract};
use crate::process::{cargo, run as run_command, target};
use crate::{debian, deny, docs, e2e, package, trial};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only checks whose name contains this; within the tests of crates and end to end, only those tests.
    filter: Option<String>,
    /// Install nothing; fail where something is missing.
    #[arg(long)]
    no_install: bool,
}

type Check = (&'static str, fn(&Args) -> Result<Outcome>);

enum Outcome {
    Held,
    /// Not run, and why.
    Skipped(String),
}

/// In an order that finds the cheapest fault first.
const CHECKS: [Check; 12] = [
    ("format", format),
    ("packages", packages),
    ("lints", lints),
    ("documents", documents),
    ("dependencies", dependencies),
    ("unit", unit),
    ("program", program),
    ("pages", pages),
    ("contract", contract),
    ("package", packaged),
    ("trial", short_trial),
    ("e2e", end_to_end),
];

/// Runs the checks, stops at the first that does not hold, and ends in a table.
pub(crate) fn run(args: &Args) -> Result<()> {
    let named = |name: &str| args.filter.as_deref().is_none_or(|filter| name.contains(filter));
    let by_name = CHECKS.iter().any(|(name, _)| named(name));
    let mut table = Vec::new();
    for (name, check) in CHECKS {
        // A filter that names no check is meant for the tests.
        if !(named(name) || !by_name && matches!(name, "unit" | "packages" | "program" | "e2e")) {
            continue;
        }
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = check(args);
        let seconds = start.elapsed().as_secs();
        match outcome {
            Ok(Outcome::Held) => table.push(format!("{name:<13} ok       {seconds:>5} s")),
            Ok(Outcome::Skipped(why)) => table.push(format!("{name:<13} skipped  {seconds:>5} s  {why}")),
            Err(error) => {
                table.push(format!("{name:<13} FAILED   {seconds:>5} s"));
                println!("\n{}", table.join("\n"));
                return Err(error).with_context(|| format!("'{name}' does not hold"));
            }
        }
    }
    println!("\n{}", table.join("\n"));
    Ok(())
}

/// What the filter means inside a check that has tests of its own.
fn test_filter(args: &Args) -> Option<&str> {
    args.filter.as_deref().filter(|filter| !CHECKS.iter().any(|(name, _)| name.contains(filter)))
}

fn format(_: &Args) -> Result<Outcome> {
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Held)
}

fn packages(args: &Args) -> Result<Outcome> {
    if args.no_install {
        return Ok(Outcome::Skipped("--no-install".to_owned()));
    }
    if !Uid::effective().is_root() {
        return Ok(Outcome::Skipped("only root can install packages".to_owned()));
    }
    debian::install(&debian::LAB)?;
    Ok(Outcome::Held)
}

fn lints(_: &Args) -> Result<Outcome> {
    run_command(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    Ok(Outcome::Held)
}

fn documents(_: &Args) -> Result<Outcome> {
    docs::check()?;
    run_command(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Held)
}

fn dependencies(args: &Args) -> Result<Outcome> {
    if args.no_install && deny::tool("cargo-deny").is_none() {
        return Ok(Outcome::Skipped("cargo-deny is not installed: `cargo xtask deny` installs it".to_owned()));
    }
    deny::check(false)?;
    Ok(Outcome::Held)
}

fn unit(args: &Args) -> Result<Outcome> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).args(test_filter(args)).stdout(Stdio::piped());
    println!("$ cargo test --workspace");
    let mut child = command.spawn().context("cannot start cargo")?;
    let mut passed = 0;
    for line in BufReader::new(child.stdout.take().context("no output")?).lines() {
        let line = line?;
        passed += passed_in(&line).unwrap_or(0);
        println!("{line}");
    }
    ensure!(child.wait()?.success(), "tests failed");
    println!("{passed} tests of crates passed");
    Ok(Outcome::Held)
}

/// The number in `test result: ok. 12 passed; …`.
fn passed_in(line: &str) -> Option<u32> {
    line.strip_prefix("test result: ")?.split_whitespace().nth(1)?.parse().ok()
}

fn program(args: &Args) -> Result<Outcome> {
    if args.filter.is_none() {
        // Their own dependencies would make cargo build everything once more for the program alone.
        return Ok(Outcome::Skipped("built with the tests of crates".to_owned()));
    }
    run_command(cargo().args(["build", "--workspace", "--bin", "fairban"]))?;
    Ok(Outcome::Held)
}

/// Every page and list over a small store; how long they take over a large one is `cargo xtask bench --web`.
fn pages(_: &Args) -> Result<Outcome> {
    house::check(&target().join("debug/fairban"))?;
    Ok(Outcome::Held)
}

/// The API against its document, a little; more of it is `cargo xtask contract`.
fn contract(_: &Args) -> Result<Outcome> {
    let why = contract::run_contract(&contract::Args::short(target().join("debug/fairban")))?;
    Ok(why.map_or(Outcome::Held, Outcome::Skipped))
}

/// The life of the package, of the program that is built already.
fn packaged(args: &Args) -> Result<Outcome> {
    if !Uid::effective().is_root() {
        return Ok(Outcome::Skipped(
            "only root can install a package, be it apart from the machine's files".to_owned(),
        ));
    }
    if crate::process::find("dpkg").is_none() {
        return Ok(Outcome::Skipped("this is no Debian system".to_owned()));
    }
    if !args.no_install {
        debian::install(&["adduser", "binutils", "dpkg-dev", "nftables"])?;
    }
    package::try_program(&target().join("debug/fairban"))?;
    Ok(Outcome::Held)
}

/// A short one; the whole of it is `cargo xtask trial`.
fn short_trial(_: &Args) -> Result<Outcome> {
    trial::run(trial::Args::short(target().join("debug/fairban")))?;
    Ok(Outcome::Held)
}

fn end_to_end(args: &Args) -> Result<Outcome> {
    if !Uid::effective().is_root() {
        // Silence would look like success in continuous integration, where this must not be missed.
        if std::env::var_os("CI").is_some() {
            bail!("the end-to-end tests need root, for network namespaces");
        }
        return Ok(Outcome::Skipped("needs root, for network namespaces".to_owned()));
    }
    e2e::run(&e2e::Args::on(target().join("debug/fairban"), test_filter(args).map(str::to_owned)))?;
    Ok(Outcome::Held)
}

#[cfg(test)]
mod tests {
    use super::passed_in;

    #[test]
    fn counts_what_passed() {
        for (line, passed) in [
            (
                "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.51s",
                Some(12),
            ),
            ("test result: FAILED. 3 passed; 1 failed; 0 ignored", Some(3)),
            ("test result_is_kept ... ok", None),
            ("running 7 tests", None),
        ] {
            assert_eq!(passed_in(line), passed, "{line}");
        }
    }
}

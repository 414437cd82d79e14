//! The population trial: a simulated log goes through `fairban replay` under every profile, and what its decisions
//! would have stopped is judged here, from the decisions and the labels alone.

mod judge;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use fairban_simulator::{Population, Settings, simulate};

use judge::{Judge, Verdicts};
use table::{Shares, Trial};

/// The profiles, the default one first.
pub(crate) const PROFILES: [&str; 7] = ["fairban", "autoban", "vpop3", "fail2ban", "hmailserver", "mailcow", "cphulk"];

/// Simulates people and attackers, replays their log under every profile, and judges who was stopped.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// How many populations.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// The seed of the first; the others follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many days each log covers.
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// The size of each population, against some hundred mailboxes.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Also what nobody can do well: guessers behind shared addresses from the first hour, newcomers amid them.
    #[arg(long)]
    hard: bool,
    /// The profiles to compare.
    #[arg(long, value_delimiter = ',', default_values_t = PROFILES.map(String::from))]
    profiles: Vec<String>,
    /// Only logs: mail servers do not ask before a sign-in. Without it, both are tried.
    #[arg(long)]
    log_only: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Keep the logs, labels and decisions in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Only write the logs and labels; replay nothing. Needs --keep.
    #[arg(long, requires = "keep")]
    only_simulate: bool,
    /// Show so many good sign-ins that the first profile refused, and what refused them.
    #[arg(long, default_value_t = 10)]
    explain: usize,
    /// Fail if the first profile lets through 3 % of the guesses or refuses 0.01 % of the good sign-ins where mail
    /// servers ask, or refuses 0.3 % where they do not, on any seed.
    #[arg(long)]
    check: bool,
    /// The program to try; without it, it is built.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl Args {
    /// What every change must pass: the default profile on five populations.
    pub(crate) fn short(binary: PathBuf) -> Self {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let line = <Line as clap::Parser>::parse_from(["trial", "--check", "--seeds", "5", "--profiles", "fairban"]);
        Args { binary: Some(binary), ..line.args }
    }
}

/// Runs the trial.
pub(crate) fn run(args: Args) -> Result<()> {
    if args.profiles.is_empty() || args.seeds == 0 {
        bail!("nothing to try: name at least one profile and one seed");
    }
    let scratch = tempfile::tempdir().context("no temporary folder")?;
    let folder = args.keep.clone().unwrap_or_else(|| scratch.path().to_owned());
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let binary = if args.only_simulate { None } else { Some(binary(&args)?) };
    let mut trial = Trial::default();
    for seed in args.seed..args.seed + args.seeds {
        let population =
            simulate(&Settings { days: args.days, scale: args.scale, hard: args.hard, ..Settings::new(seed) });
        let log = keep(&population, &folder, seed)?;
        let Some(binary) = &binary else { continue };
        for (index, profile) in args.profiles.iter().enumerate() {
            for asking in [true, false] {
                if asking && args.log_only {
                    continue;
                }
                let decisions = folder.join(format!("{seed}.{profile}.{}.jsonl", if asking { "ask" } else { "log" }));
                let verdicts = replay(binary, &log, &decisions, profile, asking, &population)?;
                if index == 0 {
                    trial.explain(&population, &verdicts, seed, asking, args.explain);
                }
                trial.add(profile, asking, seed, Shares::of(&population, &verdicts));
            }
        }
    }
    if args.only_simulate {
        return Ok(());
    }
    let text = if args.json { serde_json::to_string_pretty(&trial)? + "\n" } else { trial.to_string() };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    let misses = trial.misses(&args.profiles[0]);
    if args.check && !misses.is_empty() {
        bail!("the trial was missed: {}", misses.join("; "));
    }
    Ok(())
}

/// The program to try.
fn binary(args: &Args) -> Result<PathBuf> {
    if let Some(binary) = &args.binary {
        return Ok(binary.clone());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(["build", "--release", "--package", "fairban"]).status()?;
    if !status.success() {
        bail!("fairban does not build");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target"), PathBuf::from);
    Ok(target.join("release/fairban"))
}

/// Writes log and labels. The log is given the time of its end, by which readers infer the year of its dates.
fn keep(population: &Population, folder: &Path, seed: u64) -> Result<PathBuf> {
    let path = folder.join(format!("{seed}.log"));
    let mut log = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    log.write_all(population.log.as_bytes())?;
    let end = std::time::Duration::from_secs(population.end.secs().unsigned_abs());
    log.set_modified(SystemTime::UNIX_EPOCH + end)?;
    let mut labels = std::io::BufWriter::new(fs::File::create(folder.join(format!("{seed}.labels.jsonl")))?);
    for label in &population.labels {
        serde_json::to_writer(&mut labels, label)?;
        labels.write_all(b"\n")?;
    }
    labels.flush()?;
    Ok(path)
}

/// Runs one replay, and judges its decisions.
fn replay(
    binary: &Path,
    log: &Path,
    decisions: &Path,
    profile: &str,
    asking: bool,
    population: &Population,
) -> Result<Verdicts> {
    let mut command = Command::new(binary);
    command.args(["replay", "--json", "--profile", profile]).env("TZ", "UTC");
    if !asking {
        command.arg("--log-only");
    }
    let out = fs::File::create(decisions)?;
    let status = command
        .arg(log)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::inherit())
        .status()
        .with_context(|| format!("cannot run {}", binary.display()))?;
    if !status.success() {
        bail!("replay of {} under profile {profile} failed with {status}", log.display());
    }
    let mut judge = Judge::new(asking);
    for (index, line) in BufReader::new(fs::File::open(decisions)?).lines().enumerate() {
        let place = || format!("{}:{}: not a decision", decisions.display(), index + 1);
        judge.read(&line.with_context(place)?).with_context(place)?;
    }
    Ok(judge.judge(&population.labels))
}

/// Counts by class.
pub(crate) type ByClass<T> = BTreeMap<String, T>;

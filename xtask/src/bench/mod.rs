//! Measuring: criterion within the crates, and whole processes against other programs.

mod fleet;
mod kernel;
mod mixed_log;
mod pairs;
mod policy;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fairban_simulator::{Settings, simulate};
use nix::unistd::Uid;

use crate::process::{cargo, find, run as run_command, target};
use crate::{debian, process};
use pairs::{Cores, Program, Table};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fewer and shorter runs.
    #[arg(long)]
    quick: bool,
    /// Fetch programs of Debian's to compare with, where they are missing.
    #[arg(long)]
    peers: bool,
    /// Only whole processes, not the crates' own benchmarks.
    #[arg(long)]
    no_criterion: bool,
    /// Only the fleet.
    #[arg(long)]
    fleet: bool,
    /// Only the administrator's pages and the API, over a large store.
    #[arg(long)]
    web: bool,
    /// With `--web`: so many events in the log, and a hundredth of them in blocks in force.
    #[arg(long, default_value_t = 10_000_000, value_name = "EVENTS")]
    rows: u64,
    /// With `--web`: use the store in this folder, or fill one there and leave it.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Use this program instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

const LINES: usize = 200_000;

/// Builds the release program and measures it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let program = match &args.program {
        Some(program) => program.canonicalize()?,
        None => {
            run_command(cargo().args(["build", "--release", "--package", "fairban"]))?;
            target().join("release/fairban")
        }
    };
    if args.web {
        let rounds = if args.quick { 3 } else { 7 };
        return crate::house::measure(&program, args.store.as_deref(), args.rows, args.rows / 100, rounds);
    }
    if args.fleet {
        return fleet::measure(&program, args.quick);
    }
    let runs = if args.quick { 5 } else { 15 };
    let mut table = Table::default();
    for (name, log) in logs()? {
        println!("\n{name}: {} lines, {:.1} MB, {runs} runs of each in turns", LINES, size_in_mb(&log)?);
        compare(&mut table, name, &program, &log, runs, args.peers)?;
    }
    println!("\n{table}");
    policy::measure(args.quick)?;
    if Uid::effective().is_root() {
        kernel::measure(&program, args.quick)?;
        fleet::measure(&program, args.quick)?;
    } else {
        println!("not root: blocks in the kernel are not measured");
    }
    if !args.no_criterion {
        let mut command = cargo();
        command.args(["bench", "--workspace", "--bench", "*"]);
        if args.quick {
            command.args(["--", "--quick"]);
        }
        run_command(&mut command)?;
    }
    Ok(())
}

fn size_in_mb(file: &Path) -> Result<f64> {
    Ok(fs::metadata(file)?.len() as f64 / 1e6)
}

/// Two logs: one with the noise of a busy server, and one of a population under attack, where more lines count.
fn logs() -> Result<Vec<(&'static str, PathBuf)>> {
    let folder = target().join("bench");
    fs::create_dir_all(&folder)?;
    let mixed = folder.join("mixed.log");
    fs::write(&mixed, mixed_log::write(LINES))?;
    let population = folder.join("population.log");
    let mut settings = Settings::new(1);
    let mut log = simulate(&settings).log;
    while log.lines().count() < LINES {
        settings.scale *= 2.0;
        log = simulate(&settings).log;
    }
    let end: usize = log.split_inclusive('\n').take(LINES).map(str::len).sum();
    fs::write(&population, &log[..end])?;
    Ok(vec![("mixed", mixed), ("population", population)])
}

fn compare(table: &mut Table, log_name: &str, fairban: &Path, log: &Path, runs: usize, peers: bool) -> Result<()> {
    let fairban = Program::new("fairban replay", fairban).arg("replay").arg(log);
    let grep = Program::new("grep -cE", Path::new("grep"))
        .arg("-cE")
        .arg("auth failed|authentication failed|Relay access denied")
        .arg(log);
    let wc = Program::new("wc -l", Path::new("wc")).arg("-l").arg(log);
    for (other, cores) in [(&grep, Cores::All), (&grep, Cores::One), (&wc, Cores::One)] {
        table.add(log_name, cores, &fairban, other, pairs::measure(&fairban, other, cores, runs)?);
    }
    if let Some(regex) = fail2ban_regex(log, peers)? {
        table.add(log_name, Cores::One, &fairban, &regex, pairs::measure(&fairban, &regex, Cores::One, 2)?);
    }
    Ok(())
}

/// Debian's fail2ban-regex, installed or unpacked: its service is never started.
fn fail2ban_regex(log: &Path, fetch: bool) -> Result<Option<Program>> {
    if let Some(installed) = find("fail2ban-regex") {
        return Ok(Some(Program::new("fail2ban-regex", &installed).arg(log).arg("dovecot")));
    }
    let unpacked = process::target().join("unpacked/fail2ban");
    if !fetch && !unpacked.exists() {
        println!("fail2ban is not installed: --peers fetches it");
        return Ok(None);
    }
    let folder = debian::unpack("fail2ban")?;
    let program = Program::new("fail2ban-regex", Path::new("/usr/bin/python3"))
        .env("PYTHONPATH", &folder.join("usr/lib/python3/dist-packages"))
        .arg(folder.join("usr/bin/fail2ban-regex"))
        .arg("-c")
        .arg(folder.join("etc/fail2ban"))
        .arg(log)
        .arg(folder.join("etc/fail2ban/filter.d/dovecot.conf"));
    Ok(Some(program))
}

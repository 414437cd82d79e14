//! End to end: the real program beside a real mail server, with real clients, in namespaces of its own per test.

mod admin;
mod asked;
mod crash;
mod detection;
mod explained;
mod fairness;
mod fleet;
mod operator;
mod outbound;
mod outlived;
mod portal;
mod programs;
mod reconnecting;
mod sending;
mod surroundings;
mod witness;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use crate::lab::Lab;
use crate::lab::guard::Setup;
use crate::lab::net::sweep;
use crate::process::{built, wait_for};

/// How long Fairban may take over what it does within milliseconds, on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(10);

/// A test and the Fairban that it wants.
struct Test {
    name: &'static str,
    setup: fn() -> Setup,
    run: Run,
}

/// Beside what a test runs.
enum Run {
    /// A mail server with Fairban.
    InLab(fn(&mut Lab) -> Result<()>),
    /// Nothing but what it starts itself, with this program.
    Alone(fn(&Path) -> Result<()>),
}

impl Test {
    const fn new(name: &'static str, run: fn(&mut Lab) -> Result<()>) -> Test {
        Test { name, setup: Setup::default, run: Run::InLab(run) }
    }

    const fn alone(name: &'static str, run: fn(&Path) -> Result<()>) -> Test {
        Test { name, setup: Setup::default, run: Run::Alone(run) }
    }

    const fn with(self, setup: fn() -> Setup) -> Test {
        Test { setup, ..self }
    }
}

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name contains this.
    filter: Option<String>,
    /// How many tests to run at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Use this program instead of building one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

impl Args {
    /// All tests with this in their name, on this program.
    pub(crate) fn on(program: PathBuf, filter: Option<String>) -> Args {
        Args { filter, jobs: 2, program: Some(program) }
    }
}

/// Runs the tests; an error if one fails.
pub(crate) fn run(args: &Args) -> Result<()> {
    let program = built(args.program.as_deref())?;
    sweep(false)?;
    let filter = args.filter.as_deref().unwrap_or("");
    let tests: Vec<Test> = [
        detection::tests(),
        operator::tests(),
        crash::tests(),
        fairness::tests(),
        surroundings::tests(),
        asked::tests(),
        explained::tests(),
        sending::tests(),
        outbound::tests(),
        outlived::tests(),
        portal::tests(),
        admin::tests(),
        programs::tests(),
        reconnecting::tests(),
        fleet::tests(),
    ]
    .into_iter()
    .flatten()
    .filter(|test| test.name.contains(filter))
    .collect();
    let failed = run_all(&tests, &program, args.jobs.max(1));
    println!("{} passed, {failed} failed", tests.len() - failed);
    ensure!(failed == 0, "end-to-end tests failed");
    Ok(())
}

fn run_all(tests: &[Test], program: &Path, jobs: usize) -> usize {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(0);
    let output = Mutex::new(());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let start = Instant::now();
                    let outcome = run_one(test, program);
                    let seconds = start.elapsed().as_secs_f32();
                    let _one_at_a_time = output.lock();
                    match outcome {
                        Ok(()) => println!("test {} ... ok ({seconds:.1} s)", test.name),
                        Err(error) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            println!("test {} ... FAILED ({seconds:.1} s)\n{error:#}", test.name);
                        }
                    }
                }
            });
        }
    });
    failed.into_inner()
}

fn run_one(test: &Test, program: &Path) -> Result<()> {
    let run = match test.run {
        Run::InLab(run) => run,
        Run::Alone(run) => return run(program),
    };
    let mut lab = Lab::start(Setup { program: program.to_owned(), ..(test.setup)() })?;
    let outcome = run(&mut lab).and_then(|()| lab.check_alive());
    outcome.map_err(|error| anyhow!("{error:#}\n{}", lab.last_words()))
}

/// Waits until the subject is among the blocks in force.
fn until_blocked(lab: &Lab, subject: &str) -> Result<()> {
    wait_for(&format!("a block of {subject}"), SOON, || Ok(lab.fairban.blocked()?.contains(subject).then_some(())))
}

/// Waits until the kernel drops the client's connections to IMAP.
fn until_dropped(lab: &Lab, from: &str) -> Result<()> {
    wait_for(&format!("the kernel to drop {from}"), SOON, || Ok(lab.is_dropped(from, 143)?.then_some(())))
}

/// Fails unless the client reaches every port of the mail server.
fn reaches_all(lab: &Lab, from: &str) -> Result<()> {
    for port in crate::lab::PORTS {
        ensure!(!lab.is_dropped(from, port)?, "{from} is dropped at port {port}, and should not be");
    }
    Ok(())
}

/// Fails unless the client reaches no port of the mail server.
fn reaches_none(lab: &Lab, from: &str) -> Result<()> {
    for port in crate::lab::PORTS {
        ensure!(lab.is_dropped(from, port)?, "{from} still reaches port {port}");
    }
    Ok(())
}

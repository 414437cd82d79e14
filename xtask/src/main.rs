//! What developers run: the tests, the lab, the trial, benchmarks, fuzzing. Part of no release; may start programs,
//! install Debian packages when root, and make network namespaces, but changes nothing that it does not put back.

#![forbid(unsafe_code)]
// A program that people run by hand speaks to them on the terminal.
#![allow(clippy::print_stdout)]

mod bench;
mod debian;
mod deny;
mod docs;
mod e2e;
mod fuzz;
mod house;
mod lab;
mod package;
mod process;
mod suite;
mod trial;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// What developers of Fairban run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run every check and test, after installing what they need.
    Test(suite::Args),
    /// Run the end-to-end tests: real mail servers, real clients, the real program.
    E2e(e2e::Args),
    /// A real mail server, Fairban and clients on this machine, to try things by hand.
    Lab {
        #[command(subcommand)]
        command: Option<lab::commands::LabCommand>,
    },
    /// Play a client of the running lab.
    Client(lab::commands::ClientArgs),
    /// Try profiles on simulated people and attackers: who gets through, who is refused.
    Trial(trial::Args),
    /// Measure, and compare with other programs.
    Bench(bench::Args),
    /// Feed the parsers with what nobody would write.
    Fuzz(fuzz::Args),
    /// Check licences, sources and bans of all dependencies, and advisories if asked.
    Deny(deny::Args),
    /// Try the API against its document, with schemathesis.
    Contract(house::contract::Args),
    /// Build the Debian package, and try it.
    Package(package::Args),
    /// Check that links in the documents lead somewhere.
    Docs,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Test(args) => suite::run(&args),
        Task::E2e(args) => e2e::run(&args),
        Task::Lab { command } => lab::commands::run(&command.unwrap_or(lab::commands::LabCommand::Up {
            program: None,
            portal: false,
            asking: false,
            exim: false,
        })),
        Task::Client(args) => lab::commands::client(&args),
        Task::Trial(args) => trial::run(args),
        Task::Bench(args) => bench::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Deny(args) => deny::run(&args),
        Task::Contract(args) => match house::contract::run_contract(&args)? {
            Some(why) => anyhow::bail!("{why}"),
            None => Ok(()),
        },
        Task::Package(args) => package::package(&args),
        Task::Docs => docs::check(),
    }
}

//! The program: composes the rooms and speaks to people. See `cli` for what it can do.
#![forbid(unsafe_code)]

mod check;
mod cli;
mod control;
mod daemon;
mod fleet_command;
mod import;
mod lines;
mod notify_command;
mod parse_command;
mod replay;
mod setup;
mod show;
mod terminal;
mod token_command;
mod user_command;
mod zone;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit status: 0 done, 1 the answer is no, 2 wrong use, 3 cannot reach the daemon.
fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let status = error.downcast_ref::<show::Exit>().map_or(2, |exit| exit.status);
            eprintln!("fairban: {}", show::safe(&show::error(&error)));
            ExitCode::from(status)
        }
    }
}

/// Who pipes into `head` does not want to read of it.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &(dyn std::error::Error + 'static)| {
        let kind = match (error.downcast_ref::<std::io::Error>(), error.downcast_ref::<serde_json::Error>()) {
            (Some(error), _) => Some(error.kind()),
            (_, Some(error)) => error.io_error_kind(),
            _ => None,
        };
        kind == Some(ErrorKind::BrokenPipe)
    };
    error.chain().any(broken)
}

fn run(cli: cli::Cli) -> anyhow::Result<ExitCode> {
    use cli::Command;
    match cli.command {
        Command::Run(args) => daemon::run(args, cli.control),
        Command::Check(args) => check::run(&args),
        Command::Parse(args) => parse_command::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Flush(args) => daemon::flush(&lines::config(args.config.as_deref())?.enforce),
        Command::Import(args) => import::run(&args, cli.control),
        Command::Setup(args) => setup::run(&args, cli.control),
        Command::Completions { shell } => cli::completions(shell),
        Command::Manual { folder } => cli::manual(&folder),
        Command::Reference => {
            terminal::text(&fairban_config::reference())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::User(command) => user_command::run(command, cli.control),
        Command::Token(command) => token_command::run(command, cli.control),
        Command::Notify(args) => notify_command::run(args, cli.control),
        Command::Fleet(command) => fleet_command::run(command, cli.control),
        command => control::client::run(command, cli.control),
    }
}

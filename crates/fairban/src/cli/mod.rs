//! One definition of the command line: parsing, help, completions and man pages come from it.

mod access;
mod fleet;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, CommandFactory, Parser, Subcommand};
use fairban_types::{Direction, EventKind, Sender, Subject, parse_duration};
use ipnet::IpNet;

pub(crate) use access::{TokenCommand, UserCommand};
pub(crate) use fleet::FleetCommand;

/// Guards a mail server: blocks who attacks it, says why, and lets people back in.
#[derive(Parser)]
#[command(name = "fairban", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Start with:\n  fairban run --demo                    see it work on a simulated mail server\n  \
                        fairban replay /var/log/mail.log      see what it would have done here\n\nExit status: 0 \
                        done, 1 the answer is no, 2 wrong use, 3 cannot reach the daemon.\nTimes are shown in the \
                        system's time zone (TZ=UTC changes that); with --json they are UTC."
)]
pub(crate) struct Cli {
    /// The control socket of the daemon to speak to.
    #[arg(long, global = true, value_name = "SOCKET", env = "FAIRBAN_CONTROL")]
    pub(crate) control: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the daemon.
    Run(RunArgs),
    /// Validate a configuration and probe every part that it names.
    Check(CheckArgs),
    /// Show how every line of a log is read.
    Parse(ParseArgs),
    /// Show who would have been blocked by a log, when and why.
    Replay(ReplayArgs),
    /// How the daemon and its parts are.
    ///
    /// The exit status is 1 if something is wrong.
    Status(JsonArgs),
    /// The blocks and guards in force.
    Blocks(BlocksArgs),
    /// What clients did, newest last.
    #[command(after_help = "The word in brackets tells what became of an event:\n  counted   it earned points\n  \
                            repeated  the same wrong password again: one mistake\n  spared    the account is at home \
                            there, or the address is on the never-block list\n  stopped   it came from a blocked \
                            subject\n  noted     it is nothing to count")]
    Events(EventsArgs),
    /// A live view of what happens.
    Top,
    /// Why a subject is blocked, or is not: event by event.
    ///
    /// The exit status is 0 if it is blocked, 1 if it is not.
    #[command(
        after_help = "Examples:\n  fairban why 192.0.2.7\n  fairban why alice@example.test\n  fairban why K7Q2-M9XD"
    )]
    Why(WhyArgs),
    /// Block an address, a network or an account by hand.
    #[command(
        after_help = "Examples:\n  fairban block 192.0.2.7 --for 30m --reason 'scanner'\n  fairban block 192.0.2.0/24 --permanent"
    )]
    Block(BlockArgs),
    /// Release a subject everywhere, with the events behind its block forgotten.
    #[command(
        after_help = "Examples:\n  fairban unblock 192.0.2.7\n  fairban unblock 192.0.2.0/24\n  fairban unblock alice@example.test"
    )]
    Unblock(UnblockArgs),
    /// The never-block list.
    #[command(subcommand)]
    Never(NeverCommand),
    /// Blocks on sending mail: by return-path, domain, account or HELO name.
    ///
    /// They are soft: a session goes on normally, but AUTH fails like a wrong password, and RCPT is refused. They take a
    /// mail server that asks.
    #[command(subcommand)]
    SendBlock(SendBlockCommand),
    /// Let the mail servers of this machine ask Fairban: show what that takes, apply it, check it, undo it.
    ///
    /// Alone it looks and shows, and changes nothing. With --check the exit status is 1 if a mail server does not ask.
    #[command(
        after_help = "Examples:\n  fairban setup              what would be changed, line by line, and why\n  fairban setup \
                      --apply      change it, with a backup; a mail server that complains gets its files back\n  fairban \
                      setup --check      make the mail servers ask, and see whether they did\n  fairban setup --undo       \
                      give every file back"
    )]
    Setup(SetupArgs),
    /// Who can sign in to the administrator's pages.
    #[command(subcommand)]
    User(UserCommand),
    /// Tokens by which programs use the API.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Tell those that the configuration names under `[[notify]]` that this is a test.
    ///
    /// The exit status is 1 if somebody could not be told.
    #[command(
        after_help = "Examples:\n  fairban notify --test           everybody\n  fairban notify --test pager     only this one"
    )]
    Notify(NotifyArgs),
    /// Many mail servers that share what they see and decide, over Valkey or Redis.
    #[command(subcommand)]
    Fleet(FleetCommand),
    /// Take over blocks, exceptions and settings from another tool.
    ///
    /// Alone it shows what it understood, what that becomes, and what it could not take over; nothing is changed. The
    /// exit status is 1 if nothing was understood.
    #[command(
        after_help = "Examples:\n  fairban import fail2ban                         what its jails and bans here become\n  \
                      fairban import fail2ban --apply                 and send bans and exceptions to the daemon\n  fairban \
                      import csf /etc/csf\n  cscli decisions list --limit 0 -o json | fairban import crowdsec -\n  fairban \
                      import list bad.txt --for 7d\n  fairban import list customers.txt --never"
    )]
    Import(ImportArgs),
    /// Take everything that Fairban made out of the kernel.
    Flush(FlushArgs),
    /// Print the reference of all configuration keys, event kinds and profiles (Markdown).
    Reference,
    /// Print shell completions.
    #[command(after_help = "Example:\n  fairban completions bash > /usr/share/bash-completion/completions/fairban")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages.
    #[command(name = "man")]
    Manual {
        /// The folder to write them to.
        folder: PathBuf,
    },
}

#[derive(Args)]
pub(crate) struct RunArgs {
    /// The configuration file; without one: built-in defaults, the machine's own mail logs, an embedded store.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Guard a simulated mail server under attack, beside the machine's own logs (which are only observed).
    #[arg(long)]
    pub(crate) demo: bool,
    /// End the demo after this time.
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "demo")]
    pub(crate) demo_for: Option<Duration>,
    /// Record blocks, but do not enforce them.
    #[arg(long)]
    pub(crate) observe: bool,
    /// Take everything that Fairban made out of the kernel, and end.
    #[arg(long, conflicts_with_all = ["demo", "observe"])]
    pub(crate) flush: bool,
}

#[derive(Args)]
pub(crate) struct SetupArgs {
    /// Change the files, check them with the servers' own programs, and reload the servers.
    #[arg(long, conflicts_with_all = ["check", "undo"])]
    pub(crate) apply: bool,
    /// See by a real sign-in and a real SMTP session whether the mail servers ask the running daemon.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) check: bool,
    /// Give back the files as they were before.
    #[arg(long)]
    pub(crate) undo: bool,
    /// Change files, but reload nothing.
    #[arg(long)]
    pub(crate) no_reload: bool,
    /// Only these mail servers.
    #[arg(long, value_name = "SERVER")]
    pub(crate) only: Vec<crate::setup::Server>,
    /// Fairban's configuration file.
    #[arg(long, value_name = "FILE", default_value_os_t = usual_config())]
    pub(crate) config: PathBuf,
    /// Postfix's configuration folder; by default its own.
    #[arg(long, value_name = "DIR")]
    pub(crate) postfix_dir: Option<PathBuf>,
    /// Dovecot's configuration file; by default its own.
    #[arg(long, value_name = "FILE")]
    pub(crate) dovecot_conf: Option<PathBuf>,
    /// Exim's configuration file; by default its own.
    #[arg(long, value_name = "FILE")]
    pub(crate) exim_conf: Option<PathBuf>,
    /// Where backups and the journal are kept; by default `setup` in the folder of the store.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Where the mail server takes mail, for --check.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:25")]
    pub(crate) smtp: std::net::SocketAddr,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// What it comes from.
    pub(crate) from: crate::import::From,
    /// Its files or folders; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Send blocks and never-block entries to the running daemon.
    #[arg(long)]
    pub(crate) apply: bool,
    /// Of fail2ban: also the bans of jails that are not about mail.
    #[arg(long)]
    pub(crate) all_jails: bool,
    /// Of a list: entries for the never-block list instead of blocks.
    #[arg(long)]
    pub(crate) never: bool,
    /// Of a list: only for so long, such as 30m, 4h, 1d; permanent if left out.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub(crate) time: Option<Duration>,
    /// Write the settings to this new file instead of showing them.
    #[arg(long, value_name = "FILE")]
    pub(crate) config_out: Option<PathBuf>,
    /// As JSON: one object per entry, then a summary.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct FlushArgs {
    /// The configuration file, if it names another table than the built-in one.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The configuration file; without one, the built-in defaults are checked against this machine.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct LogArgs {
    /// The logs; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The year of dates without one; by default the latest that is not after the file's own time.
    #[arg(long)]
    pub(crate) year: Option<i16>,
    /// The time zone of times without one, such as Europe/Berlin; by default the system's.
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "Example:\n  fairban parse --json /var/log/mail.log | grep login_failed")]
pub(crate) struct ParseArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// One JSON object per line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show only lines that hold an event.
    #[arg(long)]
    pub(crate) events: bool,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  fairban replay /var/log/mail.log\n  fairban replay --profile autoban --json mail.log dovecot.log\n  zcat mail.log.2.gz | fairban replay -"
)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Decide by this profile instead of the configured one.
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// One JSON object per decision, then a summary.
    #[arg(long)]
    pub(crate) json: bool,
    /// Assume that mail servers do not ask before a sign-in, so that blocks cannot spare familiar accounts.
    #[arg(long)]
    pub(crate) log_only: bool,
}

#[derive(Args)]
pub(crate) struct JsonArgs {
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct BlocksArgs {
    /// Only blocks that concern this subject.
    pub(crate) subject: Option<Subject>,
    /// Also blocks that have ended, newest first.
    #[arg(long)]
    pub(crate) all: bool,
    /// The most to show.
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: u32,
    /// As JSON: one object per block.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct EventsArgs {
    /// Only events of this address, network or account.
    pub(crate) subject: Option<Subject>,
    /// Only events of this kind, such as login_failed.
    #[arg(long, value_parser = kind)]
    pub(crate) kind: Option<EventKind>,
    /// Go on showing events and decisions as they happen.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// The most to show of the past.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
    /// As JSON: one object per event.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct WhyArgs {
    /// An address, a network, an account, or a block's code.
    pub(crate) subject: String,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct BlockArgs {
    /// The address, network (CIDR) or account.
    pub(crate) subject: Subject,
    /// How long, such as 30m, 4h, 1d.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration, default_value = "1h")]
    pub(crate) time: Duration,
    /// Until it is released.
    #[arg(long, conflicts_with = "time")]
    pub(crate) permanent: bool,
    /// Why: shown wherever the block is.
    #[arg(long, default_value = "blocked by an administrator")]
    pub(crate) reason: String,
}

#[derive(Args)]
pub(crate) struct UnblockArgs {
    /// The address, network (CIDR), account or block's code.
    pub(crate) subject: String,
    /// Why: kept with the release.
    #[arg(long, default_value = "released by an administrator")]
    pub(crate) reason: String,
}

#[derive(Subcommand)]
pub(crate) enum NeverCommand {
    /// Add an address or network; blocks that it covers are lifted at once.
    Add {
        /// The address or network (CIDR).
        #[arg(value_parser = network)]
        net: IpNet,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
        /// Only for so long.
        #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
        time: Option<Duration>,
    },
    /// Remove an entry.
    Remove {
        /// The address or network (CIDR).
        #[arg(value_parser = network)]
        net: IpNet,
    },
    /// Show the list.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum SendBlockCommand {
    /// Add an entry; one of the same sender and direction is replaced.
    #[command(
        after_help = "Examples:\n  fairban send-block add bob@example.test --for 1d --reason 'sends spam'\n  fairban send-block \
                      add @.example.test --direction inbound    the domain with its subdomains\n  fairban send-block \
                      add account=bob\n  fairban send-block add helo=mail.example.test\n\nAn address or domain is \
                      compared with the return-path (MAIL FROM), never with the From header."
    )]
    Add {
        /// An address, @domain, @.domain (with its subdomains), account=NAME or helo=NAME.
        sender: Sender,
        /// Which way: inbound (who did not sign in), outbound (who did), or both.
        #[arg(long, default_value = "both", value_parser = direction)]
        direction: Direction,
        /// How long, such as 30m, 4h, 1d; until it is removed, if left out.
        #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
        time: Option<Duration>,
        /// Why: shown wherever the entry is.
        #[arg(long, alias = "description", default_value = "blocked by an administrator")]
        reason: String,
    },
    /// Remove a sender's entries, whatever their direction.
    Remove {
        /// The sender, as it is listed.
        sender: Sender,
        /// Why: kept with the release.
        #[arg(long, default_value = "released by an administrator")]
        reason: String,
    },
    /// Show the entries in force.
    List {
        /// Also those that are over.
        #[arg(long)]
        all: bool,
        /// As JSON: one object per entry.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub(crate) struct NotifyArgs {
    /// Send a test, and show what became of it.
    #[arg(long, required = true)]
    test: bool,
    /// Only this one.
    pub(crate) name: Option<String>,
    /// As JSON: one object for each.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the Debian package keeps the configuration; without the package, where the documents say.
fn usual_config() -> PathBuf {
    let packaged = PathBuf::from("/etc/fairban/fairban.toml");
    if packaged.exists() { packaged } else { PathBuf::from("/etc/fairban.toml") }
}

fn direction(text: &str) -> Result<Direction, String> {
    text.parse()
}

fn network(text: &str) -> Result<IpNet, String> {
    match text.parse::<Subject>() {
        Ok(Subject::Network(net)) => Ok(net),
        _ => Err(format!("'{text}' is neither an address nor a network such as 192.0.2.0/24")),
    }
}

fn kind(text: &str) -> Result<EventKind, String> {
    let names = || EventKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|error| format!("{error}; there are {}", names()))
}

pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    // Into memory first: the generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fairban", &mut script);
    crate::terminal::text(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn manual(folder: &std::path::Path) -> anyhow::Result<ExitCode> {
    let write = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)
    };
    write().with_context(|| format!("cannot write man pages to {}", folder.display()))?;
    crate::terminal::line(&format!("man pages written to {0}; read one with: man {0}/fairban.1", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}

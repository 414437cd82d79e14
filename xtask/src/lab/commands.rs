//! The lab by hand: start it, go inside, play a client, end it.

use std::env;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::client::{Answer, Try, Way, attempt};
use super::guard::{self, Mta, Setup};
use super::net::{Net, sweep};
use super::{Lab, PORTS, net};
use crate::process::built;

/// What to do with the lab.
#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Start everything and keep it running until Ctrl-C.
    Up {
        /// Use this program instead of building one.
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
        /// Let the mail servers ask Fairban before they let anybody sign in or send.
        #[arg(long)]
        asking: bool,
        /// Tell the blocked why in their mail programs, and let them out at the portal; count as most servers do today.
        #[arg(long)]
        portal: bool,
        /// Let Exim serve SMTP instead of Postfix.
        #[arg(long)]
        exim: bool,
    },
    /// Open a shell inside the running lab.
    Shell {
        /// Whose network to be in.
        #[arg(value_enum, default_value_t = Side::Clients)]
        side: Side,
    },
    /// End every lab, also what an earlier run left behind.
    Down,
}

/// Whose network.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Side {
    /// The mail server's.
    Server,
    /// The clients'.
    Clients,
}

/// What a client is to do.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// What to try.
    #[arg(value_enum)]
    way: Way,
    /// The client's address.
    #[arg(long, default_value = "192.0.2.7")]
    from: IpAddr,
    /// The account, or the recipient of a mail; {} becomes the number of the try.
    #[arg(long, default_value = "bob")]
    name: String,
    /// The password; {} becomes the number of the try.
    #[arg(long, default_value = "wrong-{}")]
    password: String,
    /// How often.
    #[arg(long, default_value_t = 1)]
    times: u32,
}

/// Runs a lab command.
pub(crate) fn run(command: &LabCommand) -> Result<()> {
    match command {
        LabCommand::Up { program, asking, portal, exim } => {
            let asking = if *asking { guard::Asking::Tcp } else { guard::Asking::Never };
            let setup = Setup { asking, ..if *portal { Setup::portal() } else { Setup::default() } };
            let mta = if *exim { Mta::Exim } else { Mta::Postfix };
            up(Setup { program: built(program.as_deref())?, mta, ..setup })
        }
        LabCommand::Shell { side } => shell(*side),
        LabCommand::Down => {
            let ended = sweep(true)?;
            println!("{ended} ended");
            Ok(())
        }
    }
}

fn up(setup: Setup) -> Result<()> {
    sweep(false)?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let lab = Lab::start(setup)?;
    println!("{}", welcome(&lab));
    signals.forever().next();
    println!("ending");
    Ok(())
}

fn welcome(lab: &Lab) -> String {
    let fairban = format!("{} --control {}", lab.fairban.program().display(), lab.fairban.socket().display());
    format!(
        "The lab runs in {dir}.

  mail server   {v4} and {v6}, ports {PORTS:?}: {mta}, Dovecot, Fairban with nftables
  accounts      alice, bob, carol, dave, user01 … user10, lists, erin@other.test; the password of alice is right-alice
  clients       any address of {networks}

Try, in another terminal:
  cargo xtask client imap --from 192.0.2.7 --name bob --times 6      a guesser: the sixth is dropped
  cargo xtask client imap --from 192.0.2.8 --name bob --password right-bob
  cargo xtask client relay --from 2001:db8:1::7 --name x{{}}@remote.test --times 6
  {fairban} blocks
  {fairban} why 192.0.2.7
  {fairban} unblock 192.0.2.7
  cargo xtask lab shell server      then: nft list ruleset; tail -f {dir}/dovecot.log {dir}/mail.log
  cargo xtask lab shell clients     then: swaks --server {v4} --local-interface 192.0.2.9 --to alice@example.test

Ctrl-C, or `cargo xtask lab down`, ends it all.",
        dir = lab.dir().display(),
        mta = lab.mta(),
        v4 = net::SERVER_V4,
        v6 = net::SERVER_V6,
        networks = net::CLIENT_NETWORKS.join(", "),
    )
}

fn shell(side: Side) -> Result<()> {
    let net = Net::running()?;
    let program = env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let status = || Command::new(&program).status().context("cannot start a shell");
    match side {
        Side::Server => net.on_server(status)?,
        Side::Clients => net.on_clients(status)?,
    };
    Ok(())
}

/// Plays a client of the running lab.
pub(crate) fn client(args: &ClientArgs) -> Result<()> {
    ensure!(args.times > 0, "--times must be at least 1");
    let net = Net::running()?;
    for number in 1..=args.times {
        let password = args.password.replace("{}", &number.to_string());
        let name = args.name.replace("{}", &number.to_string());
        match attempt(&net, args.from, &Try { way: args.way, name, password })? {
            Answer::Yes(line) | Answer::No(line) => println!("{number}: {line}"),
            Answer::Silence => println!("{number}: no answer"),
        }
    }
    Ok(())
}

//! `fairban run`: the daemon, composed.

mod asking;
mod core;
mod demo;
mod desk;
mod explain;
mod fed;
mod fleet;
mod house;
mod judge;
mod keep;
mod kernel;
mod lookup;
mod machine;
mod notices;
mod notify;
mod portal;
mod readiness;
mod restore;
mod serve;
mod sources;
mod status;
mod tally;
mod vitals;
mod web;
mod what_if;
mod wishes;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use fairban_config::{Config, Enforce, EnforceMode};
use fairban_enforce::{EnforceError, Enforcer, Layout, Nftables};
use fairban_engine::Engine;
use fairban_store::{Store, StoreError};
use fairban_types::{Decision, Time};

use crate::cli::RunArgs;
pub(crate) use core::{Core, Told, now, seen};
use explain::Explaining;
pub(crate) use explain::{certificate as explainer_certificate, open_explaining};
use judge::SharedEngine;
use kernel::{Kernel, Order};
pub(crate) use machine::logs as machine_logs;
pub(crate) use notify::Notifier;
pub(crate) use serve::Wish;
pub(crate) use sources::spec as source_spec;
pub(crate) use web::Access;

/// What a daemon is made from.
pub(crate) struct Setup {
    pub(crate) config: Config,
    /// The file it came from, to read again on SIGHUP.
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) socket: PathBuf,
    /// Kept in memory only.
    pub(crate) forgetful: bool,
    pub(crate) observe: bool,
}

pub(crate) fn run(args: RunArgs, control: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    start_log(args.demo);
    let mut config = crate::lines::config(args.config.as_deref())?;
    if args.flush {
        return flush(&config.enforce);
    }
    let socket = control.unwrap_or_else(|| config.control.socket.clone());
    if args.demo {
        return demo::run(config, socket, args.demo_for);
    }
    if config.sources.is_empty() {
        config.sources = machine::logs();
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if config.sources.is_empty() {
        tracing::warn!("no mail log was found on this machine: name one with [[source]] file = \"…\"");
    }
    let setup = Setup { config, config_file: args.config, socket, forgetful: false, observe: args.observe };
    runtime()?.block_on(serve::run(setup, None))?;
    Ok(ExitCode::SUCCESS)
}

/// One thread decides, so one thread is enough; reading for the command line has threads of its own.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

fn start_log(quiet: bool) {
    // The fleet says once, in words of its own, what its client of Valkey says ten times a second.
    let default = if quiet { "warn,redis=error" } else { "info,redis=error" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("FAIRBAN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let colours = std::io::stderr().is_terminal() && crate::terminal::allows_colours();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    let _ = log.with_target(false).try_init();
}

pub(crate) fn layout(enforce: &Enforce) -> Layout {
    Layout {
        table: enforce.table.clone(),
        ports: enforce.ports.clone(),
        priority: enforce.priority,
        ..Layout::default()
    }
}

/// Takes everything that Fairban made out of the kernel.
pub(crate) fn flush(enforce: &Enforce) -> anyhow::Result<ExitCode> {
    Nftables::open(layout(enforce))?.flush()?;
    crate::terminal::line("Nothing of Fairban's is in the kernel any more. (A running daemon puts its blocks back.)")?;
    Ok(ExitCode::SUCCESS)
}

/// The way into the kernel; what the operator does not want or the machine does not allow is said, and only observed.
fn enforcer(
    enforce: &Enforce,
    is_enforced: bool,
    explaining: &mut Explaining,
) -> anyhow::Result<(Option<Box<dyn Enforcer>>, &'static str)> {
    if !is_enforced {
        return Ok((None, "observe"));
    }
    match explaining.open(layout(enforce)) {
        Ok(nftables) => Ok((Some(Box::new(nftables)), "nftables")),
        Err(error @ (EnforceError::Permission | EnforceError::Unsupported(_))) => {
            tracing::error!("{error}; going on in observe mode: blocks are recorded but not enforced");
            Ok((None, "observe (enforcing is not possible)"))
        }
        Err(error) => Err(error.into()),
    }
}

fn open_store(setup: &Setup) -> anyhow::Result<Store> {
    if setup.forgetful {
        return Ok(Store::in_memory()?);
    }
    let folder = &setup.config.store.path;
    match Store::open(folder) {
        // The damaged file was moved aside, and that was said; an empty one takes its place.
        Err(StoreError::Corrupt { moved_to: Some(_), .. }) => Store::open(folder),
        opened => opened,
    }
    .with_context(|| format!("cannot open the store in {}", folder.display()))
}

/// A core with everything that an earlier run knew, the kernel in step with it, and who tells the blocked why: that one
/// first, so that nobody is redirected to a closed port.
fn compose(setup: &Setup) -> anyhow::Result<(Core, Explaining)> {
    let store = open_store(setup)?;
    let now = now();
    let config = keep::with_set_values(setup.config.clone(), &store)?;
    let mut policy = config.policy.clone();
    policy.never.extend(restore::own_networks());
    policy.never.extend(store.never(now)?.into_iter().map(|entry| entry.net));
    // Blocks that only a mail server can enforce are of no use until one does ask.
    policy.mail_servers_ask &= !setup.config.asks_once_asked || asking::has_asked(&store);
    let asks = policy.mail_servers_ask;
    let mut engine = Engine::new(policy);
    engine.set_mail_servers_ask(asks);
    let standing = restore::restore(&mut engine, &store, now)?;
    let never = engine.never();
    let engine = SharedEngine::new(engine);
    let is_enforced = !setup.observe && setup.config.enforce.mode == EnforceMode::Nftables;
    let mut explaining = Explaining::start(&setup.config, &engine, is_enforced);
    let (enforcer, mode) = enforcer(&setup.config.enforce, is_enforced, &mut explaining)?;
    let kernel = Kernel::start(enforcer, mode)?;
    for net in never {
        kernel.tell(Order::Never { net, add: true });
    }
    kernel.tell(Order::Decisions(standing));
    kernel.tell(Order::Reconcile);
    let node: Arc<str> = setup.config.node.name.clone().unwrap_or_else(machine::name).into();
    Ok((Core::new(engine, store, kernel, config, node)?, explaining))
}

/// Whoever looks on while a daemon runs: the demo.
pub(crate) type Onlooker = tokio::sync::mpsc::UnboundedSender<Decision>;

/// The moment of a status.
pub(crate) fn started() -> Time {
    static STARTED: std::sync::OnceLock<Time> = std::sync::OnceLock::new();
    *STARTED.get_or_init(now)
}

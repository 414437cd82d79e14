//! The loop of a running daemon.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fairban_config::{Config, EnforceMode};
use fairban_sources::Batch;
use fairban_types::{Event, Time};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::asking::Asking;
use super::core::Core;
use super::desk::Office;
use super::explain::Explaining;
use super::house::{Rooms, own_domains};
use super::judge::Answers;
use super::kernel::Order;
use super::sources::Sources;
use super::tally::Tally;
use super::{Onlooker, Setup, Told, now};
use crate::control::{Reply, Request, server};

/// Lines that one commit may hold: more is a longer wait for who comes next.
const LINES_PER_COMMIT: usize = 8192;
/// So many files and connections at once are enough.
const FILES_MAX: u64 = 1 << 16;
/// How often it is written down that a mail server asks.
const ASKED_EVERY: Duration = Duration::from_secs(3600);
/// How long it is remembered what an account usually sends, after it has sent nothing.
const HABIT_KEPT: Duration = Duration::from_secs(400 * 86_400);
/// Rows that one round of forgetting takes away.
const PRUNED_PER_ROUND: usize = 2000;

/// A wish with who has it and where the answer goes.
pub(crate) struct Wish {
    pub(crate) request: Request,
    pub(crate) by: String,
    pub(crate) answer: oneshot::Sender<Reply>,
}

pub(super) struct Daemon {
    pub(super) core: Core,
    pub(super) sources: Sources,
    pub(super) asking: Asking,
    pub(super) explaining: Explaining,
    pub(super) portal: Option<fairban_web::Running>,
    pub(super) web: Option<fairban_web::Running>,
    pub(super) notifier: Option<std::sync::Arc<super::Notifier>>,
    config_file: Option<PathBuf>,
    /// Why the configuration file, as it is now, is not in force.
    pub(super) reload_error: Option<String>,
    pub(super) store_path: String,
    /// Whether blocks are wanted in the kernel, which does not take them.
    pub(super) cannot_enforce: bool,
    /// When it was last written down that a mail server asks.
    asked_noted: Time,
}

/// What a daemon waits for.
struct Inbox {
    lines: mpsc::Receiver<Batch>,
    reports: mpsc::Receiver<Event<'static>>,
    wishes: mpsc::Receiver<Wish>,
    heard: Option<mpsc::Receiver<fairban_fleet::Heard>>,
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// Runs until told to stop.
pub(crate) async fn run(setup: Setup, onlooker: Option<Onlooker>) -> anyhow::Result<()> {
    super::started();
    raise_file_limit();
    // Caught from the first moment: whoever reloads or stops a daemon that just starts must not kill it.
    let [hangup, terminate, interrupt] = [SignalKind::hangup(), SignalKind::terminate(), SignalKind::interrupt()];
    let (hangup, terminate, interrupt) = (signal(hangup)?, signal(terminate)?, signal(interrupt)?);
    // First, so that a second daemon changes nothing before it sees the other one.
    let control = server::listen(&setup.socket, &setup.config.control)?;
    let (mut core, explaining) = super::compose(&setup)?;
    let heard = super::fleet::start(&setup.config, &mut core, setup.forgetful)?;
    let (wishes, wished) = mpsc::channel::<Wish>(64);
    let (lines, read) = mpsc::channel::<Batch>(16);
    let (feed, reader) = (core.feed.clone(), core.store.reader()?);
    if let Some(onlooker) = onlooker {
        tokio::spawn(pass_on(feed.subscribe(), onlooker));
    }
    let for_portal = server::Shared::new(wishes.clone(), feed.clone(), core.store.reader()?);
    let for_pages = server::Shared::new(wishes.clone(), feed.clone(), core.store.reader()?);
    let access = super::Access::new(server::Shared::new(wishes.clone(), feed.clone(), core.store.reader()?));
    let notices = super::notices::start(&setup.config)?;
    let notifier = super::Notifier::new(&setup.config, core.node.clone(), notices.as_ref())?;
    let for_notifier = server::Shared::new(wishes.clone(), feed.clone(), core.store.reader()?);
    tokio::spawn(notifier.clone().follow(core.feed.subscribe(), for_notifier));
    let shared = server::Shared::new(wishes, feed, reader).with_access(access.clone()).with_notifier(notifier.clone());
    let socket_file = control.serve(shared);
    let (answers, reports) = Answers::new(core.engine.clone(), setup.observe);
    let house = Rooms {
        shared: for_portal,
        engine: core.engine.clone(),
        kernel: core.kernel.clone(),
        answers: answers.clone(),
        node: core.node.clone(),
        own_domains: own_domains(&setup.config),
        observes: setup.observe,
        member: core.member.clone(),
    };
    let tally = Tally::default();
    super::tally::start(&tally, &core)?;
    let office = Office {
        shared: for_pages,
        engine: core.engine.clone(),
        kernel: core.kernel.clone(),
        answers: answers.clone(),
        node: core.node.clone(),
        observes: setup.observe,
        tally,
        chain: super::lookup::Chain::start(core.store.reader()?),
        fed: super::fed::Fed::default(),
    };
    let asking = Asking::start(&setup.config, answers).await?;
    if let Some(notices) = &notices {
        let domain = own_domains(&setup.config).into_iter().next();
        tokio::spawn(super::notices::follow(core.feed.subscribe(), notices.clone(), domain));
    }
    let portal = super::portal::start(&setup.config, house, notices).await?;
    let mut daemon = Daemon::start(&setup, core, Sources::new(lines), asking, explaining).await;
    daemon.portal = portal;
    daemon.notifier = Some(notifier);
    daemon.web = super::web::start(&setup.config, office, &access).await?;
    tokio::spawn(super::web::greet(access));
    super::readiness::ready();
    daemon.serve(Inbox { lines: read, reports, wishes: wished, heard, hangup, terminate, interrupt }).await;
    super::readiness::stopping();
    daemon.sources.stop();
    if let Some(portal) = daemon.portal.take() {
        portal.stop().await;
    }
    if let Some(web) = daemon.web.take() {
        web.stop().await;
    }
    daemon.remember_asked();
    daemon.asking.stop().await;
    if let Some(member) = daemon.core.member.take() {
        member.fleet.stop().await;
    }
    daemon.core.commit();
    daemon.core.kernel.sync().await;
    daemon.core.kernel.tell(Order::Stop);
    daemon.explaining.stop().await;
    drop(socket_file);
    tracing::info!("ended; blocks stay in the kernel until their time is over");
    daemon.core.store.close(now())?;
    Ok(())
}

/// Each connection takes a file descriptor; the usual limit of 1,024 is lower than what the servers may take.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE)
        && now < most
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, most.min(FILES_MAX), most)
    {
        tracing::warn!(%error, "no more than {now} files and connections at once");
    }
}

async fn pass_on(mut feed: tokio::sync::broadcast::Receiver<Told>, onlooker: Onlooker) {
    while let Ok(told) = feed.recv().await {
        if let Told::Decision(decision) = told
            && onlooker.send((*decision).clone()).is_err()
        {
            return;
        }
    }
}

impl Daemon {
    async fn start(setup: &Setup, core: Core, sources: Sources, asking: Asking, explaining: Explaining) -> Daemon {
        let store_path = if setup.forgetful { Path::new("memory") } else { setup.config.store.path.as_path() };
        let store_path = store_path.display().to_string();
        let config_file = setup.config_file.clone();
        let is_wanted = !setup.observe && setup.config.enforce.mode == EnforceMode::Nftables;
        let cannot_enforce = is_wanted && core.kernel.state().is_observing();
        let mut daemon = Daemon {
            cannot_enforce,
            asked_noted: Time::MIN,
            core,
            sources,
            asking,
            explaining,
            portal: None,
            web: None,
            notifier: None,
            config_file,
            reload_error: None,
            store_path,
        };
        daemon.sources.set(&setup.config.sources, &daemon.core.store);
        daemon.core.kernel.sync().await;
        tracing::info!(
            profile = daemon.core.engine.look().policy().profile,
            enforcing = daemon.core.kernel.state().description,
            standing = daemon.core.engine.look().standing_len(),
            socket = %setup.socket.display(),
            "guarding"
        );
        daemon
    }

    /// Takes what comes, until told to stop.
    async fn serve(&mut self, mut inbox: Inbox) {
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut reconcile = interval(self.core.config.enforce.reconcile_every.max(Duration::from_secs(5)));
        reconcile.reset();
        loop {
            let next_end = self.next_end();
            tokio::select! {
                Some(batch) = inbox.lines.recv() => self.read(batch, &mut inbox.lines),
                Some(report) = inbox.reports.recv() => self.hear(&report, &mut inbox.reports),
                Some(wish) = inbox.wishes.recv() => self.carry_out(wish).await,
                () = super::fleet::changed(self.core.member.clone()) => self.follow().await,
                heard = super::fleet::hear(&mut inbox.heard) => {
                    self.core.hear_from_fleet(&heard);
                    self.core.commit();
                }
                () = sleep_until(next_end) => self.advance(),
                _ = tick.tick() => self.keep_house(),
                _ = reconcile.tick() => self.core.kernel.tell(Order::Reconcile),
                _ = inbox.hangup.recv() => self.reload(),
                _ = inbox.terminate.recv() => return,
                _ = inbox.interrupt.recv() => return,
            }
        }
    }

    /// When the next block ends, as the runtime counts time.
    fn next_end(&self) -> Instant {
        let far = Duration::from_secs(3600);
        let wait = self.core.engine.look().next_end().map_or(far, |end| end.since(now()).min(far));
        Instant::now() + wait
    }

    /// Reads what has come, and what came meanwhile, and commits it together.
    fn read(&mut self, batch: Batch, more: &mut mpsc::Receiver<Batch>) {
        let mut lines = batch.len();
        self.core.read(&batch);
        while lines < LINES_PER_COMMIT
            && let Ok(batch) = more.try_recv()
        {
            lines += batch.len();
            self.core.read(&batch);
        }
        self.core.commit();
    }

    /// Takes what mail servers reported, and what they reported meanwhile, and commits it together.
    fn hear(&mut self, report: &Event<'_>, more: &mut mpsc::Receiver<Event<'static>>) {
        self.core.step(report);
        for _ in 1..LINES_PER_COMMIT {
            let Ok(report) = more.try_recv() else { break };
            self.core.step(&report);
        }
        self.core.note_habits();
        self.core.commit();
    }

    /// Carries out what other nodes decided, and says so once the kernel has it.
    async fn follow(&mut self) {
        self.core.take_from_fleet();
        let is_durable = self.core.commit();
        self.core.kernel.sync().await;
        if let Some(member) = self.core.member.as_ref().filter(|_| is_durable) {
            member.fleet.carried_out();
        }
    }

    fn advance(&mut self) {
        self.core.advance();
        self.core.commit();
    }

    /// Carries out a wish; it is answered once the result is durable and in the kernel.
    async fn carry_out(&mut self, wish: Wish) {
        if matches!(wish.request, Request::Status) {
            let _ = wish.answer.send(Reply::Status(Box::new(self.status())));
            return;
        }
        self.core.ticket = None;
        let lets_out = matches!(wish.request, Request::LetOut { .. });
        let reply = self.core.carry_out(wish.request, &wish.by);
        let durable = self.core.commit();
        self.core.kernel.sync().await;
        let reply = match (reply, durable, &self.core.store_error) {
            (Reply::Done(text), false, Some(error)) => {
                Reply::No(format!("{text}. But it cannot be stored and would be forgotten by a restart: {error}"))
            }
            (Reply::Many(_), false, Some(error)) => {
                Reply::No(format!("it was done, but cannot be stored and would be forgotten by a restart: {error}"))
            }
            (reply, ..) => reply,
        };
        match (self.core.ticket.take(), self.core.member.clone(), reply) {
            // Nobody else waits while the other nodes are waited for.
            (Some(ticket), Some(member), reply @ (Reply::Done(_) | Reply::No(_))) => {
                tokio::spawn(async move {
                    let confirmation = member.fleet.confirm(&ticket, super::fleet::PATIENCE).await;
                    let reached = super::fleet::in_words(&confirmation);
                    let reply = match reply {
                        Reply::Done(_) if lets_out => {
                            Reply::LetOut { reached: confirmation.reached, unreached: confirmation.unreached }
                        }
                        Reply::Done(text) => Reply::Done(text + &reached),
                        Reply::No(text) => Reply::No(text + &reached),
                        reply => reply,
                    };
                    let _ = wish.answer.send(reply);
                });
            }
            (_, _, reply) => drop(wish.answer.send(reply)),
        }
    }

    /// What is done once a second.
    fn keep_house(&mut self) {
        super::readiness::alive();
        self.core.advance();
        self.remember_asked();
        self.core.commit();
        let config = &self.core.config.store;
        let (events, blocks) = (config.event_retention, config.block_retention);
        if self.core.store_error.is_none() && self.core.waiting.is_empty() {
            let forget = self.core.engine.look().policy().familiar.forget;
            let store = &mut self.core.store;
            let pruned = store
                .prune(now(), events, PRUNED_PER_ROUND)
                .and_then(|_| store.prune_blocks(now(), blocks, PRUNED_PER_ROUND))
                .and_then(|_| store.prune_familiar(now(), forget, PRUNED_PER_ROUND))
                .and_then(|_| store.prune_habits(now(), HABIT_KEPT, PRUNED_PER_ROUND));
            if let Err(error) = pruned.map(|_| ()).and_then(|()| self.core.refresh_never()) {
                tracing::warn!(%error, "old events stay in the database for now");
            }
        }
    }

    /// Once an hour is often enough: it is believed for days.
    fn remember_asked(&mut self) {
        if now().since(self.asked_noted) < ASKED_EVERY {
            return;
        }
        if let Some(place) = self.asking.remember() {
            self.core.waiting.cursors.push(place);
            self.asked_noted = now();
        }
    }

    /// Reads the configuration again. A bad one changes nothing.
    fn reload(&mut self) {
        if let Some(Err(error)) = self.portal.as_ref().map(fairban_web::Running::reload) {
            tracing::error!("the portal keeps its old certificate: {error}");
        }
        if let Some(Err(error)) = self.web.as_ref().map(fairban_web::Running::reload) {
            tracing::error!("the administrator's pages keep their old certificate: {error}");
        }
        let Some(path) = self.config_file.clone() else {
            tracing::warn!("there is no configuration file to read again; the built-in defaults stay in force");
            return;
        };
        self.reload_error = self.reload_from(&path).err().map(|error| crate::show::error(&error));
        match &self.reload_error {
            None => tracing::info!(file = %path.display(), "the configuration was read again and is in force"),
            Some(error) => tracing::error!("the new configuration is not in force, the old one stays: {error}"),
        }
    }

    fn reload_from(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut config = super::keep::with_set_values(Config::load(path)?, &self.core.store)?;
        if config.sources.is_empty() {
            config.sources = super::machine_logs();
        }
        let sources = config.sources.clone();
        let needs_restart = self.core.reconfigure(config)?;
        // What did not fit the file as it was may fit it now.
        self.core.take_values();
        self.sources.set(&sources, &self.core.store);
        self.core.audit("configuration", "reload", &path.display().to_string(), "");
        self.core.commit();
        if !needs_restart.is_empty() {
            tracing::warn!("changes of {} wait for a restart", needs_restart.join(", "));
        }
        Ok(())
    }
}

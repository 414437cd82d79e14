//! The loop of a running daemon.

use std::path::PathBuf;
use std::time::Duration;

use fairban_config::Config;
use fairban_sources::Batch;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::core::Core;
use super::kernel::Order;
use super::sources::Sources;
use super::{Onlooker, Setup, Told, now};
use crate::control::{Reply, Request, Status, StoreStatus, server};

/// Lines that one commit may hold: more is a longer wait for who comes next.
const LINES_PER_COMMIT: usize = 8192;
/// Rows that one round of forgetting takes away.
const PRUNED_PER_ROUND: usize = 2000;

/// A wish with who has it and where the answer goes.
pub(crate) struct Wish {
    pub(crate) request: Request,
    pub(crate) by: String,
    pub(crate) answer: oneshot::Sender<Reply>,
}

struct Daemon {
    core: Core,
    sources: Sources,
    config_file: Option<PathBuf>,
    store_path: String,
}

/// Runs until told to stop.
pub(crate) async fn run(setup: Setup, onlooker: Option<Onlooker>) -> anyhow::Result<()> {
    super::started();
    let core = super::compose(&setup)?;
    let (wishes, mut wished) = mpsc::channel::<Wish>(64);
    let (lines, mut read) = mpsc::channel::<Batch>(16);
    let feed = core.feed.clone();
    let reader = core.store.reader()?;
    let control = server::listen(&setup.socket, &setup.config.control)?;
    tokio::spawn(server::serve(control, server::Shared::new(wishes, feed.clone(), reader)));
    let store_path = if setup.forgetful { "memory".to_owned() } else { setup.config.store.path.display().to_string() };
    let mut daemon = Daemon { core, sources: Sources::new(lines), config_file: setup.config_file, store_path };
    daemon.sources.set(&setup.config.sources, &daemon.core.store);
    daemon.core.kernel.sync().await;
    tracing::info!(
        profile = daemon.core.engine.policy().profile,
        enforcing = daemon.core.kernel.state().description,
        standing = daemon.core.engine.standing_len(),
        socket = %setup.socket.display(),
        "guarding"
    );
    if let Some(onlooker) = onlooker {
        tokio::spawn(pass_on(feed.subscribe(), onlooker));
    }
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut reconcile = interval(setup.config.enforce.reconcile_every.max(Duration::from_secs(5)));
    reconcile.reset();
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let next_end = daemon.next_end();
        tokio::select! {
            Some(batch) = read.recv() => daemon.read(batch, &mut read),
            Some(wish) = wished.recv() => daemon.carry_out(wish).await,
            () = sleep_until(next_end) => daemon.advance(),
            _ = tick.tick() => daemon.keep_house(),
            _ = reconcile.tick() => daemon.core.kernel.tell(Order::Reconcile),
            _ = hangup.recv() => daemon.reload(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    daemon.sources.stop();
    daemon.core.commit();
    daemon.core.kernel.sync().await;
    daemon.core.kernel.tell(Order::Stop);
    let _ = std::fs::remove_file(&setup.socket);
    tracing::info!("ended; blocks stay in the kernel until their time is over");
    daemon.core.store.close(now())?;
    Ok(())
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
    /// When the next block ends, as the runtime counts time.
    fn next_end(&self) -> Instant {
        let far = Duration::from_secs(3600);
        let wait = self.core.engine.next_end().map_or(far, |end| end.since(now()).min(far));
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
        let reply = self.core.carry_out(wish.request, &wish.by);
        let durable = self.core.commit();
        self.core.kernel.sync().await;
        let reply = match (reply, durable, &self.core.store_error) {
            (Reply::Done(text), false, Some(error)) => Reply::No(format!(
                "{text}. But it cannot be stored and would be forgotten by a restart: {error}"
            )),
            (reply, ..) => reply,
        };
        let _ = wish.answer.send(reply);
    }

    /// What is done once a second.
    fn keep_house(&mut self) {
        self.core.advance();
        self.core.commit();
        let config = &self.core.config.store;
        let (events, blocks) = (config.event_retention, config.block_retention);
        if self.core.store_error.is_none() && self.core.waiting.is_empty() {
            let forget = self.core.engine.policy().familiar.forget;
            let store = &mut self.core.store;
            let pruned = store
                .prune(now(), events, PRUNED_PER_ROUND)
                .and_then(|_| store.prune_blocks(now(), blocks, PRUNED_PER_ROUND))
                .and_then(|_| store.prune_familiar(now(), forget, PRUNED_PER_ROUND));
            if let Err(error) = pruned.map(|_| ()).and_then(|()| self.core.end_never()) {
                tracing::warn!(%error, "old events stay in the database for now");
            }
        }
    }

    /// Reads the configuration again. A bad one changes nothing.
    fn reload(&mut self) {
        let Some(path) = &self.config_file else {
            tracing::warn!("there is no configuration file to read again; the built-in defaults stay in force");
            return;
        };
        let mut config = match Config::load(path) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!("{error}\nthe configuration stays as it was");
                return;
            }
        };
        if config.sources.is_empty() {
            config.sources = super::machine_logs();
        }
        let sources = config.sources.clone();
        match self.core.reconfigure(config) {
            Ok(needs_restart) => {
                self.sources.set(&sources, &self.core.store);
                self.core.audit("configuration", "reload", &path.display().to_string(), "");
                self.core.commit();
                tracing::info!(file = %path.display(), "the configuration was read again and is in force");
                if !needs_restart.is_empty() {
                    tracing::warn!("changes of {} wait for a restart", needs_restart.join(", "));
                }
            }
            Err(error) => tracing::error!("{error:#}\nthe configuration stays as it was"),
        }
    }

    fn status(&self) -> Status {
        let policy = self.core.engine.policy();
        let info = self.core.store.info().ok();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: self.core.node.to_string(),
            started: super::started(),
            profile: policy.profile.clone(),
            mail_servers_ask: policy.mail_servers_ask,
            standing: self.core.engine.standing_len(),
            tracked: self.core.engine.tracked_len(),
            memory_bytes: self.core.engine.bytes(),
            memory_bytes_max: policy.memory_bytes_max,
            counts: self.core.counts,
            enforcement: self.core.kernel.state(),
            store: StoreStatus {
                path: self.store_path.clone(),
                events: info.as_ref().map_or(0, |info| info.events),
                bytes: info.as_ref().map_or(0, |info| info.bytes),
                waiting: self.core.waiting.happenings.len(),
                error: self.core.store_error.clone(),
            },
            sources: self.sources.status(|name| self.core.events_of(name)),
            warnings: self.core.config.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}

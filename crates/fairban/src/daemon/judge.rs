//! The engine as the deciding thread and the servers for mail servers share it, and what mail servers are answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fairban_engine::Engine;
use fairban_protocols::Judge;
use fairban_types::{Event, Mailing, SignIn, Verdict};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::now;

/// So many reports may wait to be decided on. At the rate of a very busy server that is some seconds.
const REPORTS_MAX: usize = 1 << 16;

/// The engine. One thread changes it, for a moment at a time; any thread may look.
#[derive(Clone)]
pub(crate) struct SharedEngine(Arc<RwLock<Engine>>);

impl SharedEngine {
    pub(crate) fn new(engine: Engine) -> Self {
        SharedEngine(Arc::new(RwLock::new(engine)))
    }

    /// To look at. Never while the same thread changes it.
    pub(crate) fn look(&self) -> RwLockReadGuard<'_, Engine> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change: by the deciding thread (and once by who is asked first), for no longer than it takes to decide.
    pub(crate) fn change(&self) -> RwLockWriteGuard<'_, Engine> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers mail servers from the engine, and passes on what they report.
#[derive(Clone)]
pub(crate) struct Answers {
    shared: Arc<Shared>,
    /// Whether who asks here asks before every sign-in.
    before_sign_in: bool,
}

struct Shared {
    engine: SharedEngine,
    reports: Sender<Event<'static>>,
    lost: AtomicU64,
    /// Whether a mail server has asked before a sign-in.
    asked: AtomicBool,
    /// Nobody is refused: blocks are recorded only.
    observes: bool,
}

impl Answers {
    /// With the other end of what is reported.
    pub(crate) fn new(engine: SharedEngine, observes: bool) -> (Self, Receiver<Event<'static>>) {
        let (reports, heard) = mpsc::channel(REPORTS_MAX);
        // Who knows by configuration that mail servers ask need not wait for the first question.
        let asked = AtomicBool::new(engine.look().policy().mail_servers_ask);
        let shared = Shared { engine, reports, lost: AtomicU64::new(0), asked, observes };
        (Answers { shared: Arc::new(shared), before_sign_in: false }, heard)
    }

    /// The same for a mail server that asks before every sign-in.
    pub(crate) fn before_sign_in(&self) -> Self {
        Answers { shared: self.shared.clone(), before_sign_in: true }
    }

    /// Whether mail servers ask before a sign-in, as far as that was seen.
    pub(crate) fn asked(&self) -> bool {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// How many reports were given up because too many waited.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// From the first question on, blocks may rely on being asked about.
    fn note_asked(&self) {
        if !self.asked.load(Ordering::Relaxed) && !self.asked.swap(true, Ordering::Relaxed) {
            tracing::info!("the mail server asks before a sign-in: blocks now spare accounts where they are at home");
            self.engine.change().set_mail_servers_ask(true);
        }
    }
}

impl Judge for Answers {
    fn may_sign_in(&self, question: &SignIn<'_>) -> Verdict {
        if self.before_sign_in {
            self.shared.note_asked();
        }
        if self.shared.observes { Verdict::Allow } else { self.shared.engine.look().verdict(now(), question) }
    }

    fn may_send(&self, question: &Mailing<'_>) -> Verdict {
        if self.shared.observes { Verdict::Allow } else { self.shared.engine.look().may_send(now(), question) }
    }

    fn hear(&self, event: Event<'static>) -> bool {
        let taken = self.shared.reports.try_send(event).is_ok();
        if !taken {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

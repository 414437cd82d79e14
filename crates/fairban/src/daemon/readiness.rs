//! Telling the service manager: ready, alive, ending (sd_notify(3)). Without one, nothing is told.

use std::sync::OnceLock;

use sd_notify::NotifyState;

/// Everything that was configured listens, and what was blocked before is blocked again.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("guarding")]);
}

/// The loop that decides still turns. To be called more often than any sensible watchdog asks for.
pub(super) fn alive() {
    static IS_WATCHED: OnceLock<bool> = OnceLock::new();
    if *IS_WATCHED.get_or_init(|| sd_notify::watchdog_enabled(false, &mut 0)) {
        tell(&[NotifyState::Watchdog]);
    }
}

/// What follows is storing and closing.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "the service manager cannot be told how it is");
    }
}

use fairban_types::{Event, Mailing, SignIn, Verdict};

/// Who knows the answers. Calls are quick, well under a microsecond, and never wait: they are made on the threads that
/// serve every connection.
pub trait Judge: Send + Sync + 'static {
    /// May this client sign in?
    fn may_sign_in(&self, question: &SignIn<'_>) -> Verdict;
    /// May this client send?
    fn may_send(&self, question: &Mailing<'_>) -> Verdict;
    /// Takes an event. `false`: there is no room now, and the event is lost.
    fn hear(&self, event: Event<'static>) -> bool;
}

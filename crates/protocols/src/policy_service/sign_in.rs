use fairban_parse::policy::postfix::Request;
use fairban_types::{Event, EventKind, Service, Time, Witness};

/// A sign-in that was answered with no. Told at once, so that the mail server's own line about it is known to tell of the
/// same try, and not of a wrong password; that line names no session, so neither does this.
pub(super) fn refused_sign_in(request: &Request<'_>, now: Time) -> Event<'static> {
    let mut event = Event::new(EventKind::LoginRefused, now, request.client, Service::Submission);
    event.witness = Witness::Report;
    event.account = request.account.clone();
    event.helo = request.helo.clone();
    event.method = request.method.clone();
    event.into_owned()
}

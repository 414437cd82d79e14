use fairban_parse::policy::postfix::{Request, State};
use fairban_types::{Event, EventKind, Time, Witness};

use super::recent::Recent;

/// The sending that a question tells of which is answered with yes: each recipient of an account as soon as it is named,
/// and a whole message at its end if its recipients were not.
pub(super) fn event(request: &Request<'_>, recent: &Recent, now: Time) -> Option<Event<'static>> {
    let account = request.account.as_deref()?;
    let instance = request.instance.as_deref();
    let count = match (request.state, instance) {
        (State::Rcpt, Some(instance)) => {
            u32::from(recent.insert(instance, request.recipient.as_deref().unwrap_or_default()))
        }
        (State::Rcpt, None) => 1,
        (State::EndOfMessage, Some(instance)) if recent.knows(instance) => 0,
        (State::EndOfMessage, _) => request.recipient_count.max(1),
        _ => 0,
    };
    if count == 0 {
        return None;
    }
    let mut event = Event::new(EventKind::MessageSent, now, request.client, request.service()).account(account);
    event.count = count;
    event.witness = Witness::Report;
    // What the first recipient has already; the queue ID comes with the second.
    event.session = request.instance.clone();
    event.helo = request.helo.clone();
    event.return_path = request.return_path.clone();
    event.recipient = request.recipient.clone();
    event.method = request.method.clone();
    Some(event.into_owned())
}

#[cfg(test)]
mod tests {
    use fairban_parse::policy::postfix::read;

    use super::*;

    fn ask(recent: &Recent, state: &str, more: &str) -> Option<(u32, Option<String>)> {
        let text = format!(
            "request=smtpd_access_policy\nprotocol_state={state}\nclient_address=192.0.2.7\nserver_port=587\n\
             sender=alice@example.test\n{more}\n\n"
        );
        let event = event(&read(text.as_bytes()).unwrap(), recent, Time::from_secs(1))?;
        assert_eq!((event.kind, event.witness), (EventKind::MessageSent, Witness::Report));
        assert_eq!(event.return_path.as_deref(), Some("alice@example.test"));
        Some((event.count, event.session.map(String::from)))
    }

    #[test]
    fn each_recipient_counts_once() {
        let recent = Recent::default();
        let sent = |count: u32, session: &str| Some((count, Some(session.to_owned())));
        for (state, more, counted) in [
            ("MAIL", "sasl_username=alice\ninstance=1.a", None),
            ("RCPT", "sasl_username=alice\ninstance=1.a\nrecipient=bob@remote.test", sent(1, "1.a")),
            ("RCPT", "sasl_username=alice\ninstance=1.a\nrecipient=bob@remote.test", None),
            ("RCPT", "sasl_username=alice\ninstance=1.a\nrecipient=carol@remote.test\nqueue_id=A1", sent(1, "1.a")),
            ("DATA", "sasl_username=alice\ninstance=1.a\nrecipient_count=2", None),
            ("END-OF-MESSAGE", "sasl_username=alice\ninstance=1.a\nrecipient_count=2", None),
            ("RCPT", "sasl_username=alice\ninstance=1.b\nrecipient=bob@remote.test", sent(1, "1.b")),
            ("END-OF-MESSAGE", "sasl_username=alice\ninstance=1.c\nrecipient_count=3\nqueue_id=B2", sent(3, "1.c")),
            ("END-OF-MESSAGE", "sasl_username=alice\nrecipient_count=0", Some((1, None))),
            ("RCPT", "sasl_username=alice\nrecipient=bob@remote.test", Some((1, None))),
            ("RCPT", "instance=1.d\nrecipient=bob@remote.test", None),
            ("END-OF-MESSAGE", "instance=1.d\nrecipient_count=3", None),
        ] {
            assert_eq!(ask(&recent, state, more), counted, "{state} {more}");
        }
    }
}

use std::borrow::Cow;

use fairban_parse::policy::dovecot::{Ending, Request};
use fairban_types::{Event, EventKind, Time, Witness};

/// The event that a report tells of. `None`: it tells of nothing that a client did.
pub(super) fn event(report: Request<'_>, now: Time) -> Option<Event<'static>> {
    let kind = match report.ending {
        Ending::Succeeded => EventKind::LoginSucceeded,
        Ending::WrongPassword | Ending::Expired | Ending::Disabled => EventKind::LoginFailed,
        Ending::UnknownAccount => EventKind::LoginUnknownAccount,
        Ending::Refused => EventKind::LoginRefused,
        // The server's own trouble, or a report that does not say how it ended.
        Ending::NotChecked | Ending::Open => return None,
    };
    let mut event = Event::new(kind, now, report.client?, report.service);
    event.witness = Witness::Report;
    event.account = report.account;
    event.digest = report.digest;
    event.session = report.session;
    event.program = report.device;
    event.method = report.method;
    event.reason = report.ending.reason().map(Cow::Borrowed);
    Some(event.into_owned())
}

#[cfg(test)]
mod tests {
    use fairban_parse::policy::dovecot::read;
    use fairban_types::Service;

    use super::*;

    #[test]
    fn reports_are_events() {
        for (ending, kind) in [
            (r#""success":true,"policy_reject":false"#, Some(EventKind::LoginSucceeded)),
            (r#""success":false,"policy_reject":false"#, Some(EventKind::LoginFailed)),
            (r#""success":false,"policy_reject":true"#, Some(EventKind::LoginRefused)),
            (r#""success":false,"fail_type":"account""#, Some(EventKind::LoginUnknownAccount)),
            (r#""success":false,"fail_type":"expired""#, Some(EventKind::LoginFailed)),
            (r#""success":false,"fail_type":"internal""#, None),
            (r#""tls":false"#, None),
        ] {
            let body = format!(
                r#"{{"device_id":"name=Mail","login":"alice","protocol":"imap","pwhash":"0585","remote":"192.0.2.7",
                "session_id":"x","mech":"PLAIN",{ending}}}"#
            );
            let event = event(read(body.as_bytes()).unwrap(), Time::from_secs(1));
            assert_eq!(event.as_ref().map(|event| event.kind), kind, "{ending}");
            let Some(event) = event else { continue };
            assert_eq!((event.service, event.witness, event.count), (Service::Imap, Witness::Report, 1));
            assert_eq!(event.account.as_deref(), Some("alice"));
            assert_eq!(event.digest.as_deref(), Some("0585"));
            assert_eq!(event.session.as_deref(), Some("x"));
            assert_eq!(event.program.as_deref(), Some("name=Mail"));
            assert_eq!(event.method.as_deref(), Some("PLAIN"));
        }
        let nowhere = br#"{"login":"alice","remote":"","success":false,"policy_reject":false}"#;
        assert_eq!(event(read(nowhere).unwrap(), Time::from_secs(1)), None);
    }
}

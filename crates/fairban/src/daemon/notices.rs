//! Mail to owners and to the administrator: who is told, and of what.

use std::sync::Arc;

use fairban_config::Config;
use fairban_types::{Action, Decision, Origin, Sender, Subject};
use fairban_web::notice::{Happened, Notice, NoticeSettings, Notices, Relay};
use fairban_web::{Clock, Languages, WebError};
use jiff::tz::TimeZone;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Told;
use super::portal::security;

/// Makes ready to send, if there is a relay.
pub(crate) fn start(config: &Config) -> Result<Option<Arc<Notices>>, WebError> {
    let (notices, portal) = (&config.notices, &config.portal);
    let Some((host, from)) = notices.relay.clone().zip(notices.from.clone()) else { return Ok(None) };
    if notices.user.is_some() != notices.password_file.is_some() {
        return Err(WebError::Setting { key: "notices.user", wrong: "it goes with password_file: set both".into() });
    }
    let settings = NoticeSettings {
        relay: Relay {
            host,
            port: notices.port(),
            security: security(notices.security()),
            authority: notices.authority.clone(),
            sign_in: notices.user.clone().zip(notices.password_file.clone()),
        },
        from,
        administrator: notices.administrator.clone(),
        to_owner: notices.to_owner,
        per_account: NoticeSettings::PER_ACCOUNT,
        in_all: NoticeSettings::IN_ALL,
    };
    let languages = Languages::load(portal.catalogues.as_deref(), &portal.language)?;
    // A zone that there is not is said by the portal's own settings.
    let zone = portal.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or_else(TimeZone::system);
    Notices::start(&settings, languages, zone, Clock::system()).map(Some)
}

/// Tells of every account that a rule stops from sending: most probably it is stolen. An account without a domain is
/// written to in this one.
pub(crate) async fn follow(mut feed: Receiver<Told>, notices: Arc<Notices>, domain: Option<String>) {
    loop {
        match feed.recv().await {
            Ok(Told::Decision(decision)) => {
                if let Some(notice) = stolen(&decision, domain.as_deref()) {
                    notices.tell(&notice);
                }
            }
            Ok(Told::Event(_)) => {}
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!("too much happened at once: of {missed} things nobody was told by mail");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn stolen(decision: &Decision, domain: Option<&str>) -> Option<Notice> {
    let Subject::Sending(sending) = &decision.subject else { return None };
    let (Action::Block, Origin::Rule(_), Sender::Account(name)) = (decision.action, &decision.origin, &sending.sender)
    else {
        return None;
    };
    let account = match domain {
        Some(domain) if !name.contains('@') => format!("{name}@{domain}"),
        _ => name.clone(),
    };
    let last = decision.events.last();
    Some(Notice {
        happened: Happened::Stolen,
        account,
        address: last.map(|last| last.event.client.to_string()).unwrap_or_default(),
        code: decision.code,
        reason: crate::show::safe_line(&decision.reason),
        time: decision.time,
        language: None,
    })
}

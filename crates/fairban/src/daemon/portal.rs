//! The portal as the configuration describes it.

use std::sync::Arc;

use fairban_config::{Config, ForwardHeader, MailSecurity, PortalImap};
use fairban_web::notice::Notices;
use fairban_web::portal::{self, LiftPolicy, LinkKey, Links, MailServer, Settings};
use fairban_web::{Certificate, Proxies, Running, WebError};

use super::house::Rooms;

/// Starts it, if it is configured. A portal that cannot start is an error: blocked people would be sent to nothing.
pub(crate) async fn start(
    config: &Config,
    house: Rooms,
    notices: Option<Arc<Notices>>,
) -> Result<Option<Running>, WebError> {
    let Some(settings) = settings(config) else { return Ok(None) };
    if config.portal.tls_certificate.is_some() != config.portal.tls_key.is_some() {
        // Without TLS where TLS is wanted, passwords would be in the open.
        return Err(WebError::Setting {
            key: "portal.tls_certificate",
            wrong: "it goes with tls_key: set both".into(),
        });
    }
    let running = portal::start(settings, Arc::new(house), notices).await?;
    tracing::info!(listen = %running.local_addr(), "the self-service portal answers");
    Ok(Some(running))
}

fn settings(config: &Config) -> Option<Settings> {
    let portal = &config.portal;
    let lift = LiftPolicy {
        per_account_max: portal.lift.per_account,
        per_address_max: portal.lift.per_address,
        period: portal.lift.period,
        ..LiftPolicy::default()
    };
    let header = match portal.forward_header {
        ForwardHeader::XForwardedFor => fairban_web::ForwardHeader::XForwardedFor,
        ForwardHeader::Forwarded => fairban_web::ForwardHeader::Forwarded,
    };
    let certificate = portal.tls_certificate.clone().zip(portal.tls_key.clone());
    Some(Settings {
        listen: portal.listen?,
        tls: certificate.map(|(chain, key)| Certificate { chain, key }),
        url: portal.url.clone(),
        proxies: Proxies { trusted: portal.trusted_proxies.clone(), header },
        brand: portal.brand.clone(),
        contact: portal.contact.clone(),
        password_url: portal.password_url.clone(),
        mail_server: portal.imap.enabled.then(|| mail_server(&portal.imap)),
        links: links(config),
        default_domain: portal.default_domain.clone(),
        lift,
        language: portal.language.clone(),
        catalogues: portal.catalogues.clone(),
        time_zone: portal.time_zone.clone(),
        ..Settings::default()
    })
}

fn links(config: &Config) -> Option<Links> {
    let links = &config.portal.links;
    let secret = links.secret.clone().map(LinkKey::Secret);
    let key = secret.or_else(|| links.public_key.clone().map(LinkKey::PublicKey))?;
    Some(Links { key, audience: links.audience.clone(), lifetime_max: links.lifetime })
}

fn mail_server(imap: &PortalImap) -> MailServer {
    MailServer {
        host: imap.host.clone(),
        port: imap.port(),
        security: security(imap.security()),
        name: imap.name.clone(),
        authorities: imap.authority.clone(),
    }
}

pub(super) fn security(security: MailSecurity) -> portal::MailSecurity {
    match security {
        MailSecurity::Tls => portal::MailSecurity::Tls,
        MailSecurity::StartTls => portal::MailSecurity::StartTls,
        MailSecurity::Plain => portal::MailSecurity::Plain,
    }
}

//! The administrator's pages and the API as the configuration describes them, and who may come in.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fairban_config::{Config, ForwardHeader, SecondFactor, Web};
use fairban_web::access::{AccessError, Grade, LINK_TIME, OpenIdSettings, Registry, Role};
use fairban_web::admin::{self, Admin, Settings};
use fairban_web::{Certificate, Clock, Proxies, Running, WebError};
use serde_json::json;
use zeroize::Zeroizing;

use super::desk::{Office, Safe};
use super::now;
use crate::control::server::Shared;
use crate::control::{AccessWish, Reply};

/// Starts it, if it is configured. The link for the first administrator is said if there is nobody yet.
pub(crate) async fn start(config: &Config, office: Office, access: &Access) -> anyhow::Result<Option<Running>> {
    let Some(settings) = settings(config)? else { return Ok(None) };
    let admin = Admin::new(settings.clone(), Arc::new(office), access.registry.clone(), Clock::system())?;
    let running = admin::serve(&admin).await?;
    let address = access.address.get_or_init(|| admin::address(&settings, running.local_addr())).clone();
    tracing::info!(listen = %running.local_addr(), "the administrator's pages answer at {address}");
    Ok(Some(running))
}

/// Says the link for the first administrator, if there is nobody yet. The core has to be at work: it keeps the link.
pub(crate) async fn greet(access: Arc<Access>) {
    let Some(address) = access.address.get() else { return };
    match admin::first_link(&access.registry, now()).await {
        Ok(None) => {}
        Ok(Some(secret)) => {
            // Good for a day, and once: whoever reads the output of the first start is who installs it.
            let link = admin::link_address(address, &secret);
            let text =
                format!("To set up the first administrator, open this link within a day (it works once):\n  {link}");
            if let Err(error) = crate::terminal::line(&text) {
                tracing::warn!(%error, "the link for the first administrator could not be shown; `fairban user link` makes one");
            }
        }
        Err(error) => tracing::error!(%error, "no link for the first administrator could be made"),
    }
}

fn settings(config: &Config) -> Result<Option<Settings>, WebError> {
    let web = &config.web;
    let Some(listen) = web.listen else { return Ok(None) };
    if web.tls_certificate.is_some() != web.tls_key.is_some() {
        // Without TLS where TLS is wanted, passwords would be in the open.
        return Err(WebError::Setting { key: "web.tls_certificate", wrong: "it goes with tls_key: set both".into() });
    }
    let header = match web.forward_header {
        ForwardHeader::XForwardedFor => fairban_web::ForwardHeader::XForwardedFor,
        ForwardHeader::Forwarded => fairban_web::ForwardHeader::Forwarded,
    };
    let certificate = web.tls_certificate.clone().zip(web.tls_key.clone());
    let openid = openid(web)?;
    Ok(Some(Settings {
        listen,
        tls: certificate.map(|(chain, key)| Certificate { chain, key }),
        url: web.url.clone(),
        proxies: Proxies { trusted: web.trusted_proxies.clone(), header },
        time_zone: web.time_zone.clone(),
        metrics_open: web.metrics_open,
        second_factor_required: web.second_factor == SecondFactor::Required,
        openid,
        ..Settings::default()
    }))
}

fn openid(web: &Web) -> Result<Option<OpenIdSettings>, WebError> {
    let openid = &web.openid;
    let Some(issuer) = openid.issuer.clone() else { return Ok(None) };
    let client_id = openid.client_id.clone().ok_or_else(|| WebError::Setting {
        key: "web.openid.client_id",
        wrong: "it goes with issuer: set both".to_owned(),
    })?;
    let secret = |path: &PathBuf| match std::fs::read_to_string(path) {
        Ok(text) => Ok(Zeroizing::new(Zeroizing::new(text).trim().to_owned())),
        Err(source) => Err(WebError::File { path: path.clone(), source }),
    };
    let groups = [
        (Grade::Administrator, openid.administrators.clone()),
        (Grade::Support, openid.support.clone()),
        (Grade::DomainAdministrator, openid.domain_administrators.clone()),
        (Grade::ReadOnly, openid.read_only.clone()),
    ];
    Ok(Some(OpenIdSettings {
        name: openid.name.clone(),
        issuer,
        client_id,
        client_secret: openid.client_secret_file.as_ref().map(secret).transpose()?,
        scopes: openid.scopes.clone(),
        claim: openid.claim.clone(),
        groups: groups.into(),
        domains_claim: openid.domains_claim.clone(),
    }))
}

/// Users and tokens, as the command line asks about them.
pub(crate) struct Access {
    registry: Arc<Registry>,
    /// Where the pages are, once they are.
    address: OnceLock<String>,
}

impl Access {
    /// Who may come in, as the store keeps them. One for all who ask.
    pub(crate) fn new(shared: Shared) -> Arc<Self> {
        let registry = Registry::new(Arc::new(Safe(shared)), fairban_web::access::Hashing::default());
        Arc::new(Access { registry: Arc::new(registry), address: OnceLock::new() })
    }

    /// Answers a wish of somebody on this machine.
    pub(crate) async fn answer(&self, wish: AccessWish, by: &str) -> Vec<Reply> {
        match carry_out(&self.registry, self.address.get().map(String::as_str), wish, by).await {
            Ok(lines) => lines.into_iter().map(Reply::Data).collect(),
            Err(AccessError::No(text)) => vec![Reply::No(text)],
            Err(AccessError::Desk(error)) => vec![Reply::No(error.to_string())],
        }
    }
}

fn role(name: &str, domains: Vec<String>) -> Result<Role, AccessError> {
    let grade: Grade = name.parse().map_err(AccessError::No)?;
    Role::checked(grade, domains).map_err(AccessError::No)
}

async fn carry_out(
    registry: &Registry,
    address: Option<&str>,
    wish: AccessWish,
    by: &str,
) -> Result<Vec<serde_json::Value>, AccessError> {
    Ok(match wish {
        AccessWish::Users => {
            let user = |user: fairban_web::access::User| {
                json!({
                    "name": user.name, "role": user.role.grade, "domains": user.role.domains,
                    "second_factor": user.second_factor.is_some(), "passkeys": user.passkeys.len(),
                    "openid": user.openid, "made": user.made, "signed_in": user.signed_in,
                })
            };
            registry.users().await?.into_iter().map(user).collect()
        }
        AccessWish::Link { user, role: name, domains, seconds } => {
            let role = role(&name, domains)?;
            if role.grade == Grade::Check {
                return Err(AccessError::No("only a token can be of the role check".to_owned()));
            }
            let time = seconds.map_or(LINK_TIME, Duration::from_secs);
            let told = registry.make_link(user.as_deref(), role, time, now(), by).await?;
            let Some(address) = address else {
                return Err(AccessError::No(
                    "the administrator's pages are not in use: set [web] listen in the configuration and restart first"
                        .to_owned(),
                ));
            };
            vec![json!({ "link": admin::link_address(address, &told.secret), "expires": told.kept.expires })]
        }
        AccessWish::RemoveUser { name } => {
            registry.remove_user(&name, by).await?;
            vec![
                json!({ "message": format!("{name} is taken away and signed out, and the tokens that they made are revoked") }),
            ]
        }
        AccessWish::SetRole { name, role: text, domains } => {
            let role = role(&text, domains)?;
            if role.grade == Grade::Check {
                return Err(AccessError::No("only a token can be of the role check".to_owned()));
            }
            let grade = role.grade.as_str().replace('_', "-");
            registry.set_role(&name, role, by).await?;
            vec![json!({ "message": format!("{name} is {grade} now, and has to sign in again") })]
        }
        AccessWish::SignOut { name } => {
            registry.sign_out(&name, by).await?;
            vec![json!({ "message": format!("{name} is signed out everywhere") })]
        }
        AccessWish::Tokens => {
            let token = |token: fairban_web::access::Token| {
                json!({
                    "id": token.id, "name": token.name, "role": token.role.grade, "domains": token.role.domains,
                    "made": token.made, "by": token.by, "expires": token.expires, "used": token.used,
                })
            };
            registry.tokens().await?.into_iter().map(token).collect()
        }
        AccessWish::MakeToken { name, scope, domains, seconds } => {
            let role = role(&scope, domains)?;
            let told = registry.make_token(&name, role, seconds.map(Duration::from_secs), now(), by).await?;
            vec![json!({ "id": told.kept.id, "token": told.secret, "expires": told.kept.expires })]
        }
        AccessWish::RevokeToken { id } => {
            registry.revoke_token(&id, by).await?;
            vec![json!({ "message": format!("token {id} is revoked") })]
        }
    })
}

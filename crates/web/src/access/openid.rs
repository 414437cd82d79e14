//! Signing in by way of an OpenID provider (OpenID Connect Core 1.0, authorization code flow with PKCE, RFC 7636).
//!
//! The provider says who somebody is and to which groups they belong; the configuration says which groups have which
//! role. Nobody is matched with a local user by name or mail address.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fairban_types::Time;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::role::{Grade, Role};
use super::session::SessionId;
use super::user::OpenId;
use crate::fetch::Client;
use crate::{WebError, random};

/// Where the provider sends people back to, below our address.
pub(crate) const RETURN_PATH: &str = "/sign-in/openid/done";
/// So long a person may take at the provider.
const VISIT_TIME: Duration = Duration::from_secs(10 * 60);
const VISITS_MAX: usize = 1000;
/// What the provider publishes is asked for anew after so long, and
const KNOWN_TIME: Duration = Duration::from_secs(3600);
/// for an unknown key not more often than this.
const KEYS_EVERY: Duration = Duration::from_secs(60);
/// Signatures that are taken. None is by a secret that is shared, and none is `none`.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// An OpenID provider, as the operator names it.
#[derive(Clone, Debug)]
pub struct OpenIdSettings {
    /// What the button calls it.
    pub name: String,
    /// Its issuer, exactly as it calls itself.
    pub issuer: String,
    /// What we are called there.
    pub client_id: String,
    /// Our secret there; `None`: PKCE alone shows that it is us.
    pub client_secret: Option<Zeroizing<String>>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that holds a person's groups; a dot leads into an object.
    pub claim: String,
    /// The groups of each role. Of several the one that may most counts.
    pub groups: Vec<(Grade, Vec<String>)>,
    /// The claim that holds the domains of a domain administrator.
    pub domains_claim: String,
}

/// Why somebody is not signed in by a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenIdError {
    /// The provider does not answer as it should; for the log.
    #[error("the OpenID provider: {0}")]
    Provider(String),
    /// What came back is not taken, in a sentence for them.
    #[error("{0}")]
    Refused(&'static str),
}

fn provider(error: impl ToString) -> OpenIdError {
    OpenIdError::Provider(error.to_string())
}

/// What a provider publishes about itself (OpenID Connect Discovery 1.0, 3).
#[derive(Clone, Deserialize)]
struct Published {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Clone)]
struct Known {
    published: Published,
    keys: JwkSet,
    at: Time,
}

/// Somebody who is at the provider now.
struct Visit {
    state: String,
    nonce: String,
    verifier: String,
    next: String,
    begun: Time,
}

/// Who the provider says that somebody is.
#[derive(Debug)]
pub(crate) struct Vouched {
    pub(crate) openid: OpenId,
    /// What they would like to be called.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// Where they wanted to go.
    pub(crate) next: String,
}

/// A provider, and who is there.
pub(crate) struct Provider {
    settings: OpenIdSettings,
    return_to: String,
    client: Client,
    known: tokio::sync::Mutex<Option<Known>>,
    visits: Mutex<HashMap<SessionId, Visit>>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    aud: Value,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    preferred_username: Option<String>,
    #[serde(flatten)]
    others: serde_json::Map<String, Value>,
}

impl Provider {
    /// The provider of these settings, for people who reach us at this origin.
    pub(crate) fn new(settings: OpenIdSettings, origin: &str) -> Result<Self, WebError> {
        let return_to = format!("{origin}{RETURN_PATH}");
        let (client, known, visits) =
            (Client::new(settings.issuer.starts_with("https:"))?, tokio::sync::Mutex::default(), Mutex::default());
        Ok(Provider { settings, return_to, client, known, visits })
    }

    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Where to send somebody, and the cookie by which they are known when they come back.
    pub(crate) async fn begin(&self, next: String, now: Time) -> Result<(String, String), OpenIdError> {
        let known = self.known(now).await?;
        let token = || random::token().map_err(provider);
        let (cookie, state, nonce, verifier) = (token()?, token()?, token()?, token()?);
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let scope = ["openid"].into_iter().chain(self.settings.scopes.iter().map(String::as_str));
        let scope = scope.collect::<Vec<_>>().join(" ");
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.return_to)
            .append_pair("scope", &scope)
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let endpoint = &known.published.authorization_endpoint;
        let sign = if endpoint.contains('?') { '&' } else { '?' };
        let visit = Visit { state, nonce, verifier, next, begun: now };
        let mut visits = crate::admin::lock(&self.visits);
        visits.retain(|_, visit| now.since(visit.begun) < VISIT_TIME);
        if visits.len() >= VISITS_MAX {
            let oldest = visits.iter().min_by_key(|(_, visit)| visit.begun).map(|(id, _)| *id);
            if let Some(id) = oldest {
                visits.remove(&id);
            }
        }
        visits.insert(SessionId::of(&cookie), visit);
        Ok((format!("{endpoint}{sign}{query}"), cookie))
    }

    /// Who came back, with the code for which the provider tells who they are. A visit is good once.
    pub(crate) async fn finish(
        &self,
        cookie: &str,
        state: &str,
        code: &str,
        now: Time,
    ) -> Result<Vouched, OpenIdError> {
        let visit = crate::admin::lock(&self.visits).remove(&SessionId::of(cookie));
        let visit = visit.filter(|visit| now.since(visit.begun) < VISIT_TIME && visit.state == state);
        let visit = visit.ok_or(OpenIdError::Refused("It took too long, or began elsewhere. Sign in again."))?;
        let id_token = self.exchange(code, &visit.verifier, now).await?;
        let claims = self.verified(&id_token, now).await?;
        if claims.nonce.as_deref() != Some(visit.nonce.as_str()) {
            return Err(OpenIdError::Refused("The provider's answer is to another question. Sign in again."));
        }
        let role = self.role(&claims.others)?;
        let name = claims.preferred_username.unwrap_or_else(|| claims.sub.clone());
        let openid = OpenId { issuer: self.settings.issuer.clone(), subject: claims.sub };
        Ok(Vouched { openid, name, role, next: visit.next })
    }

    /// The provider's own word on itself, and its keys.
    async fn known(&self, now: Time) -> Result<Known, OpenIdError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| now.since(known.at) < KNOWN_TIME) {
            return Ok(known.clone());
        }
        Ok(known.insert(self.discover(now).await?).clone())
    }

    async fn discover(&self, now: Time) -> Result<Known, OpenIdError> {
        let issuer = &self.settings.issuer;
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let published: Published = self.client.get(&place).await.map_err(provider)?;
        if published.issuer != *issuer {
            return Err(OpenIdError::Provider(format!("it calls itself {}, not {issuer}", published.issuer)));
        }
        let places = [&published.authorization_endpoint, &published.token_endpoint, &published.jwks_uri];
        if let Some(place) =
            places.into_iter().find(|place| issuer.starts_with("https:") && !place.starts_with("https:"))
        {
            return Err(OpenIdError::Provider(format!("{place} is without TLS")));
        }
        let keys: JwkSet = self.client.get(&published.jwks_uri).await.map_err(provider)?;
        Ok(Known { published, keys, at: now })
    }

    async fn exchange(&self, code: &str, verifier: &str, now: Time) -> Result<String, OpenIdError> {
        let endpoint = self.known(now).await?.published.token_endpoint;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.return_to),
            ("code_verifier", verifier),
            ("client_id", &self.settings.client_id),
        ];
        let secret =
            self.settings.client_secret.as_ref().map(|secret| (self.settings.client_id.as_str(), secret.as_str()));
        let tokens: Tokens = self.client.post(&endpoint, &form, secret).await.map_err(provider)?;
        Ok(tokens.id_token)
    }

    /// The claims of an ID token that this provider signed for us and that is not over (OpenID Connect Core, 3.1.3.7).
    async fn verified(&self, id_token: &str, now: Time) -> Result<Claims, OpenIdError> {
        const BAD: OpenIdError = OpenIdError::Refused("What the provider says is not signed as it should be.");
        let header = decode_header(id_token).map_err(|_| BAD)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(BAD);
        }
        let key = self.key(header.kid.as_deref(), now).await?.ok_or(BAD)?;
        let key = DecodingKey::from_jwk(&key).map_err(|_| BAD)?;
        let mut wanted = Validation::new(header.alg);
        wanted.set_audience(&[&self.settings.client_id]);
        wanted.set_issuer(&[&self.settings.issuer]);
        wanted.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        let claims = decode::<Claims>(id_token, &key, &wanted).map_err(|error| {
            tracing::warn!(%error, "an ID token is not taken");
            OpenIdError::Refused("What the provider says is over, or not for here.")
        })?;
        let claims = claims.claims;
        let is_for_others = claims.aud.as_array().is_some_and(|all| all.len() > 1);
        let azp = claims.azp.as_deref();
        if azp.is_some_and(|azp| azp != self.settings.client_id) || is_for_others && azp.is_none() {
            return Err(OpenIdError::Refused("What the provider says is for somebody else."));
        }
        Ok(claims)
    }

    /// The key of this name. Providers change their keys: one that is unknown is asked for.
    async fn key(&self, name: Option<&str>, now: Time) -> Result<Option<Jwk>, OpenIdError> {
        let known = self.known(now).await?;
        if let Some(key) = find(&known.keys, name) {
            return Ok(Some(key.clone()));
        }
        if now.since(known.at) < KEYS_EVERY {
            return Ok(None);
        }
        let fresh = self.discover(now).await?;
        let key = find(&fresh.keys, name).cloned();
        *self.known.lock().await = Some(fresh);
        Ok(key)
    }

    /// The role that somebody's groups have.
    fn role(&self, claims: &serde_json::Map<String, Value>) -> Result<Role, OpenIdError> {
        let theirs = texts(claims, &self.settings.claim);
        let mut roles = Grade::OF_PEOPLE.iter().filter(|grade| {
            let mut of_grade =
                self.settings.groups.iter().filter(|(one, _)| one == *grade).flat_map(|(_, groups)| groups);
            of_grade.any(|group| theirs.contains(&group.as_str()))
        });
        let refused = OpenIdError::Refused("You are in none of the groups that may come in here.");
        let grade = *roles.next().ok_or(refused)?;
        let domains = match grade {
            Grade::DomainAdministrator => texts(claims, &self.settings.domains_claim),
            _ => Vec::new(),
        };
        Role::checked(grade, domains.into_iter().map(str::to_owned).collect())
            .map_err(|_| OpenIdError::Refused("The provider does not say whose domains you administer."))
    }
}

fn find<'k>(keys: &'k JwkSet, name: Option<&str>) -> Option<&'k Jwk> {
    match name {
        Some(name) => keys.find(name),
        None => keys.keys.first().filter(|_| keys.keys.len() == 1),
    }
}

/// The texts of a claim: one, or a list of them.
fn texts<'c>(claims: &'c serde_json::Map<String, Value>, name: &str) -> Vec<&'c str> {
    let mut steps = name.split('.');
    let found = claims.get(name).or_else(|| {
        let first = claims.get(steps.next()?)?;
        steps.try_fold(first, |value, step| value.get(step))
    });
    match found {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

//! Signed links from a hosting panel: JSON Web Tokens (RFC 7519), signed by HS256 or EdDSA with Ed25519 (RFC 8037).
//!
//! Own code rather than a library: of JWT this needs two algorithms, one of which is chosen by the operator and never by
//! the token, and the libraries bring RSA along, which has an open advisory.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fairban_types::Time;
use ring::digest::{SHA256, digest};
use ring::{hmac, signature};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value};

use crate::WebError;

/// Tokens are short; a longer one is none.
const LENGTH_MAX: usize = 4096;

/// Used links that are remembered. When it is full no link is taken, rather than one twice.
const USED_MAX: usize = 100_000;

/// How far the panel's clock and ours may differ.
const SKEW: Duration = Duration::from_secs(30);

/// An Ed25519 public key in a SubjectPublicKeyInfo (RFC 8410, 4) stands after these bytes.
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Links from a hosting panel are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// What signs them.
    pub key: LinkKey,
    /// The audience (`aud`) that they must be meant for.
    pub audience: String,
    /// The longest time between `iat` and `exp`.
    pub lifetime_max: Duration,
}

impl Links {
    /// The audience unless another is configured.
    pub const AUDIENCE: &'static str = "fairban-portal";
    /// The longest life unless a shorter one is configured.
    pub const LIFETIME_MAX: Duration = Duration::from_secs(600);
}

/// What signs links.
#[derive(Clone, PartialEq, Eq)]
pub enum LinkKey {
    /// HS256: a file with a shared secret of at least 32 bytes (white space at its ends does not count).
    Secret(PathBuf),
    /// EdDSA: a PEM file with the panel's Ed25519 public key.
    PublicKey(PathBuf),
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LinkKey::Secret(path) => write!(f, "Secret({})", path.display()),
            LinkKey::PublicKey(path) => write!(f, "PublicKey({})", path.display()),
        }
    }
}

/// Why a link was not taken. People are told one sentence for all of them; the log says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("it is not a signed token of the configured kind")]
    Form,
    #[error("its signature is wrong")]
    Signature,
    #[error("its claims are not what they must be: sub, aud, iat, exp, jti")]
    Claims,
    #[error("it has expired, is not valid yet, or is valid for too long")]
    Time,
    #[error("it was issued before this program started (or less than 30 s after), so it may have been used already")]
    BeforeStart,
    #[error("it has been used")]
    Used,
    #[error("too many links were used in a short time")]
    Full,
}

enum Verifier {
    Hs256(hmac::Key),
    EdDsa(signature::UnparsedPublicKey<Vec<u8>>),
}

/// What a link says, once it is believed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) account: String,
    id: [u8; 32],
    expires: Time,
}

pub(crate) struct LinkDesk {
    verifier: Verifier,
    audience: String,
    lifetime_max: Duration,
    started: Time,
    used: HashMap<[u8; 32], Time>,
}

impl LinkDesk {
    pub(crate) fn open(links: &Links, now: Time) -> Result<Self, WebError> {
        if links.lifetime_max > Links::LIFETIME_MAX {
            return Err(WebError::Setting {
                key: "portal.links.lifetime",
                wrong: "links may live for 10 minutes at most".into(),
            });
        }
        Ok(LinkDesk {
            verifier: read_key(&links.key)?,
            audience: links.audience.clone(),
            lifetime_max: links.lifetime_max,
            started: now,
            used: HashMap::new(),
        })
    }

    /// Reads a link without using it up.
    pub(crate) fn read(&self, token: &str, now: Time) -> Result<Claim, LinkError> {
        let claims = self.verified(token)?;
        let claim = self.claim(&claims, now)?;
        if self.used.contains_key(&claim.id) { Err(LinkError::Used) } else { Ok(claim) }
    }

    /// Uses a link up.
    pub(crate) fn take(&mut self, token: &str, now: Time) -> Result<Claim, LinkError> {
        let claim = self.read(token, now)?;
        self.used.retain(|_, expires| *expires > now);
        if self.used.len() >= USED_MAX {
            return Err(LinkError::Full);
        }
        self.used.insert(claim.id, claim.expires);
        Ok(claim)
    }

    /// The claims, if the signature is right. The algorithm is ours; a token that names another is refused unread.
    fn verified(&self, token: &str) -> Result<Map<String, Value>, LinkError> {
        if token.len() > LENGTH_MAX {
            return Err(LinkError::Form);
        }
        let (signed, given) = token.rsplit_once('.').ok_or(LinkError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(LinkError::Form)?;
        let header = object(header)?;
        let algorithm = match self.verifier {
            Verifier::Hs256(_) => "HS256",
            Verifier::EdDsa(_) => "EdDSA",
        };
        // RFC 7515, 4.1.11: what must be understood is not.
        if header.get("alg").and_then(Value::as_str) != Some(algorithm) || header.contains_key("crit") {
            return Err(LinkError::Form);
        }
        let given = URL_SAFE_NO_PAD.decode(given).map_err(|_| LinkError::Form)?;
        let right = match &self.verifier {
            Verifier::Hs256(key) => hmac::verify(key, signed.as_bytes(), &given),
            Verifier::EdDsa(key) => key.verify(signed.as_bytes(), &given),
        };
        right.map_err(|_| LinkError::Signature)?;
        object(payload)
    }

    fn claim(&self, claims: &Map<String, Value>, now: Time) -> Result<Claim, LinkError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let time = |name: &str| claims.get(name).and_then(Value::as_i64).map(Time::from_secs);
        let meant = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(|aud| aud.as_str() == Some(&self.audience)),
            Some(aud) => aud.as_str() == Some(&self.audience),
            None => false,
        };
        let (Some(account), Some(id), Some(issued), Some(expires), true) =
            (text("sub"), text("jti"), time("iat"), time("exp"), meant)
        else {
            return Err(LinkError::Claims);
        };
        let not_before = claims.get("nbf").map_or(Some(issued), |_| time("nbf")).ok_or(LinkError::Claims)?;
        let soon = now.after(SKEW);
        if expires <= now || issued > soon || not_before > soon || expires.since(issued) > self.lifetime_max {
            return Err(LinkError::Time);
        }
        // What was used is forgotten at a restart, so what may have been used before it is not taken after it. A panel
        // whose clock is ahead by the skew that is allowed must not slip through, so for that long no link is taken.
        if issued <= self.started.after(SKEW) {
            return Err(LinkError::BeforeStart);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, id.as_bytes()).as_ref());
        Ok(Claim { account: account.to_owned(), id: hash, expires })
    }
}

fn object(part: &str) -> Result<Map<String, Value>, LinkError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| LinkError::Form)?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(LinkError::Form),
    }
}

fn read_key(key: &LinkKey) -> Result<Verifier, WebError> {
    match key {
        LinkKey::Secret(path) => {
            let bytes = std::fs::read(path).map_err(|source| WebError::File { path: path.clone(), source })?;
            let secret = bytes.trim_ascii();
            if secret.len() < 32 {
                return Err(WebError::Pem { path: path.clone(), wrong: "a secret needs at least 32 bytes".into() });
            }
            Ok(Verifier::Hs256(hmac::Key::new(hmac::HMAC_SHA256, secret)))
        }
        LinkKey::PublicKey(path) => {
            let wrong = || WebError::Pem {
                path: path.clone(),
                wrong: "it holds no Ed25519 public key (make one with `openssl genpkey -algorithm ed25519` and \
                        `openssl pkey -pubout`)"
                    .into(),
            };
            let bytes = std::fs::read(path).map_err(|source| WebError::File { path: path.clone(), source })?;
            let info = SubjectPublicKeyInfoDer::from_pem_slice(&bytes).map_err(|_| wrong())?;
            let key = info.strip_prefix(&ED25519_PREFIX).filter(|key| key.len() == 32).ok_or_else(wrong)?;
            Ok(Verifier::EdDsa(signature::UnparsedPublicKey::new(&signature::ED25519, key.to_vec())))
        }
    }
}

//! Passkeys (Web Authentication, level 3): a key pair in a person's device, which the device uses only after it has made
//! sure who holds it. So one passkey is both factors.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fairban_types::Time;
use serde::{Deserialize, Serialize};
use webauthn_rp::bin::{Decode as _, Encode as _};
use webauthn_rp::request::auth::AuthenticationVerificationOptions;
use webauthn_rp::request::register::{
    CredProtect, PublicKeyCredentialUserEntity, RegistrationVerificationOptions, USER_HANDLE_MAX_LEN, UserHandle64,
    Username,
};
use webauthn_rp::request::{AsciiDomain, PublicKeyCredentialDescriptor, RpId};
use webauthn_rp::response::register::{CompressedPubKey, DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication64, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions, PublicKeyCredentialCreationOptions, Registration, RegistrationServerState,
};

use super::session::SessionId;

/// So long a challenge is good.
const CHALLENGE_TIME: Duration = Duration::from_secs(5 * 60);
const CHALLENGES_MAX: usize = 1000;
/// Of one user.
pub(crate) const PASSKEYS_MAX: usize = 20;

type Key = StaticState<CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>>;

/// A passkey, as it is kept. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// The credential's identifier, in base64url.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// The public key and what does not change with it, in base64url.
    pub key: String,
    /// What changes with each use: the counter, for one.
    pub state: String,
    /// When it was made.
    pub made: Time,
    /// When it was last used.
    #[serde(default)]
    pub used: Option<Time>,
}

/// Why a passkey is not taken, for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasskeyError {
    #[error("It took too long, or was sent twice. Try again.")]
    Over,
    #[error("There is no such passkey here any more.")]
    Unknown,
    /// With what the library says, which names no secrets.
    #[error("The passkey was not taken: {0}.")]
    Refused(String),
}

fn refused(error: impl ToString) -> PasskeyError {
    PasskeyError::Refused(error.to_string())
}

/// For whom passkeys are: the host that people type, and the origin that browsers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    host: String,
    origin: String,
}

impl Site {
    /// The site of an origin; `None`: browsers have no passkeys for an address, nor without TLS.
    pub(crate) fn of(origin: &str) -> Option<Site> {
        let (scheme, rest) = origin.split_once("://")?;
        let host =
            rest.rsplit_once(':').map_or(rest, |(host, port)| if port.parse::<u16>().is_ok() { host } else { rest });
        let host = host.to_ascii_lowercase();
        let is_safe = scheme == "https" || host == "localhost";
        let is_name = host.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
        let site = Site { host, origin: origin.to_ascii_lowercase() };
        (is_safe && is_name && site.rp().is_some()).then_some(site)
    }

    fn rp(&self) -> Option<RpId> {
        AsciiDomain::try_from(self.host.clone()).ok().map(RpId::Domain)
    }
}

/// A new name of a user towards authenticators, in base64url: it tells nothing about them.
pub(crate) fn new_handle() -> String {
    URL_SAFE_NO_PAD.encode(UserHandle64::new().as_ref())
}

fn handle(text: &str) -> Result<UserHandle64, PasskeyError> {
    let bytes: [u8; USER_HANDLE_MAX_LEN] = decoded(text)?.try_into().map_err(|_| PasskeyError::Unknown)?;
    UserHandle64::decode(bytes).map_err(refused)
}

fn decoded(text: &str) -> Result<Vec<u8>, PasskeyError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| PasskeyError::Unknown)
}

enum Challenge {
    Making(RegistrationServerState<USER_HANDLE_MAX_LEN>),
    SigningIn(DiscoverableAuthenticationServerState),
}

/// Challenges that are out. Each is bound to one session or visit, which has one at a time, and is good once.
#[derive(Default)]
pub(crate) struct Challenges(HashMap<SessionId, (Time, Challenge)>);

impl Challenges {
    fn put(&mut self, whose: SessionId, challenge: Challenge, now: Time) {
        self.0.retain(|_, (begun, _)| now.since(*begun) < CHALLENGE_TIME);
        if self.0.len() >= CHALLENGES_MAX {
            let oldest = self.0.iter().min_by_key(|(_, (begun, _))| *begun).map(|(id, _)| *id);
            if let Some(id) = oldest {
                self.0.remove(&id);
            }
        }
        self.0.insert(whose, (now, challenge));
    }

    fn take(&mut self, whose: SessionId, now: Time) -> Option<Challenge> {
        let (begun, challenge) = self.0.remove(&whose)?;
        (now.since(begun) < CHALLENGE_TIME).then_some(challenge)
    }

    /// Begins to make a passkey: what the browser is told, as JSON.
    pub(crate) fn begin_making(
        &mut self,
        site: &Site,
        whose: SessionId,
        (name, handle_text): (&str, &str),
        present: &[Passkey],
        now: Time,
    ) -> Result<String, PasskeyError> {
        let id = handle(handle_text)?;
        let rp = site.rp().ok_or(PasskeyError::Unknown)?;
        let name = Username::try_from(name).map_err(refused)?;
        let user = PublicKeyCredentialUserEntity { name, id: &id, display_name: None };
        let mut options = PublicKeyCredentialCreationOptions::passkey(&rp, user, descriptors(present)?);
        // Many authenticators know nothing of it, and would refuse. Who uses a passkey is verified each time anyway.
        options.extensions.cred_protect = CredProtect::None;
        let (server, client) = options.start_ceremony().map_err(refused)?;
        let told = serde_json::to_string(&client).map_err(refused)?;
        self.put(whose, Challenge::Making(server), now);
        Ok(told)
    }

    /// A passkey that was made, if it answers the challenge of this session.
    pub(crate) fn finish_making(
        &mut self,
        site: &Site,
        whose: SessionId,
        json: &str,
        name: &str,
        now: Time,
    ) -> Result<Passkey, PasskeyError> {
        let Some(Challenge::Making(state)) = self.take(whose, now) else { return Err(PasskeyError::Over) };
        let rp = site.rp().ok_or(PasskeyError::Unknown)?;
        let registration = Registration::from_json_relaxed(json.as_bytes()).map_err(refused)?;
        let options = RegistrationVerificationOptions::<&str, &str> {
            allowed_origins: &[site.origin.as_str()],
            // Some tell more than they were asked.
            error_on_unsolicited_extensions: false,
            ..RegistrationVerificationOptions::default()
        };
        let made = state.verify(&rp, &registration, &options).map_err(refused)?;
        let key = made.static_state().encode().map_err(refused)?;
        let state = made.dynamic_state().encode().map_err(refused)?;
        Ok(Passkey {
            id: URL_SAFE_NO_PAD.encode(made.id().as_ref()),
            name: passkey_name(name),
            key: URL_SAFE_NO_PAD.encode(key),
            state: URL_SAFE_NO_PAD.encode(state),
            made: now,
            used: None,
        })
    }

    /// Begins to sign somebody in: what the browser is told, as JSON.
    pub(crate) fn begin_signing_in(
        &mut self,
        site: &Site,
        whose: SessionId,
        now: Time,
    ) -> Result<String, PasskeyError> {
        let rp = site.rp().ok_or(PasskeyError::Unknown)?;
        let (server, client) = DiscoverableCredentialRequestOptions::passkey(&rp).start_ceremony().map_err(refused)?;
        let told = serde_json::to_string(&client).map_err(refused)?;
        self.put(whose, Challenge::SigningIn(server), now);
        Ok(told)
    }

    /// The passkey after its use, if it answers the challenge of this visit and is one of this user's.
    pub(crate) fn finish_signing_in(
        &mut self,
        site: &Site,
        whose: SessionId,
        shown: &Shown,
        (handle_text, passkeys): (&str, &[Passkey]),
        now: Time,
    ) -> Result<Passkey, PasskeyError> {
        let Some(Challenge::SigningIn(state)) = self.take(whose, now) else { return Err(PasskeyError::Over) };
        let id = shown.id();
        let passkey = passkeys.iter().find(|passkey| passkey.id == id).ok_or(PasskeyError::Unknown)?;
        let rp = site.rp().ok_or(PasskeyError::Unknown)?;
        let (user, id) = (handle(handle_text)?, decoded(&passkey.id)?);
        let key = Key::decode(&decoded(&passkey.key)?).map_err(refused)?;
        let before: [u8; 7] = decoded(&passkey.state)?.try_into().map_err(|_| PasskeyError::Unknown)?;
        let before = DynamicState::decode(before).map_err(refused)?;
        let id = CredentialId::<&[u8]>::decode(&id).map_err(refused)?;
        let mut credential = AuthenticatedCredential::new(id, &user, key, before).map_err(refused)?;
        let options = AuthenticationVerificationOptions::<&str, &str> {
            allowed_origins: &[site.origin.as_str()],
            error_on_unsolicited_extensions: false,
            ..AuthenticationVerificationOptions::default()
        };
        state.verify(&rp, &shown.0, &mut credential, &options).map_err(refused)?;
        let after = credential.dynamic_state().encode().map_err(refused)?;
        Ok(Passkey { state: URL_SAFE_NO_PAD.encode(after), used: Some(now), ..passkey.clone() })
    }
}

/// What a browser sends of a passkey that was used. Nothing in it is proved yet.
pub(crate) struct Shown(DiscoverableAuthentication64);

impl Shown {
    /// Reads what the browser's script sent: an `AuthenticationResponseJSON`.
    pub(crate) fn read(json: &str) -> Result<Shown, PasskeyError> {
        DiscoverableAuthentication64::from_json_relaxed(json.as_bytes()).map(Shown).map_err(refused)
    }

    /// Whose it says that it is: a [`new_handle`].
    pub(crate) fn handle(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.response().user_handle().as_ref())
    }

    fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.raw_id().as_ref())
    }
}

/// So that an authenticator makes no second passkey beside one that it has.
fn descriptors(present: &[Passkey]) -> Result<Vec<PublicKeyCredentialDescriptor<Vec<u8>>>, PasskeyError> {
    let one = |passkey: &Passkey| {
        let id = CredentialId::<Vec<u8>>::decode(decoded(&passkey.id)?).map_err(refused)?;
        // By any way: it is not kept by which it was made.
        Ok(PublicKeyCredentialDescriptor { id, transports: AuthTransports::decode(0).map_err(refused)? })
    };
    present.iter().map(one).collect()
}

/// What an owner calls a passkey.
pub(crate) fn passkey_name(text: &str) -> String {
    let name: String = text.trim().chars().filter(|c| !c.is_control()).take(60).collect();
    if name.is_empty() { "passkey".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_a_name_that_browsers_trust() {
        for (origin, is_site) in [
            ("https://fairban.example.test", true),
            ("https://fairban.example.test:8625", true),
            ("http://localhost:8625", true),
            ("http://fairban.example.test", false),
            ("https://192.0.2.7", false),
            ("https://[2001:db8::1]:8625", false),
            ("fairban.example.test", false),
        ] {
            assert_eq!(Site::of(origin).is_some(), is_site, "{origin}");
        }
        assert_eq!(Site::of("https://Mail.test:1").unwrap().host, "mail.test");
    }
}

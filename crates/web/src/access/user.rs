//! A user, and their password.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use fairban_types::Time;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::passkey::Passkey;
use super::role::Role;
use crate::{WebError, random};

/// A password that is given shorter is refused.
pub(crate) const PASSWORD_MIN: usize = 12;
/// A longer one is nobody's.
pub(crate) const PASSWORD_MAX: usize = 512;
const NAME_MAX: usize = 64;

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The name: lower case letters, digits, `.`, `_`, `-`, `@`.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The argon2id hash of the password, as a PHC string.
    pub password: String,
    /// The secret of the second factor, in base 32; `None`: there is none.
    #[serde(default)]
    pub second_factor: Option<String>,
    /// The time step of the code that was used last: no code counts twice.
    #[serde(default)]
    pub code_step: u64,
    /// Passkeys, each enough to sign in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passkeys: Vec<Passkey>,
    /// Who they are to authenticators: a random name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// Who they are to the OpenID provider that vouches for them; such a user has no password here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid: Option<OpenId>,
    /// When the user was made.
    pub made: Time,
    /// When they last signed in.
    #[serde(default)]
    pub signed_in: Option<Time>,
}

/// Somebody's identity at an OpenID provider. Only both together name a person (OpenID Connect Core 1.0, 5.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenId {
    /// The provider.
    pub issuer: String,
    /// Its word for the person, which it never gives to another.
    pub subject: String,
}

/// A user's name as it is compared; `None`: it is none.
pub(crate) fn name(text: &str) -> Option<String> {
    let name = text.trim().to_ascii_lowercase();
    let is_name = !name.is_empty()
        && name.len() <= NAME_MAX
        && name.chars().all(is_of_name)
        && name.as_bytes()[0].is_ascii_alphanumeric();
    is_name.then_some(name)
}

/// Whether a user's name may have it.
pub(super) fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-@".contains(c)
}

/// Why a password is no good, in a sentence.
pub(crate) fn weakness(password: &str, name: &str) -> Option<&'static str> {
    let length = password.chars().count();
    if length < PASSWORD_MIN {
        return Some("The password is too short: take at least 12 characters, such as four words.");
    }
    if password.len() > PASSWORD_MAX {
        return Some("The password is too long.");
    }
    let distinct: std::collections::HashSet<char> = password.chars().collect();
    if distinct.len() < 5 || password.to_lowercase().replace(&name.to_lowercase(), "").chars().count() < 8 {
        return Some("The password is too easy to guess.");
    }
    None
}

/// How passwords are hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
}

impl Default for Hashing {
    /// OWASP's second choice: 19 MiB, two passes, one lane.
    fn default() -> Self {
        Hashing { memory_kib: 19 * 1024, passes: 2 }
    }
}

impl Hashing {
    fn argon2(&self) -> Argon2<'static> {
        let params = Params::new(self.memory_kib, self.passes, 1, None).unwrap_or_default();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    }

    /// Hashes a password. Takes tens of milliseconds: not for a thread that others wait for.
    pub(crate) fn hash(&self, password: &str) -> Result<String, WebError> {
        let salt = SaltString::encode_b64(&random::bytes()?[..16]);
        let salt = salt.map_err(|error| WebError::Random(error.to_string()))?;
        let hash = self.argon2().hash_password(password.as_bytes(), &salt);
        hash.map(|hash| hash.to_string()).map_err(|error| WebError::Random(error.to_string()))
    }

    /// Whether the password is right; for nobody's name too it takes as long.
    pub(crate) fn verify(&self, password: &Zeroizing<String>, hash: Option<&str>) -> bool {
        match hash.and_then(|hash| PasswordHash::new(hash).ok()) {
            Some(hash) => self.argon2().verify_password(password.as_bytes(), &hash).is_ok(),
            None => {
                let _ = self.hash(password);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Hashing = Hashing { memory_kib: 64, passes: 1 };

    #[test]
    fn passwords_are_known_by_their_hash() {
        let hash = FAST.hash("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert_ne!(hash, FAST.hash("correct horse battery").unwrap(), "each has its own salt");
        assert!(FAST.verify(&Zeroizing::new("correct horse battery".into()), Some(&hash)));
        assert!(Hashing::default().verify(&Zeroizing::new("correct horse battery".into()), Some(&hash)));
        for (password, hash) in [("correct horse", Some(hash.as_str())), ("x", None), ("", Some("nonsense"))] {
            assert!(!FAST.verify(&Zeroizing::new(password.into()), hash));
        }
    }

    #[test]
    fn names_and_passwords_are_sane() {
        assert_eq!(name(" Alice.B@example.test "), Some("alice.b@example.test".into()));
        for bad in ["", "a b", "ä", "<b>", "-x", &"x".repeat(65)] {
            assert_eq!(name(bad), None, "{bad}");
        }
        for (password, is_good) in [
            ("short", false),
            ("aaaaaaaaaaaaaaaa", false),
            ("alicealicealice", false),
            ("blue tractor seven moons", true),
            ("k7#pQ!2zVw9m", true),
        ] {
            assert_eq!(weakness(password, "alice").is_none(), is_good, "{password}");
        }
    }
}

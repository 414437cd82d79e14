//! Dovecot's auth policy requests: one JSON object with the attributes of `auth_policy_request_attributes`.
//!
//! The default attributes of 2.3 (`login`, `pwhash`, `remote`, `device_id`, `protocol`, `session_id`) and of 2.4 (the
//! same and `fail_type`) are read, with what Dovecot adds itself (`success`, `policy_reject`, `tls`), and `mech` and
//! `lport`, which an administrator may add. Others are ignored, whatever they hold.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use fairban_types::Service;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{bounded, service_of_port, told};

/// A question about a sign-in, or the report of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The client's address; `None`: Dovecot does not know one (a sign-in on the machine itself).
    pub client: Option<IpAddr>,
    /// The account, as typed.
    pub account: Option<Cow<'a, str>>,
    /// On which service.
    pub service: Service,
    /// The digest of the password.
    pub digest: Option<Cow<'a, str>>,
    /// Dovecot's name of the session. Postfix's sign-ins have none.
    pub session: Option<Cow<'a, str>>,
    /// What the client's program said of itself (IMAP ID).
    pub device: Option<Cow<'a, str>>,
    /// The SASL mechanism.
    pub method: Option<Cow<'a, str>>,
    /// Whether the connection is encrypted.
    pub tls: Option<bool>,
    /// How it ended; [`Ending::Open`] in a question.
    pub ending: Ending,
}

/// How a sign-in ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has not ended: the request is a question.
    Open,
    /// The client is in.
    Succeeded,
    /// The password is wrong, or nothing nearer is told.
    WrongPassword,
    /// There is no such account (2.4).
    UnknownAccount,
    /// The password has expired (2.4).
    Expired,
    /// The account is disabled (2.4).
    Disabled,
    /// An answer of ours refused it.
    Refused,
    /// Dovecot could not check it (2.4): no fault of the client's.
    NotChecked,
}

impl Ending {
    /// Dovecot's own word for the reason, where it is worth telling.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Ending::Expired => Some("password expired"),
            Ending::Disabled => Some("account disabled"),
            _ => None,
        }
    }
}

/// Why a request could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Not JSON, or an attribute that is read holds neither text, number nor truth.
    #[error("the body is not a JSON object as Dovecot sends it")]
    Json,
    /// `remote` holds something else.
    #[error("'remote' is not an address")]
    Client,
}

/// Reads the body of a request. Bytes that are not UTF-8 are replaced, since clients choose what accounts are called.
pub fn read(body: &[u8]) -> Result<Request<'_>, Defect> {
    match std::str::from_utf8(body) {
        Ok(text) => read_text(text),
        Err(_) => read_text(&String::from_utf8_lossy(body)).map(Request::into_owned),
    }
}

fn read_text(text: &str) -> Result<Request<'_>, Defect> {
    let attributes: Attributes<'_> = serde_json::from_str(text).map_err(|_| Defect::Json)?;
    attributes.request()
}

impl Request<'_> {
    fn into_owned(self) -> Request<'static> {
        let owned = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Request {
            client: self.client,
            account: owned(self.account),
            service: self.service,
            digest: owned(self.digest),
            session: owned(self.session),
            device: owned(self.device),
            method: owned(self.method),
            tls: self.tls,
            ending: self.ending,
        }
    }
}

/// The attributes that are read. Of an attribute that is told twice the last holds: what Dovecot says itself comes after
/// what an administrator lets it say.
#[derive(Default)]
struct Attributes<'a> {
    login: Value<'a>,
    pwhash: Value<'a>,
    remote: Value<'a>,
    device_id: Value<'a>,
    protocol: Value<'a>,
    session_id: Value<'a>,
    fail_type: Value<'a>,
    mech: Value<'a>,
    lport: Value<'a>,
    tls: Value<'a>,
    success: Value<'a>,
    policy_reject: Value<'a>,
}

impl<'a> Attributes<'a> {
    fn request(self) -> Result<Request<'a>, Defect> {
        let ending = self.ending();
        let lport = self.lport.number();
        let client = match self.remote.text() {
            Some(remote) => Some(remote.parse::<IpAddr>().map_err(|_| Defect::Client)?.to_canonical()),
            None => None,
        };
        Ok(Request {
            client,
            service: service(&self.protocol.text().unwrap_or_default(), lport),
            account: self.login.text(),
            digest: self.pwhash.text(),
            session: self.session_id.text(),
            device: self.device_id.text(),
            method: self.mech.text(),
            tls: self.tls.truth(),
            ending,
        })
    }

    fn ending(&self) -> Ending {
        let fail_type = if let Value::Text(text) = &self.fail_type { text.as_ref() } else { "" };
        match (self.success.truth(), self.policy_reject.truth()) {
            (None, None) => Ending::Open,
            (_, Some(true)) => Ending::Refused,
            (Some(true), _) => Ending::Succeeded,
            _ => match fail_type {
                "policy" => Ending::Refused,
                "internal" => Ending::NotChecked,
                "account" => Ending::UnknownAccount,
                "expired" => Ending::Expired,
                "disabled" => Ending::Disabled,
                _ => Ending::WrongPassword,
            },
        }
    }
}

/// Postfix asks Dovecot as `smtp`, whichever port its client came to, and does not tell the port. Who signs in is a
/// person's program, so that is submission unless the port says otherwise.
fn service(protocol: &str, lport: Option<u16>) -> Service {
    match protocol {
        "imap" => Service::Imap,
        "pop3" => Service::Pop3,
        "sieve" | "managesieve" => Service::Sieve,
        "lmtp" => Service::Lmtp,
        "submission" => Service::Submission,
        "smtp" => match lport.and_then(service_of_port) {
            Some(Service::Smtp) => Service::Smtp,
            _ => Service::Submission,
        },
        _ => Service::Unknown,
    }
}

/// An attribute's value. Versions differ in what is text and what is not.
#[derive(Default)]
enum Value<'a> {
    #[default]
    Missing,
    Text(Cow<'a, str>),
    Number(u64),
    Truth(bool),
}

impl<'a> Value<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Value::Text(text) => told(text),
            _ => None,
        }
    }

    fn number(&self) -> Option<u16> {
        match self {
            Value::Text(text) => text.parse().ok(),
            Value::Number(number) => u16::try_from(*number).ok(),
            Value::Missing | Value::Truth(_) => None,
        }
    }

    fn truth(&self) -> Option<bool> {
        match self {
            Value::Truth(truth) => Some(*truth),
            // %{secured} and %{tls} of older versions.
            Value::Text(text) => match text.as_ref() {
                "true" | "yes" | "TLS" | "secured" => Some(true),
                "false" | "no" => Some(false),
                _ => None,
            },
            Value::Missing | Value::Number(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Value<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number, true, false or null")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Owned(bounded(Cow::Borrowed(text)).into_owned())))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Value::Number(number))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Value::Missing)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Value::Missing)
            }
            fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
                Ok(Value::Truth(truth))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Value::Missing)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// An attribute's name; names are never long, so those with escapes are none of ours.
struct Name<'a>(&'a str);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(name))
            }
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Name(""))
            }
        }
        deserializer.deserialize_str(Form)
    }
}

impl<'de> Deserialize<'de> for Attributes<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Attributes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of attributes")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut read = Attributes::default();
                while let Some(Name(name)) = map.next_key()? {
                    let place = match name {
                        "login" => &mut read.login,
                        "pwhash" => &mut read.pwhash,
                        "remote" => &mut read.remote,
                        "device_id" => &mut read.device_id,
                        "protocol" => &mut read.protocol,
                        "session_id" => &mut read.session_id,
                        "fail_type" => &mut read.fail_type,
                        "mech" => &mut read.mech,
                        "lport" => &mut read.lport,
                        "tls" => &mut read.tls,
                        "success" => &mut read.success,
                        "policy_reject" => &mut read.policy_reject,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *place = map.next_value()?;
                }
                Ok(read)
            }
        }
        deserializer.deserialize_map(Form)
    }
}

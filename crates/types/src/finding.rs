use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Diagnosis, Evidence, Service, Time};

/// What lies behind the evidence: the diagnosis, how sure it is, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Finding {
    /// What most probably lies behind it.
    pub diagnosis: Diagnosis,
    /// How sure that is. From 90 on the logs say so themselves; from 75 several facts agree; from 50 it is the most
    /// probable of several causes. What would be less is not said: an unknown cause has 0.
    pub confidence_percent: u8,
    /// What it rests on, the weightiest first.
    #[serde(default)]
    pub facts: Vec<Fact>,
    /// The devices that it comes from, as far as anything tells: one for each account, who tried most first.
    #[serde(default)]
    pub devices: Vec<Device>,
}

/// Something that the evidence shows. None holds a name that a client chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// One wrong password was given again and again.
    SamePassword {
        /// How often.
        times: u32,
    },
    /// Each account had one wrong password, given again and again.
    SamePasswordEach {
        /// How many accounts.
        accounts: u32,
        /// How often in all.
        times: u32,
    },
    /// Different wrong passwords.
    Passwords {
        /// How many.
        count: u32,
    },
    /// The logs do not tell one wrong password from another.
    PasswordsUntold {
        /// How many tries there were.
        tries: u32,
    },
    /// Accounts that were tried.
    Accounts {
        /// How many.
        count: u32,
    },
    /// No account was tried more than once.
    EachAccountOnce,
    /// Accounts that do not exist here.
    UnknownAccounts {
        /// How many of those that were tried.
        count: u32,
    },
    /// The account signed in from here before.
    SignedInHere {
        /// The first sign-in from here.
        since: Time,
        /// The latest one.
        until: Time,
    },
    /// The account signs in from elsewhere, and has not from here.
    SignedInElsewhere {
        /// The latest sign-in.
        until: Time,
    },
    /// The account is not known to have signed in before, from anywhere.
    NeverSignedIn,
    /// The account's owner is here now.
    OwnerHere,
    /// Accounts that sign in from here.
    AccountsHere {
        /// How many.
        count: u32,
    },
    /// It comes at regular times.
    Regular {
        /// So often.
        #[serde(rename = "every_secs", with = "secs")]
        every: Duration,
        /// Give or take so much.
        #[serde(rename = "off_secs", with = "secs")]
        off: Duration,
        /// The share of the intervals that keep to it.
        share_percent: u8,
    },
    /// Only how often and in which time is known.
    OnAverage {
        /// The average interval.
        #[serde(rename = "every_secs", with = "secs")]
        every: Duration,
    },
    /// It comes at irregular times.
    Irregular {
        /// The middle one of the intervals.
        #[serde(rename = "middle_secs", with = "secs")]
        middle: Duration,
    },
    /// It comes faster than a person types, or a device asks.
    Fast {
        /// Tries in a minute, while they last.
        per_minute: u32,
    },
    /// It comes from several addresses.
    Addresses {
        /// How many.
        count: u32,
    },
    /// Attempts to send to elsewhere.
    Relays {
        /// How many.
        count: u32,
        /// To how many recipients.
        recipients: u32,
    },
    /// Recipients that do not exist here.
    UnknownRecipients {
        /// How many.
        count: u32,
    },
    /// Messages judged spam, viruses or forbidden.
    BadMessages {
        /// How many.
        count: u32,
    },
    /// Messages sent by an account.
    Sent {
        /// Recipients, in all.
        recipients: u32,
    },
    /// Messages that came back.
    Bounced {
        /// Recipients, in all.
        recipients: u32,
    },
    /// The protocol was broken.
    Violations {
        /// How often.
        count: u32,
    },
    /// The sign-in came without encryption where the server demands it.
    Unencrypted {
        /// How often.
        count: u32,
    },
    /// Different HELO names from one client.
    HeloNames {
        /// How many.
        count: u32,
    },
    /// The HELO name is that of a dial-up line or none at all: mail comes from a device, not from a mail server.
    HeloOfDevice,
    /// Different return-paths.
    ReturnPaths {
        /// How many.
        count: u32,
    },
    /// Sign-ins with success, oftener than is asked for.
    SignIns {
        /// How many.
        count: u32,
        /// The interval that is asked for.
        #[serde(rename = "courtesy_secs", with = "secs")]
        courtesy: Duration,
    },
    /// Several things of like weight; none explains the others.
    Mixture {
        /// How many.
        kinds: u32,
    },
    /// Too few events to tell.
    TooLittle {
        /// How many there were.
        tries: u32,
    },
}

/// The facts about a device at fault. Text is as the client gave it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Device {
    /// The account that it tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// By which services.
    pub services: Vec<Service>,
    /// What it calls itself (IMAP ID), and
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// by which HELO name it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helo: Option<String>,
    /// How it signs in (SASL or login method).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Whether it tried to sign in without encryption.
    #[serde(default)]
    pub is_unencrypted: bool,
    /// How long it waits between two tries, if that is regular.
    #[serde(rename = "cadence_secs", default, skip_serializing_if = "Option::is_none", with = "optional_secs")]
    pub cadence: Option<Duration>,
    /// How often it was seen, and
    pub tries: u32,
    /// when first and
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Time>,
    /// last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Time>,
}

impl Finding {
    /// That the evidence does not tell.
    pub fn unknown(facts: Vec<Fact>, devices: Vec<Device>) -> Self {
        Finding { diagnosis: Diagnosis::Unknown, confidence_percent: 0, facts, devices }
    }

    /// The device that tried most.
    pub fn device(&self) -> Option<&Device> {
        self.devices.first()
    }
}

impl Evidence {
    /// How many tries it tells of.
    pub fn tries(&self) -> u32 {
        self.seen.saturating_mul(self.event.count.max(1))
    }

    /// When it was seen first.
    pub fn first_seen(&self) -> Time {
        self.first.unwrap_or(self.event.time)
    }
}

impl From<crate::Event<'static>> for Evidence {
    /// An event that earned nothing.
    fn from(event: crate::Event<'static>) -> Self {
        Evidence { points: 0, seen: 1, first: None, event }
    }
}

mod secs {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        duration.as_secs().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

mod optional_secs {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer};

    // serde passes a reference to the field.
    #[allow(clippy::ref_option)]
    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_comes_back_from_json() {
        let finding = Finding {
            diagnosis: Diagnosis::StalePassword,
            confidence_percent: 90,
            facts: vec![
                Fact::SamePassword { times: 37 },
                Fact::Regular { every: Duration::from_secs(60), off: Duration::from_secs(2), share_percent: 97 },
                Fact::EachAccountOnce,
            ],
            devices: vec![Device {
                services: vec![Service::Imap],
                cadence: Some(Duration::from_secs(60)),
                ..Device::default()
            }],
        };
        let json = serde_json::to_string(&finding).unwrap();
        assert!(json.contains(r#"{"fact":"regular","every_secs":60,"off_secs":2,"share_percent":97}"#), "{json}");
        assert_eq!(serde_json::from_str::<Finding>(&json).unwrap(), finding);
    }
}

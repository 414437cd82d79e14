use crate::remark::Problems;
use crate::tree::{self, At, Table};

/// A set of rules to start from.
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    /// Whose behaviour it is, for the reference.
    pub(crate) about: &'static str,
    text: &'static str,
}

/// The default profile. The others take what they do not say, rules aside, from it.
pub(crate) const DEFAULT: &str = "fairban";

pub(crate) const PROFILES: &[Profile] = &[
    Profile {
        name: DEFAULT,
        about: "The default. Different wrong credentials count, the same again does not; familiar networks are spared; \
                a fast and a slow window; blocks widen to networks, and accounts under distributed attack are guarded.",
        text: include_str!("../profiles/fairban.toml"),
    },
    Profile {
        name: "autoban",
        about: "Five failures in twenty minutes block for half an hour.",
        text: include_str!("../profiles/autoban.toml"),
    },
    Profile {
        name: "vpop3",
        about: "Points for what is done over SMTP, a count of failures elsewhere, and a lock of account and address.",
        text: include_str!("../profiles/vpop3.toml"),
    },
    Profile {
        name: "fail2ban",
        about: "Five failures in ten minutes block for ten minutes.",
        text: include_str!("../profiles/fail2ban.toml"),
    },
    Profile {
        name: "hmailserver",
        about: "Three failures in half an hour block for an hour.",
        text: include_str!("../profiles/hmailserver.toml"),
    },
    Profile {
        name: "mailcow",
        about: "Ten failures in ten minutes block for half an hour, and twice as long each time after.",
        text: include_str!("../profiles/mailcow.toml"),
    },
    Profile {
        name: "cphulk",
        about: "Five failures in a quarter of an hour block for as long; thirty in a day block for a day.",
        text: include_str!("../profiles/cphulk.toml"),
    },
];

const NAMES: [&str; PROFILES.len()] = {
    let mut names = [""; PROFILES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = PROFILES[index].name;
        index += 1;
    }
    names
};

/// The profiles that `profile = "…"` and `--profile` take.
pub fn profile_names() -> &'static [&'static str] {
    &NAMES
}

/// The name under which problems in a profile are told.
fn file_name(profile: &str) -> String {
    format!("profile:{profile}")
}

/// Whether a place is in a profile and not in the operator's file.
pub(crate) fn is_profile(at: &At) -> bool {
    at.place().file.starts_with("profile:")
}

/// All values of a profile.
pub(crate) fn document(name: &str) -> Result<Table, Problems> {
    let find = |name: &str| PROFILES.iter().find(|profile| profile.name == name);
    let read = |profile: &Profile| tree::parse(&file_name(profile.name), profile.text);
    let Some(profile) = find(name) else {
        return Err(Problems::one("profile", format!("there is no '{name}'; there are {}", NAMES.join(", "))));
    };
    if name == DEFAULT {
        return read(profile);
    }
    let mut base = find(DEFAULT).map(read).transpose()?.unwrap_or_default();
    base.0.retain(|entry| entry.key != "rule");
    Ok(base.under(read(profile)?))
}

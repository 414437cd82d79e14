use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fairban_types::{AddressPolicy, FamiliarPolicy, Policy, SendPolicy};

use crate::keys;
use crate::near;
use crate::profile::{self, profile_names};
use crate::reader::{Reader, shown};
use crate::remark::{Place, Problem, Problems};
use crate::settings::{
    Config, Control, Dovecot, Enforce, Explain, Fleet, Messages, Node, Notices, Portal, Postfix, SendConfig,
    StoreConfig, Web,
};
use crate::tree::{self, Table, Value};

/// The largest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Why a file gave no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("cannot read configuration {path}: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It was read, and is wrong.
    #[error(transparent)]
    Wrong(#[from] Problems),
}

/// What a configuration was made from, so that it can be made again with another profile.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) file: String,
    pub(crate) text: String,
}

/// The text may hold secrets.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Config {
    /// The configuration without a file: the default profile, and the machine's own mail logs.
    pub fn builtin() -> Config {
        Config::from_toml("", "built-in").expect("an empty file is valid, which a test holds")
    }

    /// Reads a file's text; `file` names it in problems and warnings.
    ///
    /// # Errors
    /// All problems at once, in the order of the file.
    pub fn from_toml(text: &str, file: &str) -> Result<Config, Problems> {
        resolve(Origin { file: file.to_owned(), text: text.to_owned() }, None, Table::default())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is wrong.
    pub fn load(path: &Path) -> Result<Config, LoadError> {
        let unreadable = |source| LoadError::Unreadable { path: path.to_owned(), source };
        let file = path.display().to_string();
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        // Told before the encoding: the cut may have split a character.
        check_size(bytes.len(), &file)?;
        let text = String::from_utf8(bytes).map_err(|error| not_utf8(&error, &file))?;
        Ok(Config::from_toml(&text, &file)?)
    }

    /// The same file over another profile than the one it names. What it says of rules that only its own profile has is
    /// left out with a warning.
    ///
    /// # Errors
    /// If there is no such profile, or the file does not fit it.
    pub fn with_profile(&self, name: &str) -> Result<Config, Problems> {
        if !profile_names().contains(&name) {
            let near = near::nearest(name, profile_names().iter().copied());
            let hint = near.map(|near| format!("did you mean '{near}'? ")).unwrap_or_default();
            let names = profile_names().join(", ");
            return Err(Problems::one("profile", format!("there is no '{}'; {hint}there are {names}", shown(name))));
        }
        resolve(self.origin.clone(), Some(name), Table::default())
    }
}

fn check_size(bytes: usize, file: &str) -> Result<(), Problems> {
    if bytes <= FILE_BYTES_MAX {
        return Ok(());
    }
    Err(Problems::one(file, format!("is larger than {} KiB, which no configuration is", FILE_BYTES_MAX >> 10)))
}

fn not_utf8(error: &std::string::FromUtf8Error, file: &str) -> Problems {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let on_line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(on_line).chars().count() + 1;
    let place = Place { file: file.to_owned(), line, column };
    let message = "not UTF-8, in which configuration is written".to_owned();
    Problems { list: vec![Problem { place, key: String::new(), message }], more: 0 }
}

/// Reads a file over its profile, and over both what was set elsewhere.
pub(crate) fn resolve(origin: Origin, other_profile: Option<&str>, set: Table) -> Result<Config, Problems> {
    check_size(origin.text.len(), &origin.file)?;
    let own = tree::parse(&origin.file, &origin.text)?;
    let asked = asked_profile(&own);
    let name = other_profile.or(asked).unwrap_or(profile::DEFAULT).to_owned();
    let base = profile::document(&name)?;

    let mut reader = Reader::new(&name, keys::whereabouts);
    reader.profile_rules = rule_names(&base);
    // With a profile that does not exist, that is the one problem, and not which rules it has.
    reader.is_other_profile =
        asked.is_none() && own.get("profile").is_some() || other_profile.is_some_and(|other| Some(other) != asked);
    let mut config = keys::read(blank(origin), &base.under(own).under(set), &mut reader);
    config.policy.profile = name;
    config.warnings = reader.finish()?;
    Ok(config)
}

/// The profile that a file names, if it exists.
fn asked_profile(own: &Table) -> Option<&'static str> {
    let Some(Value::Text(name)) = own.get("profile").map(|entry| &entry.item.value) else { return None };
    profile_names().iter().copied().find(|profile| profile == name)
}

fn rule_names(profile: &Table) -> Vec<String> {
    match profile.get("rule").map(|entry| &entry.item.value) {
        Some(Value::Table(rules)) => rules.0.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    }
}

fn blank(origin: Origin) -> Config {
    let familiar = FamiliarPolicy {
        forget: Duration::ZERO,
        ipv4_prefix: 0,
        ipv6_prefix: 0,
        log_only_threshold_factor: 0,
        log_only_block_max: Duration::ZERO,
        shared_block_max: Duration::ZERO,
    };
    let policy = Policy {
        profile: String::new(),
        rules: Vec::new(),
        never: Vec::new(),
        address: AddressPolicy { ipv4_prefix: 0, ipv6_prefix: 0 },
        familiar,
        widen: None,
        guard: None,
        mail_servers_ask: false,
        send: SendPolicy::default(),
        outbound: None,
        courtesy_interval: Duration::ZERO,
        memory_bytes_max: 0,
    };
    Config {
        policy,
        asks_once_asked: false,
        node: Node::default(),
        store: StoreConfig::default(),
        control: Control::default(),
        sources: Vec::new(),
        enforce: Enforce::default(),
        formats: Vec::new(),
        send: SendConfig::default(),
        messages: Messages::default(),
        dovecot: Dovecot::default(),
        postfix: Postfix::default(),
        explain: Explain::default(),
        web: Web::default(),
        portal: Portal::default(),
        notices: Notices::default(),
        notify: Vec::new(),
        fleet: Fleet::default(),
        warnings: Vec::new(),
        origin,
    }
}

//! Configuration: TOML text into validated settings ([`Config`]), the profiles, and the reference of every key.
//!
//! One table of keys (`keys/`) yields reading, validation, defaults and the reference. All problems of a file are told at
//! once ([`Problems`]), each with file, line, column and key. A profile is a file in the same syntax as an operator's
//! own, and the operator's file is laid over it value by value.
//!
//! This crate must know nothing but `fairban-types`: it opens the configuration file and nothing else, and neither
//! probes nor starts what a file names.
#![forbid(unsafe_code)]

mod keys;
mod load;
mod near;
mod profile;
mod reader;
mod reference;
mod remark;
mod schema;
mod settings;
mod takes;
mod tree;
mod values;

pub use load::{FILE_BYTES_MAX, LoadError};
pub use profile::profile_names;
pub use reference::reference;
pub use remark::{Place, Problem, Problems, Remark, Warning};
pub use settings::{
    Config, Control, Dovecot, Enforce, EnforceMode, Explain, Fleet, ForwardHeader, LinkSettings, Listen, MailSecurity,
    Messages, Node, Notices, NotifyBy, NotifyTarget, Occasion, OnBlock, Portal, PortalImap, PortalLift, Postfix,
    SecondFactor, Secret, SendConfig, SourceConfig, StoreConfig, SyslogListen, Web, WebOpenId,
};
pub use values::{ConfigValue, ValueSource};

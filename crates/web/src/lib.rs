//! Web pages: the self-service portal ([`portal`]), where a person whose mail stopped is told why and let out where policy
//! allows it; and the administrator's house, which is pages ([`admin`]), a JSON API (`api`) and who may come in
//! ([`access`]). What they share (addresses behind proxies, cookies, headers, listening) lies beside them.
//!
//! This crate must not know how anything is stored, enforced or decided. It speaks to the program through
//! [`portal::House`] and [`admin::Desk`]. Nothing that a page shows comes from elsewhere than this crate and the house: no script, no font,
//! no picture of anybody else. No password is kept, logged or shown; none is read beyond the check.
#![forbid(unsafe_code)]

pub mod access;
pub mod admin;
mod api;
mod bucket;
mod clock;
mod cookie;
mod error;
mod fetch;
mod form;
mod language;
mod listen;
pub mod notice;
pub mod portal;
mod proxies;
mod random;
mod security;
mod tls;
pub mod webhook;

pub use bucket::Rate;
pub use clock::Clock;
pub use error::WebError;
pub use language::{Languages, Words};
pub use listen::{Certificate, Limits, Peer, Running};
pub use proxies::{ForwardHeader, Proxies};

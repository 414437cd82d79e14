//! Web pages. So far the self-service portal ([`portal`]): a person whose mail stopped signs in, is told why, and is let
//! out where policy allows it. The administrator's pages join this crate later; what they share (addresses behind
//! proxies, cookies, languages, headers, listening) lies beside the portal and not in it.
//!
//! This crate must not know how anything is stored, enforced or decided. It speaks to the program through
//! [`portal::House`]. Nothing that a page shows comes from elsewhere than this crate and the house: no script, no font,
//! no picture of anybody else. No password is kept, logged or shown; none is read beyond the check.
#![forbid(unsafe_code)]

mod bucket;
mod clock;
mod cookie;
mod error;
mod form;
mod language;
mod listen;
pub mod notice;
pub mod portal;
mod proxies;
mod random;
mod security;
mod tls;

pub use bucket::Rate;
pub use clock::Clock;
pub use error::WebError;
pub use language::{Languages, Words};
pub use listen::{Certificate, Limits, Peer, Running};
pub use proxies::{ForwardHeader, Proxies};

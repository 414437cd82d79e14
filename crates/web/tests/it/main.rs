//! The portal in process, and its IMAP client against a real Dovecot.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod admin;
mod admin_world;
mod api;
mod imap;
mod language;
mod links;
mod listening;
mod notices;
mod openid;
mod pages;
mod passkeys;
mod security;
mod world;

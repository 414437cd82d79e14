//! All servers on real sockets, with a judge that records.

// Clippy knows tests by their attribute, and not what they share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod auth_policy;
mod crowd;
mod explainer;
mod judge;
#[allow(dead_code)]
#[path = "../../../enforce/tests/it/namespace.rs"]
mod namespace;
mod policy_service;
mod sockets;

//! The real kernel in network namespaces of the tests' own, and the twin beside it. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot set its scene must fail where it stands"
)]

mod contract;
mod drift;
mod explain;
mod load;
mod namespace;
mod packets;
mod refused;

//! Configuration as an operator meets it: files in, settings or exact messages out.

// clippy.toml allows these in tests, but does not see that a function between tests is one.
#![allow(clippy::panic, clippy::unwrap_used)]

mod messages;
mod profiles;
mod reference;
mod settings;

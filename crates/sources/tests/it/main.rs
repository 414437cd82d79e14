//! Sources against real files, sockets and child processes.
#![forbid(unsafe_code)]
// Clippy spares test functions, not what they call.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod file;
mod journald;
mod load;
mod receiver;
mod syslog;

//! The merge logic by tables and by simulation; sharing over a real server.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cluster;
mod merging;
mod server;
mod sharing;
mod simulation;

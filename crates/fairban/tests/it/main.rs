//! The program from outside, and what is written about it.
#![forbid(unsafe_code)]
// What fails here fails the test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod commands;
mod docs;
mod hostile;
mod house;
mod import;
mod node;
mod parse;
mod portal;
mod readiness;
mod reload;
mod replay;
mod restart;
mod running;
mod setup;
mod trouble;

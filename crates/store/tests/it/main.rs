//! The store from outside.
#![allow(clippy::unwrap_used, clippy::panic)]

mod contract;
mod crash;
mod damage;
mod full;
mod model;
mod round_trip;

//! The store from outside.
mod contract;
mod crash;
mod damage;
mod full;
mod model;
mod round_trip;

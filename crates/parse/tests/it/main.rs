//! Real and hostile lines through the public parser.

mod corpus;
mod custom;
mod forgery;
mod garbage;
mod invariants;
mod parser;
mod servers;
mod show;
mod smoke;

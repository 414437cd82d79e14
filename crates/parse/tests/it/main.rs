//! Real and hostile lines through the public parser.

mod corpus;
mod forgery;
mod garbage;
mod parser;
mod show;

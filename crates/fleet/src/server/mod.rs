//! The server: where it is, how it is spoken to, and what it is asked to do.

mod connect;
mod keys;
mod place;
mod scripts;

pub(crate) use connect::{Link, Server};
pub(crate) use keys::{Keys, Window};
pub(crate) use place::Place;
pub(crate) use scripts::{Call, Scripts};

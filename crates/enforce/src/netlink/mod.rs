//! The language of netlink (RFC 3549 in outline; `netlink(7)`): messages, attributes, and the socket they pass.

pub(crate) mod attribute;
pub(crate) mod message;
mod socket;

pub(crate) use socket::{Heard, Link, dump_request};

//! What is blocked, into the kernel: nftables over netlink, one transaction per change and no process per block.
//!
//! [`Nftables`] keeps a table of its own and puts blocked addresses and networks into its sets; [`Recorder`] is its
//! twin, which keeps them in memory. Both answer to [`Enforcer`], and one suite of tests holds for both.
//!
//! This crate must not decide who is blocked or for how long, and knows neither events, accounts nor storage. It
//! touches no table but its own.
//!
//! # The table
//! `inet fairban` hooks `input` and `forward`: the first sees what this machine's own mail server receives, the second
//! what goes through to a container or virtual machine on it. (`prerouting` would see both, but before the addresses of
//! a published container port are translated, so that the guarded ports would be the wrong ones.) A drop there is final
//! whatever other tables accept, and since nothing is accepted for belonging to an established connection, a block cuts
//! open connections too. Elements carry their own end, so that blocks end on time without this program.
//!
//! Where clients are told why they are blocked ([`Explain`]), `prerouting` redirects their new connections to the
//! explainer, so many a minute of each address. What it does not redirect comes to the first two chains like all else,
//! and is dropped there.
#![forbid(unsafe_code)]

mod connections;
mod element;
mod enforcer;
mod error;
mod layout;
mod netlink;
mod nftables;
mod recorder;

pub use element::{Change, Element, Felt};
pub use enforcer::{Difference, Dropped, Enforcer};
pub use error::EnforceError;
pub use layout::{Explain, Layout, MAIL_PORTS};
pub use nftables::Nftables;
pub use recorder::Recorder;

use std::net::IpAddr;

use crate::{Code, Diagnosis, Effect, Service, SubjectKind, Time};

/// May this client sign in?
#[derive(Clone, Copy, Debug)]
pub struct SignIn<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The account that it wants to sign in to; `None`: not told yet, the question is about the client alone.
    pub account: Option<&'a str>,
    /// Where.
    pub service: Service,
}

/// May this client send mail?
#[derive(Clone, Copy, Debug)]
pub struct Mailing<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The account that it signed in to; `None`: it did not sign in.
    pub account: Option<&'a str>,
    /// The HELO or EHLO name; empty if none was told.
    pub helo: &'a str,
    /// The return-path as it was given; `None`: not told yet; empty: the null return-path.
    pub return_path: Option<&'a str>,
}

/// The answer to a mail server's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allow,
    /// No, because of a block in force.
    Refuse(Refused),
}

/// By which block a question was answered with no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The block's reference.
    pub code: Code,
    /// Its end; `None` is permanent.
    pub until: Option<Time>,
    /// How it should be felt.
    pub effect: Effect,
    /// What lies behind it.
    pub diagnosis: Diagnosis,
    /// What is blocked: an address (or network), an account, an account at an address, or sending.
    pub subject: SubjectKind,
}

//! Acts: what the program is asked to do, with who asked. Only those who hold the right can put one together.

use std::time::Duration;

use fairban_types::{Decision, Sending, Subject};
use ipnet::IpNet;

use super::may::May;
use super::role::{Block, BlockSending, EditNever, EditRules, Release};
use crate::admin::desk::{Setting, What};

/// Something to do, by somebody who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    what: What,
    by: String,
}

/// It belongs to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotYours;

impl Act {
    /// What is to be done.
    pub fn what(&self) -> &What {
        &self.what
    }

    /// Who asked, such as `web:alice`.
    pub fn by(&self) -> &str {
        &self.by
    }

    pub(crate) fn block(may: &May<Block>, subject: Subject, time: Option<Duration>, reason: String) -> Act {
        Act { what: What::Block { subject, time, reason }, by: may.actor() }
    }

    /// A release of a block that is one's own.
    pub(crate) fn release(may: &May<Release>, block: &Decision, reason: String) -> Result<Act, NotYours> {
        let subject = block.subject.clone();
        may.sight()
            .owns(block)
            .then(|| Act { what: What::Release { subject, reason }, by: may.actor() })
            .ok_or(NotYours)
    }

    pub(crate) fn never_add(may: &May<EditNever>, net: IpNet, reason: String, time: Option<Duration>) -> Act {
        Act { what: What::NeverAdd { net, reason, time }, by: may.actor() }
    }

    pub(crate) fn never_remove(may: &May<EditNever>, net: IpNet) -> Act {
        Act { what: What::NeverRemove { net }, by: may.actor() }
    }

    /// A send block of senders that are one's own.
    pub(crate) fn block_sending(
        may: &May<BlockSending>,
        sending: Sending,
        reason: String,
        time: Option<Duration>,
    ) -> Result<Act, NotYours> {
        if !may.sight().subject(&Subject::Sending(sending.clone())) {
            return Err(NotYours);
        }
        Ok(Act { what: What::SendBlock { sending, reason, time }, by: may.actor() })
    }

    /// Lets a sender send again, if that is one's own.
    pub(crate) fn allow_sending(may: &May<BlockSending>, sending: Sending, reason: String) -> Result<Act, NotYours> {
        let subject = Subject::Sending(sending);
        may.sight()
            .subject(&subject)
            .then(|| Act { what: What::Release { subject, reason }, by: may.actor() })
            .ok_or(NotYours)
    }

    pub(crate) fn set(may: &May<EditRules>, settings: Vec<Setting>, reason: String) -> Act {
        Act { what: What::Set { settings, reason }, by: may.actor() }
    }

    /// Lets blocks of a node through that were held back.
    pub(crate) fn accept_node(may: &May<Block>, node: String) -> Act {
        Act { what: What::AcceptNode { node }, by: may.actor() }
    }

    /// What takes back something that was done before, if one may do that too.
    pub(crate) fn undo<R: super::role::Right>(may: &May<R>, what: What) -> Option<Act> {
        let may_do = match &what {
            What::Block { .. } => may.has::<Block>(),
            What::Release { .. } => may.has::<Release>() && may.sight().is_everything(),
            What::NeverAdd { .. } | What::NeverRemove { .. } => may.has::<EditNever>(),
            What::SendBlock { sending, .. } => {
                may.has::<BlockSending>() && may.sight().subject(&Subject::Sending(sending.clone()))
            }
            What::Set { .. } => may.has::<EditRules>(),
            What::AcceptNode { .. } | What::SessionBegins { .. } | What::SessionEnds { .. } => false,
        };
        may_do.then(|| Act { what, by: may.actor() })
    }

    /// An administrator has signed in from there: that address is never blocked while they are.
    pub(super) fn session_begins(user: &str, client: std::net::IpAddr, time: Duration) -> Act {
        Act { what: What::SessionBegins { client, time }, by: format!("web:{user}") }
    }

    /// An administrator's last session from there has ended.
    pub(super) fn session_ends(user: &str, client: std::net::IpAddr) -> Act {
        Act { what: What::SessionEnds { client }, by: format!("web:{user}") }
    }
}

//! Capabilities: what lets a handler act at all.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use super::role::{Grade, Right, Role};
use super::session::SessionId;
use super::sight::Sight;

/// How somebody showed who they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    Session(SessionId),
    Token,
}

/// Somebody who showed who they are.
#[derive(Clone)]
pub(crate) struct Who {
    /// The user's or token's name.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) means: Means,
    pub(crate) client: IpAddr,
}

impl Who {
    /// Who did it, for the audit.
    pub(crate) fn actor(&self) -> String {
        match self.means {
            Means::Session(_) => format!("web:{}", self.name),
            Means::Token => format!("token:{}", self.name),
        }
    }
}

/// The right `R`, in the hands of somebody. Only [`May::granted`] makes one, and what needs the right takes one.
pub(crate) struct May<R> {
    who: Arc<Who>,
    right: PhantomData<fn() -> R>,
}

impl<R> Clone for May<R> {
    fn clone(&self) -> Self {
        May { who: self.who.clone(), right: PhantomData }
    }
}

impl<R: Right> May<R> {
    /// The right, if they have it.
    pub(super) fn granted(who: Arc<Who>) -> Option<Self> {
        let is_person = matches!(who.means, Means::Session(_));
        let has_it = R::GRADES.contains(&who.role.grade) && (is_person || R::BY_TOKEN);
        has_it.then_some(May { who, right: PhantomData })
    }

    /// Another right of the same person, if they have it.
    pub(crate) fn also<S: Right>(&self) -> Option<May<S>> {
        May::granted(self.who.clone())
    }

    /// Whether they have another right, for what a page offers.
    pub(crate) fn has<S: Right>(&self) -> bool {
        self.also::<S>().is_some()
    }

    pub(crate) fn who(&self) -> &Who {
        &self.who
    }

    pub(crate) fn actor(&self) -> String {
        self.who.actor()
    }

    /// What of all there is they may see.
    pub(crate) fn sight(&self) -> Sight {
        match self.who.role.grade {
            Grade::DomainAdministrator => Sight::of_domains(self.who.role.domains.clone()),
            Grade::Check => Sight::of_domains(Vec::new()),
            Grade::Administrator | Grade::Support | Grade::ReadOnly => Sight::of_everything(),
        }
    }
}

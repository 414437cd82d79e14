//! Who may do what: the roles, and the rights that they have. This table is the only place that says so.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// May do everything.
    Administrator,
    /// Looks, explains and releases.
    Support,
    /// Looks at, releases and stops from sending what belongs to its own domains, and nothing else.
    DomainAdministrator,
    /// Looks at everything.
    ReadOnly,
    /// A program that asks whether a client may sign in. For tokens only.
    Check,
}

impl Grade {
    /// Every grade.
    pub const ALL: &'static [Grade] =
        &[Grade::Administrator, Grade::Support, Grade::DomainAdministrator, Grade::ReadOnly, Grade::Check];
    /// Those that a person may have.
    pub const OF_PEOPLE: &'static [Grade] =
        &[Grade::Administrator, Grade::Support, Grade::DomainAdministrator, Grade::ReadOnly];

    /// The grade's name, such as `read_only`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Grade::Administrator => "administrator",
            Grade::Support => "support",
            Grade::DomainAdministrator => "domain_administrator",
            Grade::ReadOnly => "read_only",
            Grade::Check => "check",
        }
    }

    /// The grade in words.
    pub const fn in_words(self) -> &'static str {
        match self {
            Grade::Administrator => "Administrator: may do everything",
            Grade::Support => "Support: looks, explains and releases",
            Grade::DomainAdministrator => "Domain administrator: the accounts of its own domains",
            Grade::ReadOnly => "Read-only: looks at everything",
            Grade::Check => "Check: asks whether a client may sign in",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Grade {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.replace('-', "_");
        match text.as_str() {
            "admin" => return Ok(Grade::Administrator),
            "read" => return Ok(Grade::ReadOnly),
            "domain" => return Ok(Grade::DomainAdministrator),
            _ => {}
        }
        Grade::ALL.iter().copied().find(|grade| grade.as_str() == text).ok_or_else(|| {
            format!(
                "'{}' is not a role: administrator, support, domain-administrator or read-only",
                text.chars().take(40).collect::<String>()
            )
        })
    }
}

/// A grade, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Role {
    /// The grade.
    pub grade: Grade,
    /// The domains of a domain administrator, in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
}

impl Role {
    /// A role that is not of domains.
    pub fn of(grade: Grade) -> Self {
        Role { grade, domains: Vec::new() }
    }

    /// The same, if it makes sense: a domain administrator has domains, and nobody else has.
    ///
    /// # Errors
    /// What is missing or too much.
    pub fn checked(grade: Grade, domains: Vec<String>) -> Result<Self, String> {
        let domains: Vec<String> = domains
            .iter()
            .map(|domain| fairban_types::domain_ascii(domain))
            .filter(|domain| !domain.is_empty())
            .collect();
        match (grade, domains.is_empty()) {
            (Grade::DomainAdministrator, true) => Err("a domain administrator needs at least one domain".to_owned()),
            (Grade::DomainAdministrator, false) => Ok(Role { grade, domains }),
            (_, true) => Ok(Role::of(grade)),
            (_, false) => Err("only a domain administrator has domains".to_owned()),
        }
    }
}

mod sealed {
    pub(crate) trait Sealed {}
}

/// A right. The types that are one are listed here, and there can be no others.
pub(crate) trait Right: sealed::Sealed + Send + Sync + 'static {
    /// Its name in the documentation.
    const NAME: &'static str;
    /// The grades that have it.
    const GRADES: &'static [Grade];
    /// Whether a token can have it: what concerns a person's own sign-in is theirs alone.
    const BY_TOKEN: bool = true;
    /// Whether it is for somebody who still lacks a second factor that is required.
    const WITHOUT_SECOND_FACTOR: bool = false;
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $($grade:ident),+;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) enum $name {}
        impl sealed::Sealed for $name {}
        impl Right for $name {
            const NAME: &'static str = $text;
            const GRADES: &'static [Grade] = &[$(Grade::$grade),+];
        }
    )+};
}

rights! {
    /// To see blocks, receipts, accounts, events and send blocks: those of its own domains, or all.
    Look = "look": Administrator, Support, DomainAdministrator, ReadOnly;
    /// To see what belongs to no account: the never-block list, rules, health, lists for other firewalls.
    LookAround = "look_around": Administrator, Support, ReadOnly;
    /// To see who did what.
    LookAudit = "look_audit": Administrator, ReadOnly;
    /// To ask whether a client may sign in.
    Ask = "check": Administrator, Support, ReadOnly, Check;
    /// To release what one sees as one's own.
    Release = "release": Administrator, Support, DomainAdministrator;
    /// To block, prolong and make permanent.
    Block = "block": Administrator;
    /// To stop senders, those of its own domains or all, and to let them send again.
    BlockSending = "block_sending": Administrator, DomainAdministrator;
    /// To change the never-block list.
    EditNever = "edit_never": Administrator;
    /// To change rules.
    EditRules = "edit_rules": Administrator;
    /// To make and remove users, links and tokens.
    ManageAccess = "manage_access": Administrator;
}

/// To change one's own sign-in.
#[derive(Debug)]
pub(crate) enum Own {}

impl sealed::Sealed for Own {}

impl Right for Own {
    const NAME: &'static str = "own";
    const GRADES: &'static [Grade] = Grade::OF_PEOPLE;
    const BY_TOKEN: bool = false;
    const WITHOUT_SECOND_FACTOR: bool = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_are_read_as_they_are_written() {
        for grade in Grade::ALL {
            assert_eq!(grade.as_str().parse(), Ok(*grade));
            assert_eq!(grade.as_str().replace('_', "-").parse(), Ok(*grade));
        }
        assert_eq!("admin".parse(), Ok(Grade::Administrator));
        assert!("root".parse::<Grade>().is_err());
    }

    #[test]
    fn domains_belong_to_domain_administrators() {
        assert!(Role::checked(Grade::DomainAdministrator, vec![]).is_err());
        assert!(Role::checked(Grade::Support, vec!["a.test".into()]).is_err());
        let role = Role::checked(Grade::DomainAdministrator, vec!["Example.TEST.".into()]).unwrap();
        assert_eq!(role.domains, ["example.test"]);
    }
}

//! What of all there is somebody may see: everything, or what concerns the accounts of some domains.

use fairban_types::{Decision, Event, Subject, domain_of};

/// What somebody may see. It comes from their role, and is asked for wherever something is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight(Option<Vec<String>>);

impl Sight {
    pub(crate) fn of_everything() -> Self {
        Sight(None)
    }

    pub(super) fn of_domains(domains: Vec<String>) -> Self {
        Sight(Some(domains))
    }

    /// Whether nothing is hidden.
    pub fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// The domains, if it is only these.
    pub fn domains(&self) -> Option<&[String]> {
        self.0.as_deref()
    }

    fn domain(&self, domain: Option<&str>) -> bool {
        let is_own = |domain: &str, own: &[String]| own.iter().any(|one| one.eq_ignore_ascii_case(domain));
        self.0.as_ref().is_none_or(|own| domain.is_some_and(|domain| is_own(domain, own)))
    }

    /// Whether an account is seen. One without a domain is nobody's but the administrator's.
    pub fn account(&self, account: &str) -> bool {
        self.domain(domain_of(account))
    }

    /// Whether an event is seen.
    pub fn event(&self, event: &Event<'_>) -> bool {
        self.is_everything() || event.account.as_deref().is_some_and(|account| self.account(account))
    }

    /// Whether the subject itself is one's own. An address is nobody's.
    pub fn subject(&self, subject: &Subject) -> bool {
        self.domain(subject.domain())
    }

    /// Whether a block is seen: by its subject, or because an account that is seen is part of its evidence.
    pub fn decision(&self, decision: &Decision) -> bool {
        self.subject(&decision.subject) || decision.events.iter().any(|evidence| self.event(&evidence.event))
    }

    /// Whether a block concerns nobody else, so that it may be released.
    pub fn owns(&self, decision: &Decision) -> bool {
        self.subject(&decision.subject)
            || !decision.events.is_empty() && decision.events.iter().all(|evidence| self.event(&evidence.event))
    }

    /// Takes out of a block what is not to be seen: what others did, or what was done to them.
    pub fn mask(&self, decision: &mut Decision) {
        if !self.is_everything() {
            decision.events.retain(|evidence| self.event(&evidence.event));
        }
    }
}

#[cfg(test)]
mod tests {
    use fairban_types::{EventKind, Evidence, Service, Time};

    use super::*;

    fn own() -> Sight {
        Sight::of_domains(vec!["example.test".into()])
    }

    #[test]
    fn own_subjects() {
        for (text, is_own) in [
            ("alice@example.test", true),
            ("alice@Example.test", true),
            ("alice@sub.example.test", false),
            ("alice@example.test.evil.test", false),
            ("alice", false),
            ("192.0.2.7", false),
            ("alice@example.test from 192.0.2.7", true),
            ("bob@other.test from 192.0.2.7", false),
            ("send:alice@example.test", true),
            ("send:@example.test", true),
            ("send:@other.test", false),
            ("send:helo=example.test", false),
            ("send-outbound:account=alice@example.test", true),
        ] {
            let subject: Subject = text.parse().unwrap();
            assert_eq!(own().subject(&subject), is_own, "{text}");
            assert!(Sight::of_everything().subject(&subject));
        }
    }

    #[test]
    fn a_block_is_seen_by_its_evidence_and_owned_if_all_of_it_is_ones_own() {
        let event = |account: &str| {
            let event = Event::new(EventKind::LoginFailed, Time::MIN, [192, 0, 2, 7].into(), Service::Imap);
            Evidence::from(event.account(account.to_owned()))
        };
        let mut block = crate::admin::memory::decision(1, "192.0.2.7", Time::MIN);
        block.events = vec![event("alice@example.test"), event("bob@other.test")];
        assert!(own().decision(&block) && !own().owns(&block));
        own().mask(&mut block);
        assert_eq!(block.events.len(), 1);
        assert!(own().owns(&block));
        block.events.clear();
        assert!(!own().decision(&block) && !own().owns(&block), "what has no evidence is the administrator's");
    }
}

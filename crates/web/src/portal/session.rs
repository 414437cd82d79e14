//! Who is signed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use fairban_types::{Code, Time};
use ring::digest::{SHA256, digest};

use super::lift::Kept;
use super::{Released, random};
use crate::WebError;

/// How long people stay signed in, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// After so long without a page.
    pub idle: Duration,
    /// After so long in any case.
    pub absolute: Duration,
    /// At once, in all. When there are more, the one that was idle longest ends.
    pub count_max: usize,
    /// Of one account.
    pub per_account_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        SessionLimits {
            idle: Duration::from_secs(15 * 60),
            absolute: Duration::from_secs(2 * 3600),
            count_max: 10_000,
            per_account_max: 5,
        }
    }
}

/// What became of a block in this session.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Lifted(Released),
    Kept(Kept),
    /// The house did not answer.
    Unknown,
}

/// More outcomes than this are not remembered by a session; the oldest goes.
const TOLD_MAX: usize = 8;

/// Somebody who has shown to own an account.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) account: String,
    /// The address that the pages of this session speak of.
    pub(crate) client: IpAddr,
    pub(crate) told: Vec<(Code, Outcome)>,
    begun: Time,
    seen: Time,
}

/// What a session is kept under. The token itself is only in the browser.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionId([u8; 32]);

impl SessionId {
    fn of(token: &str) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        SessionId(id)
    }
}

pub(crate) struct Sessions {
    limits: SessionLimits,
    all: HashMap<SessionId, Session>,
}

impl Sessions {
    pub(crate) fn new(limits: SessionLimits) -> Self {
        Sessions { limits, all: HashMap::new() }
    }

    /// Begins a session and gives the token for its cookie. Every sign-in gets a new one.
    pub(crate) fn begin(
        &mut self,
        account: String,
        client: IpAddr,
        now: Time,
    ) -> Result<(String, SessionId), WebError> {
        let token = random::token()?;
        self.make_room(&account, now);
        let id = SessionId::of(&token);
        self.all.insert(id, Session { account, client, told: Vec::new(), begun: now, seen: now });
        Ok((token, id))
    }

    /// The session of this token, if it has not ended.
    pub(crate) fn find(&mut self, token: &str, now: Time) -> Option<(SessionId, Session)> {
        let id = SessionId::of(token);
        let (idle, absolute) = (self.limits.idle, self.limits.absolute);
        let session = self.all.get_mut(&id)?;
        if is_over(session, idle, absolute, now) {
            self.all.remove(&id);
            return None;
        }
        session.seen = now;
        Some((id, session.clone()))
    }

    /// Changes a session, if it is still there.
    pub(crate) fn change(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.all.get_mut(&id) {
            change(session);
        }
    }

    pub(crate) fn end(&mut self, id: SessionId) {
        self.all.remove(&id);
    }

    fn make_room(&mut self, account: &str, now: Time) {
        let (idle, absolute) = (self.limits.idle, self.limits.absolute);
        while self.all.values().filter(|session| session.account == account).count() >= self.limits.per_account_max {
            if !self.end_stalest(|session| session.account == account) {
                break;
            }
        }
        if self.all.len() >= self.limits.count_max {
            self.all.retain(|_, session| !is_over(session, idle, absolute, now));
        }
        while self.all.len() >= self.limits.count_max && self.end_stalest(|_| true) {}
    }

    fn end_stalest(&mut self, of: impl Fn(&Session) -> bool) -> bool {
        let stalest = self.all.iter().filter(|(_, session)| of(session)).min_by_key(|(_, session)| session.seen);
        let Some(id) = stalest.map(|(id, _)| *id) else { return false };
        self.all.remove(&id).is_some()
    }
}

fn is_over(session: &Session, idle: Duration, absolute: Duration, now: Time) -> bool {
    now.since(session.seen) >= idle || now.since(session.begun) >= absolute
}

impl Session {
    /// The pages speak of another address from now on. What was not lifted at the old one is left behind with it.
    pub(crate) fn move_to(&mut self, client: IpAddr) {
        self.client = client;
        self.told.retain(|(_, outcome)| !matches!(outcome, Outcome::Kept(_)));
    }

    pub(crate) fn tell(&mut self, code: Code, outcome: Outcome) {
        self.told.retain(|(told, _)| *told != code);
        if self.told.len() >= TOLD_MAX {
            self.told.remove(0);
        }
        self.told.push((code, outcome));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;

    fn at(secs: i64) -> Time {
        Time::from_secs(1_000_000 + secs)
    }

    fn sessions() -> Sessions {
        Sessions::new(SessionLimits { count_max: 3, per_account_max: 2, ..SessionLimits::default() })
    }

    fn begin(sessions: &mut Sessions, account: &str, now: Time) -> String {
        sessions.begin(account.into(), "192.0.2.7".parse().unwrap(), now).unwrap().0
    }

    #[test]
    fn sessions_end_idle_and_absolutely() {
        let mut sessions = sessions();
        let token = begin(&mut sessions, "alice", at(0));
        assert!(sessions.find(&token, at(14 * MINUTE)).is_some());
        assert!(sessions.find(&token, at(29 * MINUTE)).is_none(), "15 minutes after the last page");
        assert!(sessions.find(&token, at(15 * MINUTE)).is_none(), "what has ended stays so");
        let token = begin(&mut sessions, "alice", at(0));
        for minute in (0..120).step_by(10) {
            assert!(sessions.find(&token, at(minute * MINUTE)).is_some());
        }
        assert!(sessions.find(&token, at(120 * MINUTE)).is_none(), "two hours are the end");
    }

    #[test]
    fn there_are_only_so_many() {
        let mut sessions = sessions();
        let first = begin(&mut sessions, "alice", at(0));
        let second = begin(&mut sessions, "alice", at(1));
        let third = begin(&mut sessions, "alice", at(2));
        assert!(sessions.find(&first, at(2)).is_none(), "the third of one account ends the first");
        assert!(sessions.find(&second, at(3)).is_some());
        for (number, name) in ["bob", "carol", "dave"].into_iter().enumerate() {
            begin(&mut sessions, name, at(4 + number as i64));
        }
        assert_eq!(sessions.all.len(), 3);
        assert!(sessions.find(&third, at(7)).is_none());
    }

    #[test]
    fn tokens_are_not_kept() {
        let mut sessions = sessions();
        let token = begin(&mut sessions, "alice", at(0));
        assert_eq!(token.len(), 43);
        assert!(sessions.all.keys().all(|id| id.0.as_slice() != token.as_bytes()));
        assert!(sessions.find(&token[..42], at(0)).is_none());
    }
}

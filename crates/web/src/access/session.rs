//! Who is signed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use fairban_types::Time;
use ring::digest::{SHA256, digest};

use super::role::{Grade, Role};
use crate::{WebError, random};

/// How long administrators stay signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StayLimits {
    /// After so long without a page.
    pub idle: Duration,
    /// After so long in any case.
    pub absolute: Duration,
}

impl Default for StayLimits {
    fn default() -> Self {
        StayLimits { idle: Duration::from_secs(60 * 60), absolute: Duration::from_secs(12 * 3600) }
    }
}

/// Between the password and the second factor.
const SECOND_FACTOR_TIME: Duration = Duration::from_secs(5 * 60);
const CODE_TRIES: u32 = 5;
const COUNT_MAX: usize = 5000;
const PER_USER_MAX: usize = 20;

/// How far somebody has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The password was right; the second factor is asked for.
    Password,
    /// Signed in.
    Full,
}

/// Somebody who has shown a password.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) role: Role,
    pub(crate) client: IpAddr,
    pub(crate) stage: Stage,
    pub(crate) begun: Time,
    pub(crate) seen: Time,
    /// A second factor is required and they have none: nothing but their own page is for them yet.
    pub(crate) lacks_second_factor: bool,
    /// A secret that is offered as second factor and not confirmed yet.
    pub(crate) offered: Option<String>,
    /// What the next page says, once.
    pub(crate) flash: Option<Flash>,
    /// What takes back what was done last.
    pub(crate) undo: Vec<crate::admin::desk::What>,
    tries: u32,
}

/// What a page says once about what was done before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flash {
    pub(crate) good: bool,
    pub(crate) text: String,
    /// Whether it can be taken back.
    pub(crate) has_undo: bool,
}

/// What a session is kept under. The token itself is only in the browser.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionId([u8; 32]);

impl SessionId {
    /// By the value of a cookie.
    pub(crate) fn of(token: &str) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        SessionId(id)
    }
}

pub(crate) struct Sessions {
    limits: StayLimits,
    all: HashMap<SessionId, Session>,
}

impl Sessions {
    pub(crate) fn new(limits: StayLimits) -> Self {
        Sessions { limits, all: HashMap::new() }
    }

    /// Begins a session and gives the token for its cookie: a new one for each stage.
    pub(crate) fn begin(
        &mut self,
        user: &str,
        role: Role,
        client: IpAddr,
        stage: Stage,
        now: Time,
    ) -> Result<String, WebError> {
        let token = random::token()?;
        self.make_room(user, now);
        let session = Session {
            user: user.to_owned(),
            role,
            client,
            stage,
            begun: now,
            seen: now,
            lacks_second_factor: false,
            offered: None,
            flash: None,
            undo: Vec::new(),
            tries: 0,
        };
        self.all.insert(SessionId::of(&token), session);
        Ok(token)
    }

    fn is_over(&self, session: &Session, now: Time) -> bool {
        let absolute = if session.stage == Stage::Password { SECOND_FACTOR_TIME } else { self.limits.absolute };
        now.since(session.seen) >= self.limits.idle || now.since(session.begun) >= absolute
    }

    /// The session of this token in this stage, if it has not ended. `is_person`: a person asked, not a page by itself.
    pub(crate) fn find(
        &mut self,
        token: &str,
        stage: Stage,
        is_person: bool,
        now: Time,
    ) -> Option<(SessionId, Session)> {
        let id = SessionId::of(token);
        let session = self.all.get(&id)?;
        if self.is_over(session, now) {
            self.all.remove(&id);
            return None;
        }
        let session = self.all.get_mut(&id).filter(|session| session.stage == stage)?;
        if is_person {
            session.seen = now;
        }
        Some((id, session.clone()))
    }

    /// Whether the session is still there, without counting as a page.
    pub(crate) fn is_alive(&self, id: SessionId, now: Time) -> bool {
        self.all.get(&id).is_some_and(|session| !self.is_over(session, now))
    }

    /// Takes one of the few tries of a code. `false`: there is none left, and the session is over.
    pub(crate) fn take_try(&mut self, id: SessionId) -> bool {
        let Some(session) = self.all.get_mut(&id) else { return false };
        session.tries += 1;
        if session.tries > CODE_TRIES {
            self.all.remove(&id);
            return false;
        }
        true
    }

    pub(crate) fn change(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) {
        if let Some(session) = self.all.get_mut(&id) {
            change(session);
        }
    }

    pub(crate) fn take_flash(&mut self, id: SessionId) -> Option<Flash> {
        self.all.get_mut(&id)?.flash.take()
    }

    pub(crate) fn end(&mut self, id: SessionId) {
        self.all.remove(&id);
    }

    /// Ends all sessions of a user but one, and gives those that were ended.
    pub(crate) fn end_all(&mut self, user: &str, but: Option<SessionId>) -> Vec<Session> {
        let ended = self.all.extract_if(|id, session| session.user == user && Some(*id) != but);
        ended.map(|(_, session)| session).collect()
    }

    /// Whether an administrator is signed in from there.
    pub(crate) fn has_administrator_at(&self, client: IpAddr, now: Time) -> bool {
        self.all.values().any(|session| {
            session.client == client
                && session.stage == Stage::Full
                && session.role.grade == Grade::Administrator
                && !self.is_over(session, now)
        })
    }

    /// Other sessions of the user: from where, and when last.
    pub(crate) fn of_user(&self, user: &str, now: Time) -> Vec<(SessionId, IpAddr, Time, Time)> {
        let full = self.all.iter().filter(|(_, session)| session.user == user && session.stage == Stage::Full);
        let mut list: Vec<_> = full
            .filter(|(_, session)| !self.is_over(session, now))
            .map(|(id, session)| (*id, session.client, session.begun, session.seen))
            .collect();
        list.sort_by_key(|(_, _, begun, _)| std::cmp::Reverse(*begun));
        list
    }

    fn make_room(&mut self, user: &str, now: Time) {
        if self.all.len() >= COUNT_MAX {
            let over: Vec<SessionId> =
                self.all.iter().filter(|(_, session)| self.is_over(session, now)).map(|(id, _)| *id).collect();
            for id in over {
                self.all.remove(&id);
            }
        }
        while self.all.len() >= COUNT_MAX && self.end_stalest(|_| true) {}
        while self.all.values().filter(|session| session.user == user).count() >= PER_USER_MAX {
            if !self.end_stalest(|session| session.user == user) {
                break;
            }
        }
    }

    fn end_stalest(&mut self, of: impl Fn(&Session) -> bool) -> bool {
        let stalest = self.all.iter().filter(|(_, session)| of(session)).min_by_key(|(_, session)| session.seen);
        let Some(id) = stalest.map(|(id, _)| *id) else { return false };
        self.all.remove(&id).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Time {
        Time::from_secs(1_000_000 + 60 * minutes)
    }

    fn begin(sessions: &mut Sessions, user: &str, stage: Stage, now: Time) -> String {
        sessions.begin(user, Role::of(Grade::Support), [192, 0, 2, 7].into(), stage, now).unwrap()
    }

    #[test]
    fn sessions_end_idle_and_absolutely() {
        let mut sessions = Sessions::new(StayLimits::default());
        let token = begin(&mut sessions, "alice", Stage::Full, at(0));
        assert!(sessions.find(&token, Stage::Full, true, at(59)).is_some());
        assert!(sessions.find(&token, Stage::Full, true, at(119)).is_none(), "an hour after the last page");
        let token = begin(&mut sessions, "alice", Stage::Full, at(0));
        for minute in (0..720).step_by(50) {
            assert!(sessions.find(&token, Stage::Full, true, at(minute)).is_some());
        }
        assert!(sessions.find(&token, Stage::Full, true, at(720)).is_none(), "twelve hours are the end");
        let token = begin(&mut sessions, "alice", Stage::Full, at(0));
        assert!(sessions.find(&token, Stage::Full, false, at(40)).is_some());
        assert!(
            sessions.find(&token, Stage::Full, false, at(60)).is_none(),
            "what a page does by itself keeps nobody in"
        );
    }

    #[test]
    fn a_password_alone_is_no_session() {
        let mut sessions = Sessions::new(StayLimits::default());
        let token = begin(&mut sessions, "alice", Stage::Password, at(0));
        assert!(sessions.find(&token, Stage::Full, true, at(0)).is_none());
        let (id, _) = sessions.find(&token, Stage::Password, true, at(0)).unwrap();
        for _ in 0..CODE_TRIES {
            assert!(sessions.take_try(id));
        }
        assert!(!sessions.take_try(id), "five codes, and then the password again");
        assert!(sessions.find(&token, Stage::Password, true, at(0)).is_none());
        let token = begin(&mut sessions, "alice", Stage::Password, at(0));
        assert!(sessions.find(&token, Stage::Password, true, at(5)).is_none());
    }

    #[test]
    fn signing_out_everywhere_ends_all_of_one_user() {
        let mut sessions = Sessions::new(StayLimits::default());
        let here = begin(&mut sessions, "alice", Stage::Full, at(0));
        let there = begin(&mut sessions, "alice", Stage::Full, at(0));
        let other = begin(&mut sessions, "bob", Stage::Full, at(0));
        let (id, _) = sessions.find(&here, Stage::Full, true, at(1)).unwrap();
        assert_eq!(sessions.of_user("alice", at(1)).len(), 2);
        assert_eq!(sessions.end_all("alice", Some(id)).len(), 1);
        assert!(sessions.find(&here, Stage::Full, true, at(1)).is_some());
        assert!(sessions.find(&there, Stage::Full, true, at(1)).is_none());
        assert!(sessions.find(&other, Stage::Full, true, at(1)).is_some());
        for _ in 0..30 {
            begin(&mut sessions, "alice", Stage::Full, at(2));
        }
        assert_eq!(sessions.of_user("alice", at(2)).len(), PER_USER_MAX);
    }
}

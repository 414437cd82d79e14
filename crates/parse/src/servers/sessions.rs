//! What earlier lines of one source said of sessions whose later lines leave it out.
//!
//! Some servers name the client once, when it connects, and from then on only the session. The table is small and of
//! fixed size: a session that falls into the place of another takes it, and lines of the forgotten one hold no event.

use std::net::IpAddr;

/// Sessions remembered at once, per source.
const SLOTS: usize = 1024;

/// Which server named the session: two servers may use the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    OpenSmtpd,
    Haraka,
    Sendmail,
}

/// What is known of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// The client, where the connection was seen.
    pub(super) client: Option<IpAddr>,
    /// Whether the failed sign-in that the next line repeats was told already.
    pub(super) failure_told: bool,
    /// Unknown recipients so far, for a server that names the client at the end.
    pub(super) unknown_recipients: u32,
    /// The last of them.
    pub(super) recipient: Option<Box<str>>,
}

/// The sessions of one source.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// Empty until the first session.
    slots: Vec<Option<(Server, u128, Session)>>,
    /// Whether a line had to do with a session.
    was_asked: bool,
}

impl Sessions {
    /// Whether a line had to do with a session, since this was last asked.
    #[inline(always)]
    pub(crate) fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.was_asked)
    }

    /// The session of that name, made if it is not there.
    pub(super) fn entry(&mut self, server: Server, name: u128) -> &mut Session {
        self.was_asked = true;
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        let slot = &mut self.slots[place(name)];
        if !slot.as_ref().is_some_and(|(of, kept, _)| *of == server && *kept == name) {
            *slot = None;
        }
        &mut slot.get_or_insert_with(|| (server, name, Session::default())).2
    }

    /// The session of that name, if it is known.
    pub(super) fn get(&mut self, server: Server, name: u128) -> Option<&mut Session> {
        self.was_asked = true;
        match self.slots.get_mut(place(name))? {
            Some((of, kept, session)) if *of == server && *kept == name => Some(session),
            _ => None,
        }
    }

    /// Takes the session out, if it is known.
    pub(super) fn take(&mut self, server: Server, name: u128) -> Option<Session> {
        self.get(server, name)?;
        self.slots[place(name)].take().map(|(_, _, session)| session)
    }
}

/// Session names are chosen by the server, so a plain mix of their bits spreads them well enough.
fn place(name: u128) -> usize {
    let mixed = ((name >> 64) as u64 ^ name as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize % SLOTS
}

/// A name of at most 16 bytes as a number.
pub(super) fn name_of(bytes: &[u8]) -> Option<u128> {
    if bytes.is_empty() || bytes.len() > 16 {
        return None;
    }
    Some(bytes.iter().fold(0, |name, byte| name << 8 | u128::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_small_and_forgets() {
        let mut sessions = Sessions::default();
        for name in 0..100_000u128 {
            sessions.entry(Server::OpenSmtpd, name).failure_told = true;
        }
        assert_eq!(sessions.slots.len(), SLOTS);
        assert!(sessions.get(Server::OpenSmtpd, 99_999).is_some());
        assert!(sessions.get(Server::Haraka, 99_999).is_none());
        assert!(sessions.take(Server::OpenSmtpd, 99_999).is_some());
        assert!(sessions.get(Server::OpenSmtpd, 99_999).is_none());
    }
}

//! What an event alone says, found out before the engine takes it.

use fairban_types::{Event, EventKind, Witness};

use crate::address::Address;
use crate::engine::Engine;
use crate::hash::{self, AccountId};

/// The hashes of an event's texts, and its client. They depend on nothing but the event, so another thread may make them
/// ahead of [`Engine::step_prepared`].
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    pub(crate) client: Address,
    pub(crate) account: AccountId,
    /// By [`hash::credential`].
    pub(crate) credential: u64,
    /// Of a failed sign-in, the client with the session's name; 0 without one.
    pub(crate) session: u64,
    /// The backend's database driver; 0 for other witnesses.
    pub(crate) driver: u64,
}

impl Engine {
    /// Hashes what the engine is to look up.
    pub fn prepare(event: &Event<'_>) -> Prepared {
        let account = event.account.as_deref().map_or(0, hash::account);
        let client = Address::from(event.client);
        let credential = hash::credential(event, account);
        let mut prepared = Prepared { client, account, credential, session: 0, driver: 0 };
        if event.kind.is_login_outcome() && event.kind != EventKind::LoginSucceeded {
            prepared.session = session(event, client).unwrap_or(0);
            if let Witness::Backend(driver) = &event.witness {
                prepared.driver = hash::name(driver) | 1;
            }
        }
        prepared
    }
}

/// The client with the name of its session.
pub(crate) fn session(event: &Event<'_>, client: Address) -> Option<u64> {
    let name = event.session.as_deref().filter(|name| !name.is_empty())?;
    let bits = client.bits();
    Some(hash::blend(hash::blend(hash::name(name), (bits >> 64) as u64), bits as u64) | 1)
}

//! How often passwords, links and tokens may be tried.

use std::net::IpAddr;
use std::time::Duration;

use fairban_types::{Time, network_of};
use ipnet::IpNet;

use crate::bucket::{Buckets, Rate};

const KEYS_MAX: usize = 50_000;

fn every(burst: u32, secs: u64) -> Rate {
    Rate { burst, every: Duration::from_secs(secs) }
}

/// Limits by place (an IPv4 address or an IPv6 /64), by user, and in all.
pub(crate) struct Guesses {
    places: Buckets<IpNet>,
    users: Buckets<String>,
    all: Buckets<()>,
    secrets: Buckets<IpNet>,
    pages: Buckets<IpNet>,
    /// From where users signed in since the start: there, strangers elsewhere do not keep them out.
    homes: Vec<(String, IpNet)>,
}

pub(crate) fn place(client: IpAddr) -> IpNet {
    network_of(client, 32, 64)
}

impl Guesses {
    pub(crate) fn new() -> Self {
        Guesses {
            places: Buckets::new(every(5, 60), KEYS_MAX),
            users: Buckets::new(every(10, 60), KEYS_MAX),
            all: Buckets::new(every(60, 2), 1),
            secrets: Buckets::new(every(20, 3), KEYS_MAX),
            pages: Buckets::new(Rate { burst: 600, every: Duration::from_millis(50) }, KEYS_MAX),
            homes: Vec::new(),
        }
    }

    /// May a password be tried? `Err`: not for so long.
    pub(crate) fn password(&mut self, client: IpAddr, user: &str, now: Time) -> Result<(), Duration> {
        let place = place(client);
        self.places.wait(&place, now)?;
        if self.homes.iter().any(|(name, home)| name == user && *home == place) {
            return self.places.take(&place, now);
        }
        self.users.wait(&user.to_owned(), now)?;
        self.all.take(&(), now)?;
        self.places.take(&place, now)?;
        self.users.take(&user.to_owned(), now)
    }

    /// The password was right: it was no guess.
    pub(crate) fn was_right(&mut self, client: IpAddr, user: &str) {
        let place = place(client);
        self.places.give_back(&place);
        if self.homes.iter().any(|(name, home)| name == user && *home == place) {
            return;
        }
        self.users.give_back(&user.to_owned());
        self.all.give_back(&());
        self.homes.push((user.to_owned(), place));
        if self.homes.len() > 1000 {
            self.homes.remove(0);
        }
    }

    /// May a token or a link be tried, after wrong ones?
    pub(crate) fn may_try_secret(&self, client: IpAddr, now: Time) -> Result<(), Duration> {
        self.secrets.wait(&place(client), now)
    }

    /// A token or link was wrong.
    pub(crate) fn wrong_secret(&mut self, client: IpAddr, now: Time) {
        let _ = self.secrets.take(&place(client), now);
    }

    /// May another page be asked for?
    pub(crate) fn page(&mut self, client: IpAddr, now: Time) -> Result<(), Duration> {
        self.pages.take(&place(client), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_are_few_and_the_owner_is_not_kept_out() {
        let mut guesses = Guesses::new();
        let home: IpAddr = [192, 0, 2, 7].into();
        let now = Time::from_secs(1_000_000);
        assert!(guesses.password(home, "alice", now).is_ok());
        guesses.was_right(home, "alice");
        let strangers = (0..250u8).filter(|n| guesses.password([198, 51, 100, *n].into(), "alice", now).is_ok());
        assert_eq!(strangers.count(), 10, "a botnet against one user");
        assert!(guesses.password(home, "alice", now).is_ok(), "the owner at home");
        let one = (0..250).filter(|n| guesses.password([203, 0, 113, 9].into(), &format!("user{n}"), now).is_ok());
        assert_eq!(one.count(), 5, "one address against many");
        for _ in 0..20 {
            guesses.wrong_secret(home, now);
        }
        assert!(guesses.may_try_secret(home, now).is_err());
        assert!(guesses.may_try_secret([192, 0, 2, 8].into(), now).is_ok());
    }
}

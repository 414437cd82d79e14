//! How often passwords and reference codes may be tried.

use std::net::IpAddr;
use std::time::Duration;

use fairban_types::{Time, network_of};
use ipnet::IpNet;

use super::MayTry;
use crate::bucket::{Buckets, Rate};

/// How often things may be tried. Stricter than what the mail server lets happen before it blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptLimits {
    /// Passwords, from one IPv4 address or IPv6 /64.
    pub per_address: Rate,
    /// Passwords of one account, from networks that are not familiar to it.
    pub per_account: Rate,
    /// Passwords in all, from networks that are not familiar.
    pub in_all: Rate,
    /// Reference codes, by one account and from one address.
    pub codes: Rate,
    /// Pages that ask the house, from one address.
    pub pages: Rate,
    /// So many addresses and accounts are remembered.
    pub remembered_max: usize,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        let rate = |burst, secs| Rate { burst, every: Duration::from_secs(secs) };
        AttemptLimits {
            per_address: rate(5, 300),
            per_account: rate(5, 300),
            in_all: rate(60, 1),
            codes: rate(10, 60),
            pages: rate(60, 2),
            remembered_max: 20_000,
        }
    }
}

/// The network that counts as one place: an IPv4 address or an IPv6 /64.
pub(crate) fn place(client: IpAddr) -> IpNet {
    network_of(client, 32, 64)
}

/// Who tries a code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Trier {
    Account(String),
    Place(IpNet),
}

pub(crate) struct Attempts {
    addresses: Buckets<IpNet>,
    accounts: Buckets<String>,
    all: Buckets<()>,
    codes: Buckets<Trier>,
    pages: Buckets<IpNet>,
}

impl Attempts {
    pub(crate) fn new(limits: &AttemptLimits) -> Self {
        let most = limits.remembered_max.max(1);
        Attempts {
            addresses: Buckets::new(limits.per_address, most),
            accounts: Buckets::new(limits.per_account, most),
            all: Buckets::new(limits.in_all, 1),
            codes: Buckets::new(limits.codes, most),
            pages: Buckets::new(limits.pages, most),
        }
    }

    /// Takes a try of a password, or says how long to wait. Taken before the check, so that many tries at once count.
    pub(crate) fn password(
        &mut self,
        client: IpAddr,
        account: &str,
        may: MayTry,
        now: Time,
    ) -> Result<Taken, Duration> {
        let taken = Taken { place: place(client), account: account.to_owned(), may };
        let strange = may != MayTry::Familiar;
        let mut waits = vec![self.addresses.wait(&taken.place, now)];
        if let MayTry::NotFor(wait) = may {
            waits.push(Err(wait));
        }
        if strange {
            waits.extend([self.accounts.wait(&taken.account, now), self.all.wait(&(), now)]);
        }
        if let Some(longest) = waits.into_iter().filter_map(Result::err).max() {
            return Err(longest);
        }
        self.addresses.take(&taken.place, now)?;
        if strange {
            self.accounts.take(&taken.account, now)?;
            self.all.take(&(), now)?;
        }
        Ok(taken)
    }

    /// Gives a try back that was right, or that could not be checked.
    pub(crate) fn give_back(&mut self, taken: &Taken) {
        self.addresses.give_back(&taken.place);
        if taken.may != MayTry::Familiar {
            self.accounts.give_back(&taken.account);
            self.all.give_back(&());
        }
    }

    /// Takes a try of a reference code.
    pub(crate) fn code(&mut self, client: IpAddr, account: &str, now: Time) -> Result<(), Duration> {
        let (by, from) = (Trier::Account(account.to_owned()), Trier::Place(place(client)));
        self.codes.wait(&from, now)?;
        self.codes.take(&by, now)?;
        self.codes.take(&from, now)
    }

    /// Takes a page that asks the house.
    pub(crate) fn page(&mut self, client: IpAddr, now: Time) -> Result<(), Duration> {
        self.pages.take(&place(client), now)
    }
}

/// A try that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    place: IpNet,
    account: String,
    may: MayTry,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Time {
        Time::from_secs(1_000_000 + secs)
    }

    fn tries(from: impl Fn(u32) -> String, account: impl Fn(u32) -> String, may: MayTry) -> usize {
        let mut attempts = Attempts::new(&AttemptLimits::default());
        (0..1000).filter(|n| attempts.password(from(*n).parse().unwrap(), &account(*n), may, at(0)).is_ok()).count()
    }

    #[test]
    fn guesses_are_few_by_address_account_and_in_all() {
        let one = |_| "192.0.2.7".to_owned();
        let many = |n| format!("10.0.{}.{}", n / 250, n % 250);
        let neighbours = |n| format!("2001:db8::{n:x}");
        assert_eq!(tries(one, |n| format!("user{n}"), MayTry::Yes), 5, "spraying from one address");
        assert_eq!(tries(neighbours, |n| format!("user{n}"), MayTry::Yes), 5, "an IPv6 /64 is one place");
        assert_eq!(tries(many, |_| "alice".into(), MayTry::Yes), 5, "a botnet against one account");
        assert_eq!(tries(many, |n| format!("user{n}"), MayTry::Yes), 60, "a botnet against many");
        assert_eq!(
            tries(one, |_| "alice".into(), MayTry::Familiar),
            5,
            "a familiar address has the limit of an address"
        );
        assert_eq!(tries(one, |_| "alice".into(), MayTry::NotFor(Duration::from_secs(9))), 0, "the house said no");
    }

    #[test]
    fn strangers_do_not_keep_the_owner_out() {
        let mut attempts = Attempts::new(&AttemptLimits::default());
        for n in 0..100 {
            let _ = attempts.password([198, 51, 100, n].into(), "alice", MayTry::Yes, at(0));
        }
        assert!(attempts.password([192, 0, 2, 7].into(), "alice", MayTry::Yes, at(0)).is_err());
        assert!(attempts.password([192, 0, 2, 7].into(), "alice", MayTry::Familiar, at(0)).is_ok());
    }

    #[test]
    fn right_passwords_cost_nothing() {
        let mut attempts = Attempts::new(&AttemptLimits::default());
        for _ in 0..100 {
            let taken = attempts.password([192, 0, 2, 7].into(), "alice", MayTry::Yes, at(0)).unwrap();
            attempts.give_back(&taken);
        }
    }
}

//! Failed sign-ins: a device, a guesser, or who knows.

use std::collections::BTreeMap;
use std::time::Duration;

use fairban_types::{Diagnosis, EventKind, Evidence, Fact};

use super::cadence::{self, Pace};
use super::{Background, Elsewhere, Verdict, account_of, addresses, number, tries};

/// Repeats of one wrong password from which on it is a device, not a person.
const STALE_REPEATS: u32 = 3;
/// Fewer tries than this tell nothing, where one wrong password cannot be told from another.
const TRIES_MIN: u32 = 4;
/// Who waits for less is a guesser, where nothing else tells.
const DEVICE_PAUSE: Duration = Duration::from_secs(15);
/// Who waits for less than this is a guesser, even where the account signs in.
const DEVICE_PAUSE_LEAST: Duration = Duration::from_secs(3);
/// A device roams, but not through so many addresses.
const ROAMING_MAX: u32 = 3;
/// From so many accounts on, it is about accounts and not about one person's.
const ACCOUNTS_MANY: usize = 3;

/// What was tried of one account.
#[derive(Default)]
struct Tried<'e> {
    /// By digest: how often.
    passwords: BTreeMap<&'e str, u32>,
    /// Tries without a digest.
    untold: u32,
    tries: u32,
    /// Pieces of evidence.
    pieces: u32,
    is_unknown: bool,
}

struct Logins<'e> {
    accounts: BTreeMap<Option<String>, Tried<'e>>,
    tries: u32,
    pieces: u32,
    has_digests: bool,
    addresses: u32,
    pace: Pace,
}

pub(super) fn verdict(pieces: &[&Evidence], background: &Background) -> Verdict {
    let mut accounts: BTreeMap<Option<String>, Tried<'_>> = BTreeMap::new();
    for piece in pieces {
        let tried = accounts.entry(account_of(piece)).or_default();
        match piece.event.digest.as_deref() {
            Some(digest) => *tried.passwords.entry(digest).or_default() += piece.tries(),
            None => tried.untold = tried.untold.saturating_add(piece.tries()),
        }
        tried.tries = tried.tries.saturating_add(piece.tries());
        tried.pieces += 1;
        tried.is_unknown |= piece.event.kind == EventKind::LoginUnknownAccount;
    }
    let logins = Logins {
        has_digests: accounts.values().all(|tried| tried.untold == 0),
        accounts,
        tries: tries(pieces.iter().copied()),
        pieces: number(pieces.len()),
        addresses: addresses(pieces),
        pace: cadence::pace(pieces),
    };
    match logins.accounts.len() {
        0 | 1 if logins.has_digests => logins.one_account_with_passwords(background),
        0 | 1 => logins.one_account(background),
        _ => logins.several_accounts(),
    }
}

impl<'e> Logins<'e> {
    fn passwords(&self) -> u32 {
        number(self.accounts.values().map(|tried| tried.passwords.len()).sum())
    }

    /// Each account has one wrong password, repeated.
    fn is_one_password_each(&self) -> bool {
        self.has_digests
            && self.accounts.values().all(|tried| tried.passwords.len() == 1 && tried.tries >= STALE_REPEATS)
    }

    fn about_passwords(&self) -> Fact {
        // Where one password is told alike for every account, one for all of them is one.
        match (self.has_digests, number(self.distinct_passwords()), number(self.accounts.len())) {
            (true, 1, _) => Fact::SamePassword { times: self.tries },
            (true, _, accounts) if self.is_one_password_each() => {
                Fact::SamePasswordEach { accounts, times: self.tries }
            }
            (true, count, _) => Fact::Passwords { count },
            (false, ..) => Fact::PasswordsUntold { tries: self.tries },
        }
    }

    /// What is known of the one account, how it comes, and from where.
    fn facts(&self, background: &Background) -> Vec<Fact> {
        let here = background.here.map(|known| Fact::SignedInHere { since: known.first, until: known.last });
        let elsewhere = match (here, background.elsewhere) {
            (None, Elsewhere::Until(until)) => Some(Fact::SignedInElsewhere { until }),
            (None, Elsewhere::Never) => Some(Fact::NeverSignedIn),
            _ => None,
        };
        let nameless = self.accounts.contains_key(&None) && background.accounts_here > 0;
        [
            Some(self.about_passwords()),
            here,
            background.owner_is_here.then_some(Fact::OwnerHere),
            elsewhere.filter(|_| self.accounts.len() == 1 && !self.accounts.contains_key(&None)),
            nameless.then_some(Fact::AccountsHere { count: background.accounts_here }),
            self.pace_fact(),
            (self.addresses > 1).then_some(Fact::Addresses { count: self.addresses }),
            self.unknown_accounts(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn pace_fact(&self) -> Option<Fact> {
        match self.pace.middle() {
            Some(middle) if middle < DEVICE_PAUSE => {
                let secs = middle.as_secs().max(1);
                Some(Fact::Fast { per_minute: u32::try_from(60 / secs).unwrap_or(60) })
            }
            _ => self.pace.fact(),
        }
    }

    fn unknown_accounts(&self) -> Option<Fact> {
        let count = number(self.accounts.values().filter(|tried| tried.is_unknown).count());
        (count > 0).then_some(Fact::UnknownAccounts { count })
    }

    fn too_little(&self, mut facts: Vec<Fact>) -> Verdict {
        facts.insert(0, Fact::TooLittle { tries: self.tries });
        Verdict::unknown(facts)
    }

    fn one_account_with_passwords(&self, background: &Background) -> Verdict {
        let facts = self.facts(background);
        let used_here = background.here.is_some() || background.owner_is_here;
        let most = self.accounts.values().flat_map(|tried| tried.passwords.values().copied()).max().unwrap_or(0);
        let passwords = self.passwords();
        let is_device_pace = matches!(self.pace, Pace::Regular(_) | Pace::Average(_));
        let stale = |base, facts| {
            let adds = [
                (most >= 10, 8),
                (used_here, 10),
                (is_device_pace, 4),
                (self.addresses > ROAMING_MAX, -20),
                (matches!(background.elsewhere, Elsewhere::Never) && !used_here, -15),
            ];
            Verdict::of(Diagnosis::StalePassword, base, &adds, facts)
        };
        // Two programs of a device may hold two old passwords; and who looks for the device tries some by hand.
        let is_nearly_one = u64::from(most) * 100 >= u64::from(self.tries) * 80 && most >= 8 && used_here;
        let are_all_repeated = passwords == 2
            && self.accounts.values().all(|tried| tried.passwords.values().all(|times| *times >= STALE_REPEATS));
        match passwords {
            1 if self.tries >= STALE_REPEATS => stale(76, facts),
            2 if are_all_repeated => stale(60, facts),
            _ if is_nearly_one => stale(58, facts),
            0..3 => self.too_little(facts),
            _ => {
                let more = i32::try_from(passwords.min(8)).unwrap_or(8) - 3;
                let adds = [(used_here, -15), (self.addresses > ROAMING_MAX, 10)];
                Verdict::of(Diagnosis::PasswordGuessing, 70 + 4 * more, &adds, facts)
            }
        }
    }

    /// One account, or none that is told, and nothing tells one wrong password from another: a device and a guesser
    /// differ in when they come, and in whether the account is used there.
    fn one_account(&self, background: &Background) -> Verdict {
        let facts = self.facts(background);
        let is_named = !self.accounts.contains_key(&None);
        let used_here = match is_named {
            true => background.here.is_some() || background.owner_is_here,
            false => background.accounts_here > 0,
        };
        let used_elsewhere = is_named && matches!(background.elsewhere, Elsewhere::Until(_));
        let enough = self.tries > TRIES_MIN;
        let many = self.tries >= 10;
        let guessing = |base, facts| {
            let adds = [(many, 10), (self.tries >= 30, 10), (used_here, -10)];
            Verdict::of(Diagnosis::PasswordGuessing, base, &adds, facts)
        };
        let stale = |base, facts| {
            let adds = [(many, 5), (background.owner_is_here && background.here.is_some(), 5), (!is_named, -15)];
            Verdict::of(Diagnosis::StalePassword, base, &adds, facts)
        };
        match self.pace {
            _ if self.tries < TRIES_MIN => self.too_little(facts),
            _ if self.addresses > ROAMING_MAX && !used_here => guessing(75, facts),
            Pace::Regular(regular) if regular.every >= DEVICE_PAUSE => match (used_here, used_elsewhere) {
                (true, _) => stale(72, facts),
                (false, true) => stale(55, facts),
                // Who tries one account for ever, and nobody knows it.
                (false, false) if is_named && enough => guessing(55, facts),
                (false, false) => self.too_little(facts),
            },
            Pace::Regular(regular) if used_here && regular.every >= DEVICE_PAUSE_LEAST => stale(60, facts),
            Pace::Regular(_) => guessing(70, facts),
            Pace::Irregular(middle) | Pace::Average(middle) if middle < DEVICE_PAUSE => guessing(65, facts),
            Pace::Irregular(_) | Pace::Average(_) => match (used_here, used_elsewhere) {
                (true, _) if enough => stale(55, facts),
                (false, false) if enough => guessing(60, facts),
                // The owner on the way, or somebody who knows the name: as likely.
                _ => Verdict::unknown(facts),
            },
            // Many tries in a moment.
            Pace::TooFew if enough => guessing(65, facts),
            Pace::TooFew => self.too_little(facts),
        }
    }

    fn several_accounts(&self) -> Verdict {
        let count = number(self.accounts.len());
        let each_once = self.accounts.values().all(|tried| tried.pieces == 1);
        let mut facts = vec![Fact::Accounts { count }];
        facts.extend(each_once.then_some(Fact::EachAccountOnce));
        facts.extend(self.unknown_accounts());
        facts.push(self.about_passwords());
        facts.extend(self.pace_fact());
        facts.extend((self.addresses > 1).then_some(Fact::Addresses { count: self.addresses }));
        if self.is_one_password_each() && self.accounts.len() <= ACCOUNTS_MANY {
            // One device with two mailboxes, or two people at home.
            return Verdict::of(Diagnosis::StalePassword, 74, &[(self.tries >= 20, 8)], facts);
        }
        if self.tries < TRIES_MIN {
            return self.too_little(facts);
        }
        let is_about_passwords = self.pieces > count * 2 || self.accounts.len() < ACCOUNTS_MANY;
        if is_about_passwords {
            let adds = [(self.has_digests, 15), (self.tries >= 10, 10), (self.accounts.len() < ACCOUNTS_MANY, -5)];
            return Verdict::of(Diagnosis::PasswordGuessing, 60, &adds, facts);
        }
        let many = self.accounts.len() >= 8;
        if self.has_digests && self.distinct_passwords() * 2 > self.accounts.len() {
            return Verdict::of(Diagnosis::CredentialStuffing, 70, &[(each_once, 8), (many, 10)], facts);
        }
        let adds = [(self.has_digests, 20), (each_once, 5), (many, 10)];
        Verdict::of(Diagnosis::PasswordSpraying, 60, &adds, facts)
    }

    /// Passwords as the log tells them, whatever the account.
    fn distinct_passwords(&self) -> usize {
        let digests: std::collections::BTreeSet<&'e str> =
            self.accounts.values().flat_map(|tried| tried.passwords.keys().copied()).collect();
        digests.len()
    }
}

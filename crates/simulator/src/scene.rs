use std::net::IpAddr;

use fairban_types::Service;

use crate::Settings;
use crate::address::{AddressBook, Net24};
use crate::chance::{Chance, DAY};
use crate::label::{Deed, Truth};
use crate::password;
use crate::write::{Driver, Stamp};

/// A mail server with its domain, and how it logs.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) host: String,
    pub(crate) domain: String,
    pub(crate) stamp: Stamp,
    pub(crate) driver: Driver,
    /// `auth_verbose`: whether the auth process tells each try.
    pub(crate) auth_lines: bool,
    /// `auth_verbose_passwords`: whether it tells the given password's digest.
    pub(crate) digests: bool,
    /// Whether Postfix is new enough to tell the account of a failed AUTH.
    pub(crate) postfix_names_account: bool,
}

/// An account that exists.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    pub(crate) site: usize,
    pub(crate) local: String,
    pub(crate) password: String,
    /// A new password, and from when.
    pub(crate) changed: Option<(i64, String)>,
}

impl Mailbox {
    /// The password that is right at a moment.
    pub(crate) fn password_at(&self, at: i64) -> &str {
        self.changed.as_ref().filter(|(from, _)| at >= *from).map_or(&self.password, |(_, new)| new)
    }
}

/// What came of one try to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Right,
    Wrong,
    Unknown,
}

/// One try to sign in.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) typed: String,
    pub(crate) account: String,
    pub(crate) password: String,
    pub(crate) outcome: Outcome,
    pub(crate) truth: Truth,
}

/// Who did something, and of which class they are.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) name: std::rc::Rc<str>,
    pub(crate) class: &'static str,
}

/// What a client did on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) at: i64,
    pub(crate) site: usize,
    pub(crate) client: IpAddr,
    pub(crate) who: Who,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    SignIn { service: Service, attempts: Vec<Attempt> },
    Mail { deed: Deed, truth: Truth, from: String, to: String },
}

/// An address that many people of one site share, for those who guess from behind it.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) site: usize,
    pub(crate) addresses: Vec<IpAddr>,
    /// Mailboxes that sign in from there.
    pub(crate) members: Vec<usize>,
}

/// Everything there is, and everything that was done.
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) scale: f64,
    pub(crate) hard: bool,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) sites: Vec<Site>,
    pub(crate) mailboxes: Vec<Mailbox>,
    pub(crate) book: AddressBook,
    pub(crate) offices: Vec<Shared>,
    pub(crate) carriers: Vec<Shared>,
    pub(crate) webmails: Vec<Shared>,
    pub(crate) hotels: Vec<Shared>,
    /// Mailboxes whose owners are always at the same few addresses.
    pub(crate) steady: Vec<usize>,
    /// Networks from which a provider serves homes, with another address every day,
    pub(crate) pools: Vec<Net24>,
    /// and with fixed ones.
    pub(crate) fixed_pools: Vec<Net24>,
    pub(crate) acts: Vec<Act>,
}

const DOMAINS: [&str; 6] =
    ["example.test", "alpine.test", "harbour.test", "orchard.test", "meadow.test", "foundry.test"];

impl Scene {
    pub(crate) fn new(settings: &Settings) -> Self {
        let start = settings.start.millis();
        let mut scene = Scene {
            seed: settings.seed,
            scale: settings.scale.max(0.01),
            hard: settings.hard,
            start,
            end: start + i64::from(settings.days.max(1)) * DAY,
            sites: Vec::new(),
            mailboxes: Vec::new(),
            book: AddressBook::new(settings.seed),
            offices: Vec::new(),
            carriers: Vec::new(),
            webmails: Vec::new(),
            hotels: Vec::new(),
            steady: Vec::new(),
            pools: Vec::new(),
            fixed_pools: Vec::new(),
            acts: Vec::new(),
        };
        scene.open_sites();
        scene
    }

    /// Sites of every kind: about two thirds tell digests, one of them all logs only the ends of sessions.
    fn open_sites(&mut self) {
        let mut chance = self.chance("sites", 0);
        let first = chance.count(0, DOMAINS.len() - 1);
        let all_iso = chance.happens(0.2);
        for (index, domain) in DOMAINS.iter().enumerate() {
            let iso = all_iso || chance.happens(0.4);
            let kind = (index + first) % DOMAINS.len();
            self.sites.push(Site {
                host: format!("mx{}", index + 1),
                domain: (*domain).to_owned(),
                stamp: if iso { Stamp::Iso { offset_secs: 3600 * chance.number(0, 2) as i32 } } else { Stamp::Rfc3164 },
                driver: *chance.pick(&[Driver::PasswdFile, Driver::Sql, Driver::Ldap]),
                auth_lines: kind != 5,
                digests: kind < 4,
                postfix_names_account: kind != 4,
            });
        }
    }

    /// The stream of random numbers of `name`'s `number`th member.
    pub(crate) fn chance(&self, name: &str, number: usize) -> Chance {
        Chance::new(self.seed, name, number)
    }

    /// `count` at the scale of this scene, at least 1.
    pub(crate) fn scaled(&self, count: usize) -> usize {
        ((count as f64 * self.scale).round() as usize).max(1)
    }

    /// By when everyone has been seen at the addresses that they share.
    pub(crate) fn settled(&self) -> i64 {
        self.start + ((self.end - self.start) * 2 / 5).min(5 * DAY / 2)
    }

    /// By when the last newcomer arrives at an address that others share.
    pub(crate) fn last_arrival(&self) -> i64 {
        if self.hard { self.end - DAY / 2 } else { self.start + (self.settled() - self.start) * 3 / 5 }
    }

    /// Opens a mailbox.
    pub(crate) fn open_mailbox(&mut self, site: usize, chance: &mut Chance) -> usize {
        let number = self.mailboxes.len();
        let first = chance.pick(&FIRST_NAMES);
        let local = match chance.number(0, 2) {
            0 => format!("{first}{number}"),
            1 => format!("{first}.{}{number}", chance.pick(&LAST_NAMES)),
            _ => format!("{}{}{number}", &first[..1], chance.pick(&LAST_NAMES)),
        };
        self.mailboxes.push(Mailbox { site, local, password: password::own(chance), changed: None });
        number
    }

    /// An account in full.
    pub(crate) fn account(&self, mailbox: usize) -> String {
        let mailbox = &self.mailboxes[mailbox];
        format!("{}@{}", mailbox.local, self.sites[mailbox.site].domain)
    }

    /// The mailboxes of a site.
    pub(crate) fn mailboxes_of(&self, site: usize) -> Vec<usize> {
        (0..self.mailboxes.len()).filter(|mailbox| self.mailboxes[*mailbox].site == site).collect()
    }
}

const FIRST_NAMES: [&str; 20] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "karl", "lena", "mallory",
    "nina", "oscar", "peggy", "rupert", "sybil", "trent", "victor",
];

const LAST_NAMES: [&str; 16] = [
    "arnold", "baker", "cooper", "dyer", "fisher", "gardner", "hunter", "ironside", "joiner", "keller", "marsh",
    "north", "parker", "reed", "smith", "weaver",
];

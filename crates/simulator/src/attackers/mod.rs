//! Attackers: from one address, from many, and from among the victims.

mod inside;
mod many;
mod probes;
mod single;

use std::net::IpAddr;
use std::rc::Rc;

use fairban_types::Service;

use crate::chance::{Chance, HOUR};
use crate::label::Truth;
use crate::scene::{Act, Attempt, Outcome, Scene, What, Who};

/// Lets every attacker loose.
pub(crate) fn attack(scene: &mut Scene) {
    single::attack(scene);
    many::attack(scene);
    inside::attack(scene);
    probes::attack(scene);
}

/// An account that an attacker aims at.
#[derive(Clone, Debug)]
struct Target {
    site: usize,
    typed: String,
    account: String,
    mailbox: Option<usize>,
}

const USUAL_NAMES: [&str; 16] = [
    "admin",
    "info",
    "test",
    "sales",
    "support",
    "office",
    "scanner",
    "postmaster",
    "webmaster",
    "contact",
    "noreply",
    "backup",
    "user",
    "mail",
    "root",
    "billing",
];

impl Target {
    fn mailbox(scene: &Scene, mailbox: usize) -> Self {
        let account = scene.account(mailbox);
        Target { site: scene.mailboxes[mailbox].site, typed: account.clone(), account, mailbox: Some(mailbox) }
    }

    /// An account of the site that exists with the given probability; otherwise a usual or made-up name.
    fn any(scene: &Scene, chance: &mut Chance, site: usize, exists: f64) -> Self {
        let mailboxes = scene.mailboxes_of(site);
        if !mailboxes.is_empty() && chance.happens(exists) {
            return Target::mailbox(scene, *chance.pick(&mailboxes));
        }
        let name = chance.pick(&USUAL_NAMES);
        let made_up = if chance.happens(0.5) { (*name).to_owned() } else { format!("{name}{}", chance.number(1, 400)) };
        let typed = if chance.happens(0.8) { format!("{made_up}@{}", scene.sites[site].domain) } else { made_up };
        Target { site, account: typed.clone(), typed, mailbox: None }
    }
}

/// One attacker at work.
struct Attacker {
    who: Who,
    chance: Chance,
    service: Service,
}

impl Attacker {
    fn new(scene: &Scene, class: &'static str, number: usize) -> Self {
        let mut chance = scene.chance(class, number);
        let service = *chance.pick(&[Service::Submission, Service::Submission, Service::Imap, Service::Pop3]);
        Attacker { who: Who { name: Rc::from(format!("{class}-{number}")), class }, chance, service }
    }

    /// When to begin: one in six with the log itself, the others some time before its last quarter.
    fn begin(&mut self, scene: &Scene) -> i64 {
        if self.chance.happens(0.17) {
            return scene.start + self.chance.moment(0, HOUR);
        }
        self.chance.moment(scene.start, scene.start + (scene.end - scene.start) / 4 * 3)
    }

    /// When to begin behind an address that others share.
    fn begin_among_others(&mut self, scene: &Scene) -> i64 {
        if scene.hard {
            return self.begin(scene);
        }
        self.chance.moment(scene.settled(), scene.settled() + (scene.end - scene.settled()) / 2)
    }

    /// One wrong password.
    fn guess(&mut self, scene: &mut Scene, at: i64, client: IpAddr, target: &Target, password: String) {
        self.tries(scene, at, client, target, vec![password]);
    }

    /// Several wrong passwords on one connection.
    fn tries(&mut self, scene: &mut Scene, at: i64, client: IpAddr, target: &Target, passwords: Vec<String>) {
        let outcome = if target.mailbox.is_some() { Outcome::Wrong } else { Outcome::Unknown };
        let attempts = passwords.into_iter().map(|password| Attempt {
            typed: target.typed.clone(),
            account: target.account.clone(),
            password,
            outcome,
            truth: Truth::Guess,
        });
        self.session(scene, at, client, target.site, attempts.collect());
    }

    /// A right password: stolen (a guess that hits), or of an account of their own (noise).
    fn hit(&mut self, scene: &mut Scene, at: i64, client: IpAddr, target: &Target, truth: Truth) {
        let Some(mailbox) = target.mailbox else { return };
        let password = scene.mailboxes[mailbox].password_at(at).to_owned();
        let (typed, account) = (target.typed.clone(), target.account.clone());
        let attempt = Attempt { typed, account, password, outcome: Outcome::Right, truth };
        self.session(scene, at, client, target.site, vec![attempt]);
    }

    fn session(&mut self, scene: &mut Scene, at: i64, client: IpAddr, site: usize, attempts: Vec<Attempt>) {
        if (scene.start..scene.end).contains(&at) {
            let what = What::SignIn { service: self.service, attempts };
            scene.acts.push(Act { at, site, client, who: self.who.clone(), what });
        }
    }
}

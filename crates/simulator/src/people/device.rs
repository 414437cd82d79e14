use std::rc::Rc;

use fairban_types::Service;

use crate::address::Place;
use crate::chance::{Chance, DAY, HOUR, MINUTE, SECOND};
use crate::label::Truth;
use crate::password;
use crate::scene::{Act, Attempt, Outcome, Scene, What, Who};

/// When a device signs in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rhythm {
    /// By itself, every so many minutes, more rarely at night.
    Phone { minutes: i64 },
    /// By hand, so many times on a working day.
    Desk { per_day: usize },
    /// By hand, so many times on any day.
    Home { per_day: usize },
    /// In a browser: a few visits a day, each with several sign-ins in a row.
    Web { visits: usize },
}

/// A device that goes on using an old password.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stale {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// The time between two sessions,
    pub(crate) every: i64,
    /// and how often each tries.
    pub(crate) tries: usize,
    /// The most tries in all.
    pub(crate) limit: usize,
}

/// One device, or one program on it.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) mailbox: usize,
    pub(crate) service: Service,
    pub(crate) rhythm: Rhythm,
    pub(crate) place: Place,
    /// Whether it gives the account without its domain.
    pub(crate) short: bool,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) stale: Option<Stale>,
    /// Moments at which it signs in besides.
    pub(crate) also: Vec<i64>,
    /// The first sign-in from this moment on is at a new place or the first of all: slips are likely.
    pub(crate) unsure_at: Option<i64>,
}

/// A person with their devices.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) class: &'static str,
    pub(crate) devices: Vec<Device>,
    /// How likely they mistype at a sign-in by hand.
    pub(crate) clumsy: f64,
    /// Moments at which they have forgotten their password, on the device of that index: wrong tries, then a new one.
    pub(crate) forgotten: Vec<(i64, usize)>,
}

impl Rhythm {
    fn by_hand(self) -> bool {
        matches!(self, Rhythm::Desk { .. } | Rhythm::Home { .. } | Rhythm::Web { .. })
    }

    /// The moments within `from..to`, in order.
    pub(crate) fn moments(self, chance: &mut Chance, from: i64, to: i64) -> Vec<i64> {
        let mut moments = Vec::new();
        match self {
            Rhythm::Phone { minutes } => {
                let mut at = from + chance.moment(0, minutes * MINUTE);
                while at < to {
                    moments.push(at);
                    let night = (at.rem_euclid(DAY) / HOUR) < 6;
                    at += chance.about(minutes * MINUTE, 0.3) * if night { 3 } else { 1 };
                }
            }
            Rhythm::Desk { per_day } => by_day(chance, from, to, per_day, (7, 18), true, &mut moments),
            Rhythm::Home { per_day } => by_day(chance, from, to, per_day, (6, 23), false, &mut moments),
            Rhythm::Web { visits } => {
                let mut begun = Vec::new();
                by_day(chance, from, to, visits, (6, 23), false, &mut begun);
                for at in begun {
                    let clicks = chance.number(2, 6);
                    moments.extend((0..clicks).map(|click| at + click * chance.number(5, 40) * SECOND));
                }
            }
        }
        moments.retain(|at| (from..to).contains(at));
        moments.sort_unstable();
        moments
    }
}

fn by_day(
    chance: &mut Chance,
    from: i64,
    to: i64,
    per_day: usize,
    (opens, closes): (i64, i64),
    working_days: bool,
    moments: &mut Vec<i64>,
) {
    for day in from.div_euclid(DAY)..=to.div_euclid(DAY) {
        // Day 0 of the epoch was a Thursday.
        let weekend = matches!((day + 3).rem_euclid(7), 5 | 6);
        if working_days && weekend && !chance.happens(0.1) {
            continue;
        }
        for _ in 0..chance.count(per_day.div_ceil(2), per_day + per_day / 2) {
            moments.push(day * DAY + chance.moment(opens * HOUR, closes * HOUR));
        }
    }
}

impl Person {
    /// Does everything that the person and their devices do.
    pub(crate) fn live(&self, scene: &mut Scene, number: usize) {
        let mut chance = scene.chance("person", number);
        for (index, device) in self.devices.iter().enumerate() {
            let who = Who { name: Rc::from(format!("{}/{}", self.name, device.name)), class: self.class };
            let mut moments = device.rhythm.moments(&mut chance, device.from, device.to.min(scene.end));
            moments.extend(device.also.iter().copied());
            moments.sort_unstable();
            let mut unsure_at = device.unsure_at;
            for at in moments {
                if at >= scene.end || device.stale.is_some_and(|stale| (stale.from..stale.to).contains(&at)) {
                    continue;
                }
                let unsure = unsure_at.is_some_and(|from| at >= from);
                if unsure {
                    unsure_at = None;
                }
                let by_hand = device.rhythm.by_hand();
                let slips = if unsure && chance.happens(0.6) || by_hand && chance.happens(self.clumsy) {
                    device.slips(scene, &mut chance, at)
                } else {
                    Vec::new()
                };
                device.sign_in(scene, &mut chance, &who, at, slips);
            }
            if let Some(stale) = device.stale {
                device.insist(scene, &mut chance, &who, stale);
            }
            for (at, _) in self.forgotten.iter().filter(|(_, on)| *on == index) {
                device.forget(scene, &mut chance, &who, *at);
            }
        }
    }
}

impl Device {
    fn typed(&self, scene: &Scene) -> String {
        if self.short { scene.mailboxes[self.mailbox].local.clone() } else { scene.account(self.mailbox) }
    }

    fn attempt(&self, scene: &Scene, password: String, outcome: Outcome) -> Attempt {
        let truth = if outcome == Outcome::Right { Truth::Good } else { Truth::Mistake };
        Attempt { typed: self.typed(scene), account: scene.account(self.mailbox), password, outcome, truth }
    }

    /// One to three slips before a sign-in by hand: the password, Caps Lock twice, or the account's name.
    fn slips(&self, scene: &Scene, chance: &mut Chance, at: i64) -> Vec<Attempt> {
        let right = scene.mailboxes[self.mailbox].password_at(at).to_owned();
        let count = *chance.pick(&[1, 1, 1, 2, 2, 3]);
        if chance.happens(0.2) {
            let typed = format!("{}x", self.typed(scene));
            let wrong = Attempt { typed, ..self.attempt(scene, right, Outcome::Unknown) };
            return vec![wrong; count];
        }
        if chance.happens(0.3) {
            return vec![self.attempt(scene, right.to_uppercase(), Outcome::Wrong); count];
        }
        (0..count).map(|_| self.attempt(scene, password::mistyped(&right, chance), Outcome::Wrong)).collect()
    }

    /// Slips, each on a connection of its own or all on one, and then the sign-in.
    fn sign_in(&self, scene: &mut Scene, chance: &mut Chance, who: &Who, at: i64, slips: Vec<Attempt>) {
        let mut at = at;
        let one_session = chance.happens(0.3);
        let mut attempts = Vec::new();
        for slip in slips {
            attempts.push(slip);
            if !one_session {
                self.act(scene, who, at, std::mem::take(&mut attempts));
                at += chance.number(5, 40) * SECOND;
            }
        }
        let right = scene.mailboxes[self.mailbox].password_at(at).to_owned();
        attempts.push(self.attempt(scene, right, Outcome::Right));
        self.act(scene, who, at, attempts);
    }

    fn act(&self, scene: &mut Scene, who: &Who, at: i64, attempts: Vec<Attempt>) {
        let site = scene.mailboxes[self.mailbox].site;
        let client = self.place.address(at);
        let what = What::SignIn { service: self.service, attempts };
        scene.acts.push(Act { at, site, client, who: who.clone(), what });
    }

    /// Goes on with the old password.
    fn insist(&self, scene: &mut Scene, chance: &mut Chance, who: &Who, stale: Stale) {
        let old = scene.mailboxes[self.mailbox].password.clone();
        let mut at = stale.from + chance.moment(0, stale.every);
        let mut left = stale.limit;
        while at < stale.to.min(scene.end) && left > 0 {
            let tries = stale.tries.min(left);
            let attempts = vec![self.attempt(scene, old.clone(), Outcome::Wrong); tries];
            self.act(scene, who, at, attempts);
            left -= tries;
            at += chance.about(stale.every, 0.1);
        }
    }

    /// Tries what comes to mind, gives up, and comes back with the new password.
    fn forget(&self, scene: &mut Scene, chance: &mut Chance, who: &Who, at: i64) {
        let mut at = at;
        for _ in 0..chance.number(4, 8) {
            let guess = password::own(chance);
            let attempt = self.attempt(scene, guess, Outcome::Wrong);
            self.act(scene, who, at, vec![attempt]);
            at += chance.number(8, 90) * SECOND;
        }
        at += chance.number(3, 30) * MINUTE;
        let right = scene.mailboxes[self.mailbox].password_at(at).to_owned();
        let attempt = self.attempt(scene, right, Outcome::Right);
        self.act(scene, who, at, vec![attempt]);
    }
}

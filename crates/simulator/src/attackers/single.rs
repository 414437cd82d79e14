//! Guessers with one address.

use super::{Attacker, Target};
use crate::chance::{DAY, HOUR, MINUTE, SECOND};
use crate::label::Truth;
use crate::password::{self, from_list};
use crate::scene::Scene;

pub(super) fn attack(scene: &mut Scene) {
    for number in 0..scene.scaled(4) {
        fast(scene, number);
    }
    for number in 0..scene.scaled(4) {
        bursty(scene, number);
    }
    for (class, minutes) in [("slow_6m", 6), ("slow_20m", 20), ("slow_45m", 45)] {
        for number in 0..scene.scaled(3) {
            slow(scene, class, number, minutes);
        }
    }
    for number in 0..scene.scaled(4) {
        spray(scene, number);
    }
    for number in 0..scene.scaled(2) {
        stuff(scene, number);
    }
    for number in 0..scene.scaled(2) {
        thief(scene, number);
    }
}

/// Thousands of passwords on a few accounts, as fast as it goes; some try three on each connection.
fn fast(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "fast", number);
    let client = scene.book.address();
    let site = attacker.chance.count(0, scene.sites.len() - 1);
    let targets: Vec<Target> =
        (0..attacker.chance.count(1, 4)).map(|_| Target::any(scene, &mut attacker.chance, site, 0.6)).collect();
    let pause = *attacker.chance.pick(&[SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND]);
    let per_session = *attacker.chance.pick(&[1, 1, 3]);
    let mut at = attacker.begin(scene);
    let rounds = attacker.chance.count(800, 2500);
    for round in (0..rounds).step_by(per_session) {
        let target = targets[round % targets.len()].clone();
        let passwords = (round..round + per_session).map(from_list).collect();
        attacker.tries(scene, at, client, &target, passwords);
        at += attacker.chance.about(pause * per_session as i64, 0.4);
    }
}

/// Bursts of ten to thirty; after each it waits until an ordinary block is over.
fn bursty(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "bursty", number);
    let client = scene.book.address();
    let site = attacker.chance.count(0, scene.sites.len() - 1);
    let target = Target::any(scene, &mut attacker.chance, site, 0.8);
    let wait = *attacker.chance.pick(&[11 * MINUTE, 31 * MINUTE, 61 * MINUTE, 4 * HOUR]);
    let mut at = attacker.begin(scene);
    let mut entry = 0;
    for _ in 0..attacker.chance.number(15, 40) {
        for _ in 0..attacker.chance.number(10, 30) {
            let password = from_list(entry);
            attacker.guess(scene, at, client, &target, password);
            entry += 1;
            at += attacker.chance.number(2, 12) * SECOND;
        }
        at += wait + attacker.chance.moment(0, wait / 4);
    }
}

/// One try every so many minutes, for days.
fn slow(scene: &mut Scene, class: &'static str, number: usize, minutes: i64) {
    let mut attacker = Attacker::new(scene, class, number);
    let client = scene.book.address();
    let site = attacker.chance.count(0, scene.sites.len() - 1);
    let targets: Vec<Target> =
        (0..*attacker.chance.pick(&[1, 2, 40])).map(|_| Target::any(scene, &mut attacker.chance, site, 0.7)).collect();
    let mut at = attacker.begin(scene).min(scene.start + 2 * DAY);
    let end = at + attacker.chance.number(3, 6) * DAY;
    let mut entry = 0;
    while at < end.min(scene.end) {
        let target = attacker.chance.pick(&targets).clone();
        let password = from_list(entry);
        attacker.guess(scene, at, client, &target, password);
        entry += 1;
        at += attacker.chance.about(minutes * MINUTE, 0.15);
    }
}

/// One password over many accounts, and the next one after some hours.
fn spray(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "spray", number);
    let client = scene.book.address();
    let site = attacker.chance.count(0, scene.sites.len() - 1);
    let exists = *attacker.chance.pick(&[0.1, 0.5, 1.0]);
    let targets: Vec<Target> =
        (0..attacker.chance.count(80, 250)).map(|_| Target::any(scene, &mut attacker.chance, site, exists)).collect();
    let pause = *attacker.chance.pick(&[5 * SECOND, 30 * SECOND, 90 * SECOND]);
    let mut at = attacker.begin(scene);
    for round in 0..attacker.chance.count(2, 5) {
        let password = from_list(round);
        for target in &targets {
            attacker.guess(scene, at, client, target, password.clone());
            at += attacker.chance.about(pause, 0.5);
        }
        at += attacker.chance.number(2, 12) * HOUR;
    }
}

/// Pairs of account and password stolen elsewhere, each tried once; few accounts exist here, and fewer passwords fit.
fn stuff(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "stuffing", number);
    let client = scene.book.address();
    let pause = *attacker.chance.pick(&[2 * SECOND, 10 * SECOND, 60 * SECOND]);
    let mut at = attacker.begin(scene);
    for _ in 0..attacker.chance.number(300, 900) {
        let site = attacker.chance.count(0, scene.sites.len() - 1);
        let target = Target::any(scene, &mut attacker.chance, site, 0.15);
        if target.mailbox.is_some() && attacker.chance.happens(0.02) {
            attacker.hit(scene, at, client, &target, Truth::Guess);
        } else {
            let password = password::own(&mut attacker.chance);
            attacker.guess(scene, at, client, &target, password);
        }
        at += attacker.chance.about(pause, 0.5);
    }
}

/// Owns one account and signs in to it between guesses at others, hoping that successes clear the count.
fn thief(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "thief", number);
    let client = scene.book.address();
    let site = attacker.chance.count(0, scene.sites.len() - 1);
    let own = scene.open_mailbox(site, &mut attacker.chance);
    let own = Target::mailbox(scene, own);
    let pause = *attacker.chance.pick(&[20 * SECOND, 3 * MINUTE]);
    let mut at = attacker.begin(scene);
    for entry in 0..attacker.chance.count(150, 400) {
        if entry % 4 == 0 {
            attacker.hit(scene, at, client, &own, Truth::Noise);
            at += 5 * SECOND;
        }
        let target = Target::any(scene, &mut attacker.chance, site, 0.9);
        let password = from_list(entry);
        attacker.guess(scene, at, client, &target, password);
        at += attacker.chance.about(pause, 0.5);
    }
}

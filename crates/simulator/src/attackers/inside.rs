//! Guessers behind an address that victims use too.

use std::net::IpAddr;

use super::{Attacker, Target};
use crate::chance::{HOUR, MINUTE, SECOND};
use crate::password::from_list;
use crate::scene::{Scene, Shared};

pub(super) fn attack(scene: &mut Scene) {
    for number in 0..scene.scaled(3).min(scene.offices.len()) {
        let office = scene.offices[number].clone();
        // The first aims at colleagues often, the others mostly at accounts that nobody uses there.
        let members = if scene.hard {
            1.0
        } else if number == 0 {
            0.4
        } else {
            0.1
        };
        guess(scene, "insider", number, &office, members);
    }
    for number in 0..scene.scaled(2) {
        let carrier = scene.carriers[number % scene.carriers.len()].clone();
        guess(scene, "carrier_guesser", number, &carrier, 0.1);
    }
    for number in 0..scene.scaled(2) {
        let webmail = scene.webmails[number % scene.webmails.len()].clone();
        guess(scene, "webmail_guesser", number, &webmail, if scene.hard { 0.5 } else { 0.1 });
    }
    for number in 0..scene.scaled(2).min(scene.hotels.len()) {
        let hotel = scene.hotels[number].clone();
        guess(scene, "hotel_guesser", number, &hotel, 0.1);
    }
}

/// Guesses from the shared address; `members` of the targets are accounts that sign in from there.
fn guess(scene: &mut Scene, class: &'static str, number: usize, shared: &Shared, members: f64) {
    let mut attacker = Attacker::new(scene, class, number);
    let mut client: IpAddr = *attacker.chance.pick(&shared.addresses);
    let targets: Vec<Target> = (0..attacker.chance.count(3, 20))
        .map(|_| {
            if attacker.chance.happens(members) {
                let member = *attacker.chance.pick(&shared.members);
                Target::mailbox(scene, member)
            } else {
                stranger(scene, &mut attacker, shared)
            }
        })
        .collect();
    let pause = *attacker.chance.pick(&[20 * SECOND, 2 * MINUTE, 10 * MINUTE]);
    let mut at = attacker.begin_among_others(scene);
    let mut moves = at + 3 * HOUR;
    for entry in 0..attacker.chance.count(100, 250) {
        // A carrier gives its customer another address now and then.
        if at >= moves {
            client = *attacker.chance.pick(&shared.addresses);
            moves = at + 3 * HOUR;
        }
        let target = attacker.chance.pick(&targets).clone();
        let password = from_list(entry);
        attacker.guess(scene, at, client, &target, password);
        at += attacker.chance.about(pause, 0.5);
    }
}

/// An account of the site that does not sign in from the shared address, as far as chance finds one.
fn stranger(scene: &Scene, attacker: &mut Attacker, shared: &Shared) -> Target {
    let mut target = Target::any(scene, &mut attacker.chance, shared.site, 0.8);
    for _ in 0..20 {
        if target.mailbox.is_none_or(|mailbox| !shared.members.contains(&mailbox)) {
            break;
        }
        target = Target::any(scene, &mut attacker.chance, shared.site, 0.8);
    }
    target
}

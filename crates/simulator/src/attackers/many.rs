//! Guessers with many addresses.

use std::net::IpAddr;

use super::{Attacker, Target};
use crate::address::{host, v6};
use crate::chance::{Chance, DAY, HOUR, MINUTE, SECOND};
use crate::password::from_list;
use crate::scene::Scene;

pub(super) fn attack(scene: &mut Scene) {
    for number in 0..scene.scaled(4) {
        botnet(scene, number);
    }
    for number in 0..scene.scaled(3) {
        rotate_in_64(scene, number);
    }
    for number in 0..scene.scaled(2) {
        rotate_in_48(scene, number);
    }
    for number in 0..scene.scaled(4) {
        neighbours(scene, number);
    }
}

/// An account that someone uses: of a person who does not move about, unless the scene is hard.
fn victim(scene: &Scene, chance: &mut Chance) -> Target {
    let mailbox = if scene.hard { chance.count(0, scene.mailboxes.len() - 1) } else { *chance.pick(&scene.steady) };
    Target::mailbox(scene, mailbox)
}

/// One or two tries from each of hundreds of addresses, on one account; some of them are in homes that have customers
/// here.
fn botnet(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "botnet", number);
    let target = if number % 4 == 3 {
        let site = attacker.chance.count(0, scene.sites.len() - 1);
        Target::any(scene, &mut attacker.chance, site, 0.0)
    } else {
        victim(scene, &mut attacker.chance)
    };
    let begin = attacker.begin_among_others(scene);
    let lasts = *attacker.chance.pick(&[2 * HOUR, 12 * HOUR, 2 * DAY, 4 * DAY]);
    let mut entry = 0;
    for _ in 0..*attacker.chance.pick(&[200, 500, 900, 2000]) {
        let client = if attacker.chance.happens(0.05) {
            host(*attacker.chance.pick(&scene.pools), attacker.chance.number(2, 250) as u8)
        } else {
            scene.book.address()
        };
        let mut at = begin + attacker.chance.moment(0, lasts);
        for _ in 0..attacker.chance.number(1, 2) {
            let password = from_list(entry);
            attacker.guess(scene, at, client, &target, password);
            entry += 1;
            at += attacker.chance.number(2 * SECOND, 20 * MINUTE);
        }
    }
}

/// Another address of one /64 for every try or two.
fn rotate_in_64(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "rotate_64", number);
    let net64 = scene.book.net48() | attacker.chance.bits() & 0xffff;
    let targets: Vec<Target> = (0..attacker.chance.count(1, 6)).map(|_| victim(scene, &mut attacker.chance)).collect();
    let pause = *attacker.chance.pick(&[5 * SECOND, MINUTE, 5 * MINUTE]);
    let mut at = attacker.begin(scene);
    for entry in 0..attacker.chance.count(400, 1000) {
        let client = v6(net64, attacker.chance.bits());
        let target = attacker.chance.pick(&targets).clone();
        let password = from_list(entry);
        attacker.guess(scene, at, client, &target, password);
        at += attacker.chance.about(pause, 0.5);
    }
}

/// Another /64 of one /48 for every try or two.
fn rotate_in_48(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "rotate_48", number);
    let net48 = scene.book.net48();
    let targets: Vec<Target> = (0..attacker.chance.count(3, 30)).map(|_| victim(scene, &mut attacker.chance)).collect();
    let pause = *attacker.chance.pick(&[10 * SECOND, MINUTE, 6 * MINUTE]);
    let mut at = attacker.begin_among_others(scene);
    let mut client = v6(net48, 1);
    for entry in 0..attacker.chance.count(400, 1000) {
        if attacker.chance.happens(0.7) {
            client = v6(net48 | attacker.chance.bits() & 0xffff, attacker.chance.bits());
        }
        let target = attacker.chance.pick(&targets).clone();
        let password = from_list(entry);
        attacker.guess(scene, at, client, &target, password);
        at += attacker.chance.about(pause, 0.5);
    }
}

/// Three tries each from the neighbours in one /24; sometimes in a network where customers live.
fn neighbours(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "neighbours", number);
    let among_customers = number == 3;
    let net = if among_customers { *attacker.chance.pick(&scene.fixed_pools) } else { scene.book.net24() };
    let site = attacker.chance.count(0, scene.sites.len() - 1);
    let targets: Vec<Target> =
        (0..attacker.chance.count(1, 30)).map(|_| Target::any(scene, &mut attacker.chance, site, 0.7)).collect();
    let first = attacker.chance.number(2, 120) as u8;
    let clients: Vec<IpAddr> = (0..attacker.chance.number(50, 110) as u8).map(|next| host(net, first + next)).collect();
    let begin = if among_customers { attacker.begin_among_others(scene) } else { attacker.begin(scene) };
    let lasts = *attacker.chance.pick(&[HOUR, 8 * HOUR, 2 * DAY]);
    let mut entry = 0;
    for client in clients {
        let mut at = begin + attacker.chance.moment(0, lasts);
        for _ in 0..3 {
            let target = attacker.chance.pick(&targets).clone();
            let password = from_list(entry);
            attacker.guess(scene, at, client, &target, password);
            entry += 1;
            at += attacker.chance.number(10 * SECOND, 10 * MINUTE);
        }
    }
}

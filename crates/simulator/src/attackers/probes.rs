//! Attackers who do not guess passwords: relay probers and address harvesters.

use super::Attacker;
use crate::chance::{HOUR, SECOND};
use crate::label::{Deed, Truth};
use crate::scene::{Act, Scene, What};

pub(super) fn attack(scene: &mut Scene) {
    for number in 0..scene.scaled(3) {
        probe_relay(scene, number);
    }
    for number in 0..scene.scaled(3) {
        harvest(scene, number);
    }
}

/// Offers mail to elsewhere, in several spellings.
fn probe_relay(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "relay_prober", number);
    let client = scene.book.address();
    let site = attacker.chance.count(0, scene.sites.len() - 1);
    let pause = *attacker.chance.pick(&[2 * SECOND, 30 * SECOND, 300 * SECOND]);
    let mut at = attacker.begin(scene);
    for entry in 0..attacker.chance.number(60, 250) {
        let from = format!("test@{}", scene.sites[site].domain);
        let to = format!("catch{entry}@collector.test");
        let what = What::Mail { deed: Deed::Relay, truth: Truth::Guess, from, to };
        if at < scene.end {
            scene.acts.push(Act { at, site, client, who: attacker.who.clone(), what });
        }
        at += attacker.chance.about(pause, 0.5);
    }
}

/// Names recipients by dictionary to learn who exists.
fn harvest(scene: &mut Scene, number: usize) {
    let mut attacker = Attacker::new(scene, "harvester", number);
    let client = scene.book.address();
    let site = attacker.chance.count(0, scene.sites.len() - 1);
    let pause = *attacker.chance.pick(&[SECOND, 10 * SECOND, 120 * SECOND]);
    let mut at = attacker.begin(scene);
    for entry in 0..attacker.chance.number(150, 700) {
        let name = *attacker.chance.pick(&["john", "jane", "m.miller", "hr", "ceo", "it", "desk"]);
        let what = What::Mail {
            deed: Deed::UnknownRecipient,
            truth: Truth::Guess,
            from: String::new(),
            to: format!("{name}{entry}@{}", scene.sites[site].domain),
        };
        if at < scene.end {
            scene.acts.push(Act { at, site, client, who: attacker.who.clone(), what });
        }
        at += attacker.chance.about(pause, 0.5);
        if entry % 200 == 199 {
            at += attacker.chance.number(1, 8) * HOUR;
        }
    }
}

//! What goes wrong for people without any attacker: old passwords, forgotten ones, everything reconnecting at once.

use super::{Person, Stale};
use crate::chance::{Chance, DAY, HOUR, MINUTE, SECOND};
use crate::password;
use crate::scene::Scene;

pub(super) fn befall(scene: &mut Scene, people: &mut [Person]) {
    let mut chance = scene.chance("troubles", 0);
    reconnects(scene, people, &mut chance);
    old_passwords(scene, people, &mut chance);
    forgotten_passwords(scene, people, &mut chance);
}

/// Whether the person's mailbox is free for a change of password, and theirs alone.
fn is_free(scene: &Scene, person: &Person) -> bool {
    let first = person.devices[0].mailbox;
    scene.mailboxes[first].changed.is_none() && !matches!(person.class, "newcomer" | "traveller" | "webmail")
}

/// A router or the server restarts: everything at one place signs in within seconds.
fn reconnects(scene: &Scene, people: &mut [Person], chance: &mut Chance) {
    let moments: Vec<i64> = (0..scene.scaled(3)).map(|_| chance.moment(scene.start + HOUR, scene.end - HOUR)).collect();
    for person in people.iter_mut().filter(|person| person.class != "newcomer") {
        if person.devices.len() < 3 && !chance.happens(0.15) {
            continue;
        }
        let at = *chance.pick(&moments);
        for device in &mut person.devices {
            device.also.push(at + chance.number(0, 8 * SECOND));
        }
    }
}

/// After a change of password some devices go on with the old one.
fn old_passwords(scene: &mut Scene, people: &mut [Person], chance: &mut Chance) {
    let several: Vec<usize> = (0..people.len())
        .filter(|index| people[*index].devices.len() >= 2 && is_free(scene, &people[*index]))
        .collect();
    if several.is_empty() {
        return;
    }
    for case in 0..scene.scaled(16) {
        let index = *chance.pick(&several);
        let person = &mut people[index];
        if !is_free(scene, person) {
            continue;
        }
        let mailbox = person.devices[0].mailbox;
        // The first cases are older than the log: nobody has seen a sign-in of that device.
        let from = if case < 2 { scene.start } else { chance.moment(scene.start + 4 * HOUR, scene.end - 2 * HOUR) };
        scene.mailboxes[mailbox].changed = Some((from, password::own(chance)));
        let every = *chance.pick(&[MINUTE, MINUTE, 5 * MINUTE, 15 * MINUTE]);
        let lasts = *chance.pick(&[3 * HOUR, 8 * HOUR, DAY, 2 * DAY]);
        let tries = *chance.pick(&[1, 1, 3]);
        let limit = if case == 2 { 500 } else { 1500 };
        let own = person.devices.iter().filter(|device| device.mailbox == mailbox).count();
        // All devices of the account but one, or just one.
        let stale_devices = if own > 3 { own - 1 } else { 1 };
        let (mut first, mut left) = (true, stale_devices);
        for device in person.devices.iter_mut().filter(|device| device.mailbox == mailbox) {
            if first {
                // The device on which the password was changed signs in right after.
                device.also.push(from + chance.number(30, 120) * SECOND);
                first = false;
            } else if left > 0 {
                device.stale = Some(Stale { from, to: from + lasts, every, tries, limit });
                left -= 1;
            }
        }
        person.class = "old_password";
    }
}

/// People who try four to eight passwords where they always sign in, and get a new one.
fn forgotten_passwords(scene: &mut Scene, people: &mut [Person], chance: &mut Chance) {
    for _ in 0..scene.scaled(14) {
        let index = chance.count(0, people.len() - 1);
        let person = &mut people[index];
        if !is_free(scene, person) || person.class == "old_password" {
            continue;
        }
        let at = chance.moment(scene.start + DAY, scene.end - 3 * HOUR);
        let mailbox = person.devices[0].mailbox;
        scene.mailboxes[mailbox].changed = Some((at + MINUTE, password::own(chance)));
        person.forgotten.push((at, 0));
        person.class = "forgotten_password";
    }
}

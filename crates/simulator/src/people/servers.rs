//! Other people's mail servers: forwarders and newsletters.

use std::rc::Rc;

use crate::chance::{HOUR, MINUTE, SECOND};
use crate::label::{Deed, Truth};
use crate::scene::{Act, Scene, What, Who};

pub(super) fn send(scene: &mut Scene) {
    for server in 0..scene.scaled(8) {
        forward(scene, server);
    }
    for server in 0..scene.scaled(4) {
        newsletter(scene, server);
    }
}

/// A server that forwards mail all day, now and then to someone who is no longer here.
fn forward(scene: &mut Scene, number: usize) {
    let mut chance = scene.chance("forwarder", number);
    let who = Who { name: Rc::from(format!("forwarder-{number}")), class: "forwarder" };
    let client = scene.book.address();
    let gone = chance.number(1, 4);
    let mut at = scene.start + chance.moment(0, HOUR);
    while at < scene.end {
        let mailbox = chance.count(0, scene.mailboxes.len() - 1);
        let site = scene.mailboxes[mailbox].site;
        let from = format!("sender{}@forward{number}.test", chance.number(1, 400));
        let (deed, truth, to) = if chance.happens(0.06) {
            let to = format!("gone{}@{}", chance.number(1, gone), scene.sites[site].domain);
            (Deed::UnknownRecipient, Truth::Mistake, to)
        } else {
            (Deed::Delivery, Truth::Good, scene.account(mailbox))
        };
        scene.acts.push(Act { at, site, client, who: who.clone(), what: What::Mail { deed, truth, from, to } });
        at += chance.about(25 * MINUTE, 0.9) + SECOND;
    }
}

/// A server that sends to everyone on its list twice, the list being a little old.
fn newsletter(scene: &mut Scene, number: usize) {
    let mut chance = scene.chance("newsletter", number);
    let who = Who { name: Rc::from(format!("newsletter-{number}")), class: "newsletter" };
    let client = scene.book.address();
    let site = chance.count(0, scene.sites.len() - 1);
    let subscribers = scene.mailboxes_of(site);
    for _ in 0..2 {
        let mut at = chance.moment(scene.start, scene.end - HOUR);
        for mailbox in &subscribers {
            if !chance.happens(0.5) {
                continue;
            }
            let from = format!("bounce+{}@news{number}.test", chance.number(1, 9999));
            let (deed, truth, to) = if chance.happens(0.015) {
                let to = format!("former{}@{}", chance.number(1, 9), scene.sites[site].domain);
                (Deed::UnknownRecipient, Truth::Mistake, to)
            } else {
                (Deed::Delivery, Truth::Good, scene.account(*mailbox))
            };
            scene.acts.push(Act { at, site, client, who: who.clone(), what: What::Mail { deed, truth, from, to } });
            at += chance.number(1, 9) * SECOND;
        }
    }
}

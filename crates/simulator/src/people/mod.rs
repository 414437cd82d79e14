//! People: who they are, where their devices are, what goes wrong for them.

mod device;
mod places;
mod servers;
mod troubles;

use crate::scene::Scene;

pub(crate) use device::{Device, Person, Rhythm, Stale};

/// Lets everyone live through the scene.
pub(crate) fn live(scene: &mut Scene) {
    let mut people = places::everyone(scene);
    troubles::befall(scene, &mut people);
    for (number, person) in people.iter().enumerate() {
        person.live(scene, number);
    }
    servers::send(scene);
}

//! What an owner asks for: one block, and no other.

use fairban_types::{Action, Code, Decision, Subject, Time};

use crate::engine::{Engine, ending};
use crate::standing::Place;

impl Engine {
    /// Lets a subject out of the block of this reference, and out of no other: takes the block away if it is of this very
    /// subject, or makes a hole in a wider one. What the subject did is forgotten, but the offence stays: who offends
    /// again climbs on. Returns whether there was such a block.
    pub fn let_out(
        &mut self,
        now: Time,
        code: Code,
        subject: &Subject,
        by: &str,
        reason: &str,
        out: &mut Vec<Decision>,
    ) -> bool {
        self.advance(now, out);
        let Subject::Network(net) = subject else {
            let is_meant = self.standing.get(subject).is_some_and(|held| held.code == code);
            if is_meant {
                self.end(Place::of(subject), by, reason, out);
            }
            return is_meant;
        };
        let net = net.trunc();
        let found = self.standing.find_covering(net.addr().into(), |held| {
            held.code == code && !held.holes.iter().any(|hole| hole.contains(&net))
        });
        let Some(wide) = found.map(|(wide, _)| wide).filter(|wide| wide.contains(&net)) else { return false };
        if wide == net {
            self.end(Place::Network(net), by, reason, out);
        } else {
            self.renew(Subject::Network(wide), &format!("{net} was released from it"), out, |renewed| {
                renewed.holes.push(net);
            });
        }
        self.forget_inside(net);
        true
    }

    fn end(&mut self, place: Place, by: &str, reason: &str, out: &mut Vec<Decision>) {
        if let Some((subject, held)) = self.standing.release(place) {
            out.push(ending(Action::Release, self.now, subject, held, Some((by, reason))));
        }
    }
}

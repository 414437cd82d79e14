//! An engine that is told what another one stored goes on as if nothing had happened.

use crate::Lab;
use fairban_engine::{Outcome, Recalled};
use fairban_types::{Action, Event, EventKind, Witness};

#[test]
fn windows_blocks_and_duplicates_survive() {
    let mut first = Lab::new("fairban", true);
    let mut second = Lab::new("fairban", true);
    let mut tell = |event: Event<'static>| {
        let outcome = first.engine.step(first.now, &event, &mut first.decisions);
        let recalled = if outcome == Outcome::Counted { Recalled::Counted } else { Recalled::Stopped };
        second.engine.recall_event(&event, recalled);
        for decision in first.decisions.drain(..) {
            second.engine.recall_decision(&decision);
            if decision.action == Action::Block {
                second.engine.restore_standing(&decision);
            }
        }
    };
    let lab = Lab::new("fairban", true);
    for n in 0..4 {
        tell(lab.event(EventKind::LoginFailed, "192.0.2.7").account("alice").digest(format!("{n}")));
        tell(lab.event(EventKind::LoginFailed, "192.0.2.8").account("alice").digest(format!("{n}")));
    }
    tell(lab.event(EventKind::LoginFailed, "192.0.2.8").account("alice").digest("9"));
    let mut told = lab.event(EventKind::LoginFailed, "198.51.100.9").account("carol");
    told.witness = Witness::Backend("pam".into());
    tell(told.clone());

    assert!(!second.may("192.0.2.8", None), "the block stands");
    told.witness = Witness::Frontend;
    assert_eq!(second.step(&told), Outcome::Duplicate, "what was told before the restart is not counted after it");
    second.wrong("192.0.2.7", "alice", "4");
    assert_eq!(second.blocks(), ["192.0.2.7 login"], "the fifth after the restart");
}

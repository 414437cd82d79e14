//! What other nodes decided and saw.

use fairban_types::{Action, Decision, EventKind, Subject};

use crate::Lab;

const OFFENDER: &str = "192.0.2.7";

/// A block as another node would decide it.
fn foreign(lab: &Lab) -> Decision {
    let mut other = Lab::new("fairban", false);
    other.now = lab.now;
    for digest in ["1", "2", "3", "4", "5"] {
        other.wrong(OFFENDER, "alice", digest);
    }
    other.decisions.into_iter().find(|decision| decision.action == Action::Block).unwrap()
}

impl Lab {
    fn hear(&mut self, account: &'static str, digest: &str, number: u64) {
        let event = self.event(EventKind::LoginFailed, OFFENDER).account(account);
        let event = if digest.is_empty() { event } else { event.digest(digest.to_owned()) };
        self.engine.hear(self.now, &event, number, &mut self.decisions);
    }

    fn block_count(&self) -> usize {
        self.decisions.iter().filter(|decision| decision.action == Action::Block).count()
    }
}

#[test]
fn what_others_saw_adds_to_what_was_seen_here() {
    let mut lab = Lab::new("fairban", false);
    lab.wrong(OFFENDER, "alice", "1");
    lab.wrong(OFFENDER, "alice", "2");
    // The same password elsewhere is the same mistake, and what is told twice counts once.
    for (digest, number) in [("1", 7), ("3", 8), ("3", 8), ("4", 9)] {
        lab.hear("alice", digest, number);
    }
    assert_eq!(lab.block_count(), 0);
    lab.hear("alice", "5", 10);
    assert_eq!(lab.block_count(), 1);
    assert_eq!(lab.decisions.last().unwrap().events.len(), 5, "the receipt tells all of them");
}

#[test]
fn without_digests_each_number_counts_once() {
    let mut lab = Lab::new("autoban", false);
    for number in [1, 2, 2, 3, 3, 4] {
        lab.hear("alice", "", number * 2);
    }
    assert_eq!(lab.block_count(), 0);
    lab.hear("alice", "", 10);
    assert_eq!(lab.block_count(), 1);
}

#[test]
fn one_offence_found_by_two_nodes_is_one_step_of_the_ladder() {
    let mut lab = Lab::new("fairban", false);
    for digest in ["1", "2", "3", "4", "5"] {
        lab.wrong(OFFENDER, "alice", digest);
    }
    let foreign = Decision { code: fairban_types::Code::new(77), ..foreign(&lab) };
    let subject: Subject = OFFENDER.parse().unwrap();
    assert!(lab.engine.impose(lab.now, foreign.clone(), &mut lab.decisions));
    assert!(!lab.engine.impose(lab.now, foreign, &mut lab.decisions), "it is in force already");
    assert_eq!(lab.engine.offence(&subject).unwrap().count, 1);
    assert_eq!(lab.engine.standing_len(), 1);
    assert!(lab.engine.lift(lab.now, &subject, "admin", "", &mut lab.decisions));
    assert_eq!((lab.engine.offence(&subject), lab.engine.standing_len()), (None, 0));
}

#[test]
fn never_block_wins_over_other_nodes() {
    let mut lab = Lab::new("fairban", false);
    let foreign = foreign(&lab);
    lab.engine.never_add(lab.now, "192.0.2.0/24".parse().unwrap(), "admin", &mut lab.decisions);
    assert!(!lab.engine.impose(lab.now, foreign, &mut lab.decisions));
    for number in 0..20 {
        lab.hear("alice", "", number * 2);
    }
    assert_eq!((lab.block_count(), lab.engine.standing_len()), (0, 0));
}

#[test]
fn who_is_familiar_elsewhere_is_no_stranger_here() {
    let mut lab = Lab::new("fairban", false);
    lab.wrong(OFFENDER, "alice", "1");
    lab.wrong(OFFENDER, "alice", "2");
    let (client, last) = (OFFENDER.parse().unwrap(), lab.now);
    assert!(lab.engine.learn_familiar(lab.now, "Alice", client, last));
    assert!(!lab.engine.learn_familiar(lab.now, "alice", client, last), "it is no news");
    for digest in ["3", "4", "5", "6"] {
        lab.wrong(OFFENDER, "alice", digest);
    }
    assert_eq!(lab.block_count(), 0);
}

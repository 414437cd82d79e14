//! Properties over arbitrary histories.

use std::net::IpAddr;
use std::time::Duration;

use crate::Lab;
use fairban_engine::Engine;
use fairban_types::{Action, Decision, Event, EventKind, Service, SignIn, Verdict};
use proptest::prelude::*;

fn events() -> impl Strategy<Value = Vec<(u8, u8, u8, u8, u16)>> {
    prop::collection::vec((0u8..6, 0u8..12, 0u8..6, 0u8..8, 0u16..400), 1..300)
}

fn play(history: &[(u8, u8, u8, u8, u16)], profile: &str, asks: bool, never: Option<&str>) -> (Lab, Vec<Decision>) {
    let mut lab = Lab::new(profile, asks);
    if let Some(net) = never {
        lab.engine.never_add(lab.now, net.parse().unwrap(), "test", &mut lab.decisions);
    }
    for (kind, host, account, digest, wait) in history {
        lab.now = lab.now.after(Duration::from_secs(u64::from(*wait)));
        let kind = [
            EventKind::LoginFailed,
            EventKind::LoginSucceeded,
            EventKind::LoginUnknownAccount,
            EventKind::RelayDenied,
            EventKind::RecipientUnknown,
            EventKind::LoginFailed,
        ][usize::from(*kind)];
        let client = IpAddr::from([192, 0, 2, *host]);
        let mut event = Event::new(kind, lab.now, client, Service::Imap).account(format!("user{account}"));
        if *digest > 0 {
            event = event.digest(format!("{digest}"));
        }
        lab.engine.step(lab.now, &event, &mut lab.decisions);
    }
    let decisions = lab.decisions.clone();
    (lab, decisions)
}

fn verdicts(engine: &Engine, lab: &Lab) -> Vec<Verdict> {
    (0..16)
        .map(|host| {
            engine.verdict(
                lab.now,
                &SignIn { client: IpAddr::from([192, 0, 2, host]), account: None, service: Service::Imap },
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_input_gives_the_same_decisions(history in events(), asks in any::<bool>()) {
        for profile in ["fairban", "vpop3"] {
            prop_assert_eq!(play(&history, profile, asks, None).1, play(&history, profile, asks, None).1);
        }
    }

    #[test]
    fn never_block_is_never_blocked(history in events(), asks in any::<bool>()) {
        let (lab, decisions) = play(&history, "fairban", asks, Some("192.0.2.4/30"));
        for (host, verdict) in verdicts(&lab.engine, &lab).iter().enumerate() {
            prop_assert!(!(4..8).contains(&host) || *verdict == Verdict::Allow);
        }
        for decision in decisions {
            let net = decision.subject.network();
            prop_assert!(net.is_none_or(|net| net.prefix_len() < 30 || !(4..8).contains(&last_octet(net.addr()))));
        }
    }

    #[test]
    fn every_block_is_the_sum_of_its_evidence(history in events(), asks in any::<bool>()) {
        for profile in ["fairban", "vpop3", "autoban"] {
            for decision in play(&history, profile, asks, None).1 {
                if decision.action == Action::Block {
                    let sum: u32 = decision.events.iter().map(|evidence| evidence.points).sum();
                    prop_assert_eq!(sum, decision.score);
                    prop_assert!(decision.score >= decision.threshold);
                    prop_assert!(decision.until.is_none_or(|until| until > decision.time));
                }
            }
        }
    }

    #[test]
    fn blocks_begin_and_end_in_order(history in events()) {
        let (mut lab, _) = play(&history, "fairban", true, None);
        lab.wait(400 * 86_400);
        prop_assert_eq!(lab.engine.standing_len(), 0);
        let begun = lab.decisions.iter().filter(|d| matches!(d.action, Action::Block | Action::Guard)).count();
        let ended = lab.decisions.iter().filter(|d| d.action == Action::Expire).count();
        prop_assert!(ended <= begun);
        prop_assert!(lab.decisions.is_sorted_by_key(|decision| decision.time));
    }
}

fn last_octet(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(_) => 0,
    }
}

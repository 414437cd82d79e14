use std::time::Duration;

use fairban_config::{Config, profile_names};
use fairban_types::{EventKind, Repeats, Rule, Service, SubjectKind};

fn rules(profile: &str) -> Vec<Rule> {
    let text = format!("profile = \"{profile}\"");
    Config::from_toml(&text, "test").unwrap_or_else(|problems| panic!("{problems}")).policy.rules
}

fn rule(profile: &str, name: &str) -> Rule {
    rules(profile).into_iter().find(|rule| rule.name == name).unwrap()
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn every_profile_loads_alone_without_a_warning() {
    assert_eq!(profile_names(), ["fairban", "autoban", "vpop3", "fail2ban", "hmailserver", "mailcow", "cphulk"]);
    for name in profile_names() {
        let config = Config::builtin().with_profile(name).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.policy.profile, *name);
        assert!(!config.policy.rules.is_empty());
        assert_eq!(config.warnings, []);
        assert_eq!(config.policy, Config::from_toml(&format!("profile = \"{name}\""), "test").unwrap().policy);
    }
}

#[test]
fn well_known_behaviour_as_values() {
    // failures, within, blocked for
    for (profile, failures, within, steps) in [
        ("autoban", 5, 20, vec![30]),
        ("fail2ban", 5, 10, vec![10]),
        ("hmailserver", 3, 30, vec![60]),
        ("mailcow", 10, 10, vec![30, 60, 120, 240]),
        ("cphulk", 5, 15, vec![15]),
    ] {
        let rule = rule(profile, "login");
        for kind in [EventKind::LoginFailed, EventKind::LoginUnknownAccount] {
            assert_eq!(rule.threshold.div_ceil(rule.points.of(kind)), failures, "{profile}");
        }
        assert_eq!(rule.period, within * MINUTE, "{profile}");
        for (offence, minutes) in (1..).zip(steps) {
            assert_eq!(rule.ladder.time(offence), Some(minutes * MINUTE), "{profile}");
        }
        assert_eq!((rule.repeats, rule.subject), (Repeats::Count, SubjectKind::Address), "{profile}");
    }
    let day = rule("cphulk", "login-day");
    assert_eq!((day.threshold, day.ladder.time(1)), (30, Some(1440 * MINUTE)));
}

#[test]
fn only_the_default_profile_is_fair() {
    for name in profile_names() {
        let policy = Config::builtin().with_profile(name).unwrap().policy;
        let is_default = *name == "fairban";
        assert_eq!(policy.widen.is_some() && policy.guard.is_some(), is_default, "{name}");
        assert_eq!(policy.outbound.is_some(), is_default, "{name}");
        assert!(policy.rules.iter().all(|rule| rule.spares_familiar == is_default), "{name}");
        assert_eq!(policy.address.ipv6_prefix, 64, "{name}");
    }
}

#[test]
fn vpop3_arithmetic() {
    let smtp = rule("vpop3", "smtp");
    let of = |kind| smtp.points.of(kind);
    let two_relays_five_logins_twelve_recipients =
        2 * of(EventKind::RelayDenied) + 5 * of(EventKind::LoginFailed) + 12 * of(EventKind::RecipientUnknown);
    assert_eq!(two_relays_five_logins_twelve_recipients, 1050);
    assert!(two_relays_five_logins_twelve_recipients >= smtp.threshold);
    assert!(two_relays_five_logins_twelve_recipients - of(EventKind::RelayDenied) < smtp.threshold);
    assert_eq!((smtp.period, smtp.ladder.time(1)), (60 * MINUTE, Some(30 * MINUTE)));
    assert!(smtp.services.contains(Service::Smtp) && smtp.services.contains(Service::Submission));
    assert!(!smtp.services.contains(Service::Imap));

    let login = rule("vpop3", "login");
    assert_eq!((login.threshold, login.points.of(EventKind::LoginFailed), login.period), (10, 1, 30 * MINUTE));
    for service in Service::ALL {
        assert_ne!(smtp.services.contains(*service), login.services.contains(*service), "{service}");
    }

    let lock = rule("vpop3", "lock");
    assert_eq!((lock.threshold, lock.subject, lock.resets_on_success), (3, SubjectKind::Pair, true));
    assert_eq!(lock.ladder.time(1), Some(30 * MINUTE));
}

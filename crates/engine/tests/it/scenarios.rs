//! What is made of stories with a known cause.

use std::collections::BTreeMap;

use fairban_config::Config;
use fairban_engine::{Elsewhere, Engine, diagnose, diagnose_decision, polling};
use fairban_parse::{Context, Outcome, Parser};
use fairban_simulator::{Scenario, scenarios};
use fairban_types::{Action, Decision, Diagnosis, Event, EventKind, Evidence, Finding, network_of};

/// The events of a log.
fn read(scenario: &Scenario) -> Vec<Event<'static>> {
    let context = Context { reference: scenario.end, year: None, zone: jiff::tz::TimeZone::UTC };
    let mut parser = Parser::new();
    let mut events = Vec::new();
    for line in scenario.log.lines() {
        let outcome = parser.parse(line.as_bytes(), &context);
        assert!(matches!(outcome, Outcome::Event(_)), "{}: {outcome:?}: {line}", scenario.name);
        events.extend(match outcome {
            Outcome::Event(event) => Some(event.into_owned()),
            Outcome::Nothing | Outcome::Defect(_) => None,
        });
    }
    events
}

/// As `why` looks at it: the latest block, or what went wrong if there is none, and then who signs in too often.
fn find(scenario: &Scenario, profile: &str) -> (Finding, bool) {
    let mut policy = Config::builtin().with_profile(profile).unwrap().policy;
    policy.mail_servers_ask = true;
    let mut engine = Engine::new(policy);
    let events = read(scenario);
    let mut decisions: Vec<Decision> = Vec::new();
    for event in &events {
        engine.step(event.time, event, &mut decisions);
    }
    let mut known = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == EventKind::LoginSucceeded) {
        known.insert((event.account.clone(), network_of(event.client, 24, 56)), event.time);
    }
    let background = |evidence: &[Evidence]| {
        let mut background = engine.background(evidence);
        let here = network_of(scenario.client, 24, 56);
        let account = evidence.iter().find_map(|piece| piece.event.account.clone());
        let elsewhere = known.iter().filter(|((name, net), _)| *name == account && *net != here);
        background.elsewhere = elsewhere.map(|(_, at)| *at).max().map_or(Elsewhere::Never, Elsewhere::Until);
        background
    };
    let block = decisions.iter().rfind(|decision| decision.action == Action::Block);
    if let Some(block) = block {
        let finding = diagnose_decision(block, &background(&block.events));
        return (finding, true);
    }
    let evidence: Vec<Evidence> = events
        .iter()
        .filter(|event| event.client == scenario.client && event.kind != EventKind::LoginSucceeded)
        .cloned()
        .map(Evidence::from)
        .collect();
    let finding = diagnose(&evidence, &background(&evidence));
    let polls = polling(&events, engine.policy().courtesy_interval);
    (polls.into_iter().find(|_| evidence.is_empty()).unwrap_or(finding), false)
}

#[test]
fn causes_are_told_and_not_guessed() {
    let mut wrong = Vec::new();
    let (mut told, mut ambiguous) = (0, 0);
    for profile in ["fairban", "autoban"] {
        println!("\n{profile:<9} {:<50} {:<20} {:<20}      blocked", "scenario", "cause", "diagnosis");
        for scenario in scenarios() {
            let (finding, is_blocked) = find(&scenario, profile);
            println!(
                "{profile:<9} {:<50} {:<20} {:<20} {:>3} %  {}",
                scenario.name,
                format!("{:?}", scenario.cause),
                format!("{:?}", finding.diagnosis),
                finding.confidence_percent,
                if is_blocked { "yes" } else { "no" }
            );
            println!("          {:?}", finding.facts);
            if finding.diagnosis != scenario.cause {
                wrong.push(format!("{profile}: {}", scenario.name));
            }
            // What is not known is not said with any confidence, and what is said is.
            assert_eq!(finding.confidence_percent >= 50, finding.diagnosis != Diagnosis::Unknown);
            if scenario.cause == Diagnosis::Unknown { ambiguous += 1 } else { told += 1 }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(told >= 2 * 12 && ambiguous >= 2 * 4);
}

#[test]
fn sign_ins_block_only_where_an_operator_wants_it() {
    let rule = "[rule.polling]\npoints = { login_succeeded = 1 }\nsubject = \"pair\"\nperiod = \"1h\"\nthreshold = 20\n\
                repeats = \"count\"\nladder = [\"10m\"]\nforget = \"1d\"";
    for (text, blocks) in [("", 0), (rule, 1)] {
        let mut engine = Engine::new(Config::from_toml(text, "fairban.toml").unwrap().policy);
        let mut decisions = Vec::new();
        let polls = scenarios().into_iter().find(|story| story.cause == Diagnosis::FrequentPolling).unwrap();
        for event in read(&polls).iter().take(25) {
            engine.step(event.time, event, &mut decisions);
        }
        assert_eq!(decisions.len(), blocks, "{decisions:#?}");
        assert!(decisions.iter().all(|block| block.diagnosis == Diagnosis::FrequentPolling));
    }
}

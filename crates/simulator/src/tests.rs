use std::collections::BTreeMap;

use super::*;

fn small(seed: u64) -> Settings {
    Settings { days: 2, scale: 0.3, ..Settings::new(seed) }
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    let (one, two, other) = (simulate(&small(7)), simulate(&small(7)), simulate(&small(8)));
    assert_eq!(one.log, two.log);
    assert_eq!(one.labels, two.labels);
    assert_ne!(one.log, other.log);
}

#[test]
fn labels_tell_of_the_line_they_name() {
    for seed in 0..3 {
        let population = simulate(&small(seed));
        let lines: Vec<&str> = population.log.lines().collect();
        assert!(population.labels.windows(2).all(|pair| pair[0].line < pair[1].line));
        for label in &population.labels {
            let line = lines[label.line - 1];
            assert!(line.contains(&label.address.to_string()), "{label:?}: {line}");
            let right = line.contains("Login: ") || line.contains("sasl_method=") || line.contains(": client=");
            assert_eq!(right, label.right || label.deed == Deed::Delivery, "{label:?}: {line}");
        }
    }
}

#[test]
fn a_population_has_the_intended_size_and_every_class() {
    let population = simulate(&Settings::new(1));
    let mut counts: BTreeMap<(Truth, Deed), u32> = BTreeMap::new();
    let mut classes: BTreeMap<&str, u32> = BTreeMap::new();
    for label in &population.labels {
        *counts.entry((label.truth, label.deed)).or_default() += label.tries;
        *classes.entry(&label.class).or_default() += label.tries;
    }
    println!("{counts:#?}\n{classes:#?}\n{} lines, {} bytes", population.log.lines().count(), population.log.len());
    let good = counts[&(Truth::Good, Deed::SignIn)];
    let guesses = counts[&(Truth::Guess, Deed::SignIn)];
    assert!((50_000..110_000).contains(&good), "{good} good sign-ins");
    assert!((15_000..60_000).contains(&guesses), "{guesses} guesses");
    assert!(classes.len() >= 30, "{classes:?}");
}

//! What the trial prints.

use std::fmt;

use fairban_simulator::{Deed, Population, Truth};
use serde::Serialize;

use super::ByClass;
use super::judge::Verdicts;

/// Of how many, how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Share {
    /// How many got through, or were refused,
    pub(crate) hit: u64,
    /// of how many.
    pub(crate) all: u64,
}

impl Share {
    fn count(&mut self, all: u64, hit: bool) {
        self.all += all;
        self.hit += if hit { all } else { 0 };
    }

    fn add(&mut self, other: Share) {
        self.hit += other.hit;
        self.all += other.all;
    }

    /// In percent.
    pub(crate) fn percent(self) -> f64 {
        if self.all == 0 { 0.0 } else { 100.0 * self.hit as f64 / self.all as f64 }
    }
}

/// What one replay came to.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Shares {
    /// Guesses at passwords that got through.
    pub(crate) guesses: Share,
    /// All that attackers did that got through, relay and harvesting attempts included.
    pub(crate) attacks: Share,
    /// The same by class of attacker.
    pub(crate) attackers: ByClass<Share>,
    /// Good sign-ins refused.
    pub(crate) good: Share,
    /// The same by class of people.
    pub(crate) people: ByClass<Share>,
    /// Honest mail from other servers refused.
    pub(crate) mail: Share,
    /// Blocks and guards begun.
    pub(crate) decisions: u64,
}

impl Shares {
    /// Counts what was stopped of a population.
    pub(crate) fn of(population: &Population, verdicts: &Verdicts) -> Self {
        let mut shares = Shares { decisions: verdicts.decisions, ..Shares::default() };
        for (label, (narrow, wide)) in population.labels.iter().zip(verdicts.narrow.iter().zip(&verdicts.wide)) {
            let tries = u64::from(label.tries);
            match (label.truth, label.deed) {
                (Truth::Guess, deed) => {
                    if deed == Deed::SignIn {
                        shares.guesses.count(tries, wide.is_none());
                    }
                    shares.attacks.count(tries, wide.is_none());
                    shares.attackers.entry(label.class.clone()).or_default().count(tries, wide.is_none());
                }
                (Truth::Good, Deed::SignIn) => {
                    shares.good.count(1, narrow.is_some());
                    shares.people.entry(label.class.clone()).or_default().count(1, narrow.is_some());
                }
                (Truth::Good, _) => shares.mail.count(1, narrow.is_some()),
                (Truth::Mistake | Truth::Noise, _) => {}
            }
        }
        shares
    }

    fn add(&mut self, other: &Shares) {
        self.guesses.add(other.guesses);
        self.attacks.add(other.attacks);
        self.good.add(other.good);
        self.mail.add(other.mail);
        self.decisions += other.decisions;
        for (class, share) in &other.attackers {
            self.attackers.entry(class.clone()).or_default().add(*share);
        }
        for (class, share) in &other.people {
            self.people.entry(class.clone()).or_default().add(*share);
        }
    }
}

/// All replays of one profile in one mode.
#[derive(Clone, Debug, Serialize)]
struct Column {
    profile: String,
    asking: bool,
    all: Shares,
    seeds: Vec<(u64, Shares)>,
}

/// Everything that was tried.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Trial {
    columns: Vec<Column>,
    refused: Vec<String>,
}

impl Trial {
    /// Adds one replay.
    pub(crate) fn add(&mut self, profile: &str, asking: bool, seed: u64, shares: Shares) {
        let same = |column: &&mut Column| column.profile == profile && column.asking == asking;
        if let Some(column) = self.columns.iter_mut().find(same) {
            column.all.add(&shares);
            column.seeds.push((seed, shares));
            return;
        }
        let (profile, all) = (profile.to_owned(), shares.clone());
        self.columns.push(Column { profile, asking, all, seeds: vec![(seed, shares)] });
    }

    /// Notes who was refused, and by what.
    pub(crate) fn explain(
        &mut self,
        population: &Population,
        verdicts: &Verdicts,
        seed: u64,
        asking: bool,
        limit: usize,
    ) {
        let refused = population.labels.iter().zip(&verdicts.narrow).filter(|(label, _)| label.truth == Truth::Good);
        let told =
            refused.filter_map(|(label, by)| by.as_ref().map(|by| (label, by))).take(limit).map(|(label, by)| {
                let mode = if asking { "asking" } else { "log only" };
                let (line, time, who) = (label.line, label.time, &label.who);
                format!("seed {seed} {mode} line {line} {time}: {who}, {} from {}: {by}", label.typed, label.address)
            });
        self.refused.extend(told);
    }

    /// By what the profile misses the marks, on any seed.
    pub(crate) fn misses(&self, profile: &str) -> Vec<String> {
        let mut misses = Vec::new();
        for column in self.columns.iter().filter(|column| column.profile == profile) {
            // From logs alone nobody can stop an address's first try, of which a botnet has thousands.
            let (mode, guesses_max, good_max) =
                if column.asking { ("asking", 3.0, 0.01) } else { ("log only", 100.1, 0.3) };
            for (seed, shares) in &column.seeds {
                for (what, share, max) in [
                    ("guesses got through", shares.guesses, guesses_max),
                    ("attacks got through", shares.attacks, guesses_max),
                    ("good sign-ins were refused", shares.good, good_max),
                ] {
                    if share.percent() >= max {
                        let Share { hit, all } = share;
                        let percent = share.percent();
                        misses.push(format!(
                            "seed {seed}, {mode}: {hit} of {all} {what}, {percent:.3} % (under {max} %)"
                        ));
                    }
                }
            }
        }
        misses
    }

    fn table(&self, f: &mut fmt::Formatter<'_>, asking: bool) -> fmt::Result {
        let columns: Vec<&Column> = self.columns.iter().filter(|column| column.asking == asking).collect();
        let Some(first) = columns.first() else { return Ok(()) };
        let mode = if asking { "mail servers ask" } else { "logs only" };
        writeln!(f, "\n{mode}: {} seeds", first.seeds.len())?;
        write!(f, "{:24} {:>9}", "", "all")?;
        for column in &columns {
            write!(f, " {:>11}", column.profile)?;
        }
        writeln!(f)?;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, digits: usize, share: &dyn Fn(&Shares) -> Share| {
            write!(f, "{name:24} {:>9}", share(&first.all).all)?;
            for column in &columns {
                write!(f, " {:>9.digits$} %", share(&column.all).percent())?;
            }
            writeln!(f)
        };
        writeln!(f, "guesses that got through")?;
        for class in first.all.attackers.keys() {
            row(f, &format!("  {class}"), 2, &|shares| shares.attackers.get(class).copied().unwrap_or_default())?;
        }
        row(f, "  all sign-in guesses", 2, &|shares| shares.guesses)?;
        row(f, "  all attacks", 2, &|shares| shares.attacks)?;
        write!(f, "{:24} {:>9}", "  worst seed", "")?;
        for column in &columns {
            let worst = column.seeds.iter().map(|(_, shares)| shares.guesses.percent()).fold(0.0, f64::max);
            write!(f, " {worst:>9.2} %")?;
        }
        writeln!(f, "\ngood sign-ins refused")?;
        for class in first.all.people.keys() {
            row(f, &format!("  {class}"), 3, &|shares| shares.people.get(class).copied().unwrap_or_default())?;
        }
        row(f, "  all good sign-ins", 4, &|shares| shares.good)?;
        write!(f, "{:24} {:>9}", "  in numbers", "")?;
        for column in &columns {
            write!(f, " {:>11}", column.all.good.hit)?;
        }
        writeln!(f)?;
        row(f, "honest mail refused", 3, &|shares| shares.mail)?;
        write!(f, "{:24} {:>9}", "blocks and guards", "")?;
        for column in &columns {
            write!(f, " {:>11}", column.all.decisions)?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(f, true)?;
        self.table(f, false)?;
        if !self.refused.is_empty() {
            let profile = self.columns.first().map_or("?", |column| &column.profile);
            writeln!(f, "\ngood ones refused by {profile}, the first of each seed")?;
        }
        self.refused.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

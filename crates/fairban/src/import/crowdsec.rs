//! CrowdSec's decisions: what `cscli decisions list` prints with `-o json` or `-o raw`, and what its import takes.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fairban_types::Time;
use serde::Deserialize;

use super::files::read;
use super::found::{Found, Place, clipped, network};

/// A decision, in whatever form it came.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Decision {
    scope: String,
    value: String,
    #[serde(rename = "type")]
    kind: String,
    /// Go's form, what is left at the time of the export: `3h59m12.5s`.
    duration: String,
    until: Option<Time>,
    #[serde(alias = "reason")]
    scenario: String,
    simulated: bool,
}

/// An alert with its decisions.
#[derive(Debug, Deserialize)]
struct Alert {
    decisions: Option<Vec<Decision>>,
}

/// The decisions of an element of the list: an alert, or a decision alone.
fn decisions(element: serde_json::Value) -> Result<Vec<Decision>, serde_json::Error> {
    if element.get("decisions").is_some() {
        return serde_json::from_value::<Alert>(element).map(|alert| alert.decisions.unwrap_or_default());
    }
    serde_json::from_value(element).map(|decision| vec![decision])
}

pub(super) fn import(path: &Path, now: Time, found: &mut Found) -> anyhow::Result<()> {
    // What is left of a decision was counted when the file was written.
    let (text, exported) = read(path, now)?;
    match text.trim_start().as_bytes().first() {
        None => bail!("{} is empty: write it with `cscli decisions list -o json`", path.display()),
        Some(b'[' | b'n') => json(path, &text, exported, now, found),
        Some(_) => csv(path, &text, exported, now, found),
    }
}

fn json(path: &Path, text: &str, exported: Time, now: Time, found: &mut Found) -> anyhow::Result<()> {
    let place = || format!("{} is not what `cscli decisions list -o json` prints", path.display());
    // `null` is what it prints if there are none.
    let list: Option<Vec<serde_json::Value>> = serde_json::from_str(text).with_context(place)?;
    for (at, element) in list.into_iter().flatten().enumerate() {
        let decisions = match decisions(element) {
            Ok(decisions) => decisions,
            Err(_) => {
                found.gap(Place::whole(path), &format!("element {}", at + 1), "neither an alert nor a decision");
                continue;
            }
        };
        for decision in &decisions {
            note(Place::whole(path), decision, exported, now, found);
        }
    }
    Ok(())
}

fn csv(path: &Path, text: &str, exported: Time, now: Time, found: &mut Found) -> anyhow::Result<()> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let head = reader.headers().with_context(|| format!("{}: no head of columns", path.display()))?.clone();
    let columns: HashMap<String, usize> = head.iter().enumerate().map(|(at, name)| (name.to_lowercase(), at)).collect();
    if !columns.contains_key("value") && !columns.contains_key("ip") {
        bail!(
            "{}: its first line names no column `value` or `ip`, as `cscli decisions list -o raw` does",
            path.display()
        );
    }
    for row in reader.records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let line = error.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
                found.gap(Place::of(path, line), "", "the line cannot be read as CSV");
                continue;
            }
        };
        let line = row.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
        let field = |names: [&str; 2]| {
            let at = names.iter().find_map(|name| columns.get(*name));
            at.and_then(|at| row.get(*at)).unwrap_or_default().to_owned()
        };
        // `raw` writes scope and value as one: `Ip:192.0.2.7`.
        let value = field(["value", "ip"]);
        let known = ["ip:", "range:", "as:", "country:", "username:", "session:"];
        let marked = value
            .split_once(':')
            .filter(|(scope, _)| known.contains(&format!("{}:", scope.to_ascii_lowercase()).as_str()));
        let (scope, value) = marked.map_or_else(
            || (field(["scope", "scope"]), value.clone()),
            |(scope, value)| (scope.to_owned(), value.to_owned()),
        );
        let decision = Decision {
            scope,
            value,
            kind: field(["action", "type"]),
            duration: field(["expiration", "duration"]),
            until: field(["until", "until"]).parse().ok(),
            scenario: field(["reason", "scenario"]),
            simulated: field(["simulated", "simulated"]) == "true",
        };
        note(Place::of(path, line), &decision, exported, now, found);
    }
    Ok(())
}

fn note(place: Place, decision: &Decision, exported: Time, now: Time, found: &mut Found) {
    let what = format!("{} {}", decision.scope, decision.value);
    if decision.simulated {
        return found.gap(place, &what, "only simulated");
    }
    if !matches!(decision.kind.to_ascii_lowercase().as_str(), "" | "ban") {
        return found.gap(place, &what, &format!("a {} is nothing that a mail server has", clipped(&decision.kind)));
    }
    if !matches!(decision.scope.to_ascii_lowercase().as_str(), "" | "ip" | "range") {
        return found.gap(place, &what, "only addresses and ranges can be taken over");
    }
    let Some(net) = network(&decision.value) else {
        return found.gap(place, &what, "neither an address nor a network (CIDR)");
    };
    let Some(until) = decision.until.or_else(|| end(&decision.duration, exported)) else {
        return found.gap(place, &what, &format!("its duration '{}' cannot be read", clipped(&decision.duration)));
    };
    found.block(place, net, Some(until), now, &decision.scenario);
}

/// The end of what has this much left, or has been over for so long.
fn end(duration: &str, from: Time) -> Option<Time> {
    match duration.strip_prefix('-') {
        Some(past) => go_duration(past).map(|past| from.before(past)),
        None => go_duration(duration).map(|left| from.after(left)),
    }
}

/// A duration as Go prints it: numbers, with a fraction perhaps, each with its unit.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|letter: char| letter.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        rest = &rest[letters..];
        total = total.checked_add(Duration::try_from_secs_f64(number * unit).ok()?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go() {
        for (text, seconds) in [
            ("3h59m50.7s", Some(14_390)),
            ("24h", Some(86_400)),
            ("350ms", Some(0)),
            ("1m", Some(60)),
            ("", None),
            ("5", None),
            ("1.2.3s", None),
            ("9e9h", None),
            ("999999999999999999999999h", None),
        ] {
            assert_eq!(go_duration(text).map(|d| d.as_secs()), seconds, "{text}");
        }
    }
}

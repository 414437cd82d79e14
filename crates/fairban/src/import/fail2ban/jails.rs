//! What jails become: two rules, and the never-block list.

use std::path::Path;

use fairban_types::Time;
use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::ini::{DEFAULT, Ini};
use super::times::{Span, span, written};
use crate::import::files::read;
use crate::import::found::{Found, Place, clipped, network};

/// Programs of mail servers, by which jails about mail are named.
const SIGN_IN: [&str; 14] = [
    "dovecot",
    "postfix-sasl",
    "sendmail-auth",
    "courier-auth",
    "cyrus-imap",
    "sieve",
    "exim",
    "solid-pop3d",
    "perdition",
    "kerio",
    "roundcube",
    "squirrelmail",
    "sogo",
    "uwimap",
];
const REFUSED: [&str; 7] = ["postfix", "sendmail", "courier-smtp", "qmail", "exim-spam", "assp", "rbl"];
/// Ports of mail, by which other jails about mail are known.
const PORTS: [&str; 16] = [
    "smtp",
    "smtps",
    "submission",
    "submissions",
    "465",
    "587",
    "25",
    "pop3",
    "pop3s",
    "imap",
    "imaps",
    "imap2",
    "imap3",
    "sieve",
    "143",
    "993",
];
/// A ban that is doubled each time grows for so many steps.
const STEPS_MAX: usize = 10;
/// What our keys take; see the reference.
const PERIOD: (u64, u64) = (1, 31 * 86_400);
const BLOCK: (u64, u64) = (1, 3650 * 86_400);
const FORGET: (u64, u64) = (3600, 3650 * 86_400);
const REPEATED: &str = "recidive";

/// All jails of all files.
#[derive(Debug, Default)]
pub(super) struct Jails {
    ini: Ini,
}

/// The numbers of one jail.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbers {
    retries: u64,
    period: u64,
    ban: Span,
}

impl Jails {
    /// Lays a file over those before it.
    pub(super) fn add(&mut self, file: &Path, now: Time, found: &mut Found) -> anyhow::Result<()> {
        let (text, _) = read(file, now)?;
        for place in self.ini.lay(file, &text) {
            found.gap(place, "", "neither a [section] nor key = value");
        }
        Ok(())
    }

    /// Whether a jail watches a mail server: by its name, its filter, or the ports that it closes.
    pub(super) fn is_about_mail(&self, jail: &str) -> bool {
        if named(jail, &SIGN_IN) || named(jail, &REFUSED) {
            return true;
        }
        let get = |key| self.ini.get(jail, key).map(|value| value.text).filter(|_| self.ini.has(jail));
        let filter = get("filter").unwrap_or_default();
        let ports = get("port").unwrap_or_default();
        named(&filter, &SIGN_IN)
            || named(&filter, &REFUSED)
            || ports.split(',').any(|port| PORTS.contains(&port.trim()))
    }

    /// Which of our rules does what the jail did; a jail named like a sign-in jail is one, whatever else it matches.
    fn rule(&self, jail: &str) -> &'static str {
        let filter = self.ini.get(jail, "filter").map(|value| value.text).unwrap_or_default();
        let mode = self.ini.get(jail, "mode").map(|value| value.text).unwrap_or_default();
        let counts_sign_ins = |name: &str| named(name, &SIGN_IN) && name != "exim-spam";
        let is_sign_in =
            counts_sign_ins(jail) || counts_sign_ins(&filter) || mode == "auth" || filter.contains("mode=auth");
        let is_refused = named(jail, &REFUSED) && !counts_sign_ins(jail);
        if is_sign_in || !is_refused { "login" } else { "reject" }
    }

    /// Tells what was found: items, gaps and the settings.
    pub(super) fn tell(&self, now: Time, found: &mut Found) {
        let mut settings = DocumentMut::new();
        settings["profile"] = value("fail2ban");
        self.never(now, found, &mut settings);
        let mut rules = Table::new();
        rules.set_implicit(true);
        for jail in self.ini.jails().filter(|jail| self.is_enabled(jail)) {
            let place =
                self.ini.own(jail, "enabled").map_or_else(|| Place::whole(Path::new("")), |value| value.place.clone());
            let what = format!("jail {jail}");
            match () {
                () if jail == REPEATED => {}
                () if !self.is_about_mail(jail) => {
                    found.gap(
                        place,
                        &what,
                        "not about mail: Fairban guards mail servers only, so leave it to fail2ban",
                    );
                }
                () => match self.numbers(jail) {
                    Ok(numbers) => self.note(place, jail, &numbers, &mut rules, found),
                    Err(why) => found.gap(place, &what, &why),
                },
            }
        }
        if self.is_enabled(REPEATED) && rules.is_empty() {
            found.gap(
                self.enabled_at(REPEATED),
                "jail recidive",
                "there is no jail about mail whose bans it could lengthen",
            );
        }
        if !rules.is_empty() {
            settings["rule"] = Item::Table(rules);
        }
        if settings.len() > 1 {
            found.settings = Some(settings);
        }
    }

    fn enabled_at(&self, jail: &str) -> Place {
        self.ini.own(jail, "enabled").map_or_else(|| Place::whole(Path::new("")), |value| value.place.clone())
    }

    fn is_enabled(&self, jail: &str) -> bool {
        let text = self.ini.get(jail, "enabled").filter(|_| self.ini.has(jail)).map(|value| value.text.to_lowercase());
        text.is_some_and(|text| ["true", "yes", "on", "1"].contains(&text.as_str()))
    }

    fn number(&self, jail: &str, key: &str, default: &str) -> Result<Span, String> {
        let text = self.ini.get(jail, key).map_or_else(|| default.to_owned(), |value| value.text);
        span(&text).ok_or_else(|| format!("its {key} '{}' cannot be read", clipped(&text)))
    }

    fn numbers(&self, jail: &str) -> Result<Numbers, String> {
        let finite = |key: &str, default: &str| match self.number(jail, key, default)? {
            Span::Seconds(number) => Ok(number),
            Span::Forever => Err(format!("its {key} is negative")),
        };
        let retries = finite("maxretry", "5")?;
        let period = finite("findtime", "10m")?.clamp(PERIOD.0, PERIOD.1);
        Ok(Numbers { retries: retries.clamp(1, 1_000_000), period, ban: self.number(jail, "bantime", "10m")? })
    }

    /// Several jails may become one rule, which then has the values of the most patient one: nobody is blocked who was
    /// not before.
    fn note(&self, place: Place, jail: &str, numbers: &Numbers, rules: &mut Table, found: &mut Found) {
        let rule = self.rule(jail);
        let ban = match numbers.ban {
            Span::Seconds(seconds) => written(seconds),
            Span::Forever => "for good".to_owned(),
        };
        let Numbers { retries, period, .. } = numbers;
        let what = format!("jail {jail}: {retries} in {}, then {ban}", written(*period));
        let had = |table: &Table| table.get("threshold").and_then(Item::as_integer).unwrap_or(0).unsigned_abs();
        if let Some(before) = rules.get(rule).and_then(Item::as_table).map(had)
            && before >= *retries
        {
            return found.setting(
                place,
                what,
                format!("[rule.{rule}], which has a threshold of {before} by another jail"),
            );
        }
        let table = self.table(numbers);
        let line = table.iter().map(|(key, item)| format!("{key} = {}", item.to_string().trim())).collect::<Vec<_>>();
        found.setting(place, what, format!("[rule.{rule}] {}", line.join(", ")));
        rules.insert(rule, Item::Table(table));
    }

    fn table(&self, numbers: &Numbers) -> Table {
        let mut table = Table::new();
        table["period"] = value(written(numbers.period));
        table["threshold"] = value(i64::try_from(numbers.retries).unwrap_or(i64::MAX));
        let (steps, is_permanent) = self.ladder(numbers);
        let steps = steps.into_iter().map(|seconds| written(seconds.clamp(BLOCK.0, BLOCK.1)));
        table["ladder"] = value(Array::from_iter(steps));
        if is_permanent {
            table["then_permanent"] = value(true);
        }
        if let Some(Numbers { period, .. }) = self.repeated() {
            table["forget"] = value(written(period.clamp(FORGET.0, FORGET.1)));
        }
        table
    }

    /// The block times of one offence after the other, and whether the next is for good.
    fn ladder(&self, numbers: &Numbers) -> (Vec<u64>, bool) {
        let Span::Seconds(ban) = numbers.ban else { return (vec![30 * 86_400], true) };
        let ban = ban.max(1);
        if let Some(again) = self.repeated() {
            let times = usize::try_from(again.retries).unwrap_or(STEPS_MAX).saturating_sub(1).clamp(1, STEPS_MAX);
            let mut steps = vec![ban; times];
            let Span::Seconds(long) = again.ban else { return (steps, true) };
            steps.push(long);
            return (steps, false);
        }
        let grows = self.ini.get(DEFAULT, "bantime.increment").map(|value| value.text.to_lowercase());
        if !grows.is_some_and(|text| ["true", "yes", "on", "1"].contains(&text.as_str())) {
            return (vec![ban], false);
        }
        let most = match self.number(DEFAULT, "bantime.maxtime", "5w") {
            Ok(Span::Seconds(most)) => most.max(ban),
            _ => BLOCK.1,
        };
        let doubled = std::iter::successors(Some(ban), |last| last.checked_mul(2).filter(|_| *last < most));
        (doubled.map(|seconds| seconds.min(most)).take(STEPS_MAX).collect(), false)
    }

    /// What fail2ban did with those who were banned again and again.
    fn repeated(&self) -> Option<Numbers> {
        self.is_enabled(REPEATED).then(|| self.numbers(REPEATED).ok()).flatten()
    }

    fn never(&self, now: Time, found: &mut Found, settings: &mut DocumentMut) {
        let mut list = Vec::new();
        let sections = std::iter::once(DEFAULT).chain(self.ini.jails());
        for section in sections.filter(|section| *section == DEFAULT || self.is_enabled(section)) {
            if self.ini.own(section, "ignoreip").is_none() {
                continue;
            }
            let Some(ignored) = self.ini.get(section, "ignoreip") else { continue };
            for word in ignored.text.split([' ', ',', '\n', '\t']).filter(|word| !word.is_empty()) {
                let place = ignored.place.clone();
                match network(word) {
                    Some(net) if net.addr().is_loopback() => {
                        found.gap(place, word, "not needed: loopback is always on the never-block list");
                    }
                    Some(net) if section != DEFAULT && !self.is_about_mail(section) => {
                        found.gap(place, &net.to_string(), "ignored by a jail that is not about mail");
                    }
                    Some(net) => {
                        let before = found.items.len();
                        found.never(place, net, None, now, "ignoreip");
                        if found.items.len() > before && !list.contains(&net) {
                            list.push(net);
                        }
                    }
                    None => found.gap(place, word, "neither an address nor a network (CIDR); names are not looked up"),
                }
            }
        }
        if !list.is_empty() {
            settings["never"] = value(Array::from_iter(list.into_iter().map(crate::import::found::shown)));
        }
    }
}

/// Whether a jail or filter is called like one of these, or like a part of one: `dovecot`, `dovecot-pop3`, `my-dovecot`.
fn named(text: &str, names: &[&str]) -> bool {
    let text = text.split('[').next().unwrap_or_default().trim().to_ascii_lowercase();
    let part = |name: &&str| {
        text.match_indices(*name).any(|(at, _)| {
            let edge = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_ascii_alphanumeric());
            edge(text[..at].chars().next_back()) && edge(text[at + name.len()..].chars().next())
        })
    };
    names.iter().any(part)
}

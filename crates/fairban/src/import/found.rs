//! What was understood, what it becomes, and what was not.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use fairban_types::{Time, single};
use ipnet::IpNet;

/// The most entries and complaints of one import: enough for every list that people keep, few enough to hold.
pub(super) const ENTRIES_MAX: usize = 500_000;
/// Letters of a foreign text that are kept.
const TEXT_MAX: usize = 160;

/// Where something stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    /// From 1; none in a database.
    pub(super) line: Option<usize>,
}

impl Place {
    pub(super) fn of(file: &Path, line: usize) -> Self {
        Place { file: file.to_owned(), line: Some(line) }
    }

    pub(super) fn whole(file: &Path) -> Self {
        Place { file: file.to_owned(), line: None }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file.display()),
            None => write!(f, "{}", self.file.display()),
        }
    }
}

/// What something becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    /// A manual block; without an end it is permanent.
    Block { net: IpNet, until: Option<Time> },
    /// An entry of the never-block list.
    Never { net: IpNet, until: Option<Time> },
    /// A setting, as its line in the configuration.
    Setting(String),
}

/// Something that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) what: String,
    pub(super) becomes: Becomes,
    /// Why, as the other tool had it.
    pub(super) reason: String,
}

/// Something that becomes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) place: Place,
    pub(super) what: String,
    pub(super) why: String,
}

/// All that an import found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) items: Vec<Item>,
    pub(super) gaps: Vec<Gap>,
    /// Settings for the configuration file.
    pub(super) settings: Option<toml_edit::DocumentMut>,
    /// What did not fit.
    pub(super) left_out: usize,
}

impl Found {
    /// Notes a block, unless there is something in its way.
    pub(super) fn block(&mut self, place: Place, net: IpNet, until: Option<Time>, now: Time, reason: &str) {
        let what = shown(net);
        if is_too_wide(net) {
            return self.gap(
                place,
                &what,
                "too wide for a block that nobody looked at: use `fairban block` if it is meant",
            );
        }
        if until.is_some_and(|until| until <= now) {
            return self.gap(place, &what, "has ended");
        }
        self.item(place, what, Becomes::Block { net, until }, reason);
    }

    /// Notes an entry of the never-block list, unless it has ended or would be the whole Internet.
    pub(super) fn never(&mut self, place: Place, net: IpNet, until: Option<Time>, now: Time, reason: &str) {
        let what = shown(net);
        if net.prefix_len() == 0 {
            return self.gap(place, &what, "the whole Internet on the never-block list would turn Fairban off");
        }
        if until.is_some_and(|until| until <= now) {
            return self.gap(place, &what, "has ended");
        }
        self.item(place, what, Becomes::Never { net, until }, reason);
    }

    /// Notes a setting: what it was, and its line in the configuration.
    pub(super) fn setting(&mut self, place: Place, what: String, line: String) {
        self.item(place, what, Becomes::Setting(line), "");
    }

    /// Notes what becomes nothing, and why.
    pub(super) fn gap(&mut self, place: Place, what: &str, why: &str) {
        if self.gaps.len() < ENTRIES_MAX {
            self.gaps.push(Gap { place, what: clipped(what), why: why.to_owned() });
        } else {
            self.left_out += 1;
        }
    }

    fn item(&mut self, place: Place, what: String, becomes: Becomes, reason: &str) {
        if self.items.len() < ENTRIES_MAX {
            self.items.push(Item { place, what: clipped(&what), becomes, reason: clipped(reason) });
        } else {
            self.left_out += 1;
        }
    }
}

/// The text at a bounded length, in one line.
pub(super) fn clipped(text: &str) -> String {
    let text: String = text.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A network as people write it: one address without its length.
pub(super) fn shown(net: IpNet) -> String {
    fairban_types::Subject::Network(net).to_string()
}

/// An address or a network, its host bits taken off; nothing else, above all no name that somebody else's DNS answers.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(single(address));
    }
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(net.trunc());
    }
    // `192.0.2.0/255.255.255.0`, as older lists have it.
    let (address, mask) = text.split_once('/')?;
    let (address, mask) = (address.parse::<IpAddr>().ok()?, mask.parse::<IpAddr>().ok()?);
    IpNet::with_netmask(address, mask).ok().map(|net| net.trunc())
}

/// A block that wide is a mistake more often than a wish.
fn is_too_wide(net: IpNet) -> bool {
    net.prefix_len() < if net.addr().is_ipv4() { 8 } else { 19 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_in_every_form_and_names_never() {
        for (text, read) in [
            ("192.0.2.7", Some("192.0.2.7")),
            (" 192.0.2.7/24 ", Some("192.0.2.0/24")),
            ("192.0.2.0/255.255.255.128", Some("192.0.2.0/25")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("mail.example.test", None),
            ("192.0.2.0/255.0.255.0", None),
            ("192.0.2.0/33", None),
            ("", None),
        ] {
            assert_eq!(network(text).map(shown).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn the_whole_internet_is_neither_blocked_nor_spared() {
        let (mut found, place) = (Found::default(), Place::whole(Path::new("x")));
        for text in ["0.0.0.0/0", "::/0"] {
            let net = network(text).unwrap();
            found.block(place.clone(), net, None, Time::MIN, "");
            found.never(place.clone(), net, None, Time::MIN, "");
        }
        assert_eq!((found.items.len(), found.gaps.len()), (0, 4));
    }
}

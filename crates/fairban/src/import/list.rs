//! Plain lists: one address or network on each line, with comments.

use std::path::Path;

use fairban_types::Time;

use super::files::{read, uncommented};
use super::found::{Found, Place, network};

/// What the entries of a list become.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) never: bool,
    pub(super) until: Option<Time>,
    pub(super) now: Time,
}

pub(super) fn import(path: &Path, wanted: Wanted, found: &mut Found) -> anyhow::Result<()> {
    let (text, _) = read(path, wanted.now)?;
    for (at, line) in text.lines().enumerate() {
        let (value, comment) = uncommented(line);
        // Lists of others have more columns: the first one is the address.
        let Some(word) = value.split([' ', '\t', ',']).find(|word| !word.is_empty()) else { continue };
        let place = Place::of(path, at + 1);
        let Wanted { never, until, now } = wanted;
        match network(word) {
            Some(net) if never => found.never(place, net, until, now, comment),
            Some(net) => found.block(place, net, until, now, comment),
            None => found.gap(place, value, "neither an address nor a network (CIDR)"),
        }
    }
    Ok(())
}

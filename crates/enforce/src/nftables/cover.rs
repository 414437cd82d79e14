//! Networks that may overlap, as ranges that do not: an interval set of the kernel refuses overlaps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnet::IpNet;

use crate::element::{Family, bounds, everything, parent};

/// When a block ends, in milliseconds on the enforcer's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Expiry(u64);

/// What is longer than this is permanent: the kernel counts nanoseconds in 64 bits.
const TIMEOUT_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Expiry {
    pub(crate) const PERMANENT: Expiry = Expiry(u64::MAX);

    /// The end of what begins now.
    pub(crate) fn new(now: Duration, timeout: Option<Duration>) -> Self {
        match timeout {
            Some(timeout) if timeout <= TIMEOUT_MAX => Expiry((now + timeout).as_millis() as u64),
            Some(_) | None => Expiry::PERMANENT,
        }
    }

    /// What remains; `None` is permanent.
    pub(crate) fn remaining(self, now: Duration) -> Option<Duration> {
        (self != Expiry::PERMANENT).then(|| Duration::from_millis(self.0).saturating_sub(now))
    }

    pub(crate) fn is_over(self, now: Duration) -> bool {
        self.remaining(now).is_some_and(|remaining| remaining.is_zero())
    }
}

/// A range of addresses with one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Piece {
    pub(crate) first: u128,
    pub(crate) last: u128,
    pub(crate) expiry: Expiry,
}

/// How the ranges change when the networks do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reshape {
    pub(crate) gone: Vec<Piece>,
    pub(crate) new: Vec<Piece>,
}

/// The wanted networks of one family and the ranges that they amount to: at any time to come, an address is in a range
/// that has not ended if and only if it is in a network that has not.
#[derive(Debug)]
pub(crate) struct Cover {
    family: Family,
    wanted: BTreeMap<IpNet, Expiry>,
    pieces: BTreeMap<u128, Piece>,
}

impl Cover {
    pub(crate) fn new(family: Family) -> Self {
        Cover { family, wanted: BTreeMap::new(), pieces: BTreeMap::new() }
    }

    /// The ranges, in order.
    pub(crate) fn pieces(&self) -> impl ExactSizeIterator<Item = &Piece> {
        self.pieces.values()
    }

    /// Whether a network covers the whole of another one.
    pub(crate) fn covers(&self, net: &IpNet) -> bool {
        std::iter::successors(Some(*net), parent).any(|net| self.wanted.contains_key(&net))
    }

    /// Forgets everything and begins with these networks.
    pub(crate) fn replace(&mut self, wanted: impl IntoIterator<Item = (IpNet, Expiry)>) {
        self.wanted = wanted.into_iter().collect();
        let pieces = ranges(self.wanted.iter().map(|(net, expiry)| (*net, *expiry)));
        self.pieces = pieces.into_iter().map(|piece| (piece.first, piece)).collect();
    }

    /// Puts networks in (or gives them another end) and takes networks out (`None`).
    pub(crate) fn change(&mut self, now: Duration, changes: &[(IpNet, Option<Expiry>)]) -> Reshape {
        let mut touched: BTreeSet<IpNet> = changes.iter().map(|(net, _)| self.outermost(net)).collect();
        for (net, expiry) in changes {
            match expiry {
                Some(expiry) => self.wanted.insert(*net, *expiry),
                None => self.wanted.remove(net),
            };
        }
        touched.extend(changes.iter().map(|(net, _)| self.outermost(net)));
        let mut reshape = Reshape::default();
        let mut done: Option<IpNet> = None;
        // In order, wider networks come before those inside them.
        for region in touched {
            if done.is_none_or(|done| !done.contains(&region)) {
                self.reshape(now, region, &mut reshape);
                done = Some(region);
            }
        }
        reshape
    }

    fn reshape(&mut self, now: Duration, region: IpNet, reshape: &mut Reshape) {
        let (first, last) = bounds(&region);
        let inside: Vec<(IpNet, Expiry)> = self
            .wanted
            .range(region..)
            .take_while(|(net, _)| region.contains(*net))
            .map(|(net, expiry)| (*net, *expiry))
            .collect();
        let (over, live): (Vec<_>, Vec<_>) = inside.into_iter().partition(|(_, expiry)| expiry.is_over(now));
        for (net, _) in over {
            self.wanted.remove(&net);
        }
        let old: BTreeSet<Piece> = self.pieces.range(first..=last).map(|(_, piece)| *piece).collect();
        let new: BTreeSet<Piece> = ranges(live).into_iter().collect();
        for piece in old.difference(&new) {
            self.pieces.remove(&piece.first);
        }
        for piece in new.difference(&old) {
            self.pieces.insert(piece.first, *piece);
        }
        reshape.gone.extend(old.difference(&new));
        reshape.new.extend(new.difference(&old));
    }

    /// The widest wanted network around this one, or itself.
    fn outermost(&self, net: &IpNet) -> IpNet {
        if self.wanted.contains_key(&everything(self.family)) {
            return everything(self.family);
        }
        std::iter::successors(Some(*net), parent).filter(|net| self.wanted.contains_key(net)).last().unwrap_or(*net)
    }
}

/// Networks in order (wider ones before those inside) as ranges that do not overlap. Where networks overlap, the latest
/// end counts.
fn ranges(nets: impl IntoIterator<Item = (IpNet, Expiry)>) -> Vec<Piece> {
    let mut sweep = Sweep::default();
    for (net, expiry) in nets {
        let (first, last) = bounds(&net);
        sweep.close_before(first);
        match sweep.open.last() {
            Some((_, outer)) if *outer >= expiry => continue,
            Some((_, outer)) => sweep.emit_until(first, *outer),
            None => {}
        }
        sweep.next = first;
        sweep.open.push((last, expiry));
    }
    sweep.close_all();
    sweep.pieces
}

#[derive(Default)]
struct Sweep {
    /// Networks around the place reached, each ending later than the one before.
    open: Vec<(u128, Expiry)>,
    /// The first address not yet given out.
    next: u128,
    /// Whether the last address of all has been given out, so that `next` would overflow.
    exhausted: bool,
    pieces: Vec<Piece>,
}

impl Sweep {
    fn close_before(&mut self, first: u128) {
        while self.open.last().is_some_and(|(last, _)| *last < first) {
            self.close();
        }
    }

    fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some((last, expiry)) = self.open.pop() else { return };
        if !self.exhausted && self.next <= last {
            self.pieces.push(Piece { first: self.next, last, expiry });
            match last.checked_add(1) {
                Some(next) => self.next = next,
                None => self.exhausted = true,
            }
        }
    }

    fn emit_until(&mut self, end: u128, expiry: Expiry) {
        if self.next < end {
            self.pieces.push(Piece { first: self.next, last: end - 1, expiry });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn expiry(secs: Option<u64>) -> Expiry {
        Expiry::new(NOW, secs.map(Duration::from_secs))
    }

    fn shown(cover: &Cover) -> Vec<String> {
        let show = |piece: &Piece| {
            let end = piece.expiry.remaining(NOW).map_or("ever".to_owned(), |left| left.as_secs().to_string());
            format!("{}-{} {end}", cover.family.address(piece.first), cover.family.address(piece.last))
        };
        cover.pieces().map(show).collect()
    }

    #[test]
    fn what_outlives_its_cover_stands_alone() {
        let mut cover = Cover::new(Family::V4);
        cover.change(NOW, &[(net("192.0.0.0/16"), Some(expiry(Some(600))))]);
        cover.change(NOW, &[(net("192.0.2.0/24"), Some(expiry(Some(60))))]);
        assert_eq!(shown(&cover), ["192.0.0.0-192.0.255.255 600"]);
        cover.change(NOW, &[(net("192.0.4.0/24"), Some(expiry(None)))]);
        let parts = ["192.0.0.0-192.0.3.255 600", "192.0.4.0-192.0.4.255 ever", "192.0.5.0-192.0.255.255 600"];
        assert_eq!(shown(&cover), parts);
        let reshape = cover.change(NOW, &[(net("192.0.0.0/16"), None)]);
        assert_eq!(shown(&cover), ["192.0.2.0-192.0.2.255 60", "192.0.4.0-192.0.4.255 ever"]);
        assert_eq!((reshape.gone.len(), reshape.new.len()), (2, 1), "what stays as it is is not touched");
    }

    #[test]
    fn everything_has_no_end_to_overflow() {
        for (family, all, inside) in
            [(Family::V4, "0.0.0.0/0", "255.255.255.0/24"), (Family::V6, "::/0", "ffff:ffff::/32")]
        {
            let mut cover = Cover::new(family);
            cover.change(NOW, &[(net(all), Some(expiry(Some(60)))), (net(inside), Some(expiry(None)))]);
            assert_eq!(cover.pieces().len(), 2);
            assert_eq!(cover.pieces().last().unwrap().last, family.last());
            cover.change(NOW, &[(net(all), None), (net(inside), None)]);
            assert_eq!(cover.pieces().len(), 0);
        }
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut cover = Cover::new(Family::V4);
        cover.change(NOW, &[(net("192.0.2.0/24"), Some(expiry(Some(60))))]);
        cover.change(NOW + Duration::from_secs(61), &[(net("192.0.0.0/16"), Some(expiry(None)))]);
        assert_eq!(cover.wanted.len(), 1);
    }

    proptest! {
        #[test]
        fn an_address_is_in_a_range_as_long_as_in_a_network(
            steps in prop::collection::vec(
                prop::collection::vec((any::<u8>(), 24u8..=32, prop::option::of(prop::option::of(1u64..5))), 1..4),
                1..8,
            ),
        ) {
            let mut cover = Cover::new(Family::V4);
            let mut kernel: BTreeSet<Piece> = BTreeSet::new();
            let mut wanted: BTreeMap<IpNet, Expiry> = BTreeMap::new();
            for step in steps {
                let changes: Vec<(IpNet, Option<Expiry>)> = step
                    .into_iter()
                    .map(|(low, len, end)| {
                        (fairban_types::network_of([192, 0, 2, low].into(), len, 128), end.map(expiry))
                    })
                    .collect();
                let reshape = cover.change(NOW, &changes);
                for piece in &reshape.gone {
                    prop_assert!(kernel.remove(piece), "{:?} was not there", piece);
                }
                kernel.extend(&reshape.new);
                for (net, end) in changes {
                    match end {
                        Some(end) => wanted.insert(net, end),
                        None => wanted.remove(&net),
                    };
                }
                prop_assert!(kernel.iter().zip(kernel.iter().skip(1)).all(|(a, b)| a.last < b.first));
                prop_assert!(kernel.iter().eq(cover.pieces()));
                for low in 0..=255u8 {
                    let address: std::net::IpAddr = [192, 0, 2, low].into();
                    let number = u128::from(u32::from_be_bytes([192, 0, 2, low]));
                    let by_net = wanted.iter().filter(|(net, _)| net.contains(&address)).map(|(_, end)| *end).max();
                    let by_range = kernel.iter().find(|p| p.first <= number && number <= p.last).map(|p| p.expiry);
                    prop_assert_eq!(by_net, by_range);
                }
            }
        }
    }
}

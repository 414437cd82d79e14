//! What is wanted, and the transactions that bring the kernel there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::cover::{Cover, Expiry, Piece, Reshape};
use super::sets::{self, Removal, Role, Set, Shown, Span};
use super::transaction::Transaction;
use crate::element::{Family, bounds, canonical, is_single};
use crate::{Change, Difference, Element, Felt, Layout};

/// Ends that differ by less are the same.
const TOLERANCE: Duration = Duration::from_secs(2);

/// The wanted ranges. Single addresses are not kept: each change of one stands for itself, and a million of them would
/// be held in memory a second time.
pub(super) struct Plan {
    never: [Cover; 2],
    /// By how they are felt, then by family.
    nets: [[Cover; 2]; 2],
}

/// What is wanted of one network: until when and how it is blocked, or `None`.
type Wanted = Option<(Felt, Expiry)>;

/// Changes in the form in which the sets take them, the last word on each network only.
#[derive(Default)]
pub(super) struct Edits {
    singles: HashMap<IpNet, Wanted>,
    nets: HashMap<IpNet, Wanted>,
    never: HashMap<IpNet, Option<Expiry>>,
}

impl Edits {
    pub(super) fn new(layout: &Layout, now: Duration, changes: &[Change]) -> Self {
        let mut edits = Edits::default();
        for change in changes {
            match change {
                Change::Add(element) => {
                    let expiry = Expiry::new(now, element.timeout);
                    let wanted = (layout.felt(element.felt), expiry);
                    edits.block(canonical(element.net), (!expiry.is_over(now)).then_some(wanted));
                }
                Change::Remove(net) => edits.block(canonical(*net), None),
                Change::AddNever(net) => drop(edits.never.insert(canonical(*net), Some(Expiry::PERMANENT))),
                Change::RemoveNever(net) => drop(edits.never.insert(canonical(*net), None)),
            }
        }
        edits
    }

    fn block(&mut self, net: IpNet, wanted: Wanted) {
        let edits = if is_single(&net) { &mut self.singles } else { &mut self.nets };
        edits.insert(net, wanted);
    }

    /// The networks that are newly blocked, and how.
    pub(super) fn added(&self) -> impl Iterator<Item = (Felt, IpNet)> + '_ {
        self.singles.iter().chain(&self.nets).filter_map(|(net, wanted)| wanted.map(|(felt, _)| (felt, *net)))
    }

    /// What becomes of each network in the set; what moves to another set leaves this one.
    fn of(&self, set: Set) -> Vec<(IpNet, Option<Expiry>)> {
        let felt_so = |wanted: &Wanted, felt: Felt| wanted.filter(|(how, _)| *how == felt).map(|(_, expiry)| expiry);
        let edits: &mut dyn Iterator<Item = (&IpNet, Option<Expiry>)> = match set.role {
            Role::Never => &mut self.never.iter().map(|(net, expiry)| (net, *expiry)),
            Role::Block(felt) => &mut self.singles.iter().map(move |(net, wanted)| (net, felt_so(wanted, felt))),
            Role::Net(felt) => &mut self.nets.iter().map(move |(net, wanted)| (net, felt_so(wanted, felt))),
        };
        edits.filter(|(net, _)| Family::of(net) == set.family).map(|(net, expiry)| (*net, expiry)).collect()
    }
}

fn number(net: &IpNet) -> u128 {
    bounds(net).0
}

/// How to write a transaction for this kernel and table.
#[derive(Clone, Copy)]
pub(super) struct Pen<'a> {
    layout: &'a Layout,
    removal: Removal,
    now: Duration,
}

impl<'a> Pen<'a> {
    pub(super) fn new(layout: &'a Layout, removal: Removal, now: Duration) -> Self {
        Pen { layout, removal, now }
    }

    fn add(self, tx: &mut Transaction, set: Set, spans: impl IntoIterator<Item = Span>) {
        sets::add(tx, &self.layout.table, set, spans);
    }

    fn remove(self, tx: &mut Transaction, set: Set, spans: &[Span]) {
        sets::remove(tx, self.removal, &self.layout.table, set, spans.iter().copied());
    }

    fn spans<'p>(self, pieces: impl IntoIterator<Item = &'p Piece>) -> Vec<Span> {
        pieces.into_iter().map(|piece| Span::of(piece, self.now)).collect()
    }
}

impl Plan {
    pub(super) fn new() -> Self {
        Plan { never: Family::BOTH.map(Cover::new), nets: Felt::BOTH.map(|_| Family::BOTH.map(Cover::new)) }
    }

    fn cover(&mut self, set: Set) -> &mut Cover {
        let covers = match set.role.felt() {
            None => &mut self.never,
            Some(felt) => &mut self.nets[felt as usize],
        };
        &mut covers[set.family as usize]
    }

    /// Whether the address passes whatever else is said.
    pub(super) fn spares(&self, address: IpAddr) -> bool {
        let net = IpNet::from(address);
        self.never[Family::of(&net) as usize].covers(&net)
    }

    /// Takes the edits into what is wanted, and writes what they change. The never-block list comes first, so that
    /// nothing that it covers is dropped in between, should there be more than one batch.
    pub(super) fn edit(&mut self, pen: Pen<'_>, edits: &Edits) -> Transaction {
        let mut tx = Transaction::new();
        for set in Set::all(pen.layout).iter().copied() {
            if set.is_ranges() {
                let Reshape { gone, new } = self.cover(set).change(pen.now, &edits.of(set));
                pen.remove(&mut tx, set, &pen.spans(&gone));
                pen.add(&mut tx, set, pen.spans(&new));
            } else {
                write_singles(&mut tx, pen, set, edits);
            }
        }
        tx
    }

    /// Writes the edits of single addresses, and all ranges anew.
    pub(super) fn refill(&mut self, pen: Pen<'_>, edits: &Edits) -> Transaction {
        let mut tx = Transaction::new();
        for set in Set::all(pen.layout).iter().copied() {
            if set.is_ranges() {
                sets::empty(&mut tx, &pen.layout.table, set);
                let spans = pen.spans(self.cover(set).pieces());
                pen.add(&mut tx, set, spans);
            } else {
                write_singles(&mut tx, pen, set, edits);
            }
        }
        tx
    }

    /// Begins anew with what is wanted.
    pub(super) fn replace(&mut self, layout: &Layout, now: Duration, want: &[Element], never: &[IpNet]) -> Singles {
        let mut singles = Singles::default();
        let mut nets: [[HashMap<IpNet, Expiry>; 2]; 2] = Default::default();
        for (net, (felt, expiry)) in last_words(layout, now, want) {
            let (felt, family) = (felt as usize, Family::of(&net) as usize);
            if is_single(&net) {
                singles.0[felt][family].insert(number(&net), expiry);
            } else {
                nets[felt][family].insert(net, expiry);
            }
        }
        let never: Vec<IpNet> = never.iter().copied().map(canonical).collect();
        for family in Family::BOTH {
            let never = never.iter().filter(|net| Family::of(net) == family).map(|net| (*net, Expiry::PERMANENT));
            self.never[family as usize].replace(never);
            for felt in Felt::BOTH {
                let nets = std::mem::take(&mut nets[felt as usize][family as usize]);
                self.nets[felt as usize][family as usize].replace(nets);
            }
        }
        singles
    }

    /// Writes everything into sets that are empty. Returns how many elements.
    pub(super) fn fill(&mut self, tx: &mut Transaction, pen: Pen<'_>, singles: &Singles) -> usize {
        let mut count = 0;
        for set in Set::all(pen.layout).iter().copied() {
            let spans = self.wanted(pen, set, singles);
            count += spans.len();
            pen.add(tx, set, spans);
        }
        count
    }

    fn wanted(&mut self, pen: Pen<'_>, set: Set, singles: &Singles) -> Vec<Span> {
        if set.is_ranges() {
            return pen.spans(self.cover(set).pieces());
        }
        let felt = set.role.felt().unwrap_or_default();
        let singles = &singles.0[felt as usize][set.family as usize];
        singles.iter().map(|(number, expiry)| Span::single(*number, expiry.remaining(pen.now))).collect()
    }

    /// Writes what changes a set from what was found in it to what is wanted. Returns what was put in.
    pub(super) fn mend(
        &mut self,
        tx: &mut Transaction,
        pen: Pen<'_>,
        set: Set,
        singles: &Singles,
        reading: &Reading,
        difference: &mut Difference,
    ) -> Vec<Span> {
        let mut found = pair_up(set, &reading.found);
        let mut gone = Vec::new();
        let mut new = Vec::new();
        for span in self.wanted(pen, set, singles) {
            match found.remove(&span.first) {
                Some(there)
                    if there.last == span.last
                        && reading.is_same_end(there.timeout, span.timeout.map(|left| pen.now + left)) =>
                {
                    continue;
                }
                Some(there) if there.last == span.last => {
                    difference.changed += 1;
                    gone.push(there);
                }
                Some(there) => {
                    difference.surplus += 1;
                    difference.missing += 1;
                    gone.push(there);
                }
                None => difference.missing += 1,
            }
            new.push(span);
        }
        // What is about to end by itself is taken out, but tells of nobody's meddling.
        let ends_soon = |span: &&Span| span.timeout.is_some_and(|left| left < TOLERANCE);
        difference.surplus += found.len() - found.values().filter(ends_soon).count();
        gone.extend(found.into_values());
        pen.remove(tx, set, &gone);
        pen.add(tx, set, new.iter().copied());
        new
    }
}

fn write_singles(tx: &mut Transaction, pen: Pen<'_>, set: Set, edits: &Edits) {
    let singles = edits.of(set);
    // Taken out even before being put in again: kernels differ in whether the latter gives a new end, and none makes a
    // permanent element end.
    let gone: Vec<Span> = singles.iter().map(|(net, _)| Span::single(number(net), None)).collect();
    pen.remove(tx, set, &gone);
    let new = singles
        .iter()
        .filter_map(|(net, expiry)| expiry.map(|expiry| Span::single(number(net), expiry.remaining(pen.now))));
    pen.add(tx, set, new);
}

/// The elements found in a set, and between which times they were read: a large set takes a while.
pub(super) struct Reading {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) found: Vec<Shown>,
}

impl Reading {
    /// Whether what was found with so much time remaining ends when it should.
    fn is_same_end(&self, remaining: Option<Duration>, wanted: Option<Duration>) -> bool {
        match (remaining, wanted) {
            (Some(remaining), Some(end)) => {
                end + TOLERANCE > self.from + remaining && end < self.to + remaining + TOLERANCE
            }
            (None, None) => true,
            _ => false,
        }
    }
}

/// The wanted single addresses, by how they are felt, then by family.
#[derive(Default)]
pub(super) struct Singles([[HashMap<u128, Expiry>; 2]; 2]);

/// What is wanted of each network, where it is named more than once by the last that has not ended.
fn last_words(layout: &Layout, now: Duration, want: &[Element]) -> HashMap<IpNet, (Felt, Expiry)> {
    want.iter()
        .map(|element| (canonical(element.net), (layout.felt(element.felt), Expiry::new(now, element.timeout))))
        .filter(|(_, (_, expiry))| !expiry.is_over(now))
        .collect()
}

/// Elements by their first address; starts and ends of ranges are put together.
fn pair_up(set: Set, found: &[Shown]) -> HashMap<u128, Span> {
    if !set.is_ranges() {
        return found.iter().map(|shown| (shown.number, Span::single(shown.number, shown.remaining))).collect();
    }
    let mut found = found.to_vec();
    found.sort_unstable_by_key(|shown| (shown.number, !shown.is_end));
    let mut spans: HashMap<u128, Span> = HashMap::new();
    let mut open: Option<Span> = None;
    for shown in found {
        if !shown.is_end {
            spans.extend(
                open.replace(Span { first: shown.number, last: set.family.last(), timeout: shown.remaining })
                    .map(|span| (span.first, span)),
            );
        } else if let Some(span) = open.take() {
            spans.insert(span.first, Span { last: shown.number - 1, ..span });
        }
    }
    spans.extend(open.map(|span| (span.first, span)));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_the_same_within_two_seconds_of_when_they_were_read() {
        let secs = Duration::from_secs;
        let reading = Reading { from: secs(100), to: secs(103), found: Vec::new() };
        for (remaining, wanted, is_same) in [
            (None, None, true),
            (None, Some(110), false),
            (Some(10), None, false),
            (Some(10), Some(108), false),
            (Some(10), Some(109), true),
            (Some(10), Some(114), true),
            (Some(10), Some(115), false),
        ] {
            assert_eq!(reading.is_same_end(remaining.map(secs), wanted.map(secs)), is_same, "{remaining:?} {wanted:?}");
        }
    }

    #[test]
    fn starts_and_ends_are_put_together() {
        let set = Set { role: Role::Net(Felt::Drop), family: Family::V4 };
        let shown = |number, is_end| Shown { number, is_end, remaining: None };
        let found = [shown(30, false), shown(20, true), shown(20, false), shown(10, false), shown(25, true)];
        let mut spans: Vec<(u128, u128)> = pair_up(set, &found).values().map(|span| (span.first, span.last)).collect();
        spans.sort_unstable();
        assert_eq!(spans, [(10, 19), (20, 24), (30, u128::from(u32::MAX))]);
        // The end of a range whose start is over may still be there.
        assert!(pair_up(set, &[shown(20, true)]).is_empty());
    }
}
